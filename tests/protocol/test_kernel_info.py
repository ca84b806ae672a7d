"""Who the kernel says it is, on shell and on control, and where it listens."""

import pytest
import zmq

from support.client import Client


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info(client: Client, channel: str):
    info = client.request("kernel_info_request", {}, channel)
    assert info.trace == ["busy", "idle"]
    assert info.reply["channel"] == channel
    assert info.reply["msg_type"] == "kernel_info_reply"
    assert info.content["status"] == "ok"
    major, minor = map(int, info.content["protocol_version"].split("."))
    assert (major, minor) >= (5, 3)
    assert isinstance(info.content["supported_features"], list)


def test_language_info_is_that_of_the_running_python(client: Client):
    language = client.request("kernel_info_request").content["language_info"]
    version = client.value("__import__('platform').python_version()")
    assert repr(language.pop("version")) == version
    assert language == {
        "name": "python",
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }


def test_banner_and_links_help_the_reader(client: Client):
    content = client.request("kernel_info_request").content
    assert "Python" in content["banner"]
    for link in content["help_links"]:
        assert link["text"]
        assert link["url"].startswith("http")


@pytest.mark.diaphane
def test_implementation(client: Client):
    assert client.request("kernel_info_request").content["implementation"] == "diaphane"


def test_reply_echoes_the_header_of_the_request(client: Client):
    exchange = client.request("kernel_info_request", header={"subshell_note": "kept"})
    parent = exchange.reply["parent_header"]
    assert parent["msg_id"] == exchange.id
    assert parent["subshell_note"] == "kept"
    for message in [exchange.reply, *exchange.iopub]:
        assert message["parent_header"]["session"] == client.session.session
        assert message["header"]["session"] != client.session.session


def test_connect_request(client: Client, kernel):
    ports = client.request("connect_request").content
    info = kernel.info
    for name in ("shell", "iopub", "stdin", "hb", "control"):
        assert ports[f"{name}_port"] == info[f"{name}_port"]


@pytest.mark.diaphane
def test_every_subscriber_is_welcomed(kernel):
    """JEP 65: also the second and the one that comes later hears when it is subscribed."""
    for _ in range(3):
        strays = kernel.connect().strays
        welcome = next(m for m in strays if m["msg_type"] == "iopub_welcome")
        assert welcome["msg_type"] == "iopub_welcome"
        assert welcome["content"] == {"subscription": ""}
        assert welcome["parent_header"] == {}


def test_a_topic_subscriber_is_welcomed_by_its_topic(client: Client):
    socket = client.context.socket(zmq.SUB)
    socket.linger = 0
    socket.connect(client.sockets["iopub"].last_endpoint.decode())
    socket.subscribe(b"some-topic")
    assert socket.poll(10_000), "no welcome"
    identities, frames = client.session.feed_identities(socket.recv_multipart())
    socket.close()
    message = client.session.deserialize(frames)
    assert identities == [b"some-topic"]
    assert message["msg_type"] == "iopub_welcome"
    assert message["content"] == {"subscription": "some-topic"}


def test_heartbeat_echoes_any_bytes(client: Client):
    for payload in (b"", b"ping", bytes(range(256)) * 100):
        assert client.beat(payload) == payload
