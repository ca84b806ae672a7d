"""Storms of interrupts over many kinds of cells: each cell is answered, and nothing of a recording stays."""

import contextlib
import subprocess
import sys
import threading
import time

import pytest
import zmq
from jupyter_client.session import Session

from support.attack import Dice, times
from support.client import Client, address
from support.magic_cells import PREPARE, RECORDINGS, recorded
from support.patches import changed_code, hooked_slots
from support.patience import PATIENCE
from support.process import Kernel

CELLS = {
    "a loop": "for n in range(300_000): pass",
    "a sleep": "import time\ntime.sleep(0.3)",
    "a sleep in C": "import ctypes\nctypes.CDLL(None).usleep(300_000)",
    "a sleep with the GIL": "import ctypes\nctypes.PyDLL(None).usleep(100_000)",
    "await": "import asyncio\nawait asyncio.sleep(0.3)",
    "a task group": "import asyncio\nasync with asyncio.TaskGroup() as group:\n"
    "    for _ in range(9): group.create_task(asyncio.sleep(0.3))",
    "to_thread": "import asyncio, time\nawait asyncio.to_thread(time.sleep, 0.1)",
    "prints": "for n in range(3000): print(n)",
    "native prints": "import os\nfor n in range(300): os.write(1, b'x' * 100 + b'\\n')",
    "displays": "for n in range(100): display({'text/plain': str(n)}, raw=True)",
    "an error": "def deep(n): return 1 / 0 if not n else deep(n - 1)\ndeep(50)",
    "a program": "import subprocess\nsubprocess.run(['sleep', '0.2'])",
    "a shell": "!sleep 0.1; echo x",
    "threads": "import threading, time\n"
    "group = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(9)]\n"
    "for one in group: one.start()\n"
    "for one in group: one.join()",
    "an import": "import sys, importlib, decimal\nfor _ in range(20): importlib.reload(decimal)",
    "numpy": "import numpy as np\nfor _ in range(50): np.linalg.inv(np.random.rand(60, 60))",
    "finalisers": "class F:\n    def __del__(self): [n for n in range(99)]\nfor _ in range(3000): F()",
    "a generator": "def g():\n    try:\n        while True: yield\n    finally: sum(range(999))\n"
    "for _ in range(3000): next(g())",
    "a value with a slow repr": "import time\nclass R:\n    def __repr__(self): time.sleep(0.1); return 'r'\nR()",
    "a comm": "from comm import create_comm\nfor _ in range(50): create_comm('none').close()",
    "signals of its own": "import signal\nfor _ in range(99): signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "a fork": "import os\nfor _ in range(5):\n    pid = os.fork()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)",
    "%threads": "%threads --stack",
    "%addr_map": "%addr_map",
    "%loaded_libs": "%loaded_libs",
    **{magic: recorded(magic) for magic in RECORDINGS},
}


@pytest.mark.parametrize("rate", [10, 50, 100])
def test_storms(launch, dice: Dice, rate: int):
    """A thousand cells at each rate is `DIAPHANE_ATTACK=50`."""
    kernel = launch()
    client = kernel.connect()
    client.run(PREPARE)
    names = []
    for _ in range(times(20)):
        # No kind comes again before all others were there.
        names = names or dice.sample(list(CELLS), len(CELLS))
        name = names.pop()
        with storm(kernel, rate, dice):
            done = client.execute(CELLS[name], stop_on_error=False)
        said = done.content
        assert said["status"] in ("ok", "error"), (name, said)
        assert "diaphane bug" not in str(said), (name, said)
        assert done.trace[0] == "busy", (name, done.trace)
        assert done.trace.count("busy") == done.trace.count("idle") == 1, (name, done.trace)
        client.record.clear()
    well(kernel, client)


WAITS = {
    "sleep": "time.sleep(600)",
    "lock": "lock.acquire()",
    "read": "os.read(r, 1)",
    "await": "await asyncio.sleep(600)",
}
BEFORE = """
import asyncio, os, threading, time
lock = threading.Lock(); lock.acquire()
r, w = os.pipe()
def work(until):
    while time.perf_counter() < until: time.sleep(1e-5)
"""


def test_interrupts_about_when_a_call_begins_that_waits(launch, dice: Dice):
    """One right before it is noted and not seen; each ends its cell, also where others use all CPUs."""
    kernel = launch()
    client = kernel.connect()
    client.run(BEFORE)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        for _ in range(times(300)):
            # Most come while it goes in and out of short sleeps, or as the long one begins.
            name, pause = dice.choice(list(WAITS)), dice.random() / 500
            code = f"print('ready', flush=True)\nwork(time.perf_counter() + {pause})\n{WAITS[name]}"
            cell = client.start(code)
            client.until(lambda cell=cell: "ready" in cell.text(), "ready", cell)
            time.sleep(dice.random() / 500)
            kernel.interrupt()
            assert client.finish(cell).content["ename"] == "KeyboardInterrupt", name
            client.record.clear()
    well(kernel, client)


def well(kernel: Kernel, client: Client) -> None:
    """No interrupt is left for a cell that comes later, no task of an earlier one, and no hook."""
    # The last signal may have been sent when its cell had ended.
    client.execute("import asyncio")
    for _ in range(5):
        assert client.run("1 + 1").result == "2"
    client.run(
        "import asyncio\nleft = [str(one) for one in asyncio.all_tasks() if 'sleep' in str(one)]"
    )
    assert client.value("left") == "[]"
    assert changed_code(kernel, "") == []
    assert hooked_slots(kernel) == []


@contextlib.contextmanager
def storm(kernel: Kernel, rate: int, dice: Dice):
    """Interrupts at a rate while the body runs, by message or by signal; all messages are answered at the end."""
    over = threading.Event()
    wind = threading.Thread(target=blow, args=(kernel, rate, dice, over))
    wind.start()
    try:
        yield
    finally:
        over.set()
        wind.join()


def blow(kernel: Kernel, rate: int, dice: Dice, over: threading.Event) -> None:
    key = kernel.info["key"]
    session = Session(key=key if isinstance(key, bytes) else key.encode())
    with zmq.Context() as context, context.socket(zmq.DEALER) as control:
        control.linger = 0
        control.connect(address(kernel.info, "control"))
        asked = 0
        while not over.wait(1 / rate):
            if dice.random() < 0.5:
                kernel.interrupt()
            else:
                session.send(control, "interrupt_request", {})
                asked += 1
        for _ in range(asked):
            assert control.poll(1000 * PATIENCE), "an interrupt_request is not answered"
            control.recv_multipart()
