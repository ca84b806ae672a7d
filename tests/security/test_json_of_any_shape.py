"""JSON of any depth, length and number in any part of a signed message: an answer, or a sentence that refuses it."""

import json

import pytest

from support.client import Client
from support.exchange import Exchange
from support.process import Kernel
from support.signed import signed

pytestmark = pytest.mark.diaphane

# Each is the value of a field that nobody has asked for; the second word says whether the message may be refused.
SHAPES: dict[str, tuple[bytes, bool]] = {
    "lists in lists": (b"[" * 100_000 + b"]" * 100_000, True),
    "objects in objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, True),
    "as deep as Python goes": (b"[" * 250 + b"]" * 250, False),
    "a million keys": (json.dumps(dict.fromkeys(map(str, range(1_000_000)))).encode(), False),
    "no number": (b"1e999", False),
    "a long number": (b"1" * 600, False),
    "a number that is too long for Python": (b"1" * 5000, True),
    "a long text": (b'"' + b"x" * 1_000_000 + b'"', False),
    "half of a character": (b'"\xc3"', True),
    "half of a pair": (b'"\\ud800"', False),
}
CELL = ("execute_request", {"code": "len(str(get_ipython().get_parent()))", "silent": False})
REQUESTS: dict[str, list[tuple[str, dict]]] = {
    "shell": [
        CELL,
        ("comm_open", {"comm_id": "a", "target_name": "seen", "data": {}}),
        ("comm_msg", {"comm_id": "none", "data": {}}),
        ("complete_request", {"code": "pri", "cursor_pos": 3}),
        ("kernel_info_request", {}),
        ("magic_request", {"name": "threads", "line": ""}),
        ("no_such_request", {}),
    ],
    "control": [
        ("kernel_info_request", {}),
        ("usage_request", {}),
        ("magic_request", {"name": "threads", "line": ""}),
        ("debug_request", {"type": "request", "command": "debugInfo", "seq": 1}),
        ("delete_subshell_request", {"subshell_id": "none"}),
    ],
    "stdin": [("input_reply", {"value": "", "status": "ok"})],
}
UNANSWERED = {"comm_open", "comm_msg", "no_such_request"}
FAULTS = ("diaphane bug", "Traceback", "RecursionError", "panicked")
TARGET = """
from comm import get_comm_manager
seen = []
get_comm_manager().register_target("seen", lambda comm, message: seen.append(str(message)))
"""


def with_field(part: dict, value: bytes) -> bytes:
    """The part with one more field, of this value."""
    rest = json.dumps(part, default=str).encode()[1:]
    return b'{"field":' + value + (b"," if part else b"") + rest


def ask(client: Client, channel: str, request: tuple[str, dict], place: int, value: bytes):
    """Sends a request with a field of this value in one of its four parts."""
    kind, content = request
    message = client.session.msg(kind, content)
    parts = [message["header"], {}, {}, content]
    raw = [json.dumps(part, default=str).encode() for part in parts]
    raw[place] = with_field(parts[place], value)
    exchange = client.exchanges[message["header"]["msg_id"]] = Exchange(message)
    client.sockets[channel].send_multipart(signed(client, *raw))
    return exchange


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_answered_or_refused(kernel: Kernel, client: Client, name: str):
    value, may_be_refused = SHAPES[name]
    client.run(TARGET)
    before = len(kernel.log)
    for channel, requests in REQUESTS.items():
        for kind, content in requests:
            for place in (1, 2, 3):
                asked = ask(client, channel, (kind, content), place, value)
                if channel == "stdin":
                    client.request("kernel_info_request")
                    continue
                if kind in UNANSWERED:
                    client.until(lambda asked=asked: asked.state == "idle", "idle", asked)
                    continue
                client.finish(asked)
                if asked.content.get("ename") == "InvalidMessage":
                    assert may_be_refused, asked.content
                    part = ("parent header", "metadata", "content")[place - 1]
                    assert part in asked.content["evalue"]
                elif kind == "execute_request":
                    assert asked.content["status"] == "ok", asked.content
    assert client.value("len(seen)") == ("0" if may_be_refused else "3")
    told = kernel.log[before:]
    assert not any(fault in told for fault in FAULTS), told


@pytest.mark.parametrize("name", SHAPES)
def test_in_a_header_it_is_sent_back_or_dropped(kernel: Kernel, client: Client, name: str):
    """A header that is too much for a client is not sent back to all of them, so it has no answer."""
    before = len(kernel.log)
    for channel, requests in REQUESTS.items():
        for request in requests:
            asked = ask(client, channel, request, 0, SHAPES[name][0])
            for also in ("shell", "control"):
                client.request("kernel_info_request", {}, also)
            is_short = len(SHAPES[name][0]) < 1000 and not SHAPES[name][1]
            assert is_short or not asked.iopub
    client.run("1")
    told = kernel.log[before:]
    assert not any(fault in told for fault in FAULTS), told


def test_nobody_changes_the_parent_of_control_by_what_is_refused(client: Client):
    """Code that asks for the latest request of control gets one that it can read."""
    asked = ask(client, "control", ("usage_request", {}), 2, b"1" * 5000)
    client.until(lambda: asked.state == "idle", "idle", asked)
    assert asked.content["ename"] == "InvalidMessage"
    code = "get_ipython().kernel.get_parent('control')['header']['msg_type']"
    assert client.value(code) != repr("usage_request")
