"""The package in a plain Python: what may stand in its way there, and what it may not stand in the way of."""

import os
import subprocess
import venv

import pytest

from support import door
from support.compiler import shared_library
from support.programs import start

pytestmark = [pytest.mark.diaphane, pytest.mark.door("hosted")]

SURPLUS = 768
"""What others may take of the memory that libraries with thread-locals of their own get; the C library has 1680 bytes."""


def python(code: str, *words: str) -> str:
    done = start(door.python(), "-c", code, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_loads_where_others_took_memory_of_threads(tmp_path):
    source = f'__thread char taken[{SURPLUS}] __attribute__((tls_model("initial-exec")));\nchar *all(void) {{ return taken; }}'
    path = shared_library(tmp_path / "libtaken.so", source)
    python(f"import ctypes; ctypes.CDLL({str(path)!r}).all(); from diaphane import _diaphane")


def test_it_shows_others_no_names_but_its_own():
    file = python("from diaphane import _diaphane; print(_diaphane.__file__)").strip()
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", file], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    assert {name for name in names if "diaphane" not in name} == set()
    assert "PyInit__diaphane" in names


def test_modules_beside_the_notebook_are_not_taken_for_its_own(launch, tmp_path):
    for name in ("json", "asyncio", "_diaphane"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for another')\n")
    client = launch(cwd=tmp_path).connect()
    assert client.run("import json; json.dumps(1)").result == "'1'"


RUST = """
import os, sys
os.environ.pop("DIAPHANE_RUST", None)
if len(sys.argv) > 1:
    sys.executable = os.environ["PATH"] = sys.argv[1]
from diaphane import _diaphane
try:
    _diaphane.run_magic("rust", "", "1 + 1", {})
except BaseException as error:
    print(error)
"""


def test_the_compiler_of_its_environment_is_found(tmp_path):
    """It is not beside the program of the Python that the environment was made from."""
    venv.create(tmp_path, with_pip=False, symlinks=True)
    compiler = tmp_path / "bin/diaphane-rust"
    compiler.write_text("#!/bin/sh\necho '{\"Other\": 1}'\nexec cat\n")
    compiler.chmod(0o755)
    command = [tmp_path / "bin/python", "-c", RUST]
    env = os.environ | door.packages()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert f"{compiler} is of another version" in done.stdout
    assert "pip install diaphane_rust-" in done.stdout


def test_without_that_compiler_the_wheel_is_named():
    said = python(RUST, "/nowhere")
    assert "diaphane-rust is missing" in said
    assert "pip install diaphane_rust-" in said
    assert "install.sh" not in said


def test_another_libzmq_is_beside_ours(launch):
    client = launch().connect()
    client.run(
        "import zmq\n"
        "context = zmq.Context()\n"
        "one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)\n"
        "one.bind('inproc://here'); other.connect('inproc://here')\n"
        "for number in range(1000): one.send(b'%d' % number)"
    )
    assert client.run("[int(other.recv()) for _ in range(1000)] == [*range(1000)]").result == "True"
    client.run("one.close(); other.close(); context.term()")


def test_libraries_with_a_c_plus_plus_of_their_own(launch):
    client = launch().connect()
    client.run("import pyarrow, pandas, sklearn.ensemble")
    code = "import pyarrow.compute as c; c.sum(pyarrow.array(range(1000))).as_py()"
    assert client.run(code).result == "499500"
    assert client.execute("pyarrow.array([1, 'a'])").content["ename"] == "ArrowInvalid"


def test_descriptors_and_streams_of_c_are_its_own_kernels_only():
    """A guest changes neither."""
    code = (
        "import os, signal\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "def facts(): return ([os.readlink(f'/proc/self/fd/{n}') for n in (1, 2)], signal.getsignal(signal.SIGINT),\n"
        "    signal.set_wakeup_fd(-1))\n"
        "before = facts()\n"
        "shell.extension_manager.load_extension('diaphane')\n"
        "print(facts() == before)"
    )
    assert python(code).splitlines()[-1] == "True"
