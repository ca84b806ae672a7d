"""Checks wheels before anybody gets them: `check.py WHEEL...`.

What is checked is what a policy for file names does not see: that the program loads, that it needs and exports nothing
that it should not, and that it tells nothing about the machine it was built on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# The libraries that every Linux with glibc has in one version, and the compiler's own.
NEEDED = re.compile(r"(lib(c|m|pthread|dl|rt|gcc_s)|ld-linux-[\w-]+)\.so\.\d")
# By which Python begins it: the second one is that of 3.15 and later.
ENTRIES = {"PyInit__diaphane", "PyModExport__diaphane"}
# What Python brings.
FROM_PYTHON = re.compile(r"_?Py[A-Z_]\w*|_Py_\w+")


def main() -> int:
    complaints = []
    for wheel in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            found = check(wheel, Path(folder))
        complaints += [f"{wheel.name}: {complaint}" for complaint in found]
        if not found:
            print(f"{wheel.name} is sound, {wheel.stat().st_size / 1e6:.1f} MB")
    print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
    return 1 if complaints else 0


def check(wheel: Path, folder: Path) -> list[str]:
    """What is wrong with a wheel; nothing where it is sound."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found = [f"{name} does not belong into it" for name in names if name.endswith((".pyc", "finder.py", "compile.py"))]
    for text in ("LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY.txt"):
        if not any(name.endswith(f".dist-info/licenses/{text}") for name in names):
            found.append(f"it lacks {text}")
    modules = [folder / name for name in names if name.endswith(".so")]
    if modules and not any("/labextensions/@diaphane/lab/static/remoteEntry." in name for name in names):
        found.append("it lacks the panel of JupyterLab")
    programs = [folder / name for name in names if "/scripts/" in name]
    for binary in modules + programs:
        found += complaints_of(binary, wheel.name)
    if not modules + programs:
        found.append("there is no program in it")
    found += [complaint for module in modules for complaint in load(module, wheel.name)]
    found += [complaint for program in programs for complaint in run(program)]
    return found


def complaints_of(binary: Path, wheel: str) -> list[str]:
    """What a program or module needs, exports and tells that it should not."""
    is_module = binary.suffix == ".so"
    tables = readelf(binary, "--dynamic", "--notes", "--dyn-syms", "--section-headers")
    found = [f"it needs {name}" for name in re.findall(r"\(NEEDED\).*\[(.+?)\]", tables) if not NEEDED.fullmatch(name)]
    found += [f"it looks for libraries in {path}" for path in re.findall(r"\(R(?:UN)?PATH\).*\[(.+?)\]", tables)]
    if "Build ID:" not in tables:
        found.append("it has no build ID")
    if ".symtab" in tables:
        found.append("its names are not stripped")
    # Number, value, size, type, binding, visibility, section, name.
    symbols = [line.split() for line in tables.splitlines() if re.match(r"\s*\d+: [0-9a-f]{16} ", line)]
    symbols = [(words[7], words[4], words[6]) for words in symbols if len(words) > 7]
    exported = {name for name, _, section in symbols if section != "UND"}
    if is_module and not {"PyInit__diaphane"} <= exported <= ENTRIES:
        found.append(f"it exports {', '.join(sorted(exported)) or 'nothing'}")
    # A name with a version is a library's; one without is Python's, or nobody's. What is weak may be missing.
    for name, binding, section in symbols:
        is_known = "@" in name or (is_module and FROM_PYTHON.fullmatch(name))
        if section == "UND" and binding != "WEAK" and not is_known:
            found.append(f"nobody has its {name}")
    if policy := re.search(r"manylinux_2_(\d+)_", wheel):
        versions = {int(minor) for minor in re.findall(r"@GLIBC_2\.(\d+)", tables)}
        found += [f"it needs glibc 2.{minor}" for minor in versions if minor > int(policy[1])]
        content = binary.read_bytes()
        found += [f"it names the folder {path}" for path in folders_of_this_machine() if path.encode() in content]
    return found


def folders_of_this_machine() -> set[str]:
    """Where sources and tools lie here, which is nobody's business elsewhere."""
    home = Path.home()
    tools = [os.environ.get("CARGO_HOME", home / ".cargo"), os.environ.get("RUSTUP_HOME", home / ".rustup")]
    return {str(path) for path in [REPOSITORY, *tools]} | ({str(home)} if len(home.parts) > 2 else set())


def readelf(path: Path, *options: str) -> str:
    done = subprocess.run(["readelf", "--wide", *options, path], capture_output=True, text=True, check=True)
    return done.stdout


def load(module: Path, wheel: str) -> list[str]:
    """Imports the module in the Python that it is for, where there is one here."""
    tag = re.search(r"-cp3(\d+)-", wheel)
    python = python_of(tag[1]) if tag else None
    if python is None:
        print(f"{wheel}: there is no Python 3.{tag[1] if tag else '?'} here, so it was not imported")
        return []
    code = "import sys; sys.path.insert(0, sys.argv[1]); import diaphane._diaphane"
    done = subprocess.run([python, "-I", "-c", code, module.parents[1]], capture_output=True, text=True, check=False)
    return [f"it cannot be imported: {done.stderr.strip().splitlines()[-1]}"] if done.returncode else []


def python_of(minor: str) -> Path | None:
    """A Python of a minor version: PYO3_PYTHON, one on PATH, or one of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(":")]
    named = [Path(os.environ["PYO3_PYTHON"])] if "PYO3_PYTHON" in os.environ else []
    candidates = named + [folder / f"python3.{minor}" for folder in folders]
    for python in [*candidates, *sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python"))]:
        code = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
        if python.is_file() and subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    return None


def run(program: Path) -> list[str]:
    """Starts a program with nothing to read: it ends by itself."""
    program.chmod(0o755)
    done = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return [f"{program.name} does not start: {done.stderr.strip()}"] if "error while loading" in done.stderr else []


if __name__ == "__main__":
    sys.exit(main())
