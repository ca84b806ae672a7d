"""Comms: opened from either side, messages and binary buffers both ways, closed from either side."""

from support.client import Client

TARGET = """
import comm

class Log(list):
    pass

seen = Log()

def target(channel, message):
    seen.append(("open", message["content"]["data"]))
    seen.channel = channel
    channel.on_msg(answer)
    channel.on_close(lambda m: seen.append(("close", m["content"]["data"])))

def answer(message):
    data, buffers = message["content"]["data"], message["buffers"]
    back = [bytes(b)[::-1] for b in buffers]
    seen.channel.send({"echo": data}, metadata={"kind": "echo"}, buffers=back)

comm.get_comm_manager().register_target("echo", target)
"""


def settle(client: Client, exchange):
    """Wait for the idle of a message that has no reply."""
    client.until(lambda: exchange.state == "idle", "idle", exchange)
    assert exchange.replies == []
    return exchange


def open_echo(client: Client, comm_id: str) -> None:
    client.run(TARGET)
    content = {"comm_id": comm_id, "target_name": "echo", "data": {"hello": 1}}
    assert settle(client, client.send("comm_open", content)).trace == ["busy", "idle"]


def test_front_end_opens_sends_and_closes(client: Client):
    open_echo(client, "first")
    sent = client.send("comm_msg", {"comm_id": "first", "data": {"n": [1, None, "ż"]}})
    assert settle(client, sent).trace == ["busy", "comm_msg", "idle"]
    echo = sent.one("comm_msg")
    assert echo["comm_id"] == "first"
    assert echo["data"] == {"echo": {"n": [1, None, "ż"]}}
    closed = client.send("comm_close", {"comm_id": "first", "data": {"bye": 1}})
    assert settle(client, closed).trace == ["busy", "idle"]
    assert client.value("list(seen)") == "[('open', {'hello': 1}), ('close', {'bye': 1})]"


def test_binary_buffers_both_ways(client: Client):
    open_echo(client, "binary")
    buffers = [b"", b"abc", bytes(range(256)) * 4096]
    sent = client.send("comm_msg", {"comm_id": "binary", "data": {}}, buffers=buffers)
    settle(client, sent)
    message = next(m for m in sent.iopub if m["msg_type"] == "comm_msg")
    assert message["metadata"]["kind"] == "echo"
    assert [bytes(b) for b in message["buffers"]] == [b[::-1] for b in buffers]


def test_kernel_opens_sends_and_closes(client: Client):
    code = """
import comm
mine = comm.create_comm(target_name="theirs", data={"a": 1}, metadata={"m": 2}, buffers=[b"raw"])
mine.send({"b": 2})
mine.close({"c": 3})
"""
    done = client.run(code)
    assert done.trace == ["busy", "execute_input", "comm_open", "comm_msg", "comm_close", "idle"]
    opened = done.one("comm_open")
    assert (opened["target_name"], opened["data"]) == ("theirs", {"a": 1})
    message = next(m for m in done.iopub if m["msg_type"] == "comm_open")
    assert message["metadata"]["m"] == 2
    assert [bytes(b) for b in message["buffers"]] == [b"raw"]
    assert done.one("comm_msg")["data"] == {"b": 2}
    assert done.one("comm_close")["data"] == {"c": 3}
    assert {opened["comm_id"]} == {c["comm_id"] for c in done.all("comm_msg")}


def test_numpy_buffers(client: Client):
    code = """
import comm, numpy
comm.create_comm(target_name="array", buffers=[numpy.arange(5, dtype="<i4"), memoryview(b"view")])
"""
    done = client.run(code)
    message = next(m for m in done.iopub if m["msg_type"] == "comm_open")
    integers, view = [bytes(b) for b in message["buffers"]]
    assert integers == b"".join(i.to_bytes(4, "little") for i in range(5))
    assert view == b"view"


def test_kernel_side_callbacks(client: Client):
    done = client.run(
        "import comm\nheard = []\nmine = comm.create_comm(target_name='t')\n"
        "mine.on_msg(lambda m: heard.append(m['content']['data']))\n"
        "mine.on_close(lambda m: heard.append('closed'))"
    )
    comm_id = done.one("comm_open")["comm_id"]
    settle(client, client.send("comm_msg", {"comm_id": comm_id, "data": {"x": 1}}))
    settle(client, client.send("comm_close", {"comm_id": comm_id, "data": {}}))
    assert client.value("heard") == "[{'x': 1}, 'closed']"


def test_output_of_a_callback_belongs_to_the_message(client: Client):
    client.run(TARGET.replace("    data, buffers =", '    print("called")\n    data, buffers ='))
    client.send("comm_open", {"comm_id": "printing", "target_name": "echo", "data": {}})
    sent = settle(client, client.send("comm_msg", {"comm_id": "printing", "data": {}}))
    assert sent.text() == "called\n"


def test_error_in_a_callback_does_no_harm(client: Client):
    client.run("import comm\nbad = comm.create_comm(target_name='t')\nbad.on_msg(lambda m: 1 / 0)")
    comm_id = client.value("bad.comm_id").strip("'")
    sent = settle(client, client.send("comm_msg", {"comm_id": comm_id, "data": {}}))
    assert sent.trace[-1] == "idle"
    assert client.run("1 + 1").result == "2"


def test_unknown_target_is_closed_again(client: Client):
    content = {"comm_id": "lost", "target_name": "nobody", "data": {}}
    opened = settle(client, client.send("comm_open", content))
    assert opened.one("comm_close")["comm_id"] == "lost"


def test_message_to_an_unknown_comm_does_no_harm(client: Client):
    settle(client, client.send("comm_msg", {"comm_id": "nowhere", "data": {}}))
    settle(client, client.send("comm_close", {"comm_id": "nowhere", "data": {}}))
    assert client.run("1 + 1").result == "2"


def test_comm_info(launch):
    client = launch().connect()
    assert client.request("comm_info_request").content == {"status": "ok", "comms": {}}
    open_echo(client, "listed")
    client.run("import comm; other = comm.create_comm(target_name='other')")
    everything = client.request("comm_info_request").content["comms"]
    assert everything["listed"] == {"target_name": "echo"}
    assert {c["target_name"] for c in everything.values()} == {"echo", "other"}
    echoes = client.request("comm_info_request", {"target_name": "echo"})
    assert echoes.content["comms"] == {"listed": {"target_name": "echo"}}
    assert echoes.trace == ["busy", "idle"]
