"""The package `diaphane`: a wheel as `install.sh --hosted` builds it, and what a Python that has it can do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "kernel/wheel/build.sh"
CHECK = REPOSITORY / "kernel/wheel/check.py"

# Where nothing was built before, the build takes minutes.
pytestmark = [pytest.mark.diaphane, pytest.mark.slow, pytest.mark.timeout(1800)]


def run(*command: str | Path, **env: str) -> str:
    """What a command prints; it must succeed."""
    done = attempt(*command, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attempt(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the kernel under test in Jupyter's path."""
    known = {name: value for name, value in os.environ.items() if name != "JUPYTER_PATH"}
    return subprocess.run(command, capture_output=True, text=True, env=known | env, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel for this machine and this Python, by the compiler of the system."""
    folder = tmp_path_factory.mktemp("wheel")
    run(BUILD, "here", "diaphane", folder, sys.executable)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """A new environment into which pip installed the wheel; all else comes from that of the tests."""
    folder = make_environment(tmp_path_factory.mktemp("environment"))
    beside(folder).joinpath("tests.pth").write_text(sysconfig_path(sys.executable))
    pip(folder, "install", "--no-deps", "--no-index", wheel)
    return folder


def make_environment(folder: Path) -> Path:
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    return folder


def pip(environment: Path, *words: str | Path) -> str:
    """Run the pip of the tests for another environment."""
    return run(
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        environment / "bin/python",
        *words,
    )


def sysconfig_path(python: str | Path) -> str:
    return run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'), end='')")


def beside(environment: Path) -> Path:
    """Where the packages of an environment are."""
    return Path(sysconfig_path(environment / "bin/python"))


def test_the_wheel_has_the_package_its_kernelspec_and_its_licences(wheel):
    with zipfile.ZipFile(wheel) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    version = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"][
        "version"
    ]
    info = f"diaphane-{version}.dist-info"
    folder = REPOSITORY / "kernel/python/diaphane"
    package = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py*")
        if path.suffix != ".pyc"
    }
    packed_package = {
        name.removeprefix("diaphane/") for name in files if name.startswith("diaphane/")
    }
    (module,) = [name for name in packed_package if name.endswith(".so")]
    assert module.startswith("_diaphane.cpython-")
    # What only the embedding program needs lies beside the package, and stays out.
    assert package < packed_package
    assert {name for name in files if "/" not in name} == set()

    share = f"diaphane-{version}.data/data/share/jupyter/kernels/diaphane"
    for logo in (REPOSITORY / "kernel/logo").iterdir():
        assert files[f"{share}/{logo.name}"] == logo.read_bytes()
    for licence in ("LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY.txt"):
        assert f"{info}/licenses/{licence}" in files
    notices = files[f"{info}/licenses/THIRD-PARTY.txt"].decode()
    assert "libzmq" in notices
    assert "LGPL" in notices
    assert "libsodium" in notices
    assert "pyo3 " in notices

    metadata = message_from_bytes(files[f"{info}/METADATA"])
    needs = metadata.get_all("Requires-Dist")
    assert {need for need in needs if "extra" not in need} == {
        "comm",
        "debugpy",
        "ipython>=9",
        "matplotlib-inline",
    }
    assert [need for need in needs if "extra" in need] == [
        f"diaphane-rust=={version} ; extra == 'rust'"
    ]
    entries = files[f"{info}/entry_points.txt"].decode()
    assert "diaphane=diaphane.__main__:main" in entries


@pytest.mark.parametrize("words", [(), ("-p", "diaphane.pytest_plugin")])
def test_pytest_loads_the_plugin_by_itself_and_by_name(environment, words, tmp_path):
    answer = run(
        environment / "bin/python",
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        *words,
        "--rootdir",
        tmp_path,
        "--help",
    )
    assert "--diaphane-doctor" in answer


def test_the_parts_list_names_no_folder_of_the_build_machine(wheel):
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [name for name in packed.namelist() if "/sboms/" in name]
        text = packed.read(name).decode()
    components = {part["name"] for part in json.loads(text)["components"]}
    assert {"pyo3", "zmq-sys", "libzmq", "libsodium", "libstdc++"} <= components
    assert not components & {"cc", "pyo3-macros", "diaphane"}
    assert str(REPOSITORY) not in text


def test_pip_finds_all_that_the_wheel_needs(environment):
    broken = [line for line in attempt_pip_check(environment) if line.startswith("diaphane")]
    assert broken == []


def attempt_pip_check(environment: Path) -> list[str]:
    python = environment / "bin/python"
    return attempt(sys.executable, "-m", "pip", "--python", python, "check").stdout.splitlines()


def test_the_kernelspec_is_what_install_writes(environment, tmp_path):
    run(environment / "bin/diaphane", "install", "--prefix", tmp_path)
    written = json.loads((tmp_path / "share/jupyter/kernels/diaphane/kernel.json").read_text())
    packed = json.loads((environment / "share/jupyter/kernels/diaphane/kernel.json").read_text())
    assert written.pop("argv")[1:] == packed["argv"][1:]
    # Clients put the Python of their own environment in the place of this word.
    assert packed.pop("argv")[0] == "python"
    assert written == packed


CELLS = """
import json, sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="diaphane")
answers = []
try:
    for cell in sys.argv[1:]:
        printed = []
        reply = client.execute_interactive(cell, timeout=60, output_hook=lambda message: printed.append(message["content"]))
        texts = [content.get("text") or content.get("data", {}).get("text/plain", "") for content in printed]
        answers.append([reply["content"]["status"], "".join(texts)])
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
print(json.dumps(answers))
"""


def test_jupyter_lists_the_kernel_and_runs_cells_with_it(environment):
    python = environment / "bin/python"
    listed = json.loads(run(python, "-m", "jupyter_client.kernelspecapp", "list", "--json"))
    folder = Path(listed["kernelspecs"]["diaphane"]["resource_dir"])
    assert folder == environment / "share/jupyter/kernels/diaphane"

    cells = (
        "1 + 1",
        "import sys; sys.executable",
        "%threads",
        "%rust_status",
        "!diaphane --version",
    )
    answers = json.loads(run(python, "-c", CELLS, *cells))
    assert [status for status, _ in answers] == ["ok"] * len(cells)
    texts = [text for _, text in answers]
    assert texts[:2] == ["2", repr(str(python))]
    assert "diaphane-io" in texts[2]
    assert texts[4].startswith("diaphane ")


def test_a_python_without_ipython_says_what_is_missing(wheel, tmp_path):
    environment = make_environment(tmp_path / "bare")
    pip(environment, "install", "--no-deps", "--no-index", wheel)
    # With ports of its own choice, since nobody is to connect.
    ports = {f"{name}_port": 0 for name in ("shell", "iopub", "stdin", "control", "hb")}
    connection = tmp_path / "connection.json"
    connection.write_text(
        json.dumps({"transport": "tcp", "ip": "127.0.0.1", "key": "key", **ports})
    )
    for words in (["install", "--prefix", tmp_path], ["kernel", "-f", connection]):
        done = attempt(environment / "bin/diaphane", *words)
        assert done.returncode != 0
        assert "-m pip install" in done.stderr
        assert "ipython" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("void *PyInit__diaphane(void) { return 0; }", "it cannot be imported"),
        (
            "void nobody(void); void *PyInit__diaphane(void) { nobody(); return 0; }",
            "nobody has its nobody",
        ),
        ("int other(void) { return 0; }", "it exports other"),
    ],
)
def test_a_wheel_that_does_not_load_is_refused(wheel, tmp_path, source, complaint):
    module = tmp_path / "module.so"
    options = ("-shared", "-fPIC", "-s", "-Wl,--build-id", "-x", "c")
    subprocess.run(["cc", *options, "-", "-o", module], input=source, text=True, check=True)
    broken = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(broken, "w") as changed:
        for name in whole.namelist():
            changed.writestr(
                name, module.read_bytes() if name.endswith(".so") else whole.read(name)
            )
    done = attempt(sys.executable, CHECK, broken, PYO3_PYTHON=sys.executable)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_nothing_is_installed_into_a_python_that_is_no_environment():
    base = Path(sys._base_executable)
    done = attempt(REPOSITORY / "install.sh", "--hosted", "--python", base)
    assert done.returncode == 1
    assert f"{base} -m venv ENV && ./install.sh --hosted --python ENV/bin/python" in done.stderr
