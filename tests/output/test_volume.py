"""Much output: complete, in order, and with bounded memory."""

import json
from pathlib import Path

import pytest
import zmq
from jupyter_client.session import DELIM

from support.client import Client, address
from support.patience import PATIENCE, wait_until


def test_many_prints(client: Client):
    done = client.run("for i in range(100000): print(i)\nNone")
    assert done.text() == "".join(f"{i}\n" for i in range(100000))


def test_many_flushed_prints(client: Client):
    done = client.run("for i in range(5000): print(i, flush=True)\nNone")
    assert done.text() == "".join(f"{i}\n" for i in range(5000))


@pytest.mark.slow
def test_fifty_megabytes_in_one_print(client: Client):
    done = client.run("print(('0123456789' * 10 + '\\n') * 500_000, end='')")
    assert done.text() == ("0123456789" * 10 + "\n") * 500_000


@pytest.mark.slow
@pytest.mark.diaphane
def test_fifty_megabytes_by_the_descriptor(client: Client):
    code = "import os\nline = b'0123456789' * 100 + b'\\n'\nfor i in range(50_000): os.write(1, line)\nNone"
    assert client.run(code).text() == ("0123456789" * 100 + "\n") * 50_000


def test_many_displays(client: Client):
    done = client.run("for i in range(5000): display(i)")
    assert [c["data"]["text/plain"] for c in done.all("display_data")] == [
        str(i) for i in range(5000)
    ]


@pytest.mark.slow
def test_cells_leave_memory_flat(client: Client, kernel):
    """10,000 cells cost little more than their history; the first thousand warm the caches up.

    What is kept for every cell grows in both halves, what a busy machine piles up once does not.
    """

    def cells(count: int) -> int:
        for _ in range(count // 100):
            batch = [client.start("pass") for _ in range(100)]
            for exchange in batch:
                client.finish(exchange)
            client.exchanges.clear()
            client.record.clear()
        return kernel.rss

    before, half, whole = cells(1000), cells(5000), cells(5000)
    assert min(half - before, whole - half) < 20e6


@pytest.mark.slow
@pytest.mark.diaphane
def test_output_leaves_memory_flat(client: Client, kernel):
    client.run("print('x' * 50_000_000)")
    before = kernel.rss
    for _ in range(5):
        client.run("print('x' * 50_000_000)")
        client.exchanges.clear()
        client.record.clear()
    wait_until(lambda: kernel.rss - before < 60e6, "the memory of the output is free again")


def sleeps(client: Client) -> zmq.Socket:
    """A subscriber that reads nothing until it is told to."""
    socket = client.context.socket(zmq.SUB)
    socket.linger, socket.rcvhwm = 0, 1
    socket.subscribe(b"")
    socket.connect(address(client.info, "iopub"))
    client.until(lambda: socket.poll(0), "the sleeper is welcomed")
    return socket


@pytest.fixture
def sleeper(client: Client):
    socket = sleeps(client)
    yield socket
    socket.close()


def begin_peak(kernel) -> int:
    """Forget what was before; the resident memory now, in bytes."""
    Path(f"/proc/{kernel.pid}/clear_refs").write_text("5")
    return kernel.rss


def peak(kernel) -> int:
    """The most resident memory since then, in bytes."""
    line = next(x for x in kernel.proc("status").splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.diaphane
def test_a_front_end_that_does_not_read_bounds_memory_and_stops_nobody(
    client: Client, kernel, sleeper: zmq.Socket
):
    """The others get everything, and what is kept for the sleeper has a bound."""
    client.run("pass")
    before = begin_peak(kernel)
    done = client.run("for i in range(3000): print('x' * 99_999)")
    assert len(done.text()) == 300_000_000
    # As much for whoever reads as for the sleeper, where the machine is slow; all of the text is more.
    assert peak(kernel) - before < 280_000_000


@pytest.mark.slow
@pytest.mark.diaphane
def test_the_bound_is_one_of_bytes(launch):
    """However large the messages are. The sleeper is let go, and welcomed again when it comes back."""
    kernel = launch()
    client = kernel.connect()
    sleeper = sleeps(client)
    client.run("from IPython.display import display\npass")
    before = begin_peak(kernel)
    code = "for i in range(300): display({'text/plain': str(i) + 'x' * 2_000_000}, raw=True)"
    shown = client.run(code).all("display_data")
    assert [one["data"]["text/plain"].partition("x")[0] for one in shown] == [*map(str, range(300))]
    assert peak(kernel) - before < 250e6
    client.exchanges.clear()
    client.record.clear()
    wait_until(lambda: kernel.rss - before < 40e6, "the memory is given back")
    assert "let go" in kernel.log

    def is_back() -> bool:
        client.run("print('heard')")
        return any(b'"heard' in b"".join(sleeper.recv_multipart()) for _ in range(sleeper.poll(50)))

    wait_until(is_back, "the sleeper has come back")


@pytest.mark.slow
@pytest.mark.diaphane
def test_one_who_reads_late_loses_nothing_that_fits(client: Client, sleeper: zmq.Socket):
    """However many the messages are."""
    client.run("for i in range(20_000): display(i)")
    heard = []
    while len(heard) < 20_000:
        assert sleeper.poll(PATIENCE * 1000), f"nothing comes behind {len(heard)} displays"
        *_, content = sleeper.recv_multipart()
        if b'"data"' in content:
            heard.append(json.loads(content)["data"]["text/plain"])
    assert heard == [*map(str, range(20_000))]


@pytest.mark.slow
@pytest.mark.diaphane
def test_the_memory_of_large_and_of_deep_requests_is_given_back(launch):
    """But for what malloc keeps at the end of an arena, which is 64 MiB at the most: those of two threads are used."""
    kernel = launch()
    client = kernel.connect()
    client.run("pass")
    before = kernel.rss
    for size in range(10_000_000, 31_000_000, 4_000_000):
        text = "x" * size
        client.send("comm_msg", {"comm_id": "none", "data": text})
        client.send("comm_msg", {"comm_id": "none"}, buffers=[text.encode()] * 4)
        client.request("execute_request", {"code": "1", "unknown": text})
        deep = b'{"code": "1", "x": ' + b"[" * size + b"]" * size + b"}"
        send_raw(client, deep)
    client.run("pass")
    client.exchanges.clear()
    client.record.clear()
    wait_until(lambda: kernel.rss - before < 140e6, "the memory is given back")


def send_raw(client: Client, content: bytes) -> None:
    """Sends a request whose content is these bytes."""
    header = client.session.msg("execute_request")["header"]
    frames = [json.dumps(header, default=str).encode(), b"{}", b"{}", content]
    client.sockets["shell"].send_multipart([DELIM, client.session.sign(frames), *frames])
