"""Arrow's memory pools: what they hold after a table is gone is theirs, with what is used and how to give it back."""

from __future__ import annotations

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MAP = "application/vnd.diaphane.addr_map+json"
TRACE = "application/vnd.diaphane.buffer_trace+json"
FREED = """
import numpy as np, pyarrow as pa
table = pa.table({'n': pa.array(range(12_000_000))})
address = table['n'].chunks[0].buffers()[1].address
del table
"""


def look(client: Client) -> dict:
    return client.run("%addr_map").one("execute_result")["data"]


def regions(data: dict, backend: str) -> list[dict]:
    return [row for row in data[MAP]["rows"] if row["owner"] == f"Arrow's {backend}"]


@pytest.fixture(params=["mimalloc", "jemalloc"])
def backend(request) -> str:
    return request.param


@pytest.fixture
def freed(launch, backend: str) -> Client:
    """A kernel in which Arrow has freed a table of 96 MB."""
    client = launch(env={"ARROW_DEFAULT_MEMORY_POOL": backend}).connect()
    client.run(FREED)
    return client


def test_the_mappings_of_a_pool_are_its_own(freed: Client, backend: str):
    freed.run("keep = pa.allocate_buffer(1_000_000); np.frombuffer(keep, 'u1')[:] = 1")
    data = look(freed)
    (pool,) = data[MAP]["pools"]
    assert (pool["backend"], pool["default"]) == (backend, True)
    assert pool["used"] == int(freed.value("pa.total_allocated_bytes()")) == 1_000_000
    own = regions(data, backend)
    if backend == "jemalloc" and not own:
        # Its mappings may have grown together with memory of others; then they have no owner.
        return
    assert {row["kind"] for row in own} == {"pool"}
    assert pool["held"] >= 1_000_000
    if backend == "mimalloc":
        assert sum(row["rss"] for row in own) == pool["held"]
    done = freed.run("get_ipython().run_line_magic('addr_map', f'--at {address:#x}')")
    row = done.one("execute_result")["data"][MAP]["rows"][0]
    assert (row["kind"], row["owner"]) == ("pool", f"Arrow's {backend}")


@pytest.mark.parametrize("backend", ["mimalloc"], indirect=True)
def test_a_pool_that_holds_what_nobody_uses(freed: Client, backend: str):
    """Arrow's jemalloc gives back at once what is large."""
    data = look(freed)
    (pool,) = data[MAP]["pools"]
    assert pool["used"] == 0
    assert pool["held"] >= 96_000_000
    text = " ".join(data["text/plain"].split())
    assert f"{pool['give_back']} gives back" in text
    assert "A006" in [one["code"] for one in data[MAP]["diagnoses"]]
    untouched, touched = (
        next(m["data"] for m in done.all("execute_result") if TRACE in m["data"])
        for done in (
            freed.run("%%buffer_trace\nx = np.ones(10)"),
            freed.run("%%buffer_trace\nx = np.ones(10); pa.array([1, 2, 3]).sum()"),
        )
    )
    for traced in untouched, touched:
        (again,) = traced[TRACE]["pools"]
        assert again["held"] >= 96_000_000
    # What the cell has not touched is no part of the answer.
    assert "Arrow" not in untouched["text/plain"]
    assert "Arrow's mimalloc: 0 B used, " in touched["text/plain"]
    freed.run("import pyarrow\n" + pool["give_back"])
    (after,) = look(freed)[MAP]["pools"]
    assert after["held"] < pool["held"] / 2


def test_a_process_without_arrow_has_no_pool(launch):
    data = look(launch().connect())[MAP]
    assert data["pools"] == []
    assert all(row["kind"] != "pool" for row in data["rows"])
