"""What cannot start says why, in one sentence on stderr, and fails."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from support import process

pytestmark = pytest.mark.diaphane


@pytest.fixture(scope="module")
def binary() -> str:
    """The program of the kernelspec under test."""
    return KernelSpecManager().get_kernel_spec(process.NAME).argv[0]


def fails(binary: str, *arguments: str) -> str:
    """Run to a failure; its one sentence."""
    done = subprocess.run(
        [binary, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert done.stdout == ""
    said = done.stderr.strip()
    assert len(said.splitlines()) == 1, said
    return said


@pytest.fixture
def connection_file(tmp_path) -> str:
    """A connection file that would do."""
    path = tmp_path / "connection.json"
    ports = {f"{n}_port": 0 for n in ("shell", "iopub", "stdin", "control", "hb")}
    other = {"transport": "tcp", "ip": "127.0.0.1", "key": "k", "signature_scheme": "hmac-sha256"}
    path.write_text(json.dumps(ports | other))
    return str(path)


def test_an_environment_without_ipython(binary, connection_file, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    said = fails(binary, "kernel", "--python", python, "-f", connection_file)
    assert python in said
    assert "pip install ipython" in said


def test_a_python_that_is_not_there(binary, connection_file):
    said = fails(binary, "kernel", "--python", "/no/such/python", "-f", connection_file)
    assert "/no/such/python" in said


def other_minor() -> str | None:
    """A Python of another minor version, if the machine has one."""
    mine = f"3.{sys.version_info.minor}"
    places = [
        *Path(os.environ["PYENV_ROOT"]).glob("versions/*/bin/python3"),
        *Path("/usr/bin").glob("python3.??"),
    ]
    for path in places:
        done = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout.strip() not in ("", mine):
            return str(path)
    return None


def test_a_python_of_another_minor_version(binary, connection_file):
    python = other_minor()
    assert python, "install a second Python to run this test, for example `apt-get install python3`"
    said = fails(binary, "kernel", "--python", python, "-f", connection_file)
    assert python in said
    assert f"3.{sys.version_info.minor}" in said


def test_no_connection_file(binary):
    said = fails(binary, "kernel", "--python", sys.executable, "-f", "/no/such/file.json")
    assert "/no/such/file.json" in said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"transport": "tcp"}', '{"transport": "pigeon", "ip": "x", "key": ""}']
)
def test_a_connection_file_that_is_none(binary, tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    said = fails(binary, "kernel", "--python", sys.executable, "-f", str(path))
    assert str(path) in said


def test_a_port_in_use(binary, launch, tmp_path):
    kernel = launch()
    kernel.connect().run("pass")
    said = fails(
        binary,
        "kernel",
        "--python",
        sys.executable,
        "-f",
        str(kernel.directory / "connection.json"),
    )
    assert "in use" in said
    assert str(kernel.info["shell_port"]) in said
