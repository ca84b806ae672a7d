"""Subshells (JEP 91): cells beside the running cell of the main shell."""

import pytest

from support.client import Client

pytestmark = pytest.mark.feature("kernel subshells")


@pytest.fixture
def subshell(client: Client):
    done = client.request("create_subshell_request", {}, "control")
    assert done.reply["msg_type"] == "create_subshell_reply"
    assert done.trace == ["busy", "idle"]
    name = done.content["subshell_id"]
    yield name
    client.request("delete_subshell_request", {"subshell_id": name}, "control")


def on(subshell: str) -> dict:
    return {"header": {"subshell_id": subshell}}


def test_list(client: Client, subshell: str):
    done = client.request("list_subshell_request", {}, "control")
    assert done.content == {"status": "ok", "subshell_id": [subshell]}


def test_delete(client: Client):
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    done = client.request("delete_subshell_request", {"subshell_id": name}, "control")
    assert done.content == {"status": "ok"}
    assert client.request("list_subshell_request", {}, "control").content["subshell_id"] == []


def test_deleting_an_unknown_subshell_is_an_error(client: Client):
    done = client.request("delete_subshell_request", {"subshell_id": "none"}, "control")
    assert done.content["status"] == "error"


def test_runs_beside_a_cell_of_the_main_shell(client: Client, subshell: str):
    main = client.start("print('main', flush=True)\ninput()", allow_stdin=True)
    client.until(lambda: main.stdin, "the main cell", main)
    beside = client.run("shared = 7; print('beside'); shared", **on(subshell))
    assert main.replies == []
    assert (beside.text(), beside.result) == ("beside\n", "7")
    client.answer(main, "")
    assert client.finish(main).text() == "main\n"
    assert client.value("shared") == "7"


def test_replies_name_the_subshell(client: Client, subshell: str):
    done = client.run("1", **on(subshell))
    assert done.reply["parent_header"]["subshell_id"] == subshell
    assert done.trace == ["busy", "execute_input", "execute_result", "idle"]


def test_not_in_the_main_thread(client: Client, subshell: str):
    code = "import threading; threading.current_thread() is threading.main_thread()"
    assert client.run(code).result == "True"
    assert client.run(code, **on(subshell)).result == "False"


def test_complete_and_inspect_while_the_main_shell_is_busy(client: Client, subshell: str):
    main = client.start("input()", allow_stdin=True)
    client.until(lambda: main.stdin, "the main cell", main)
    done = client.request("complete_request", {"code": "prin", "cursor_pos": 4}, **on(subshell))
    assert "print" in done.content["matches"]
    done = client.request("inspect_request", {"code": "zip", "cursor_pos": 3}, **on(subshell))
    assert done.content["found"]
    client.answer(main, "")
    client.finish(main)


def test_await_in_a_subshell(client: Client, subshell: str):
    assert (
        client.run("import asyncio\nawait asyncio.sleep(0, 'slept')", **on(subshell)).result
        == "'slept'"
    )


def test_error_in_a_subshell(client: Client, subshell: str):
    done = client.execute("1/0", **on(subshell))
    assert done.content["ename"] == "ZeroDivisionError"
    assert done.trace == ["busy", "execute_input", "error", "idle"]


def test_an_unknown_subshell_is_an_error(client: Client):
    done = client.request("execute_request", {"code": "1"}, header={"subshell_id": "nobody"})
    assert done.content["status"] == "error"
    assert done.trace == ["busy", "idle"]


def test_two_subshells_at_once(client: Client, subshell: str):
    other = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    code = "import threading\nmeet = threading.Barrier(2)\n"
    client.run(code)
    cells = [
        client.start(f"meet.wait(20); print({i})", **on(s)) for i, s in enumerate([subshell, other])
    ]
    assert [client.finish(c).text() for c in cells] == ["0\n", "1\n"]
    client.request("delete_subshell_request", {"subshell_id": other}, "control")
