"""Makes a free-threaded CPython, which few systems have, and prints its path: `free_threaded.py 3.14`.

It is put together in the user's cache from what registries do have. The package freeze-core, by which applications
are frozen, brings the interpreter and its extension modules; its `main` is for frozen applications, and becomes a jump
to CPython's own. The modules in Python are those of Debian testing (debian_root.sh). There is no shared library, so
the kernel cannot embed it; it serves to be looked at from outside, and to import extension modules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

USERS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "diaphane"
CACHE = Path(os.environ.get("DIAPHANE_TEST_CACHE", USERS))
SUPPORT = Path(__file__).parent
PACKAGE = "freeze-core==0.8.1"


def ensure(version: str) -> Path:
    """The program `python3.14t`, made where it is not there yet."""
    home = CACHE / f"python{version}t"
    program = home / "bin" / home.name
    if not program.exists():
        shutil.rmtree(home, ignore_errors=True)
        # It gets its name when it is whole.
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder) / "made"
            make(made, version)
            made.rename(home)
    return program


def make(home: Path, version: str) -> None:
    library = home / "lib" / f"python{version}t"
    debian = debian_root()
    unwanted = shutil.ignore_patterns(
        "lib-dynload", "__pycache__", "_sysconfig*", "sitecustomize.py", "EXTERNALLY-MANAGED"
    )
    shutil.copytree(
        debian / f"usr/lib/python{version}", library, ignore=unwanted, ignore_dangling_symlinks=True
    )
    package = home / "package"
    unpack(package, version)
    (package / "freeze_core/lib").rename(library / "lib-dynload")
    # The modules look for it from where they are.
    (package / "freeze_core.libs").rename(home / "lib/freeze_core.libs")
    (home / "bin").mkdir()
    program = home / "bin" / library.name
    next((package / "freeze_core/bases").glob("console-*")).rename(program)
    be_an_interpreter(program)
    program.chmod(0o755)
    shutil.rmtree(package)
    facts = library / "_sysconfigdata_t_linux_x86_64-linux-gnu.py"
    facts.write_text(f"build_time_vars = {sysconfig(version, debian)!r}\n")


def debian_root() -> Path:
    """The folder of the Debian root, which is made where it is missing."""
    command = [SUPPORT / "debian_root.sh", "printenv", "DIAPHANE_DEBIAN_ROOT"]
    return Path(
        subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    )


def unpack(package: Path, version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tags = ["--python-version", version, "--abi", f"cp{version.replace('.', '')}t"]
        place = ["--only-binary=:all:", "--platform", "manylinux_2_17_x86_64", "--dest", folder]
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        subprocess.run([*pip, *tags, *place, PACKAGE], check=True, stdout=sys.stderr)
        (wheel,) = Path(folder).glob("*.whl")
        zipfile.ZipFile(wheel).extractall(package)


def be_an_interpreter(program: Path) -> None:
    """Let `main` begin with a jump to `Py_BytesMain`, which has the same arguments."""
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", program], capture_output=True, text=True, check=True
    )
    words = (line.split() for line in listed.stdout.splitlines())
    places = {name: int(place, 16) for place, _, name in words}
    start, goal = places["main"], places["Py_BytesMain"]
    jump = b"\xe9" + (goal - start - 5).to_bytes(4, "little", signed=True)
    code = bytearray(program.read_bytes())
    # It is linked to one address, and the file's beginning lies there.
    offset = start - 0x400000
    code[offset : offset + len(jump)] = jump
    program.write_bytes(code)


def sysconfig(version: str, debian: Path) -> dict[str, object]:
    """What pip and venv ask `sysconfig` for."""
    tag = f"cpython-{version.replace('.', '')}t-x86_64-linux-gnu"
    return {
        "ABIFLAGS": "t",
        "EXT_SUFFIX": f".{tag}.so",
        "LDVERSION": f"{version}t",
        "LIBDIR": "",
        "MULTIARCH": "x86_64-linux-gnu",
        "Py_DEBUG": 0,
        "Py_ENABLE_SHARED": 0,
        "Py_GIL_DISABLED": 1,
        "SOABI": tag,
        "VERSION": version,
        "WHEEL_PKG_DIR": str(debian / "usr/share/python-wheels"),
    }


if __name__ == "__main__":
    print(ensure(sys.argv[1]))
