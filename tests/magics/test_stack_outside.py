"""`diaphane stack PID`: the stack of a process that need not answer, read from outside."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import door, pythons
from support.compiler import WAITER, shared_library
from support.patience import wait_until

pytestmark = pytest.mark.diaphane

SPIN = """
#include <unistd.h>
__attribute__((noinline)) static long inner_spin(const char *file, volatile long *turns) {
    while (access(file, F_OK)) for (int i = 0; i < 10000000; i++) ++*turns;
    return *turns > 0;
}
__attribute__((noinline)) long outer_spin(const char *file) {
    volatile long turns = 0;
    return inner_spin(file, &turns) + 1;
}
"""

# The witness is Python's own: it writes the stacks of all threads to a file, without the GIL.
HANG = """
import ctypes, faulthandler
lib = ctypes.PyDLL({library!r})
witness = open({witness!r}, 'w')
def held():
    faulthandler.dump_traceback_later(0.2, file=witness)
    return lib.outer_spin({stop!r})
def hang():
    return held()
"""


def stack(kernel, pid: int, *words: str) -> subprocess.CompletedProcess:
    """`diaphane stack`, run by the program of a kernel."""
    command = [*door.command(), "stack", str(pid), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def report(kernel, pid: int, *words: str) -> dict:
    done = stack(kernel, pid, "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def functions(rows: list[dict]) -> list[str]:
    return [row["function"] for row in rows]


def status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(field + ":"))


def test_a_kernel_that_hangs_in_native_code(launch, tmp_path):
    kernel = launch()
    client = kernel.connect()
    library = shared_library(tmp_path / "libcode.so", SPIN, "-O1", "-g")
    witness, stop = tmp_path / "witness", tmp_path / "stop"
    client.run(HANG.format(library=str(library), witness=str(witness), stop=str(stop).encode()))
    cell = client.start("hang()")
    dumped = wait_until(lambda: witness.exists() and witness.read_text(), "Python's own stack")

    def running() -> list[dict]:
        rows = report(kernel, kernel.pid)["rows"]
        return rows if rows[0]["stopped_ns"] else []

    found = wait_until(running, "it is seen while it runs")
    names = functions(found)
    assert names.index("inner_spin") + 1 == names.index("outer_spin"), names
    assert names.index("outer_spin") < names.index("held") == names.index("hang") - 1
    assert {row["gil"] for row in found} == {"holder"}
    inner, outer = found[0], found[names.index("outer_spin")]
    code = str(tmp_path / "libcode.c")
    assert (inner["file"], outer["file"]) == (code, code)
    lines = SPIN.splitlines()
    assert "turns" in lines[inner["line"] - 1] or "access" in lines[inner["line"] - 1]
    assert "return inner_spin" in lines[outer["line"] - 1]
    # The same Python functions at the same lines as the witness says.
    seen = [(row["file"], row["line"]) for row in found if row["kind"] == "python"]
    every = [
        [(file, int(line)) for file, line in re.findall(r'File "(.*)", line (\d+) in', thread)]
        for thread in dumped.split("most recent call first):\n")
    ]
    assert seen in every, (seen, dumped)
    assert re.search(r"inner_spin\+0x.*libcode.so  libcode.c:\d", stack(kernel, kernel.pid).stdout)
    # It goes on as if nobody had looked.
    assert status(kernel.pid, "TracerPid") == "0"
    assert status(kernel.pid, "State") == "R"
    stop.touch()
    client.finish(cell)
    assert cell.one("execute_result")["data"]["text/plain"] == "2"


def test_a_kernel_that_is_stopped_answers_nothing_and_is_seen(launch, tmp_path):
    kernel = launch()
    client = kernel.connect()
    client.run("import time\ndef nap():\n    print('ready')\n    time.sleep(600)")
    cell = client.start("nap()")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    wait_until(lambda: "nap" in functions(report(kernel, kernel.pid)["rows"]), "it sleeps")
    kernel.process.send_signal(19)
    wait_until(lambda: status(kernel.pid, "State") == "T", "it is stopped")
    request = client.send("magic_request", {"name": "stack", "line": ""}, "control")
    rows = report(kernel, kernel.pid, "--all")["rows"]
    assert len({row["tid"] for row in rows}) > 1
    names = [name or "" for name in functions(rows)]
    # A library that was stripped has no name for Python's own function, and the C library always has one for this.
    assert "nap" in names
    assert any("clock_nanosleep" in name for name in names), names
    assert {row["stopped_ns"] for row in rows} == {None}
    assert status(kernel.pid, "State") == "T"
    kernel.process.send_signal(18)
    client.finish(request)
    kernel.interrupt()
    client.finish(cell)
    assert cell.one("error")["ename"] == "KeyboardInterrupt"


def test_any_python_is_seen_with_its_threads_and_who_waits_for_the_gil(launch, tmp_path):
    kernel = launch()
    code = (
        "import ctypes, threading, time\n"
        "ctypes.CDLL(None).prctl(15, b'a\\x1b[2Jname')\n"
        "def waits():\n    time.sleep(0)\n    while True: sum(range(9))\n"
        "threading.Thread(target=waits, daemon=True).start()\n"
        "print('ready', flush=True)\n"
        "def has(): ctypes.PyDLL(None).sleep(600)\n"
        "has()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as script:
        try:
            assert script.stdout.readline() == "ready\n"

            def settled() -> bool:
                """The main thread has said that it is ready, and may not have called `has` yet."""
                rows = report(kernel, script.pid, "--all")["rows"]
                waits = [row["gil"] for row in rows if row["function"] == "waits"]
                holder = [row["function"] for row in rows if row["gil"] == "holder"]
                assert not ("waits" in holder and "has" in holder), rows
                return waits == ["waiting"] and "has" in holder

            wait_until(settled, "one thread waits for the other")
            text = stack(kernel, script.pid).stdout
            assert "has the GIL" in text
            assert "\x1b" not in text
            assert "a\\u{1b}[2Jname" in text
        finally:
            script.kill()


@pytest.mark.parametrize("deep", [3000, 20_000])
def test_deep_recursion_is_seen_whole_or_called_a_part(launch, deep: int):
    kernel = launch()
    code = (
        f"import sys, time\nsys.setrecursionlimit({deep + 100})\n"
        "def fall(n):\n    if n: fall(n - 1)\n    else: print('ready', flush=True); time.sleep(600)\n"
        f"fall({deep - 1})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as script:
        try:
            assert script.stdout.readline() == "ready\n"
            falls = functions(report(kernel, script.pid)["rows"]).count("fall")
            assert falls == min(deep, 2**14)
            assert ("the outermost are missing" in stack(kernel, script.pid).stdout) == (
                falls < deep
            )
        finally:
            script.kill()


def test_no_system_call_of_a_sleeping_thread_ends_early(launch, tmp_path):
    kernel = launch()
    client = kernel.connect()
    library = shared_library(tmp_path / "libwaiter.so", WAITER, "-O2")
    client.run(f"import ctypes; lib = ctypes.CDLL({str(library)!r}); lib.begin()")
    wait_until(
        lambda: "epoll_wait" in functions(report(kernel, kernel.pid, "--all")["rows"]), "it sleeps"
    )
    for _ in range(20):
        report(kernel, kernel.pid, "--all")
    assert client.value("lib.count()") == "0"


def test_without_a_stop_python_is_seen(launch):
    kernel = launch()
    client = kernel.connect()
    cell = client.start("def loop():\n    print('ready')\n    while True: pass\nloop()")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    rows = report(kernel, kernel.pid, "--no-stop")["rows"]
    assert "loop" in functions(rows)
    assert {row["stopped_ns"] for row in rows} == {None}
    kernel.interrupt()
    client.finish(cell)


def test_what_cannot_be_seen_is_said_in_a_line(launch):
    kernel = launch()
    gone = stack(kernel, 2**22 + 1)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert f"there is no process {2**22 + 1}" in gone.stderr
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
        # It begins with the name of who started it.
        comm = Path(f"/proc/{cat.pid}/comm")
        wait_until(lambda: comm.read_text() == "cat\n", "the child runs cat")
        other = stack(kernel, cat.pid)
        cat.stdin.close()
    assert other.returncode == 1
    assert f"process {cat.pid} (cat) runs no CPython" in other.stderr
    assert other.stderr.count("\n") == 1


SCRIPT = """
import os, threading, time
def nap(letter, *, key=None):
    print(os.getpid(), flush=True)
    time.sleep(600)
class Caller:
    def call(self):
        yield from (
            nap(letter, key=1) for letter in "é")
def other():
    time.sleep(
        600)
threading.Thread(target=other, daemon=True).start()
list(map(lambda _: next(Caller().call()), [0]))
"""
PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.15", "3.14t", "3.15t"]


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_is_read_by_a_binary_that_was_built_for_one(launch, tmp_path, version: str):
    command = pythons.command(version)
    if command is None:
        pytest.skip(f"no CPython {version} here")
    kernel = launch()
    script = tmp_path / "naïve.py"
    script.write_text(SCRIPT)
    with subprocess.Popen([*command, script], stdout=subprocess.PIPE, text=True) as process:
        pid = 0
        try:
            pid = int(process.stdout.readline())
            wait_until(lambda: status(pid, "State") == "S", "it sleeps")
            wait_until(lambda: "other" in stack(kernel, pid, "--all").stdout, "both threads run")
            told = report(kernel, pid, "--all")
            threads = {row["tid"]: [] for row in told["rows"]}
            for row in told["rows"]:
                if row["kind"] == "python":
                    place = f"{row['function']} {Path(row['file']).name}:{row['line']}"
                    threads[row["tid"]].append(place)
            assert threads.pop(pid) == [
                "nap naïve.py:5",
                "Caller.call.<locals>.<genexpr> naïve.py:9",
                "Caller.call naïve.py:8",
                "<lambda> naïve.py:14",
                "<module> naïve.py:14",
            ]
            (thread,) = threads.values()
            assert thread[0] == "other naïve.py:11"
            assert [place.split()[0] for place in thread[1:]] == [
                "Thread.run",
                "Thread._bootstrap_inner",
                "Thread._bootstrap",
            ]
            names = functions(told["rows"])
            assert not any("EvalFrame" in (name or "") for name in names)
            assert {row["gil"] for row in told["rows"]} == {"none"}
            assert told["host"]["python"].startswith(version.rstrip("t"))
            assert [limit for limit in told["limits"] if "GIL" not in limit] == []
            assert len(told["limits"]) == version.count("t")
        finally:
            if pid:
                os.kill(pid, 9)
            process.kill()
