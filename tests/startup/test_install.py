"""`diaphane install` and `uninstall`: the kernelspec, its logos, and its removal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import door

pytestmark = pytest.mark.diaphane


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [*door.command(), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | env,
        timeout=60,
        check=False,
    )


def test_install_and_uninstall(tmp_path: Path):
    prefix = ["--prefix", str(tmp_path)]
    done = run("install", *prefix, "--python", sys.executable)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "share/jupyter/kernels/diaphane"
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["language"] == "python"
    assert spec["display_name"] == "Python (diaphane)"
    assert spec["interrupt_mode"] == "message"
    assert sys.executable in spec["argv"]
    assert "{connection_file}" in spec["argv"]
    for logo in ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg"):
        assert (folder / logo).stat().st_size > 0
    assert str(folder) in done.stdout
    again = run("install", *prefix, "--python", sys.executable)
    assert again.returncode == 0, again.stderr
    gone = run("uninstall", *prefix)
    assert gone.returncode == 0, gone.stderr
    assert not folder.exists()


def test_name_and_display_name(tmp_path: Path):
    options = ["--name", "mine", "--display-name", "My Python", "--python", sys.executable]
    done = run("install", "--prefix", str(tmp_path), *options)
    assert done.returncode == 0, done.stderr
    spec = json.loads((tmp_path / "share/jupyter/kernels/mine/kernel.json").read_text())
    assert spec["display_name"] == "My Python"


def test_user(tmp_path: Path):
    done = run(
        "install",
        "--user",
        "--python",
        sys.executable,
        HOME=str(tmp_path),
        XDG_DATA_HOME="",
        JUPYTER_DATA_DIR="",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".local/share/jupyter/kernels/diaphane/kernel.json").is_file()


@pytest.mark.parametrize("name", ["../evil", "a b", "", "x/y"])
def test_a_name_that_is_no_kernel_name(tmp_path: Path, name: str):
    done = run("install", "--prefix", str(tmp_path), "--name", name)
    assert done.returncode != 0
    assert list(tmp_path.rglob("kernel.json")) == []


def test_uninstalling_what_is_not_there_says_so(tmp_path: Path):
    done = run("uninstall", "--prefix", str(tmp_path))
    assert str(tmp_path) in done.stdout + done.stderr


def test_a_python_without_ipython_is_refused_at_once(tmp_path: Path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    done = run("install", "--prefix", str(tmp_path), "--python", str(bare / "bin/python"))
    assert done.returncode != 0
    assert "ipython" in done.stderr


def test_help_and_version():
    assert "install" in run("--help").stdout
    assert run("--version").stdout.startswith("diaphane ")
