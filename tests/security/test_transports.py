"""The ways in: tcp, UNIX sockets, and CurveZMQ encryption over both."""

import socket
import subprocess
from pathlib import Path

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


# It holds the GIL, and no interrupt gets through to it.
STUCK = """
import ctypes, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print('ready')
ctypes.PyDLL(None).sleep(600)
"""


def sockets_in(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_socket()]


@pytest.mark.diaphane
@pytest.mark.parametrize("way", ["shutdown", "exit", "stuck", "no parent"])
def test_the_files_of_ipc_sockets_go_with_the_kernel(launch, way: str):
    """At each end that the kernel makes itself."""
    parent = subprocess.Popen(["sleep", "600"])
    # The client says that it is the parent itself, so that this comes behind it.
    under = ["env", f"JPY_PARENT_PID={parent.pid}"] if way == "no parent" else []
    kernel = launch(transport="ipc", under=under)
    client = kernel.connect()
    assert len(sockets_in(kernel.directory)) == 5
    if way == "stuck":
        cell = client.start(STUCK)
        client.until(lambda: cell.text(), "ready", cell)
    if way == "exit":
        client.execute("exit")
    elif way != "no parent":
        client.send("shutdown_request", {"restart": False}, "control")
    parent.kill()
    parent.wait()
    kernel.wait()
    assert sockets_in(kernel.directory) == []


@pytest.mark.diaphane
def test_a_successors_sockets_stay(launch):
    """A kernel that ends late leaves alone what another one has bound at the same paths."""
    kernel = launch(transport="ipc")
    client = kernel.connect()
    mine = sockets_in(kernel.directory)
    for path in mine:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    client.send("shutdown_request", {"restart": False}, "control")
    kernel.wait()
    assert sorted(sockets_in(kernel.directory)) == sorted(mine)


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
