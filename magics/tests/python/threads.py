"""Cross-checks with the kernel's list of threads, threading, and threadpoolctl."""

import os
import sys
import threading

from diaphane_native import run_magic

# More than this machine has.
POOL = os.cpu_count() + 2


def report():
    return run_magic("threads", "", None, {})


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
