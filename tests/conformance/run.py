#!/usr/bin/env python3
"""Run the neighbours' public test suites on a kernel and compare with the floors.

    python tests/conformance/run.py                     # the installed kernel `diaphane`
    python tests/conformance/run.py --kernel python3    # ipykernel itself, for reference
    python tests/conformance/run.py --door hosted       # the one of `tests/run.sh --door hosted`
    python tests/conformance/run.py --suite papermill --verbose

The suites ask for a kernel named `python3`. They get it from a kernelspec of that name that is a
copy of the one under test and stands first on JUPYTER_PATH. Their sources come from the package
index at run time, at the versions in floors.toml; nothing of them is kept here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent.resolve()
sys.path.insert(0, str(HERE.parent))

from support.count import count  # noqa: E402 (the line above makes it importable)
from support.homes import environment  # noqa: E402

WORK = HERE / ".work"
PYTHON = WORK / "venv" / "bin" / "python"
FLOORS = HERE / "floors.toml"


def main() -> int:
    suites = tomllib.loads(FLOORS.read_text())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default="diaphane", help="the kernelspec to test")
    parser.add_argument("--door", choices=["embedded", "hosted"], default="embedded")
    parser.add_argument("--suite", action="append", choices=list(suites), help="only this one")
    parser.add_argument("--verbose", action="store_true", help="show what the suites print")
    options = parser.parse_args()
    prepare_environment()
    shadow = shadow_kernelspec(options.kernel, options.door)
    rows = []
    for name in options.suite or suites:
        suite = suites[name]
        passed, failed = run(name, suite, fetch(suite["source"]), shadow, options.verbose)
        rows.append((name, passed, failed, suite["floor"], suite["reference"]))
    print(table(rows))
    return int(any(passed < floor for _, passed, _, floor, _ in rows))


def prepare_environment() -> None:
    """A virtual environment with the pinned requirements, made once for each version of them."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = WORK / "venv" / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(WORK / "venv", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
    pip("install", "--requirement", str(HERE / "requirements.txt"))
    stamp.write_text(wanted)


def pip(*arguments: str) -> None:
    command = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


def shadow_kernelspec(kernel: str, door: str) -> Path:
    """A data directory whose `python3` is the kernel under test on the suites' environment."""
    directory = WORK / "shadow" / kernel
    shutil.rmtree(directory, ignore_errors=True)
    if kernel == "python3":
        directory.mkdir(parents=True)
        return directory  # The environment's own ipykernel is found without a shadow.
    spec = json.loads((find(kernel, door) / "kernel.json").read_text())
    if door == "hosted":
        # The suites' environment has no such package, and gets that of the tests, which has nothing else.
        (own,) = Path(spec["argv"][0]).parents[1].glob("lib/python3.*/site-packages")
        spec["env"] = {"PYTHONPATH": str(own)}
    for index, argument in enumerate(spec["argv"]):
        if spec["argv"][index - 1] == "--python" or (
            index == 0 and "python" in Path(argument).name
        ):
            spec["argv"][index] = str(PYTHON)
    target = directory / "kernels" / "python3"
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(json.dumps(spec))
    return directory


def find(kernel: str, door: str) -> Path:
    """The folder of an installed kernelspec, also of the one that tests/run.sh installs."""
    command = [PYTHON, "-m", "jupyter", "kernelspec", "list", "--json"]
    work = ".work-hosted" if door == "hosted" else ".work"
    env = jupyter_path(HERE.parent / work / "share" / "jupyter")
    listed = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    specs = json.loads(listed.stdout)["kernelspecs"]
    if kernel not in specs:
        sys.exit(f"no kernelspec named {kernel}; install it by `diaphane install` or tests/run.sh")
    return Path(specs[kernel]["resource_dir"])


def jupyter_path(first: Path, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment with one more place to look for kernels, before all others."""
    rest = env.get("JUPYTER_PATH")
    return {**env, "JUPYTER_PATH": os.pathsep.join([str(first), *([rest] if rest else [])])}


def fetch(source: str) -> Path:
    """The unpacked source distribution of a pinned package."""
    name, version = source.split("==")
    folder = WORK / "sources" / f"{name}-{version}"
    if not folder.exists():
        archives = WORK / "archives"
        pip("download", "--no-deps", f"--no-binary={name}", f"--dest={archives}", source)
        archive = archives / f"{name}-{version}.tar.gz"
        shutil.unpack_archive(archive, WORK / "sources", filter="data")
    return folder


def run(name: str, suite: dict, folder: Path, shadow: Path, verbose: bool) -> tuple[int, int]:
    """Run one suite; how many of its tests passed and failed."""
    results = WORK / f"{name}.xml"
    results.unlink(missing_ok=True)
    # A suite's own options ask for plugins and make each new warning an error: only its tests count.
    settings = ["addopts=", "filterwarnings=default", "asyncio_default_fixture_loop_scope=function"]
    arguments = [f"--override-ini={setting}" for setting in settings]
    arguments += [f"--rootdir={folder}", f"--confcutdir={folder}", "-p", "no:cacheprovider"]
    arguments += [f"--junitxml={results}", "-q"]
    if suite.get("inside"):
        command = [
            PYTHON,
            HERE / "inside.py",
            json.dumps(["--pyargs", *suite["tests"], *arguments]),
        ]
    else:
        command = [PYTHON, "-m", "pytest", *suite["tests"], *arguments]
    env = jupyter_path(shadow, environment(WORK / "home")) | {"PYTHONUNBUFFERED": ""}
    log = WORK / f"{name}.log"
    with log.open("w") as output:
        stream = None if verbose else output
        subprocess.run(command, cwd=folder, env=env, stdout=stream, stderr=stream, check=False)
    if not results.exists():
        print(f"{name}: the suite did not end; see {log}", file=sys.stderr)
        return 0, 0
    return count(results)


def table(rows: list[tuple]) -> str:
    """The outcome as text; `reference` is ipykernel's own count."""
    head = ("suite", "passed", "failed", "floor", "reference")
    lines = [head, *[tuple(map(str, row)) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
