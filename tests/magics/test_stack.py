"""%stack: the stack of this moment, from a cell and while a cell hangs."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.stack+json"


def functions(rows: list[dict]) -> list[str]:
    return [row["function"] for row in rows]


def test_a_cell_sees_itself_down_to_the_native_code(client: Client):
    client.run("def inside():\n    return get_ipython().run_line_magic('stack', '')")
    client.run("def outside():\n    return inside()")
    done = client.run("outside()")
    rows = done.one("execute_result")["data"][MIME]["rows"]
    names = functions(rows)
    assert names.index("inside") + 1 == names.index("outside"), names
    assert any(row["kind"] == "native" for row in rows)
    assert {row["thread"] for row in rows} == {"MainThread"}


def test_the_thread_that_asks_does_not_sleep(client: Client):
    data = client.run("%stack").one("execute_result")["data"]
    assert data["text/plain"].startswith("The main thread asks this question at In[")
    assert "sleeps" not in data["text/plain"]
    assert {row["state"] for row in data[MIME]["rows"]} == {"R"}


def test_a_hanging_cell_is_seen_without_the_gil(launch):
    client = launch().connect()
    client.run("import ctypes\ndef hang():\n    print('ready')\n    ctypes.PyDLL(None).sleep(600)")
    cell = client.start("hang()")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    request = {"name": "stack", "line": "--all"}
    answer = client.request("magic_request", request, "control").content
    assert answer["status"] == "ok", answer
    rows = answer["data"][MIME]["rows"]
    assert len({row["tid"] for row in rows}) > 1
    assert "hang" in functions(rows)
    assert any("nanosleep" in (name or "") or name == "sleep" for name in functions(rows)), rows[:5]
