"""Folders of the suite's own in the place of the user's, which are neither read nor written.

`python tests/support/homes.py COMMAND ...` runs a program with them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What would lead back to the user's.
OTHERS = ("IPYTHON", "JUPYTER_CONFIG_PATH", "JUPYTERLAB_", "JUPYTER_NO_CONFIG", "JUPYTER_PREFER")
# Tools and what was downloaded for the suite stay where they are.
KEPT = {
    "CARGO_HOME": ".cargo",
    "RUSTUP_HOME": ".rustup",
    "PYENV_ROOT": ".pyenv",
    "PIP_CACHE_DIR": ".cache/pip",
    "DIAPHANE_TEST_CACHE": ".cache/diaphane",
}
# Compiled dependencies of Rust cells, which take minutes.
RUST = Path(__file__).parents[1] / ".work" / "rust"


def environment(home: Path) -> dict[str, str]:
    """The environment of this process with all homes in this folder."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    for name, place in KEPT.items():
        env.setdefault(name, str(Path.home() / place))
    env.setdefault("DIAPHANE_RUST_CACHE", str(RUST))
    places = {
        "HOME": "",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
        "XDG_CACHE_HOME": ".cache",
        "XDG_RUNTIME_DIR": "run",
        "IPYTHONDIR": ".ipython",
        "JUPYTER_CONFIG_DIR": ".jupyter",
        "JUPYTER_DATA_DIR": ".local/share/jupyter",
        "JUPYTER_RUNTIME_DIR": "run/jupyter",
    }
    for name, place in places.items():
        folder = home / place
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        env[name] = str(folder)
    return env


@contextmanager
def own_home() -> Iterator[dict[str, str]]:
    """The environment with a home that is there for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="home-", ignore_cleanup_errors=True) as home:
        yield environment(Path(home))


def default_signals() -> None:
    """As a terminal's shell starts programs; what runs in the background may have some of them ignored."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def main() -> int:
    with own_home() as env:
        return subprocess.run(
            sys.argv[1:], env=env, check=False, preexec_fn=default_signals
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
