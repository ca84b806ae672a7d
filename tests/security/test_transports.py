"""The ways in: tcp, UNIX sockets, and CurveZMQ encryption over both."""

import pytest
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from zmq.utils.monitor import recv_monitor_message

from support import process
from support.client import address


@pytest.mark.parametrize("encryption", ["disabled", "required"])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_everything_works(launch, transport: str, encryption: str):
    kernel = launch(transport=transport, encryption=encryption)
    assert ("curve_publickey" in kernel.info) is (encryption == "required")
    client = kernel.connect()
    done = client.run("print('over', flush=True); 6 * 7")
    assert (done.text(), done.result) == ("over\n", "42")
    cell = client.start("input('? ')", allow_stdin=True)
    client.answer(cell, "answered")
    assert client.finish(cell).result == "'answered'"
    assert client.beat(b"alive") == b"alive"
    client.request("interrupt_request", {}, "control")
    done = client.request("shutdown_request", {"restart": False}, "control")
    assert done.content["status"] == "ok"
    assert kernel.wait() == 0


def test_the_kernelspec_declares_encryption():
    spec = KernelSpecManager().get_kernel_spec(process.NAME)
    assert spec.metadata["supported_encryption"] == ["curve"]


@pytest.mark.parametrize("wrong", ["plain", "another key"])
@pytest.mark.parametrize("channel", ["shell", "control", "iopub", "stdin"])
def test_an_encrypted_kernel_answers_nobody_else(launch, channel: str, wrong: str):
    kernel = launch(encryption="required")
    client = kernel.connect()
    socket = client.context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
    socket.linger = 0
    monitor = socket.get_monitor_socket()
    if wrong == "another key":
        socket.curve_serverkey, _ = zmq.curve_keypair()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    if channel == "iopub":
        socket.subscribe(b"")
    socket.connect(address(kernel.info, channel))
    refused = handshake_failed(monitor)
    assert client.run("1 + 1").result == "2"
    assert not socket.poll(0)
    assert refused


def handshake_failed(monitor: zmq.Socket) -> bool:
    """Wait until the connection is up, or has been dropped without getting there."""
    while monitor.poll(10_000):
        event = recv_monitor_message(monitor)["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return False
        if event == zmq.EVENT_DISCONNECTED or event & zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return True
        if event & (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH):
            return True
    raise AssertionError("neither connected nor refused")


def test_the_sockets_of_ipc_are_in_the_place_named(launch):
    kernel = launch(transport="ipc")
    kernel.connect().run("pass")
    for channel in ("shell", "control", "stdin", "iopub", "hb"):
        path = address(kernel.info, channel).removeprefix("ipc://")
        assert kernel.directory.joinpath(path).is_socket()


@pytest.mark.diaphane
def test_all_ports_are_on_the_loopback_only(launch):
    kernel = launch()
    kernel.connect().run("pass")
    listening = []
    for line in kernel.proc("net/tcp").splitlines()[1:]:
        fields = line.split()
        host, port = fields[1].split(":")
        if fields[3] == "0A" and int(port, 16) in [
            v for k, v in kernel.info.items() if "port" in k
        ]:
            listening.append(host)
    assert listening == ["0100007F"] * 5
