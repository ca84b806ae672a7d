"""Much output: complete, in order, and with bounded memory."""

import pytest
import zmq

from support.client import Client, address
from support.patience import wait_until


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
    """10,000 cells cost little more than their history; the first thousand warm the caches up."""

    def cells(count: int) -> int:
        for _ in range(count // 100):
            batch = [client.start("pass") for _ in range(100)]
            for exchange in batch:
                client.finish(exchange)
            client.exchanges.clear()
            client.record.clear()
        return kernel.rss

    before = cells(1000)
    assert cells(10_000) - before < 40e6


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


@pytest.mark.slow
@pytest.mark.diaphane
def test_a_front_end_that_does_not_read_bounds_memory_and_stops_nobody(client: Client, kernel):
    """The others get everything, and what is kept for the sleeper has a bound."""
    sleeper = client.context.socket(zmq.SUB)
    sleeper.linger, sleeper.rcvhwm = 0, 1
    sleeper.subscribe(b"")
    sleeper.connect(address(client.info, "iopub"))
    try:
        client.until(lambda: sleeper.poll(0), "the sleeper is welcomed")
        client.run("pass")
        before = kernel.rss
        done = client.run("for i in range(3000): print('x' * 99_999)")
        assert len(done.text()) == 300_000_000
        peak = next(x for x in kernel.proc("status").splitlines() if x.startswith("VmHWM"))
        assert int(peak.split()[1]) * 1024 - before < 200_000_000
    finally:
        sleeper.close()
