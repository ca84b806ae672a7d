"""Messages that are not from a front end of this kernel: no answer, no effect, no end."""

import pytest
from jupyter_client.session import DELIM, Session

from support.client import Client

CHANNELS = ["shell", "control"]


def frames(session: Session, msg_type: str, content: dict) -> list[bytes]:
    """The signed frames of a message, from the delimiter on."""
    return session.serialize(session.msg(msg_type, content))


def marker(session: Session) -> list[bytes]:
    """An execute_request that leaves a mark."""
    content = {"code": "forged = True", "silent": False, "store_history": True}
    return frames(session, "execute_request", content)


def unheard(client: Client, channel: str, parts: list[bytes]) -> None:
    """Send raw frames; nothing may come of them, and the kernel goes on."""
    client.drain()
    client.strays.clear()
    client.sockets[channel].send_multipart(parts)
    # Both channels are read in order, so their answers prove that the frames have been read.
    client.request("kernel_info_request", {}, "shell")
    client.request("kernel_info_request", {}, "control")
    assert client.strays == []
    assert client.value("'forged' in globals()") == "False"


@pytest.mark.parametrize("channel", CHANNELS)
def test_wrong_key(client: Client, channel: str):
    unheard(client, channel, marker(Session(key=b"another key")))


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_signature(client: Client, channel: str):
    unheard(client, channel, marker(Session(key=b"")))


@pytest.mark.parametrize("part", ["header", "parent", "metadata", "content"])
def test_a_changed_frame(client: Client, part: str):
    parts = marker(client.session)
    index = parts.index(DELIM) + 2 + ["header", "parent", "metadata", "content"].index(part)
    parts[index] = parts[index].replace(b"}", b" }", 1)
    unheard(client, "shell", parts)


@pytest.mark.parametrize("signature", [b"", b"0" * 64, b"not hexadecimal", b"\xff" * 64])
def test_made_up_signatures(client: Client, signature: bytes):
    parts = marker(client.session)
    parts[parts.index(DELIM) + 1] = signature
    unheard(client, "shell", parts)


def test_a_truncated_signature(client: Client):
    parts = marker(client.session)
    index = parts.index(DELIM) + 1
    parts[index] = parts[index][:32]
    unheard(client, "shell", parts)


def test_a_replayed_message_runs_once(client: Client):
    client.run("runs = 0")
    content = {"code": "runs += 1", "silent": False, "store_history": True}
    parts = frames(client.session, "execute_request", content)
    client.sockets["shell"].send_multipart(parts)
    client.until(lambda: any(m["msg_type"] == "execute_reply" for m in client.strays), "the reply")
    client.sockets["shell"].send_multipart(parts)
    client.drain()
    assert client.value("runs") == "1"


def test_a_forged_answer_is_not_taken(client: Client):
    cell = client.start("input()", allow_stdin=True)
    client.until(lambda: cell.stdin, "the question", cell)
    forged = frames(Session(key=b"another"), "input_reply", {"value": "evil", "status": "ok"})
    client.sockets["stdin"].send_multipart(forged)
    client.answer(cell, "honest")
    assert client.finish(cell).result == "'honest'"


def test_a_forged_shutdown_is_not_obeyed(client: Client, kernel):
    unheard(client, "control", frames(Session(key=b"x"), "shutdown_request", {"restart": False}))
    assert kernel.alive


def test_buffers_are_not_signed_but_kept(client: Client):
    """The protocol signs four frames; what follows them is data."""
    client.run(
        "import comm\ngot = []\n"
        "c = comm.create_comm(target_name='t')\nc.on_msg(lambda m: got.extend(map(bytes, m['buffers'])))"
    )
    content = {"comm_id": client.value("c.comm_id").strip("'"), "data": {}}
    sent = client.send("comm_msg", content, buffers=[b"x" * 10])
    client.until(lambda: sent.state == "idle", "idle")
    assert client.value("got") == "[b'xxxxxxxxxx']"
