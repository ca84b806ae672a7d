"""Cross-checks with the kernel's list of threads, threading, and threadpoolctl."""

import ctypes
import os
import sys
import threading
import time

from diaphane_native import run_magic

# More than this machine has.
POOL = os.cpu_count() + 2


def report(line=""):
    return run_magic("threads", line, None, {})


def until(look):
    """Ask again until there is something to see."""
    for _ in range(10_000):
        found = look()
        if found:
            return found
        os.sched_yield()
    raise AssertionError("nothing was seen")


def row_of(found, thread):
    return next(row for row in found if row["tid"] == thread.native_id)


def settled():
    """Ask until every thread but this one sleeps: pools spin for a while after their start."""
    for _ in range(100_000):
        found = report()
        others = [row for row in found if row["tid"] != threading.get_native_id()]
        if all(row["owner"] and row["state"] == "S" and row["wait"] for row in others):
            return found
        os.sched_yield()
    raise AssertionError(f"some threads never sleep:\n{found!r}")


def test_the_threads_are_the_kernel_s():
    found = report()
    assert [row["tid"] for row in found] == sorted(map(int, os.listdir("/proc/self/task")))
    (main,) = [row for row in found if row["kind"] == "main"]
    assert main["tid"] == os.getpid()
    (this,) = [row for row in found if row["tid"] == threading.get_native_id()]
    assert this["state"] == "R" and this["wait"] is None and this["owner"] is None
    assert this["cpu_ns"] > 0 and 0 <= this["last_cpu"] < os.cpu_count()
    assert "threading" in sys.modules and found.facts["vanished"] == 0


def test_python_threads_have_their_names():
    finish = threading.Event()
    thread = threading.Thread(target=finish.wait, name="<waits>\x1b")
    thread.start()
    try:
        found = settled()
    finally:
        finish.set()
        thread.join()
    (row,) = [row for row in found if row["tid"] == thread.native_id]
    assert (row["name"], row["kind"], row["state"], row["wait"]) == ("<waits>\x1b", "python", "S", "futex")
    assert row["owner"].startswith(("libpython", "python")) and row["owner_confidence"] == "scan"
    assert "&lt;waits&gt;\\u{1b}" in found.to_html() and "\x1b" not in repr(found)


def test_pools_are_threadpoolctl_s():
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    import threadpoolctl

    threadpoolctl.threadpool_limits(POOL)
    found = settled()
    pools = {pool["path"]: pool for pool in found.facts["pools"]}
    expected = {pool["filepath"]: pool for pool in threadpoolctl.threadpool_info()}
    assert set(pools) == {os.path.realpath(path) for path in expected} and len(pools) == 2
    for path, pool in expected.items():
        own = pools[os.path.realpath(path)]
        # The caller of a BLAS function is one of the threads that compute.
        assert own["live"] + 1 == pool["num_threads"] == POOL
        assert own["api"] == pool["user_api"] == "blas"
        told = (own["size"], own["version"], own["corename"])
        assert told == (POOL, pool["version"], pool["architecture"])
        owned = [row for row in found if row["owner_path"] == own["path"]]
        assert len(owned) == own["live"] and {row["kind"] for row in owned} == {"blas"}
    assert {row["owner_package"] for row in found if row["kind"] == "blas"} == {"numpy", "scipy"}


def test_more_threads_than_cpus_are_told():
    found = settled()
    usable = found.facts["cpus"]["usable"]
    assert usable <= len(os.sched_getaffinity(0))
    warnings = [one for one in found.diagnoses if one["code"] == "T001"]
    assert len(warnings) == 2
    for one in warnings:
        assert f"computes with {POOL} threads on {usable} usable CPUs" in one["title"]
        assert f"OPENBLAS_NUM_THREADS={usable}" in one["fix"] and one["severity"] == "warn"


def test_the_limits_are_said_once():
    assert report().limits == []


def through_c(function):
    """Call a Python function from C."""
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: function() or 0)
    pair = (ctypes.c_int * 2)(2, 1)
    ctypes.CDLL(None).qsort(pair, 2, 4, callback)


def python_of(row):
    return [(one["function"], one["file"], one["line"]) for one in row["stack"] if one["kind"] == "python"]


def truth(thread):
    """The same by Python's own means."""
    frames = []
    frame = sys._current_frames()[thread.ident]
    while frame:
        frames.append((frame.f_code.co_qualname, frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return frames


def test_stacks_are_python_s_with_c_in_between():
    gate = threading.Event()
    thread = threading.Thread(target=through_c, args=(gate.wait,))
    thread.start()
    try:

        def look():
            row = row_of(report("--stack"), thread)
            return row if row["stack"] and python_of(row) == truth(thread) and row["wait"] == "futex" else None

        row = until(look)
        stack = row["stack"]
        names = [one["function"] for one in stack]
        inner, outer = names.index("Event.wait"), names.index("through_c")
        between = [one["library"] for one in stack[inner:outer] if one["library"]]
        # Python, the trampoline of a callback, the C library's sort, the call from Python.
        crossed = [name for name in between if name.startswith(("libffi", "libc.", "_ctypes"))]
        assert inner < outer and crossed[0].startswith("_ctypes") and any(name.startswith("libc.") for name in crossed)
        # All calls of the interpreter are replaced, and no function is left over.
        assert not any(name and name.startswith("_PyEval_EvalFrameDefault") for name in names)
        assert {one["found"] for one in stack} == {"exact", None}
    finally:
        gate.set()
        thread.join()


def test_the_gil_has_one_holder():
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
    thread.start()
    try:
        waiting = until(
            lambda: [r for r in report("--stack") if r["tid"] == thread.native_id and r["gil"] == "waiting"]
        )
        assert waiting[0]["wait"] == "GIL"
        held = {row["tid"] for row in report("--stack") if row["gil"] == "holder"}
        assert held == {threading.get_native_id()}
        sampled = report("--sample 60")
        row = row_of(sampled, thread)
        assert row["cpu_pct"] > 0 and 0 <= row["gil_wait_pct"] <= 100
    finally:
        stop.set()
        thread.join()


def test_names_of_functions_may_be_anything():
    stop = threading.Event()
    names = ["<b>&\n", "\udc80", "\U0001f40d", "é", "x" * 5000]

    def wait():
        stop.wait()

    codes = [wait.__code__.replace(co_name=name, co_qualname=name, co_filename=name) for name in names]
    threads = [threading.Thread(target=type(wait)(code, wait.__globals__, closure=wait.__closure__)) for code in codes]
    for thread in threads:
        thread.start()
    try:
        expected = ["<b>&\n", "\ufffd", "\U0001f40d", "é", "x" * 4096]
        for thread, name in zip(threads, expected, strict=True):
            row = until(lambda thread=thread: (row := row_of(report("--stack"), thread))["stack"] and row)
            assert name in [function for function, _, _ in python_of(row)]
        page = report("--stack").to_html()
        assert "<b>&" not in page and "&lt;b&gt;&amp;\\n" in page
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Liar(threading.Thread):
    """Nothing that it says about itself is true."""

    @property
    def name(self):
        raise RuntimeError("no name")

    @name.setter
    def name(self, name):
        pass

    @property
    def native_id(self):
        return "not a number"


def test_a_thread_that_lies_is_still_a_thread():
    gate = threading.Event()
    thread = Liar(target=gate.wait)
    before = {row["tid"] for row in report()}
    thread.start()
    try:
        (tid,) = {row["tid"] for row in report()} - before
        (row,) = [row for row in report("--stack") if row["tid"] == tid]
        assert row["kind"] == "python" and row["name"] == row["comm"]
    finally:
        gate.set()
        thread.join()


def test_stacks_of_threads_that_come_and_go():
    stop = threading.Event()

    def breed():
        while not stop.is_set():
            one = threading.Thread(target=time.sleep, args=(0,))
            one.start()
            one.join()

    parents = [threading.Thread(target=breed) for _ in range(3)]
    for one in parents:
        one.start()
    try:
        for _ in range(100):
            found = report("--stack")
            assert threading.get_native_id() in {row["tid"] for row in found}
    finally:
        stop.set()
        for one in parents:
            one.join()


def test_a_mistake_is_one_sentence():
    for line, said in [
        ("--sample 0", "--sample takes 1 to 60000"),
        ("--stack x", "x"),
        ("--sample", "lacks its value"),
    ]:
        try:
            report(line)
        except ValueError as error:
            assert said in str(error) and "\n" not in str(error)
        else:
            raise AssertionError(f"{line} was taken")


def test_only_the_rows_that_are_shown_have_a_stack_in_the_text():
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="the one")
    thread.start()
    try:
        text = repr(report('--stack --filter "^the one$"'))
        assert [line for line in text.splitlines() if line.startswith("thread ")] == [
            f"thread {thread.native_id} the one"
        ]
        assert "Event.wait" in text
    finally:
        gate.set()
        thread.join()


class Loud:
    """Says that it was looked at."""

    looked = 0

    def __repr__(self):
        Loud.looked += 1
        return "loud"

    __str__ = __len__ = __sizeof__ = __repr__


def test_locals_are_named_and_none_is_asked():
    gate = threading.Event()

    def wait(given, *rest):
        loud, text, nothing = Loud(), "x" * 7, None
        gate.wait()
        return loud, text, nothing, rest

    thread = threading.Thread(target=wait, args=([1, 2, 3], 4))
    thread.start()
    try:
        row = until(lambda: (r := row_of(report("--locals"), thread))["wait"] == "futex" and r)
        (frame,) = [one for one in row["stack"] if one["function"] and one["function"].endswith("<locals>.wait")]
        seen = {one["name"]: (one["type"], one["len"]) for one in frame["locals"]}
        assert seen == {
            "given": ("list", 3),
            "rest": ("tuple", 1),
            "loud": ("Loud", None),
            "text": ("str", 7),
            "nothing": ("NoneType", None),
            "gate": ("cell", None),
        }
        assert Loud.looked == 0 and "given: list of 3" in repr(report("--locals"))
        assert all(one["locals"] is None for one in row_of(report("--stack"), thread)["stack"])
    finally:
        gate.set()
        thread.join()


def test_deep_recursion_is_followed():
    gate = threading.Event()

    def down(depth):
        return gate.wait() if depth == 0 else down(depth - 1)

    thread = threading.Thread(target=down, args=(700,))
    thread.start()
    try:

        def look():
            row = row_of(report("--stack"), thread)
            return row["stack"] and python_of(row) == truth(thread) and row

        row = until(look)
        assert sum(name.endswith("down") for name, _, _ in python_of(row)) == 701
    finally:
        gate.set()
        thread.join()
