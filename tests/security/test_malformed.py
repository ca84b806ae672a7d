"""Frames that are no message and messages that are no request: the kernel lives and says nothing."""

import json

import pytest
from jupyter_client.session import DELIM

from support.client import Client
from support.signed import signed


def header(client: Client, **changes) -> bytes:
    """The header of a request of this client, with changes; None removes a field."""
    fields = client.session.msg("execute_request")["header"] | changes
    return json.dumps({k: v for k, v in fields.items() if v is not None}, default=str).encode()


def survives(client: Client, channel: str, parts: list[bytes]) -> None:
    client.sockets[channel].send_multipart(parts)
    client.request("kernel_info_request", {}, "shell")
    client.request("kernel_info_request", {}, "control")
    assert client.run("1 + 1").result == "2"


# ipykernel publishes the number as the code of the cell, which is no valid message.
NUMBER = pytest.param(b'{"code": 5}', marks=pytest.mark.diaphane)
RAW = {
    "empty frame": [b""],
    "no delimiter": [b"a", b"b", b"c", b"d", b"e", b"f"],
    "delimiter only": [DELIM],
    "too few frames": [DELIM, b"", b"{}", b"{}"],
    "many frames": [b"x"] * 5000,
    "binary": [bytes(range(256)) * 100],
}


@pytest.mark.parametrize("channel", ["shell", "control", "stdin"])
@pytest.mark.parametrize("name", RAW)
def test_not_a_message(client: Client, channel: str, name: str):
    survives(client, channel, RAW[name])


SIGNED = {
    "not JSON": (b"not json", b"{}", b"{}", b"{}"),
    "not UTF-8": (b"\xff\xfe", b"{}", b"{}", b"{}"),
    "array as header": (b"[]", b"{}", b"{}", b"{}"),
    "null as header": (b"null", b"{}", b"{}", b"{}"),
    "empty header": (b"{}", b"{}", b"{}", b"{}"),
    "numbers in the header": (b'{"msg_type": 1, "msg_id": 2}', b"{}", b"{}", b"{}"),
    "empty frames": (b"", b"", b"", b""),
}


@pytest.mark.parametrize("channel", ["shell", "control", "stdin"])
@pytest.mark.parametrize("name", SIGNED)
def test_signed_nonsense(client: Client, channel: str, name: str):
    survives(client, channel, signed(client, *SIGNED[name]))


@pytest.mark.parametrize("content", [b"[]", b"null", b'"x"', b"1", b"{", b"", b"{}", NUMBER])
@pytest.mark.parametrize(
    "kind", ["execute_request", "complete_request", "comm_open", "input_reply"]
)
def test_wrong_content(client: Client, kind: str, content: bytes):
    survives(client, "shell", signed(client, header(client, msg_type=kind), b"{}", b"{}", content))


def test_deep_json(client: Client):
    deep = b'{"code": "1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    survives(client, "shell", signed(client, header(client), b"{}", b"{}", deep))


def test_deep_header(client: Client):
    deep = b'{"msg_type": "execute_request", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    survives(client, "shell", signed(client, deep, b"{}", b"{}", b"{}"))


def test_a_large_request_runs(client: Client):
    text = "x" * 5_000_000
    assert client.run(f"len('{text}')").result == "5000000"


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_an_unknown_type_is_not_answered(client: Client, channel: str):
    unknown = client.send("no_such_request", {"a": 1}, channel)
    client.request("kernel_info_request", {}, channel)
    assert unknown.replies == []
    assert unknown.trace in ([], ["busy", "idle"])


def test_an_unknown_field_is_ignored(client: Client):
    done = client.request("execute_request", {"code": "3 + 3", "new_in_5_9": {"x": []}})
    assert done.result == "6"


@pytest.mark.diaphane
def test_a_cursor_outside_of_the_text(client: Client):
    for cursor in (-1, 1000, 2**40):
        content = {"code": "zip", "cursor_pos": cursor}
        assert client.request("complete_request", content).content["status"] in ("ok", "error")
        content["detail_level"] = 0
        assert client.request("inspect_request", content).content["status"] in ("ok", "error")


def test_history_with_odd_numbers(client: Client):
    for n in (0, -5, 10**12):
        content = {"output": False, "raw": True, "hist_access_type": "tail", "n": n}
        assert client.request("history_request", content).content["status"] in ("ok", "error")


@pytest.mark.diaphane
def test_refused_messages_are_logged(launch):
    """One line of the log for each, with the reason; the channel is named, the content is not."""
    kernel = launch(env={"DIAPHANE_LOG": "warn"})
    client = kernel.connect()
    secret = b'{"code": "a secret of the user"}'
    parts = signed(client, header(client), b"{}", b"{}", secret)
    parts[1] = b"0" * 64
    survives(client, "shell", parts)
    assert "signature" in kernel.log
    assert "shell" in kernel.log.lower()
    assert "secret" not in kernel.log
