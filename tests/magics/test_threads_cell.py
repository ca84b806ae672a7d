"""%%threads above a cell: how many threads it had and whose, how many CPUs they used, and what they waited for."""

from __future__ import annotations

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.threads+json"

POOL = """
from concurrent.futures import ThreadPoolExecutor
import hashlib, threading, time
data = bytes(1 << 20)
together = threading.Barrier(4)
def work(number):
    together.wait()
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        hashlib.sha256(data).digest()
"""


def data(done) -> dict:
    contents = done.all("execute_result") + done.all("display_data")
    found = [content["data"] for content in contents if MIME in content["data"]]
    assert len(found) == 1, done.trace
    return found[0]


def test_a_pool_that_is_gone_at_the_end_was_seen(client: Client):
    client.run(POOL)
    done = client.run(
        "%%threads\nwith ThreadPoolExecutor(4) as pool:\n    list(pool.map(work, range(4)))"
    )
    found = data(done)[MIME]
    workers = [row for row in found["rows"] if row["pool"] == "ThreadPoolExecutor"]
    assert len(workers) == 4, found["rows"]
    assert all(row["is_new"] and row["cpu_ns"] >= 90_000_000 for row in workers)
    assert found["created"] == 4
    assert 1 <= found["most_working"] <= 5
    used = found["cpus_used"] * found["elapsed_ns"]
    assert used >= 0.36e9
    text = data(done)["text/plain"]
    # On a busy machine the first sentence says who else had the CPUs.
    assert any(line.startswith("The cell used") for line in text.splitlines()), text
    assert "ThreadPoolExecutor (4 threads" in text
    assert "<svg" in data(done)["text/html"]


def test_threads_that_live_too_short_to_be_seen_are_counted(client: Client):
    client.run("import threading")
    done = client.run(
        "%%threads\nfor _ in range(50):\n    one = threading.Thread(target=int); one.start(); one.join()"
    )
    assert data(done)[MIME]["created"] == 50


def test_waits_for_the_gil_are_said(client: Client):
    client.run(
        "import threading, time\n"
        "def count():\n"
        "    end = time.thread_time() + 0.3\n"
        "    while time.thread_time() < end: sum(range(1000))"
    )
    done = client.run(
        "%%threads\nall = [threading.Thread(target=count) for _ in range(3)]\n"
        "[one.start() for one in all]; [one.join() for one in all]; None"
    )
    text = " ".join(data(done)["text/plain"].split())
    assert "threads waited for the GIL" in text, text
    counted = [row for row in data(done)[MIME]["rows"] if row["name"] == "count"]
    assert len(counted) == 3


def test_a_native_pool_is_named_and_its_threads_bear_its_name(launch):
    client = launch(env={"OPENBLAS_NUM_THREADS": "2"}).connect()
    client.run("import numpy as np\na = np.ones((1200, 1200))")
    done = client.run("%%threads\nfor _ in range(3): a @ a")
    pools = {row["pool"] for row in data(done)[MIME]["rows"]}
    assert any(pool and pool.startswith("OpenBLAS of numpy") for pool in pools), pools
    done = client.run("%threads")
    names = {row["name"] for row in data(done)[MIME]["rows"] if row["kind"] == "blas"}
    assert names == {"OpenBLAS pool"}


def test_the_cells_own_outcome_stays(client: Client):
    done = client.execute("%%threads\n1/0")
    assert done.content["ename"] == "ZeroDivisionError"
    assert data(done)[MIME]["looks"] > 0
    client.run("%%threads\nanswer = 42")
    assert client.value("answer") == "42"
    done = client.execute("%%threads --stack\npass")
    assert "for %threads on one line" in done.text("stderr")


def test_a_sample_says_what_is_its_own(client: Client):
    done = client.run("%threads --sample 200")
    text = " ".join(data(done)["text/plain"].split())
    assert "MainThread did the watching" in text, text


TEAM = """
int team(void) {
    int threads = 0;
    #pragma omp parallel reduction(+ : threads)
    threads += 1;
    return threads;
}
"""


def test_a_pool_that_spins_between_its_work_is_named(launch, tmp_path):
    library = shared_library(tmp_path / "libteam.so", TEAM, "-fopenmp")
    client = launch(env={"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "active"}).connect()
    client.run(f"import ctypes, time\nteam = ctypes.CDLL({str(library)!r}).team")
    done = client.run("%%threads\nfor _ in range(20):\n    team(); time.sleep(0.1)")
    found = {one["code"]: one["title"] for one in data(done)[MIME]["diagnoses"]}
    assert "GNU OpenMP" in found["T003"], found
    assert "wait by spinning" in found["T003"]


def test_the_work_of_other_processes_is_said(client: Client):
    client.run("import joblib\ndef work(n): return sum(i * i for i in range(n))")
    done = client.run(
        "%%threads\nx = joblib.Parallel(n_jobs=2)(joblib.delayed(work)(3_000_000) for n in range(4))"
    )
    found = data(done)[MIME]
    assert found["children"] >= 2
    assert found["children_cpu_ns"] > 0
    assert f"{found['children']} child processes used" in data(done)["text/plain"]
    client.run("import joblib.externals.loky as loky; loky.get_reusable_executor().shutdown()")
    again = data(client.run("%%threads\nwork(1_000_000)"))
    assert (again[MIME]["children"], again[MIME]["children_cpu_ns"]) == (0, 0)
    assert "child process" not in again["text/plain"]


def test_a_thread_uses_no_more_than_a_cpu(client: Client):
    """Also where a cell is short: what Linux counts of a thread that runs must not be old."""
    for _ in range(20):
        client.run("for n in range(200_000): pass")
        found = data(client.run("%%threads\nfor n in range(100_000): pass"))[MIME]
        assert all(row["cpu_pct"] <= 100 for row in found["rows"]), found["rows"]
        assert found["cpus_used"] <= max(1, len(found["rows"]))
