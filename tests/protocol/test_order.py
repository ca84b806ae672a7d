"""Replies come in the order of their requests, and what is published in one order for all."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane

ANYTHING = [
    ("kernel_info_request", {}),
    ("connect_request", {}),
    ("usage_request", {}),
    ("interrupt_request", {}),
    ("execute_request", {"code": 5}),
    ("create_subshell_request", {}),
    ("debug_request", {"type": "request", "command": "initialize", "seq": 1, "arguments": {}}),
    ("magic_request", {"name": "threads"}),
    ("is_complete_request", {"code": "1"}),
]


def replies(client: Client) -> list[str]:
    """The requests whose replies came on shell, in the order in which they came."""
    return [m["parent_header"]["msg_id"] for m in client.record if m["channel"] == "shell"]


def idles(client: Client) -> list[str]:
    return [
        m["parent_header"]["msg_id"]
        for m in client.record
        if m["msg_type"] == "status" and m["content"]["execution_state"] == "idle"
    ]


def test_what_needs_no_python_waits_for_the_replies_before_it(client: Client):
    """The reply of a cell may still be on its way when the next request comes, again and again."""
    client.record.clear()
    sent = []
    for _ in range(300):
        sent += [client.start("pass"), client.send("connect_request"), client.start("1")]
        # The next cell comes at any moment: also while the reply of the one before leaves.
        client.finish(sent[-1])
    assert replies(client) == [one.id for one in sent]
    assert idles(client) == [one.id for one in sent]


def test_requests_of_any_kind_are_answered_in_their_order(client: Client):
    cell = client.start("input()", allow_stdin=True)
    client.until(lambda: cell.stdin, "the question", cell)
    client.record.clear()
    behind = [client.send(kind, content) for kind, content in ANYTHING if "interrupt" not in kind]
    client.request("kernel_info_request", {}, "control")
    client.answer(cell, "")
    for one in (cell, *behind):
        client.finish(one)
    assert replies(client) == [one.id for one in (cell, *behind)]


def test_an_abort_keeps_the_order(client: Client):
    cell = client.start("input()\n1/0", allow_stdin=True)
    client.until(lambda: cell.stdin, "the question", cell)
    client.record.clear()
    behind = [
        client.start("1"),
        client.send("connect_request"),
        client.start("2"),
        client.send("is_complete_request", {"code": "1"}),
        client.start("3"),
    ]
    client.request("kernel_info_request", {}, "control")
    client.answer(cell, "")
    for one in (cell, *behind):
        client.finish(one)
    states = [one.content["status"] for one in behind]
    assert states == ["aborted", "ok", "aborted", "complete", "aborted"]
    assert replies(client) == [one.id for one in (cell, *behind)]
    assert all(one.trace == ["busy", "idle"] for one in behind)


def test_a_cell_sent_behind_an_error_runs(client: Client):
    """The queue is aborted before the client can know of the error."""
    for _ in range(200):
        assert client.execute("1/0").content["status"] == "error"
        assert client.execute("pass").content["status"] == "ok"


def test_interrupt_on_shell_takes_effect_at_once(client: Client):
    cell = client.start("import time\nprint('ready')\ntime.sleep(600)")
    client.until(lambda: cell.text(), "ready", cell)
    client.record.clear()
    interrupt = client.send("interrupt_request")
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"
    assert client.finish(interrupt).content["status"] == "ok"
    assert replies(client) == [cell.id, interrupt.id]


@pytest.mark.parametrize("kind", ["create_subshell_request", "list_subshell_request"])
def test_subshells_are_for_control(client: Client, kind: str):
    content = client.request(kind).content
    assert (content["status"], content["ename"]) == ("error", "WrongChannel")
    assert "control" in content["evalue"]
