"""%%native_prof on threads that no function of a cell runs, and on code without names."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane


def report(done) -> dict:
    return done.report("native_prof")


def test_threads_that_block_signals_are_told_if_they_worked(client: Client):
    client.run(
        "import signal, threading, time\nready, stop = threading.Event(), threading.Event()\n"
        "def blocked(works):\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n    ready.set()\n"
        "    while not stop.wait(None if not works else 0.0001): pass\n"
    )
    for works in (False, True):
        client.run(
            f"ready.clear(); stop.clear()\nthread = threading.Thread(target=blocked, args=({works},)); thread.start(); ready.wait()"
        )
        found = client.run(
            "%%native_prof --as p\nend = time.thread_time() + 0.3\nwhile time.thread_time() < end: pass"
        )
        assert found.text() == ""
        limits = client.value("[limit for limit in p.limits if 'block signals' in limit]")
        client.run("stop.set(); thread.join()")
        assert ("of CPU time" in limits) == works, limits


def test_code_without_names_has_its_package(client: Client):
    client.run(
        "import pandas as pd, numpy as np\ns = pd.Series(np.arange(300_000) % 1000).astype(str)"
    )
    found = report(
        client.run(
            "%%native_prof --repeat\ns.value_counts(); pd.Series(np.arange(300_000)).unique()"
        )
    )
    nameless = [
        row["function"] for row in found["rows"] if row["function"].endswith("(no symbols)")
    ]
    of_pandas = [row for row in nameless if row.startswith(("hashtable", "algos", "lib "))]
    assert all(" of pandas " in row or " of pyarrow " in row for row in of_pandas), nameless


def test_memory_that_stays_is_not_said_to_be_given_back(client: Client):
    client.run("import numpy as np")
    found = report(client.run("%%native_prof\nkept = [np.ones(100_000) for _ in range(1500)]"))
    assert "P001" not in [one["code"] for one in found["diagnoses"]], found["diagnoses"]


def test_work_of_a_library_on_threads_of_its_own_is_seen(client: Client, tmp_path: Path):
    """No function of a cell is on these stacks."""
    (tmp_path / "busy_library.py").write_text(
        "import hashlib, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "def work(_):\n    end = time.thread_time() + 0.3\n"
        "    while time.thread_time() < end: hashlib.sha256(bytes(1 << 20)).digest()\n"
        "def work_on_threads():\n    with ThreadPoolExecutor(2) as pool: list(pool.map(work, range(2)))\n"
    )
    client.run(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import busy_library")
    found = report(client.run("%%native_prof\nbusy_library.work_on_threads()"))
    (row,) = [row for row in found["rows"] if row["function"] == "work"]
    assert row["threads"] == 2
    assert row["total_samples"] > 100
    assert found["around"] < row["total_samples"] / 4
    assert any("threads" in line["source"] for line in found["cell_lines"]), found["cell_lines"]
