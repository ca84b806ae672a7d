"""A live kernel below hostile messages: it goes on answering, every busy has its idle, and its memory stays bounded."""

import gc
import os
import socket
from collections import Counter

import pytest
import zmq
from jupyter_client.session import DELIM, Session

from support.attack import times
from support.balance import Balance
from support.client import CHANNELS as KINDS
from support.client import address
from support.hostile_messages import CHANNELS, HostileMessages
from support.patience import wait_until
from support.process import Kernel

# So many are on their way before the kernel is asked whether it is still there.
BURST = 250
MB = 1 << 20


class Attacker:
    """Sockets of its own for what is hostile, beside a front end that is not; it reads its answers and forgets them."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.client = kernel.connect()
        self.client.run("import gc\nruns = 0")
        self.context = zmq.Context()
        self.sockets = {name: self.socket(name) for name in CHANNELS}
        key = kernel.info["key"]
        self.session = Session(key=key if isinstance(key, bytes) else key.encode())
        self.balance = Balance(kernel.info)
        # The subscription has arrived when something of another one's is heard.
        wait_until(self.is_heard, "the state is heard")
        self.balance.until_idle()

    def is_heard(self) -> bool:
        self.client.drain()
        self.balance.hear()
        return bool(self.balance.counts)

    def socket(self, name: str) -> zmq.Socket:
        socket = self.context.socket(KINDS[name])
        socket.linger = 0
        socket.set_hwm(0)
        socket.connect(address(self.kernel.info, name))
        return socket

    def send(self, channel: str, frames: list[bytes]) -> None:
        self.sockets[channel].send_multipart(frames, copy=len(frames) < 100)

    def settle(self) -> None:
        """Everything sent so far was read and answered."""
        for channel in ("shell", "control"):
            # Sent on the attacker's own sockets, behind the rest.
            asked = self.session.msg("kernel_info_request")
            self.send(channel, [DELIM, *self.session.serialize(asked)[1:]])
            wait_until(
                lambda channel=channel, asked=asked: self.answers(channel, asked),
                f"an answer on {channel}",
            )
        self.balance.until_idle()
        self.client.record.clear()
        self.client.strays.clear()

    def answers(self, channel: str, asked: dict) -> bool:
        """Whether the answer has come; other answers are dropped."""
        assert self.kernel.alive, self.kernel.log
        self.client.pump(0)
        self.balance.hear()
        own = f'"{asked["header"]["msg_id"]}"'.encode()
        for name, own_socket in self.sockets.items():
            while own_socket.poll(0):
                frames = own_socket.recv_multipart()
                if name == channel and own in frames[frames.index(DELIM) + 3]:
                    return True
        return False

    def memory(self) -> int:
        """Resident bytes, without what the user's history of outputs keeps."""
        self.client.run("%reset -f out", store_history=False)
        self.client.run("gc.collect()", silent=True)
        return self.kernel.rss

    def begin_all(self) -> None:
        """The debugger and the threads that ask and look, which the first request of their kind starts for good."""
        self.client.request("magic_request", {"name": "threads", "line": ""}, "control")
        content = {"type": "request", "command": "debugInfo", "seq": 1, "arguments": {}}
        self.client.request("debug_request", content, "control")
        self.client.send("monitor_request", {}, "control")
        begun = {"diaphane-askpy", "diaphane-debug", "diaphane-monit"}
        wait_until(lambda: begun <= set(self.kernel.threads.values()), "all have begun")

    def close(self) -> None:
        self.balance.close()
        self.context.destroy(linger=0)


@pytest.fixture
def attacker(launch):
    # The log has a line for each message that is dropped, unless it is asked for less.
    attacker = Attacker(launch(env={"DIAPHANE_LOG": "error"}))
    yield attacker
    attacker.close()
    gc.collect()


def still_well(attacker: Attacker) -> None:
    """The kernel answers, says idle for each busy, and found no fault in itself."""
    attacker.settle()
    assert attacker.balance.wrong == []
    assert attacker.client.run("1 + 1").result == "2"
    assert attacker.client.beat() == b"beat"
    assert "diaphane bug" not in attacker.kernel.log, attacker.kernel.log[-3000:]
    assert "panicked" not in attacker.kernel.log, attacker.kernel.log[-3000:]


def test_hostile_messages(attacker: Attacker, dice):
    """A million of them is `DIAPHANE_ATTACK=250`."""
    source = HostileMessages(attacker.session, dice)
    attacker.begin_all()
    # Both sides have their pools and caches after the first ones.
    kinds = attack(attacker, source, times(500))
    memory, files, threads = attacker.memory(), descriptors(attacker), attacker.kernel.threads
    kinds += attack(attacker, source, times(3500))
    print(dict(kinds.most_common(10)))
    grown = attacker.memory() - memory
    assert grown < 200 * MB, f"{grown >> 20} MB"
    wait_until(lambda: descriptors(attacker) <= files + 2, "the descriptors are given back")
    wait_until(lambda: attacker.kernel.threads.keys() <= threads.keys(), "the threads have ended")
    still_well(attacker)


def attack(attacker: Attacker, source: HostileMessages, count: int) -> Counter:
    """Send so many, in bursts; how many of each kind there were."""
    kinds: Counter = Counter()
    burst = []
    for number in range(1, count + 1):
        hostile = source.next()
        kinds[hostile.name.split(" with ")[0]] += 1
        attacker.send(hostile.channel, hostile.frames)
        burst.append(hostile)
        if number % BURST == 0 or number == count:
            try:
                attacker.settle()
            except (AssertionError, TimeoutError) as silent:
                busy = [one for one in burst if attacker.balance.busy.intersection(one.frames)]
                raise AssertionError(f"after {number} messages, busy are {busy}") from silent
            burst = []
    return kinds


def descriptors(attacker: Attacker) -> int:
    return len(os.listdir(f"/proc/{attacker.kernel.pid}/fd"))


def test_a_replayed_cell_runs_once(attacker: Attacker):
    content = {"code": "runs += 1", "silent": False, "store_history": False}
    message = attacker.session.msg("execute_request", content)
    frames = [DELIM, *attacker.session.serialize(message)[1:]]
    for _ in range(times(500)):
        attacker.send("shell", frames)
    still_well(attacker)
    assert attacker.client.value("runs") == "1"


GIANTS = {
    "an identity": lambda size: ([b"i" * size], {}, []),
    "thousands of identities": lambda size: ([b"i" * 200] * (size // 5000), {}, []),
    "a buffer": lambda size: ([], {}, [b"b" * size]),
    "thousands of buffers": lambda size: ([], {}, [b"b"] * (size // 5000)),
    "a field": lambda size: ([], {"unknown": "x" * size}, []),
    "a list": lambda size: ([], {"unknown": [1] * (size // 2)}, []),
    "a million keys": lambda size: ([], {"unknown": {str(n): n for n in range(size // 16)}}, []),
}


def test_giant_messages(attacker: Attacker):
    """What a giant took is given back when it is answered."""
    size = 16 * MB
    before = attacker.memory()
    for name, make in GIANTS.items():
        identities, fields, buffers = make(size)
        for kind in ("kernel_info_request", "execute_request", "comm_msg", "no_such_request"):
            content = {"code": "1", "comm_id": "none", "data": {}, **fields}
            message = attacker.session.msg(kind, content)
            frames = [DELIM, *attacker.session.serialize(message)[1:]]
            for _ in range(times(1)):
                attacker.send("shell", [*identities, *frames, *buffers])
                # The second time it is a replay.
                attacker.send("control", [*identities, *frames, *buffers])
                attacker.settle()
        grown = attacker.memory() - before
        # Arenas of several threads may keep their ends until all is idle.
        assert grown < 16 * size, f"{name}: {grown >> 20} MB are kept"
    still_well(attacker)
    attacker.memory()
    # The kernel gives back when nothing has come for a second; malloc may keep up to 64 MB at the end of each thread's arena.
    wait_until(
        lambda: attacker.kernel.rss - before < 8 * size, f"less than {8 * size >> 20} MB are kept"
    )


def test_connections_that_say_nothing(attacker: Attacker, dice):
    """Half-open connections, some with bytes that are no ZMTP, delay nobody and are given back."""
    files = descriptors(attacker)
    ports = [
        attacker.kernel.info[f"{name}_port"]
        for name in ("shell", "control", "stdin", "iopub", "hb")
    ]
    for _ in range(times(4)):
        opened = []
        for _ in range(100):
            one = socket.create_connection(("127.0.0.1", dice.choice(ports)))
            opened.append(one)
            if dice.random() < 0.5:
                one.sendall(dice.randbytes(dice.choice([1, 10, 64, 1000])))
        assert attacker.client.run("1 + 1").result == "2"
        for one in opened:
            one.close()
    wait_until(lambda: descriptors(attacker) <= files + 2, "the descriptors are given back")
    still_well(attacker)
