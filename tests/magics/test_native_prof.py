"""%%native_prof as a user of a notebook sees it: known work is found where it is, and nothing stays behind."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_prof+json"

SPIN = """
long turn_inside(long times) { volatile long n = 0; while (times-- > 0) n++; return n; }
long turn_outside(long times) { return turn_inside(times) + 1; }
"""
# Releases the GIL through ctypes, and spins in C under a Python function with a name.
CALLS = """
import ctypes, threading
lib = ctypes.CDLL({path!r})
lib.turn_outside.argtypes = [ctypes.c_long]
lib.turn_outside.restype = ctypes.c_long
def calls_c(times):
    return lib.turn_outside(times)
"""


# Two functions that take turns on one thread.
GREENLETS = """
from greenlet import greenlet
def one():
    for _ in range(40):
        calls_c(4_000_000); second.switch()
def two():
    while True:
        calls_c(4_000_000); first.switch()
first, second = greenlet(one), greenlet(two)
"""


@pytest.fixture
def spinning(client: Client, tmp_path: Path) -> Client:
    (tmp_path / "spin.c").write_text(SPIN)
    library = tmp_path / "libturn.so"
    command = ["cc", "-O1", "-fno-optimize-sibling-calls", "-fno-inline", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", library, tmp_path / "spin.c"], check=True)
    client.run("%reset -f")
    client.run(CALLS.format(path=str(library)))
    return client


def report(done) -> dict:
    return done.report("native_prof")


def said(done) -> str:
    return "".join(str(message["content"]) for message in done.iopub)


def share(found: dict, *names: str, thread: int | None = None) -> float:
    """How many percent of the samples have these functions on their stack, in this order and not far apart."""
    stacks = [s for s in found["stacks"] if thread in (None, s["tid"])]
    hits = 0
    for stack in stacks:
        frames = [frame.split(" ")[0] for frame in stack["frames"]]
        places = [frames.index(name) if name in frames else -1 for name in names]
        hits += stack["count"] * (-1 not in places and places == sorted(places))
    return 100 * hits / max(1, sum(stack["count"] for stack in stacks))


def timers(client: Client) -> int:
    return int(client.value("open('/proc/self/timers').read().count('ID:')"))


def test_a_c_function_is_found_below_its_python_caller(spinning: Client):
    before = timers(spinning)
    done = spinning.run("%%native_prof\nanswer = calls_c(600_000_000)")
    found = report(done)
    assert found["samples"] > 50
    assert share(found, "calls_c", "turn_outside", "turn_inside") > 95, found["stacks"][:5]
    assert found["stacks"][0]["frames"][0].startswith("<module>")
    assert found["unwind_truncated_pct"] < 2
    assert found["lost"] == 0
    row = next(row for row in found["rows"] if row["function"] == "turn_inside")
    assert row["self_pct"] > 90
    assert (row["library"], row["threads"]) == ("libturn.so", 1)
    assert int(spinning.value("answer")) == 600_000_001
    assert timers(spinning) == before


def test_a_cell_that_waits_for_a_cpu_says_so_first(client: Client):
    client.run(
        "import os, subprocess, sys, threading, time\nevery = os.sched_getaffinity(0)\ncpu = min(every)\n"
        "others = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(2)]\n"
        "for one in others: os.sched_setaffinity(one.pid, {cpu})\n"
        "def queued():\n"
        "    return int(open(f'/proc/self/task/{threading.get_native_id()}/schedstat').read().split()[1])"
    )
    try:
        done = client.run(
            "%%native_prof\nos.sched_setaffinity(0, {cpu})\nbefore = queued()\nend = time.thread_time() + 0.6\n"
            "while time.thread_time() < end: pass\nwaited = queued() - before\nos.sched_setaffinity(0, every)"
        )
    finally:
        client.run("for one in others: one.kill(); one.wait()")
    waited = int(client.value("waited"))
    assert waited * 0.9 <= report(done)["queued_ns"] <= waited + report(done)["elapsed_ns"] // 3
    text = done.one("execute_result")["data"]["text/plain"]
    assert text.index("The thread of the cell waited") < text.index("Where the time went")


def test_four_threads_are_seen_each_at_its_work(spinning: Client):
    done = spinning.run(
        "%%native_prof --cpu\n"
        "all = [threading.Thread(target=calls_c, args=(300_000_000,)) for _ in range(4)]\n"
        "[t.start() for t in all]; [t.join() for t in all]; ids = [t.native_id for t in all]"
    )
    found = report(done)
    ids = ast.literal_eval(spinning.value("ids"))
    for tid in ids:
        assert share(found, "calls_c", "turn_inside", thread=tid) > 90, tid


def test_waits_for_the_gil_are_told_from_work(client: Client):
    client.run("import threading\ndef count():\n    for step in range(3_000_000): step + 1")
    done = client.run(
        "%%native_prof\n"
        "all = [threading.Thread(target=count) for _ in range(4)]\n"
        "[t.start() for t in all]; [t.join() for t in all]; None"
    )
    found = report(done)
    assert found["gil_wait_pct"] > 20, found["kinds"]
    assert "P003" in [one["code"] for one in found["diagnoses"]]


def test_sleep_is_a_wait_and_no_work(client: Client):
    client.run("import time")
    found = report(client.run("%%native_prof\ntime.sleep(0.4)"))
    assert found["kinds"].get("wait", 0) > 0.9 * found["samples"] > 0
    found = report(client.run("%%native_prof --cpu\ntime.sleep(0.4)"))
    assert found["kinds"].get("wait", 0) < 20


def test_an_error_and_a_fork_leave_nothing_behind(spinning: Client):
    before = timers(spinning)
    done = spinning.execute("%%native_prof\ncalls_c(50_000_000); 1/0")
    assert "ZeroDivisionError" in said(done)
    assert timers(spinning) == before
    done = spinning.run(
        "%%native_prof\nimport os\n"
        "for _ in range(20):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        calls_c(1_000_000); os._exit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
    )
    assert report(done)["samples"] >= 0
    assert timers(spinning) == before
    assert share(report(spinning.run("%%native_prof\ncalls_c(300_000_000)")), "turn_inside") > 90


def test_an_interrupt_shows_what_was_seen(spinning: Client):
    before = timers(spinning)
    done = spinning.interrupt_at(
        "on",
        "%%native_prof\ncalls_c(300_000_000); print('on', flush=True)\nwhile 1: calls_c(1_000_000)",
    )
    assert done.content["ename"] == "KeyboardInterrupt"
    assert share(report(done), "turn_inside") > 50
    assert timers(spinning) == before


def test_greenlets_are_followed(spinning: Client):
    spinning.run(GREENLETS)
    found = report(spinning.run("%%native_prof\nfirst.switch()"))
    assert share(found, "one", "turn_inside") > 25
    assert share(found, "two", "turn_inside") > 25
    assert share(found, "one", "two") == share(found, "two", "one") == 0
    assert found["unwind_truncated_pct"] < 5


def test_a_second_recording_is_refused_and_the_first_goes_on(client: Client):
    done = client.execute("%%native_prof\nget_ipython().run_cell_magic('native_prof', '', 'pass')")
    assert "only one recording can run at a time" in said(done)
    client.run("%%native_prof\npass")


def test_files_are_written_and_strangers_are_kept(spinning: Client, tmp_path: Path):
    svg, scope, lines = tmp_path / "a.svg", tmp_path / "a.json", tmp_path / "a.txt"
    line = f"%%native_prof --svg {svg} --speedscope {scope} --collapsed {lines}"
    for _ in range(2):
        found = report(spinning.run(f"{line}\ncalls_c(200_000_000)"))
    assert svg.read_text().startswith("<svg")
    assert "<script" not in svg.read_text()
    counts = [int(line.rsplit(" ", 1)[1]) for line in lines.read_text().splitlines()]
    assert sum(counts) == found["samples"]
    written = json.loads(scope.read_text())
    assert sum(sum(p["weights"]) for p in written["profiles"]) == found["samples"]
    for profile in written["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        used = {frame for sample in profile["samples"] for frame in sample}
        assert max(used) < len(written["shared"]["frames"])
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes\n")
    done = spinning.execute(f"%%native_prof --svg {notes}\ncalls_c(1)")
    assert "is no such file; name another one" in said(done)
    assert notes.read_text() == "my notes\n"
    done = spinning.execute(f"%%native_prof --svg {tmp_path}/no/a.svg\npass")
    assert "its folder does not exist" in said(done)


@pytest.mark.parametrize("option", ["--svg", "--speedscope", "--collapsed"])
def test_what_is_no_regular_file_is_refused_before_the_cell_runs(
    client: Client, tmp_path: Path, option: str
):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, what in [("/dev/full", "a device"), (pipe, "a pipe"), ("/dev/zero", "a device")]:
        done = client.execute(f"%%native_prof {option} {path}\nran = True")
        assert f"it is {what}, and no regular file; name another file" in said(done)
    assert "'ran'" not in client.value("dir()")


def test_reports_are_saved_to_and_loaded_from_regular_files_only(client: Client, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    client.run("r = %process_tree")
    for path in ["/dev/full", tmp_path / "pipe"]:
        for code in [f"r.save({str(path)!r})", f"type(r).load({str(path)!r})"]:
            content = client.execute(code).content
            assert content["ename"] == "OSError", content
            assert "no regular file" in content["evalue"]


def ended(found: dict) -> int:
    """How many system calls the report says that samples have ended: on a busy machine a thread can fall asleep between
    a look at it and its signal."""
    said = [limit for limit in found["limits"] if "ended early (EINTR)" in limit]
    return int(said[0].split(maxsplit=1)[0]) if said else 0


def test_waits_that_a_signal_would_end_are_not_ended(client: Client):
    """Linux begins these system calls no second time: pause, a sleep in C, a poll."""
    client.run(
        "import ctypes, select, signal, threading, time\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "def ring(): threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)).start()\n"
        "rang = []\nbefore = signal.signal(signal.SIGUSR1, lambda *_: rang.append(time.monotonic()))"
    )
    done = client.run(
        "%%native_prof --wall\nearly = 0\nfor _ in range(5):\n    heard = len(rang)\n    ring()\n    signal.pause()\n"
        "    early += len(rang) == heard\n"
        "slept = [libc.usleep(150_000) for _ in range(5)]\n"
        "polled = [libc.poll(None, 0, 150) for _ in range(5)]"
    )
    client.run("signal.signal(signal.SIGUSR1, before)")
    early = client.value("early + sum(map(bool, slept + polled))")
    assert int(early) <= ended(report(done)) < 15


@pytest.mark.slow
def test_cpythons_own_test_of_timers_passes(client: Client):
    """It waits in `signal.pause` for a timer."""
    pytest.importorskip("test.test_signal")
    done = client.run(
        "%%native_prof\nimport unittest\nfrom test import test_signal\n"
        "suite = unittest.defaultTestLoader.loadTestsFromTestCase(test_signal.ItimerTest)\n"
        "with open('/dev/null', 'w') as quiet:\n"
        "    told = unittest.TextTestRunner(stream=quiet).run(suite)"
    )
    assert int(client.value("told.testsRun")) > 0
    failures = int(client.value("len(told.failures + told.errors)"))
    assert failures <= ended(report(done)), client.value("told.failures + told.errors")


@pytest.mark.parametrize("core", ["Haswell", "Prescott"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_blas_kernels_are_followed_to_python(launch, core: str, threads: str):
    chosen = {"OPENBLAS_CORETYPE": core, "OPENBLAS_NUM_THREADS": threads}
    code = "import numpy as np; a = np.random.rand(700, 700); a @ a"
    alone = subprocess.run([sys.executable, "-c", code], env=os.environ | chosen, check=False)
    if alone.returncode:
        pytest.skip(f"this OpenBLAS ends any Python here with its kernels for {core}")
    client = launch(env=chosen).connect()
    client.run(
        "import numpy as np; a = np.random.rand(700, 700)\ndef work(n):\n    for _ in range(n): a @ a"
    )
    client.run("work(2)")
    times = 40 if core == "Haswell" else 12
    found = report(client.run(f"%%native_prof --cpu\nwork({times})"))
    main = int(client.value("__import__('os').getpid()"))
    assert found["samples"] > 100
    # Between two products their memory comes and goes, outside of the kernels.
    kernels = [stack for stack in found["stacks"] if "openblas" in stack["frames"][-1]]
    followed = share({"stacks": kernels}, "<module>", "work", "DOUBLE_matmul", thread=main)
    assert followed >= 98, found["stacks"][:3]
    assert share(found, "work", thread=main) > 90, found["stacks"][:3]
    assert found["unwind_truncated_pct"] <= 2


WORK = "def work(n):\n    return sum(i * i for i in range(n))\n"


@pytest.mark.parametrize(
    "cell",
    [
        "x = joblib.Parallel(n_jobs=2)(joblib.delayed(work)(3_000_000) for n in range(4))",
        "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "forks = multiprocessing.get_context('fork')\n"
        "with ProcessPoolExecutor(2, forks) as pool: list(pool.map(work, [3_000_000] * 4))",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'sum(range(30_000_000))'])",
    ],
    ids=["joblib", "pool", "program"],
)
def test_what_children_did_is_said(launch, cell: str):
    client = launch().connect()
    client.run(WORK + "import joblib")
    done = client.run("%%native_prof\n" + cell)
    found = report(done)
    assert found["children"] >= 1
    assert found["children_cpu_ns"] > 0
    (one,) = [one for one in found["diagnoses"] if one["code"] == "P005"]
    assert "of CPU time that was not sampled" in one["title"]
    assert one["title"].startswith(str(found["children"]))
    assert "n_jobs=1" in one["fix"]


def test_a_cell_without_children_says_nothing_of_them(client: Client):
    found = report(client.run("%%native_prof\nsum(range(3_000_000))"))
    assert (found["children"], found["children_cpu_ns"]) == (0, 0)
    assert "P005" not in [one["code"] for one in found["diagnoses"]]


def test_the_report_is_bound_and_its_rows_are_its_items(client: Client):
    client.run("%%native_prof --as prof\nsum(range(3_000_000))")
    assert client.value("prof.name, prof.facts['hz'], len(prof) == len(prof.rows)") == (
        "('native_prof', 499, True)"
    )
    assert client.value("prof[0]['function'] == [row['function'] for row in prof][0]") == "True"
    shown = client.run("prof").one("execute_result")["data"]
    assert {"text/plain", "text/html", MIME} <= set(shown)


def test_how_often_a_statement_ran_is_said_first(client: Client):
    client.run("done = []")
    text = client.run("%native_prof done.append(sum(range(10_000)))").one("execute_result")["data"][
        "text/plain"
    ]
    runs = int(client.value("len(done)"))
    assert f"it ran {runs:,} times" in " ".join(text.split("Where the time went")[0].split())


def test_a_cell_that_fails_is_told_so_and_not_how_long_it_takes(client: Client):
    done = client.execute("%%native_prof\n1 / 0")
    assert done.content["ename"] == "ZeroDivisionError"
    text = " ".join(done.one("execute_result")["data"]["text/plain"].split())
    assert "It ended with an error" in text
    assert "--repeat" not in text
    assert "(estimated)" not in text


def test_a_message_runs_no_code(client: Client):
    """What a front end asks while it waits changes nothing; only cells run code."""
    client.run("made = []")
    for magic in ("native_prof", "native_calls", "syscalls", "buffer_trace"):
        asked = {"name": magic, "line": "made.append(1)"}
        content = client.request("magic_request", asked, "control").content
        assert content["status"] == "error"
        assert magic in content["evalue"]
        assert "cell" in content["evalue"]
    assert client.value("made") == "[]"


def test_a_cell_that_resets_all_signals_lives(client: Client):
    done = client.run(
        "%%native_prof\nimport signal\nfor number in range(34, 65): signal.signal(number, signal.SIG_DFL)\n"
        "sum(range(20_000_000))"
    )
    assert done.report("native_prof")["samples"] > 50


def test_a_handler_of_the_cells_own_gets_no_signal_of_ours(client: Client):
    client.run(
        "%%native_prof\nimport signal\ncalled = []\n"
        "for number in range(56, 65): signal.signal(number, lambda *given: called.append(given))\n"
        "sum(range(20_000_000))\nfor number in range(56, 65): signal.signal(number, signal.SIG_DFL)"
    )
    assert client.value("called") == "[]"
