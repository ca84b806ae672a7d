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


def test_an_earlier_cell_can_be_asked_for(fresh: Client):
    """A look in between is a cell, too."""
    fresh.run("import numpy")
    fresh.run("%loaded_libs --new")
    asked = fresh.run("%native_delta --cell 2").one("execute_result")["data"]
    [row] = asked[MIME]["rows"]
    assert row["cell"] == 2
    assert any("_multiarray_umath" in name for name in row["libs_added"])
    refused = fresh.execute("%native_delta --cell 77")
    assert "--cell 77: no cell of this number has ended" in refused.content["evalue"]


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


@pytest.fixture
def subshell(fresh: Client) -> dict:
    """The header of requests to a subshell, and in the user's variables a barrier and the reports of both cells."""
    fresh.run("%native_delta on")
    fresh.run(
        "import threading, ctypes\nmeet = threading.Barrier(2, timeout=60)\ngate = threading.Event()"
    )
    made = fresh.request("create_subshell_request", {}, "control")
    header = {"header": {"subshell_id": made.content["subshell_id"]}}
    # Its threads are there before the cells begin.
    fresh.run("", silent=True, **header)
    yield header
    fresh.execute("gate.set()")


def at_once(client: Client, subshell: dict, main: str, beside: str):
    """Two cells that both run when either line does. Their replies' metadata."""
    frame = "meet.wait(); {}; meet.wait()"
    cells = [client.start(frame.format(main)), client.start(frame.format(beside), **subshell)]
    done = [client.finish(cell) for cell in cells]
    assert [cell.content["status"] for cell in done] == ["ok", "ok"], [c.content for c in done]
    numbers = [cell.content["execution_count"] for cell in done]
    return numbers, [cell.reply["metadata"]["diaphane"] for cell in done]


def stems(names: list[str]) -> list[str]:
    return [name.partition(".")[0] for name in names]


def test_two_cells_at_once_have_libraries_of_their_own(fresh: Client, subshell: dict):
    numbers, changes = at_once(fresh, subshell, "import _lsprof", "import xxlimited")
    assert [change["cell"] for change in changes] == numbers
    assert [change["beside"] for change in changes] == [[f"In[{n}]"] for n in reversed(numbers)]
    assert [stems(change["libs_added"]) for change in changes] == [["_lsprof"], ["xxlimited"]]
    assert [change["unclear"] for change in changes] == [[], []]
    rows = fresh.run("%loaded_libs '_lsprof|xxlimited'").one("execute_result")["data"]
    [rows] = [value["rows"] for kind, value in rows.items() if kind.endswith("json")]
    assert {stems([row["name"]])[0]: row["first_cell"] for row in rows} == {
        "_lsprof": numbers[0],
        "xxlimited": numbers[1],
    }


def test_two_cells_at_once_have_threads_of_their_own(fresh: Client, subshell: dict):
    start = "{} = threading.Thread(target=gate.wait); {}.start()"
    numbers, changes = at_once(fresh, subshell, start.format("a", "a"), start.format("b", "b"))
    assert [len(change["threads_added"]) for change in changes] == [1, 1], changes
    assert [change["unclear"] for change in changes] == [[], []]
    data = fresh.run("%threads").one("execute_result")["data"]
    [rows] = [value["rows"] for kind, value in data.items() if kind.endswith("json")]
    cells = {row["tid"]: row["created_in"] for row in rows}
    tids = [int(fresh.value(f"{name}.native_id")) for name in "ab"]
    assert [cells[tid] for tid in tids] == numbers


def test_what_may_be_of_either_cell_is_said_of_both(fresh: Client, subshell: dict):
    """A library that native code opened: nobody told Python which thread did."""
    path = fresh.value("__import__('importlib.util').util.find_spec('_lsprof').origin")
    native = f"ctypes.CDLL(None).dlopen({path}.encode(), 2)"
    _, changes = at_once(fresh, subshell, native, "pass")
    assert [change["libs_added"] for change in changes] == [[], []]
    assert [stems(change["unclear"]) for change in changes] == [["_lsprof"], ["_lsprof"]]
    data = fresh.run("%loaded_libs _lsprof").one("execute_result")["data"]
    [[row]] = [value["rows"] for kind, value in data.items() if kind.endswith("json")]
    assert row["first_cell"] is None


def test_the_last_cell_is_that_of_the_lane(fresh: Client, subshell: dict):
    numbers, _ = at_once(fresh, subshell, "import _lsprof", "import xxlimited")
    code = "report = %native_delta last\nreport[0]['cell']"
    assert fresh.run(code, **subshell).result == str(numbers[1])
    assert fresh.run(code).result == str(numbers[0])


def test_a_cell_that_was_aborted_or_silent_has_changed_nothing(fresh: Client, subshell: dict):
    cells = [fresh.start("input(); 1/0", allow_stdin=True), fresh.start("pass")]
    fresh.run("pass", **subshell)  # it came after both, by the same socket
    fresh.answer(cells[0], "")
    done = [fresh.finish(cell) for cell in cells]
    assert [cell.content["status"] for cell in done] == ["error", "aborted"]
    assert ["diaphane" in cell.reply["metadata"] for cell in done] == [True, False]
    assert "diaphane" not in fresh.run("pass", silent=True).reply["metadata"]


def test_bad_input(fresh: Client):
    done = fresh.execute("%native_delta maybe")
    assert "maybe" in done.text("stderr") + str(done.content)
