"""%native_delta: a line under each cell, and what it says against the process itself."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_delta+json"


@pytest.fixture
def fresh(launch) -> Client:
    client = launch(env={"OPENBLAS_NUM_THREADS": "2"}).connect()
    client.run("pass")
    return client


def last(client: Client) -> dict:
    [row] = client.run("%native_delta last").one("execute_result")["data"][MIME]["rows"]
    return row


def line(exchange) -> str:
    return exchange.one("display_data")["data"]["text/plain"]


def test_an_import_brings_libraries_and_threads(fresh: Client):
    fresh.run("import numpy")
    row = last(fresh)
    assert row["cell"] == 2
    assert any("_multiarray_umath" in name for name in row["libs_added"])
    assert len([name for name in row["threads_added"] if "openblas" in name]) == 1
    assert row["libs_removed"] == []
    assert row["rss"] > 10**6
    assert row["cpu_ns"] > 0
    assert row["minor_faults"] > 100


def test_new_buffers_are_those_that_were_not_there(fresh: Client):
    fresh.run("import numpy as np; a = np.ones(10_000_000)")
    assert last(fresh)["buffers_new"] == ["a"]
    fresh.run("b = a[5:]; c = np.ones(1000); a = np.ones(20_000_000)")
    row = last(fresh)
    assert sorted(row["buffers_new"]) == ["a", "c"]
    assert row["buffers_new_bytes"] == 160_008_000
    assert row["rss"] > 70_000_000
    fresh.run("del a, b")
    assert last(fresh)["rss"] < -150_000_000


def test_a_line_only_when_it_is_on(fresh: Client):
    fresh.run("import numpy as np")
    assert fresh.run("x = 1").all("display_data") == []
    assert fresh.run("%native_delta on").all("display_data") == []
    done = fresh.run("a = np.ones(10_000_000)")
    assert "In[5]: RSS +8" in line(done), line(done)
    assert "1 new buffer 80.0 MB" in line(done)
    assert done.reply["metadata"]["diaphane"]["buffers_new"] == ["a"]
    failed = fresh.execute("b = np.ones(10_000_000); 1/0")
    assert "1 new buffer 80.0 MB" in line(failed)
    fresh.run("%native_delta off")
    done = fresh.run("x = 2")
    assert done.all("display_data") == []
    assert "diaphane" not in done.reply["metadata"]


def test_questions_of_a_front_end_are_no_cells(fresh: Client):
    fresh.run("a = 1")
    fresh.run("import colorsys", silent=True)
    assert last(fresh)["cell"] == 2


def test_bad_input(fresh: Client):
    done = fresh.execute("%native_delta maybe")
    assert "maybe" in done.text("stderr") + str(done.content)
