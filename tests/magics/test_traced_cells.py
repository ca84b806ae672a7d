"""Cells below %%trace_loads and %%syscalls that go wrong or do what is hard to watch: they end as they would without
the magic, and the report is there, complete and true."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
MAGICS = ["trace_loads", "syscalls"]

RAISES = """#include <Python.h>
static int fill(PyObject *module) {
  PyErr_SetString(PyExc_ValueError, "not today");
  return -1;
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, 0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "raises", 0, 0, 0, slots};
PyMODINIT_FUNC PyInit_raises(void) { return PyModuleDef_Init(&definition); }
"""
RINGS = """#include <signal.h>
__attribute__((constructor)) static void ring(void) { raise(SIGUSR1); }
"""


def run(client: Client, magic: str, cell: str):
    done = client.execute(f"%%{magic}{' --list' if magic == 'syscalls' else ''}\n{cell}")
    return done, done.report(magic)


def opened(found: dict, magic: str, name: str) -> bool:
    """Whether a library was loaded, or its file opened, by what the report says."""
    items = found["rows"] if magic == "trace_loads" else found["files"]
    return any(name in item["path"] for item in items)


def processes(found: dict, magic: str) -> int:
    if magic == "trace_loads":
        return found["counts"]["processes"]
    return sum(one["kind"] == "process" for one in found["started"])


def untouched(client: Client):
    """Nothing of the recording is left: no handler of SIGSYS, and the linker's function as it was."""
    caught = "next(int(l.split()[1], 16) for l in open('/proc/self/status') if 'SigCgt' in l)"
    assert client.value(f"{caught} >> 30 & 1") == "0"


@pytest.mark.parametrize("magic", MAGICS)
def test_children_that_crash(client: Client, magic: str):
    cell = (
        "import os, subprocess, sys\n"
        "child = os.fork()\n"
        "if child == 0:\n    os.abort()\n"
        "aborted = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "code = 'import ctypes; ctypes.string_at(0)'\n"
        "crashed = subprocess.run([sys.executable, '-c', code], stderr=subprocess.DEVNULL).returncode\n"
        "import _lsprof\n"
        "behind = open('/etc/hostname').read()"
    )
    _, found = run(client, magic, cell)
    assert client.value("(aborted, crashed)") == "(-6, -11)"
    assert processes(found, magic) == 2
    if magic == "syscalls":
        assert opened(found, magic, "/etc/hostname")
    untouched(client)


@pytest.mark.parametrize("magic", MAGICS)
def test_an_import_that_fails_halfway(client: Client, magic: str, tmp_path: Path):
    library = shared_library(tmp_path / "libhalf.so", "int half = 1;")
    (tmp_path / "halfway.py").write_text(
        f"import ctypes\nctypes.CDLL({str(library)!r})\nraise RuntimeError('halfway')\n"
    )
    client.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})")
    done, found = run(client, magic, "import halfway")
    assert done.content["ename"] == "RuntimeError"
    assert opened(found, magic, "libhalf.so")
    untouched(client)


@pytest.mark.parametrize("magic", MAGICS)
def test_a_module_whose_initialiser_raises(client: Client, magic: str, tmp_path: Path):
    suffix = client.value("__import__('sysconfig').get_config_var('EXT_SUFFIX')").strip("'")
    shared_library(tmp_path / f"raises{suffix}", RAISES)
    client.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})")
    done, found = run(client, magic, "import raises")
    assert (done.content["ename"], done.content["evalue"]) == ("ValueError", "not today")
    assert opened(found, magic, f"raises{suffix}")
    untouched(client)


@pytest.mark.parametrize("magic", MAGICS)
def test_a_library_whose_initialiser_raises_a_signal(client: Client, magic: str, tmp_path: Path):
    library = shared_library(tmp_path / "librings.so", RINGS)
    client.run(
        "import ctypes, signal\n"
        "def stop(*_): raise InterruptedError('rang')\n"
        "old = signal.signal(signal.SIGUSR1, stop)"
    )
    done, found = run(client, magic, f"ctypes.CDLL({str(library)!r})")
    assert done.content["ename"] == "InterruptedError"
    assert opened(found, magic, "librings.so")
    if magic == "trace_loads":
        [row] = [row for row in found["rows"] if "librings" in row["path"]]
        assert row["init_ns"] > 0
    untouched(client)
    client.run("signal.signal(signal.SIGUSR1, old)")


@pytest.mark.parametrize("magic", MAGICS)
def test_an_interrupt_while_children_and_threads_run(client: Client, magic: str):
    cell = (
        "import subprocess, threading\n"
        "over = threading.Event()\n"
        "waiter = threading.Thread(target=over.wait); waiter.start()\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "import _lsprof\n"
        "print('on', flush=True)\n"
        "child.wait()"
    )
    done = client.interrupt_at("on", f"%%{magic}\n{cell}")
    assert done.content["ename"] == "KeyboardInterrupt"
    assert processes(done.report(magic), magic) == 1
    client.run("over.set(); waiter.join(); child.kill(); child.wait()")
    # The last of its threads takes the handler away when it ends, which is after Python has joined it.
    client.until(lambda: client.value(CAUGHT) == "0", "the end of the thread")


CAUGHT = "next(int(l.split()[1], 16) for l in open('/proc/self/status') if 'SigCgt' in l) >> 30 & 1"

LIVELY = f"""
import asyncio, os, signal, subprocess, sys, threading
rang, got = [], []
old = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while len(rang) < 20:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, old)
threads = [threading.Thread(target=lambda: got.append(os.getppid())) for _ in range(10)]
for thread in threads: thread.start()
for thread in threads: thread.join()
async def talk():
    process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
    got.append((await process.communicate())[0])
worker = threading.Thread(target=lambda: asyncio.run(talk())); worker.start(); worker.join()
got.append(subprocess.run([{sys.executable!r}, "-c", "print(6 * 7)"], capture_output=True).stdout)
forked = os.fork()
if forked == 0:
    import _lsprof
    os._exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])
import _lsprof
"""


@pytest.mark.parametrize("magic", MAGICS)
def test_signals_threads_asyncio_and_children_are_as_ever(launch, magic: str):
    client = launch().connect()
    done, found = run(client, magic, LIVELY)
    assert done.content["status"] == "ok", done.trace
    assert client.value("(len(rang) >= 20, got[10:], status)") == r"(True, [b'hi\n', b'42\n'], 7)"
    assert processes(found, magic) == 3
    assert opened(found, magic, "_lsprof")
    client.until(lambda: client.value(CAUGHT) == "0", "the end of the threads")
