"""What a cell asks of the kernel, against what Python knows; and the cell runs as it would without."""

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

from diaphane_native import run_magic


def settled(before):
    """Python has joined a thread a moment before it ends; the last one takes the handler away."""
    while len(os.listdir("/proc/self/task")) > 2:
        os.sched_yield()
    assert signals() == before


def trace(cell, line="", **variables):
    return run_magic("syscalls", line, cell, variables), variables


def signals():
    with open("/proc/thread-self/status") as status:
        # SigQ counts for all processes of the user.
        return [line for line in status if line.startswith("Sig") and not line.startswith("SigQ")]


def test_calls_are_counted_by_line():
    found, _ = trace("import os\nfor _ in range(1000):\n    os.getppid()\nos.getpid()\n", "--by line")
    lines = {row["place"]: row["calls"] for row in found.rows}
    assert lines["line 3"] == 1000
    found, _ = trace("import os\nfor _ in range(100):\n    os.getppid()\n", "--trace getppid")
    [row] = found.rows
    assert (row["call"], row["calls"], row["errors"]) == ("getppid", 100, 0)
    assert row["library"].startswith("libpython")


def test_files_and_errors_are_told():
    with tempfile.TemporaryDirectory() as folder:
        cell = "open(a, 'w').write('hello')\ntry:\n    open(b)\nexcept OSError:\n    pass\n"
        a, b = folder + "/a", folder + "/bö"
        # As bytes, since Python may run without any locale.
        found, _ = trace(cell, "--list --trace %file,write", a=a, b=b.encode())
    files = {row["path"]: row for row in found.facts["files"]}
    assert files[a]["writes"] and files[a]["error"] is None
    assert files[b]["error"] == "ENOENT" and not files[b]["writes"]
    calls = {(row["call"], row["place"]): row for row in found.rows}
    assert '"hello", 5' in calls["write", "line 1"]["arguments"]
    assert calls["openat", "line 3"]["result"] == "-1 ENOENT (No such file or directory)"
    assert "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666" in calls["openat", "line 1"]["arguments"]


def test_an_error_passes_through_and_nothing_is_left():
    before = signals()
    try:
        trace("1 / 0")
    except ZeroDivisionError:
        pass
    else:
        raise AssertionError("the error was lost")
    settled(before)
    found, _ = trace("run('syscalls', '', 'import os', {})", run=lambda *args: refused(args))
    assert found.facts["calls"] < 50
    settled(before)


def refused(args):
    try:
        run_magic(*args)
    except Exception as error:
        assert "recorded already" in str(error), error
    else:
        raise AssertionError("two at once")


def test_threads_are_followed():
    cell = """
threads = [threading.Thread(target=lambda: numbers.append((threading.get_native_id(), os.getppid())))
           for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    numbers = []
    found, _ = trace(cell, "--list --trace getppid", threading=threading, os=os, numbers=numbers)
    assert sorted(row["tid"] for row in found.rows) == sorted(tid for tid, _ in numbers)
    started = found.facts["started"]
    assert sorted(one["id"] for one in started) == sorted(tid for tid, _ in numbers)
    assert all(one["kind"] == "thread" and one["followed"] for one in started)


def test_children_are_as_ever():
    cell = """
pid = os.fork()
if pid == 0:
    os._exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
output = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True).stdout
"""
    found, after = trace(cell, os=os, subprocess=subprocess, sys=sys)
    assert (after["status"], after["output"]) == (7, b"42\n")
    started = found.facts["started"]
    assert [one["kind"] for one in started] == ["process", "process"]
    assert started[0]["id"] == after["pid"]
    # Some interpreters have the module in their own library.
    assert re.search(r"processes \(by (_posixsubprocess|libpython)", repr(found))


def test_signals_interrupt_what_waits():
    cell = """
old = signal.signal(signal.SIGALRM, lambda *_: rang.append(time.monotonic()))
own = threading.get_ident()
def ring():
    while len(rang) < 20:
        signal.pthread_kill(own, signal.SIGALRM)
ringer = threading.Thread(target=ring)
ringer.start()
while len(rang) < 20:
    time.sleep(0.001)
ringer.join()
signal.signal(signal.SIGALRM, old)
masked = signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os.getppid()
now = signal.pthread_sigmask(signal.SIG_SETMASK, masked)
"""
    before = signals()
    modules = {"signal": signal, "threading": threading, "time": time, "os": os}
    found, after = trace(cell, "--list", rang=[], **modules)
    assert len(after["rang"]) >= 20
    assert signal.SIGSYS in after["now"] and signal.SIGSYS not in after["masked"]
    returns = sum(row["call"] == "rt_sigreturn" for row in found.rows)
    assert returns >= 20
    settled(before)


def test_an_interrupt_ends_the_cell():
    cell = """
ringer = threading.Thread(target=signal.pthread_kill, args=(threading.get_ident(), signal.SIGALRM))
ringer.start()
while True:
    time.sleep(100)
"""

    def stop(*_):
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, stop)
    before = signals()
    try:
        trace(cell, signal=signal, threading=threading, time=time)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("no interrupt")
    settled(before)
    signal.signal(signal.SIGALRM, old)


def test_asyncio_runs():
    cell = """
async def talk():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got.append(await reader.read())
    writer.close()
    process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
    got.append((await process.communicate())[0])
    server.close()
asyncio.run(talk())
"""
    import asyncio

    found, after = trace(cell, "--list --trace %network", asyncio=asyncio, got=[])
    assert after["got"] == [b"", b"hi\n"]
    [connect] = [row for row in found.rows if row["call"] == "connect"]
    assert 'sin_addr=inet_addr("127.0.0.1")' in connect["arguments"]


def test_a_set_is_named_as_for_strace():
    cell = "open('/dev/null').close()"

    def names(line):
        return {row["call"] for row in trace(cell, line)[0].rows}

    assert names("--trace openat,close") == {"openat", "close"}
    assert not names("--trace !%file,%desc") & {"openat", "close", "newfstatat"}
    try:
        trace(cell, "--trace opnat")
    except Exception as error:
        assert "did you mean openat" in str(error), error


def test_memory_is_given_back():
    def used():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    trace("pass")
    before = used()
    for _ in range(300):
        trace("import os\nfor _ in range(100): os.getppid()")
    assert used() - before < 30_000, used() - before
    assert ctypes.c_int.in_dll(ctypes.pythonapi, "Py_VerboseFlag").value == 0
