"""What cannot start says why, in one sentence on stderr, and fails."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from support import door

pytestmark = pytest.mark.diaphane

embedded = pytest.mark.door("embedded")
"""Where the kernel is a module of a Python, there is no other one to name."""


def fails(python: str, connection_file: str) -> str:
    """Run a kernel to a failure; its one sentence."""
    done = subprocess.run(
        door.kernel(python, connection_file),
        env=os.environ | door.packages(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    said = done.stderr.strip()
    assert len(said.splitlines()) == 1, said
    return said


@pytest.fixture
def python() -> str:
    """A Python that would do."""
    return door.python()


@pytest.fixture
def connection_file(tmp_path) -> str:
    """A connection file that would do."""
    path = tmp_path / "connection.json"
    ports = {f"{n}_port": 0 for n in ("shell", "iopub", "stdin", "control", "hb")}
    other = {"transport": "tcp", "ip": "127.0.0.1", "key": "k", "signature_scheme": "hmac-sha256"}
    path.write_text(json.dumps(ports | other))
    return str(path)


def test_an_environment_without_ipython(connection_file, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    said = fails(python, connection_file)
    assert python in said
    assert "pip install ipython" in said


@embedded
def test_a_python_that_is_not_there(connection_file):
    said = fails("/no/such/python", connection_file)
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


@embedded
def test_a_python_of_another_minor_version(connection_file):
    python = other_minor()
    assert python, "install a second Python to run this test, for example `apt-get install python3`"
    said = fails(python, connection_file)
    assert python in said
    assert f"3.{sys.version_info.minor}" in said


def test_no_connection_file(python):
    said = fails(python, "/no/such/file.json")
    assert "/no/such/file.json" in said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"transport": "tcp"}', '{"transport": "pigeon", "ip": "x", "key": ""}']
)
def test_a_connection_file_that_is_none(python, tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    said = fails(python, str(path))
    assert str(path) in said


def test_a_port_in_use(python, launch):
    kernel = launch()
    kernel.connect().run("pass")
    said = fails(python, str(kernel.directory / "connection.json"))
    assert "in use" in said
    assert str(kernel.info["shell_port"]) in said
