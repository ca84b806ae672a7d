"""Recordings of blocks and functions."""

import pytest

RECORDERS = [
    "native_prof",
    "native_calls",
    "syscalls",
    "buffer_trace",
    "trace_loads",
    "threads.record",
    "memory.record",
    "monitor.record",
]


def test_a_profile_of_a_block_shows_its_functions_and_none_of_ours(run):
    said = run("""
import time, diaphane
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def around():
    with diaphane.native_prof() as prof:
        said["before"] = [len(prof), prof.name]
        burn(0.6)
    return prof
prof = around()
said["rows"] = {row["function"]: row["total_pct"] for row in prof}
said["files"] = [row["file"] or "" for row in prof]
said["samples"] = prof.facts["samples"]
said["stacks"] = [stack["frames"] for stack in prof.facts["stacks"]]
""")
    assert said["before"] == [0, "native_prof"]
    # The witness is the clock of the thread's own CPU time: all of it was spent there.
    assert said["rows"]["burn"] > 90
    assert said["samples"] > 50
    assert all(
        "around" in stack[1] and "burn" in stack[2] for stack in said["stacks"] if len(stack) > 2
    )
    assert not any("diaphane/" in file for file in said["files"])


def test_native_calls_of_a_block_are_as_many_as_it_makes(run):
    said = run("""
import diaphane, numpy as np
a = np.random.default_rng(0).random((50, 50))
with diaphane.native_calls(all=True) as calls:
    for _ in range(7):
        np.dot(a, a)
said["gemm"] = sum(row["calls"] or 0 for row in calls if row["func"].startswith(("scipy_cblas_dgemm", "cblas_dgemm")))
said["ours"] = [row["func"] for row in calls if "__exit__" in row["func"] or "__enter__" in row["func"] or "_diaphane" in str(row["lib"])]
with diaphane.native_calls(deep=True) as deep:
    np.dot(a, a)
said["deep_ours"] = [row["func"] for row in deep if "__exit__" in row["func"] or "__enter__" in row["func"] or "_diaphane" in str(row["lib"])]
said["deep"] = any("matrixproduct" in row["func"].lower() for row in deep)
said["summary"] = deep.summary != []
""")
    assert said["gemm"] == 7
    assert said["ours"] == said["deep_ours"] == []
    assert said["deep"]
    assert said["summary"]


def test_system_calls_of_a_block_and_its_threads(run):
    said = run("""
import os, threading, diaphane
def read():
    os.close(os.open("/etc/passwd", os.O_RDONLY))
with diaphane.syscalls(list=True) as calls:
    os.close(os.open("/etc/hostname", os.O_RDONLY))
    thread = threading.Thread(target=read); thread.start(); thread.join()
os.close(os.open("/etc/group", os.O_RDONLY))
said["paths"] = [one["path"] for one in calls.facts["files"]]
said["source"] = calls.facts["source"]
said["places"] = [row["place"] for row in calls if row["place"]]
""")
    if said["source"] != "syscall user dispatch":
        pytest.skip("the system does not dispatch system calls here")
    assert said["paths"] == ["/etc/hostname", "/etc/passwd"]
    assert "program.py:7" in said["places"]


def test_buffers_libraries_threads_and_memory_of_a_block(run):
    said = run("""
import threading, diaphane, numpy as np
with diaphane.buffer_trace() as buffers:
    kept = np.ones(100_000)
    np.zeros(50_000)
said["buffers"] = [[row["place"], row["nbytes"], row["state"], row["kept_by"]] for row in buffers]
with diaphane.trace_loads() as loads:
    import _decimal
said["loads"] = [row["name"] for row in loads]
said["maps"] = "_decimal" in open("/proc/self/maps").read()
go = threading.Event()
with diaphane.threads.record() as threads:
    thread = threading.Thread(target=go.wait, name="worker"); thread.start()
said["threads"] = [row["tid"] for row in threads if row["is_new"]] == [thread.native_id]
said["created"] = threads.facts["created"]
go.set(); thread.join()
with diaphane.memory.record() as memory:
    big = bytearray(30 << 20)
said["memory"] = {row["what"]: row for row in memory}["big"]
def local():
    with diaphane.buffer_trace() as buffers:
        mine = np.ones(10_000)
    return [[row["kept_by"], row["nbytes"]] for row in buffers]
said["local"] = local()
""")
    assert said["buffers"] == [
        ["program.py:5", 800000, "kept", "kept"],
        ["program.py:6", 400000, "freed", None],
    ]
    assert any(name.startswith("_decimal") for name in said["loads"])
    assert said["maps"]
    assert said["threads"]
    assert said["created"] == 1
    assert said["local"] == [["mine", 80000]]


@pytest.mark.parametrize("recorder", RECORDERS)
def test_a_block_that_fails_is_recorded_and_undone(run, recorder):
    said = run(f"""
import sys, diaphane, numpy as np
for _ in range(2):
    try:
        with diaphane.{recorder}() as report:
            np.dot(np.ones((9, 9)), np.ones((9, 9)))
            raise KeyError("own")
    except KeyError as error:
        said["error"] = str(error)
    said["name"] = report.name
    said["facts"] = len(report.facts)
    said["limits"] = report.limits
    said["profile"] = sys.getprofile() is None
""")
    assert said["error"] == "'own'"
    assert said["name"] == recorder.split(".")[0]
    assert said["facts"] > 0
    assert said["profile"]


def test_a_recording_whose_block_never_ends_is_undone(run):
    said = run("""
import gc, sys, diaphane
def never():
    with diaphane.native_calls() as calls:
        yield calls
generator = never()
next(generator)
recording = diaphane.native_calls()
recording.__enter__
try:
    with recording: pass
except ValueError as error:
    said["busy"] = "recorder" in str(error)
generator.close()
lost = diaphane.native_calls()
lost.__enter__()
del lost
with diaphane.native_calls() as calls:
    len([1])
said["after"] = [row["func"] for row in calls]
""")
    assert said["busy"]
    assert "len" in said["after"]


def test_a_decorated_function_has_its_report(run):
    said = run("""
import asyncio, threading, diaphane, numpy as np
@diaphane.native_calls
def work(n, *, more=0):
    "Works."
    if n > 1: work(n - 1)
    return float(np.dot(np.ones(9), np.ones(9))) + more
said["none"] = work.report
said["value"] = work(2, more=1)
said["name"] = [work.__name__, work.__doc__]
said["rows"] = [row["func"] for row in work.report]
@diaphane.native_calls(all=True)
async def later():
    await asyncio.sleep(0)
    return 5
said["later"] = asyncio.run(later())
said["report"] = len(later.report) > 0
try:
    @diaphane.native_prof
    def values(): yield 1
except TypeError as error:
    said["generator"] = str(error)
report = diaphane.native_calls.run(work.__wrapped__, 1)
said["run"] = [row["func"] for row in report]
said["c"] = [row["func"] for row in diaphane.native_calls().run(np.dot, np.ones(9), np.ones(9))]
said["threads"] = len(diaphane.threads.run(sorted, [2, 1]).facts) > 0
""")
    assert said["none"] is None
    assert said["value"] == 10
    assert said["name"] == ["work", "Works."]
    assert "work" in said["rows"]
    assert said["rows"].count("work") == 2
    assert "Recording" not in str(said["rows"])
    assert said["later"] == 5
    assert said["report"]
    assert "generator" in said["generator"]
    assert "work" in said["run"]
    assert said["c"]
    assert said["threads"]


def test_a_child_of_a_block_goes_on_without_it(run):
    said = run("""
import os, diaphane
pipe, end = os.pipe()
for recorder in (diaphane.native_prof, diaphane.native_calls, diaphane.syscalls, diaphane.threads.record):
    with recorder() as report:
        child = os.fork()
    if child == 0:
        os.write(end, b"x")
        os._exit(0)
    os.waitpid(child, 0)
said["children"] = len(os.read(pipe, 100))
""")
    assert said["children"] == 4


@pytest.mark.parametrize("recorder", RECORDERS)
def test_nothing_is_said_of_a_cell_where_there_is_none(run, recorder):
    said = run(f"""
import diaphane, numpy as np
with diaphane.{recorder}() as report:
    a = np.ones((50, 50))
    a @ a
said["text"] = str(report)
""")
    assert "cell" not in said["text"], said["text"]


def test_a_block_that_cannot_be_repeated_says_so(run):
    said = run("""
import diaphane
runs = []
with diaphane.native_prof(repeat=True) as report:
    runs.append(1)
said["runs"] = len(runs)
said["text"] = str(report)
said["help"] = diaphane.native_prof.__doc__
""")
    assert said["runs"] == 1
    text = " ".join(said["text"].split())
    assert "what a program records runs once" in text
    assert "--repeat runs it" not in text
    assert "A block or a function of a program runs once" in " ".join(said["help"].split())
