"""Other CPythons than the one under test: those of this machine, and those that are made for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from support import free_threaded

SUPPORT = Path(__file__).parent


def command(version: str) -> list[str | Path] | None:
    """How to run CPython of a version such as `3.14`, or `3.14t` for one without the GIL; None where it can't be had."""
    if version.endswith("t"):
        try:
            return [free_threaded.ensure(version.rstrip("t"))]
        except subprocess.CalledProcessError:
            return None
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *versions.glob(f"{version}.*/bin/python")]
    for candidate in candidates:
        if candidate and is_version([candidate], version):
            return [candidate]
    # Debian testing has the newest.
    inside = [SUPPORT / "debian_root.sh", f"python{version}"]
    return inside if is_version(inside, version) else None


def is_version(program: list[str | Path], version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run([*program, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return asked.stdout.strip() == version
