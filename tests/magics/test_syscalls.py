"""%%syscalls in a real kernel: its calls are those that strace sees, and the cell lives as without it."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library
from support.strace import Strace

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.syscalls+json"
DENY = Path(__file__).parents[1] / "support" / "deny.c"


def report(done) -> dict:
    return done.report("syscalls")


def traced(client: Client, cell: str, line: str = "--list") -> dict:
    client.run(f"%%syscalls {line}\n{cell}")
    return client.whole()


def python() -> str:
    return str(Path(sys.executable))


IMPORTS = ["cProfile, cmath", "numpy", "scipy.linalg"]


@pytest.mark.parametrize("modules", IMPORTS)
def test_opened_files_are_those_of_strace(launch, tmp_path, modules: str):
    # The same modules are loaded before in both, and the mark tells where the import begins.
    before = "import ctypes, os, sys, IPython.core.interactiveshell, comm"
    client = launch().connect()
    names = client.value("sorted(sys.modules)" if client.run("import sys") else "")
    log = tmp_path / "log"
    script = (
        f"{before}\n"
        f"import importlib\n"
        f"for name in {names}:\n"
        "    try: importlib.import_module(name)\n"
        "    except Exception: pass\n"
        f"open('/begin', 'a') if os.path.exists('/begin') else os.access('/begin', 0)\n"
        f"import {modules}\n"
        "os.access('/end', 0)\n"
    )
    program = client.value("sys.executable").strip("'")
    options = ["-f", "-qq", "-e", "trace=openat,access", "-s", "4096", "-o", str(log)]
    subprocess.run(["strace", *options, program, "-c", script], check=True)
    text = log.read_text().split('"/begin"')[-1].split('"/end"')[0]
    expected = re.findall(r'openat\(AT_FDCWD, "([^"]+)", [^)]*\) += (-1 \w+)?', text)
    found = traced(client, f"import {modules}")["files"]
    ours = {(file["path"], file["error"] is not None) for file in found}
    theirs = {(path, bool(error)) for path, error in expected}
    libraries = {one for one in theirs if ".so" in one[0]}
    # What the two Pythons differ in: the folder of the script and of the kernel, and what each has open already.
    assert libraries
    assert not {one for one in libraries - ours if not one[1]}
    sources = {path for path, failed in theirs if not failed and path.endswith((".py", ".pyc"))}
    assert sources <= {path for path, _ in ours}


WORKS = {
    "numpy": "import numpy",
    "pandas": "import pandas",
    "files": "for n in range(200):\n    with open('/etc/hostname') as f: f.read()\n    os.path.exists(f'/missing/{n}')",
    "subprocess": "import subprocess\nfor n in range(3): subprocess.run(['true'])",
    "threads": "import threading\n"
    "threads = [threading.Thread(target=lambda: [os.getppid() for _ in range(100)]) for _ in range(8)]\n"
    "for thread in threads: thread.start()\n"
    "for thread in threads: thread.join()",
}


@pytest.mark.parametrize("work", WORKS)
def test_calls_and_failures_are_those_of_strace(launch, tmp_path, work: str):
    """strace watches the same cell from outside, and so sees the calls that the handler makes in the cell's place, and
    those by which it does that: a return from its signal for each call, reads of memory, and, for a new mask of
    signals, the question for what is blocked now."""
    client = launch().connect()
    pid = int(client.value("__import__('os').getpid()"))
    client.run(
        "import os\ndef mark(name):\n    try: os.close(os.open(name, 0))\n    except OSError: pass"
    )
    begin, end = f"{tmp_path}/begin", f"{tmp_path}/end"
    strace = Strace(pid, tmp_path / "log")
    found = traced(client, f"mark({begin!r})\n{WORKS[work]}\nmark({end!r})")
    calls = strace.between(begin, end)
    rows = found["rows"]
    [first] = [n for n, row in enumerate(rows) if begin in row["arguments"]]
    [last] = [n for n, row in enumerate(rows) if end in row["arguments"]]
    own = [row for row in rows[first + 1 : last] if row["tid"] == pid]
    ours = Counter(row["call"] for row in own)
    theirs = Counter(call.name for call in calls if call.thread == pid)
    # The return from the first mark's signal comes behind it.
    assert theirs.pop("rt_sigreturn") == sum(ours.values()) + 1
    ours.pop("rt_sigreturn", None)
    theirs.pop("process_vm_readv", None)
    assert theirs.pop("rt_sigprocmask", 0) == 2 * ours.pop("rt_sigprocmask", 0)
    assert ours == theirs
    failed = Counter((row["call"], row["error"]) for row in own if row["error"])
    # A return from a signal shows the result that it restores.
    expected = Counter(
        (call.name, call.error.split()[0])
        for call in calls
        if call.thread == pid and call.error and call.name in ours
    )
    assert failed == expected
    # Threads that the cell starts: what they do for it, and not how they begin and end.
    born = set(found["threads"]) - {pid}
    asked = Counter(row["tid"] for row in rows if row["call"] == "getppid" and row["tid"] in born)
    assert asked == Counter(c.thread for c in calls if c.name == "getppid" and c.thread in born)
    if work == "threads":
        assert len(asked) == 8


def test_counts_are_exact(client: Client, tmp_path):
    source = (
        "#include <unistd.h>\n#include <sys/syscall.h>\n"
        "void calls(int n) { for (int i = 0; i < n; i++) syscall(SYS_getppid); }\n"
    )
    library = shared_library(tmp_path / "libcalls.so", source)
    client.run(f"import ctypes; calls = ctypes.CDLL('{library}').calls")
    [row] = traced(client, "calls(12345)", "--trace getppid")["rows"]
    assert (row["calls"], row["library"]) == (12345, "libcalls.so")
    assert row["place"].endswith(":2")
    assert row["place"].startswith("In[")


def test_output_value_and_errors_pass_through(client: Client):
    done = client.run("%%syscalls\nprint('hello')\n6 * 7")
    assert done.text() == "hello\n"
    assert done.all("execute_result")[0]["data"]["text/plain"] == "42"
    failed = client.execute("%%syscalls\n1 / 0")
    assert failed.content["ename"] == "ZeroDivisionError"
    assert len(failed.all("error")) == 1
    assert traced(client, "pass")["calls"] < 50


def test_new_processes_and_threads_are_told_with_who_asked_for_them(launch):
    client = launch().connect()
    cell = (
        "import subprocess, threading\n"
        "thread = threading.Thread(target=print); thread.start(); thread.join()\n"
        "done = subprocess.run(['true'])"
    )
    done = client.run(f"%%syscalls --list --trace %process\n{cell}")
    text = next(m["data"]["text/plain"] for m in done.all("execute_result"))
    assert re.search(
        # Debian has that module in its library.
        r"started: 1\s+process \(by (?:_posixsubprocess|libpython)\S+\), and 1\s+thread \(by\s+libpython",
        text,
    ), text
    found = traced(client, "import numpy", "--list")
    by = {row["library"] for row in found["rows"] if row["call"] in ("clone", "clone3")}
    assert all(name.startswith("libscipy_openblas") for name in by)
    # The magic's own calls are none of the cell's: imports ask nobody for the number of the process.
    assert sum(row["call"] == "getpid" for row in found["rows"]) < 20


def test_an_interrupt_reaches_what_waits(client: Client):
    code = "%%syscalls\nimport time\nprint('on', flush=True)\ntime.sleep(1000)"
    assert client.interrupt_at("on", code).content["ename"] == "KeyboardInterrupt"
    caught = "next(int(l.split()[1], 16) for l in open('/proc/self/status') if 'SigCgt' in l)"
    assert client.value(f"{caught} >> 30 & 1") == "0"


ALARMS = """
import os, signal, subprocess
rang, children = [], []
signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
signal.signal(signal.SIGCHLD, lambda *_: children.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while len(rang) < 50:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
subprocess.run(["true"])
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
print(len(rang) >= 50, len(children) >= 1)
"""


def test_signals_come_as_ever(client: Client):
    done = client.run(f"%%syscalls\n{ALARMS}")
    assert done.text() == "True True\n"


def test_pools_and_children_work(client: Client):
    client.run("import multiprocessing as mp, os, subprocess")
    found = traced(
        client, "with mp.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))"
    )
    assert sum(one["kind"] == "process" for one in found["started"]) == 2
    spawn = "with mp.get_context('spawn').Pool(1) as pool: print(pool.map(abs, [-1]))"
    assert any(one["kind"] == "process" for one in traced(client, spawn)["started"])
    done = client.run("%%syscalls\n!echo from a shell")
    assert "from a shell" in done.text()


def test_a_sandbox_without_dispatch_says_what_is_not_seen(launch, tmp_path):
    program = tmp_path / "deny"
    subprocess.run(["gcc", "-o", program, DENY], check=True)
    client = launch(under=[str(program), "SYSCALL_USER_DISPATCH", "--"]).connect()
    found = traced(client, "open('/dev/null').close()", "")
    assert [row["path"] for row in found["rows"] if row["call"] == "open"] == ["/dev/null"]
    assert found["source"] == "audit events"
    assert "not seen" in found["limits"][0]


def test_a_handler_that_another_thread_installs_meanwhile(client: Client):
    """It blocks every signal, SIGSYS too, and makes a system call on the thread that is recorded."""
    client.run(
        """
import ctypes, signal, threading
libc = ctypes.CDLL(None)

class Action(ctypes.Structure):
    _fields_ = [
        ("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int), ("restorer", ctypes.c_void_p),
    ]

def install():
    go.wait()
    action = Action(ctypes.cast(libc.getppid, ctypes.c_void_p).value)
    ctypes.memset(action.mask, 255, ctypes.sizeof(action.mask))
    libc.sigaction(signal.SIGUSR1, ctypes.byref(action), None)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    done.set()

def blocks():
    action = Action()
    libc.sigaction(signal.SIGUSR1, None, ctypes.byref(action))
    return action.mask[0] >> (signal.SIGSYS - 1) & 1

go, done = threading.Event(), threading.Event()
installer = threading.Thread(target=install)
installer.start()
"""
    )
    calls = traced(client, "go.set(); done.wait(); during = blocks()")["rows"]
    assert any(call["call"] == "getppid" for call in calls)
    assert client.value("during, blocks()") == "(1, 1)"
    client.run("installer.join(); signal.signal(signal.SIGUSR1, signal.SIG_DFL)")


def test_the_first_deep_recording_beside(launch):
    """It installs a handler by which it stops all threads, that of the subshell too."""
    client = launch().connect()
    made = client.request("create_subshell_request", {}, "control")
    client.run("import time\nover = False")
    cell = "%%syscalls\nprint('begun', flush=True)\nwhile not over: time.sleep(0.001)"
    beside = client.start(cell, header={"subshell_id": made.content["subshell_id"]})
    client.until(lambda: "begun" in beside.text(), "begun", beside)
    client.run("%%native_calls --deep\nsum(range(10))")
    client.run("over = True")
    assert client.finish(beside).content["status"] == "ok"
