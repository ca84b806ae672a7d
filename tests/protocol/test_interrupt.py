"""Interrupts, by message and by SIGINT, of everything a cell may be waiting for."""

import signal

import pytest

from support.client import Client
from support.magic_cells import RECORDINGS, SPOT
from support.patience import wait_until
from support.process import Kernel, has_ended

READY = "print('ready', flush=True)\n"
CELLS = {
    "loop": READY + "while True: pass",
    "sleep": "import time\n" + READY + "time.sleep(600)",
    "subprocess": "import subprocess\n" + READY + "subprocess.run(['sleep', '600'])",
    "lock": "import threading\nlock = threading.Lock(); lock.acquire()\n"
    + READY
    + "lock.acquire()",
    "queue": "import queue\n" + READY + "queue.Queue().get()",
    "thread": (
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,), daemon=True)\n"
        "t.start()\n" + READY + "t.join()"
    ),
    "read": "import os\nr, w = os.pipe()\n" + READY + "os.read(r, 1)",
    "numpy": (
        "import numpy as np\nm = np.random.rand(50, 50)\n" + READY + "while True: np.linalg.svd(m)"
    ),
}


@pytest.fixture(params=["message", "signal"])
def interrupt(request, kernel: Kernel, client: Client):
    """Interrupt the kernel in one of the two ways."""

    def by_message():
        done = client.request("interrupt_request", {}, "control")
        assert done.content == {"status": "ok"}
        assert done.reply["msg_type"] == "interrupt_reply"
        assert done.trace == ["busy", "idle"]

    return by_message if request.param == "message" else kernel.interrupt


def ended_by_interrupt(client: Client, cell) -> None:
    done = client.finish(cell)
    assert done.content["status"] == "error"
    assert done.content["ename"] == "KeyboardInterrupt"
    assert done.trace[-2:] == ["error", "idle"]
    assert client.run("1 + 1").result == "2"


@pytest.mark.parametrize("name", CELLS)
def test_interrupt(client: Client, kernel: Kernel, interrupt, name: str):
    cell = client.start(CELLS[name])
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    if name not in ("loop", "numpy"):
        kernel.wait_until_it_waits()
    interrupt()
    ended_by_interrupt(client, cell)


def test_interrupt_of_a_shell_command(client: Client, kernel: Kernel, interrupt):
    """IPython hands the interrupt on to the command; its cell ends as after the command's end."""
    cell = client.start("!echo ready; sleep 600")
    # Before its first output IPython does not know the command yet, and could not hand anything on.
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    child = kernel.wait_for_child("sleep")
    interrupt()
    client.finish(cell)
    wait_until(lambda: has_ended(child), "the command ends")
    assert client.run("1 + 1").result == "2"


def test_interrupt_of_input(client: Client, interrupt):
    cell = client.start("input('? ')", allow_stdin=True)
    client.until(lambda: cell.stdin, "the question", cell)
    interrupt()
    ended_by_interrupt(client, cell)


def test_an_interrupted_question_leaves_nothing_for_the_next(client: Client, interrupt):
    cell = client.start("input('old? ')", allow_stdin=True)
    client.until(lambda: cell.stdin, "the question", cell)
    interrupt()
    client.finish(cell)
    again = client.start("input('new? ')", allow_stdin=True)
    assert client.answer(again, "new")["content"]["prompt"] == "new? "
    assert client.finish(again).result == "'new'"


@pytest.mark.diaphane
def test_interrupt_of_an_await(client: Client, interrupt):
    cell = client.start("import asyncio\n" + READY + "await asyncio.sleep(600)")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    interrupt()
    ended_by_interrupt(client, cell)


@pytest.mark.diaphane
def test_interrupt_within_a_coroutine_of_ones_own(client: Client, interrupt):
    code = """
import asyncio
async def wait():
    try:
        await asyncio.Event().wait()
    finally:
        print('cleaned up')
print('ready', flush=True)
await wait()
"""
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    interrupt()
    ended_by_interrupt(client, cell)
    assert "cleaned up" in cell.text()


def test_the_user_may_catch_it(client: Client, interrupt):
    code = f"try:\n    {READY}    while True: pass\nexcept KeyboardInterrupt:\n    print('caught')"
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    interrupt()
    assert client.finish(cell).content["status"] == "ok"
    assert "caught" in cell.text()


def test_interrupting_an_idle_kernel_does_no_harm(client: Client, interrupt):
    for _ in range(20):
        interrupt()
    assert client.run("1 + 1").result == "2"


@pytest.mark.diaphane
def test_an_interrupt_aborts_the_queue(client: Client, interrupt):
    cell = client.start(CELLS["loop"])
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    queued = client.start("'never'")
    client.request("kernel_info_request", {}, "control")
    interrupt()
    ended = client.finish(cell)
    assert ended.content["ename"] == "KeyboardInterrupt"
    assert client.finish(queued).content["status"] == "aborted"


def test_the_handler_of_the_user_is_respected(client: Client, kernel: Kernel):
    code = """
import signal, time
hits = []
old = signal.signal(signal.SIGUSR1, lambda *a: hits.append(a[0]))
print('ready', flush=True)
while not hits: time.sleep(0.01)
signal.signal(signal.SIGUSR1, old)
hits
"""
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    kernel.process.send_signal(signal.SIGUSR1)
    assert client.finish(cell).result == str([signal.SIGUSR1.value])


# Two threads besides the main one: one that Python knows, and one that it does not. That one waits for ever, and writes to
# its mutex at each signal, so nothing may be in that memory later.
OTHERS = """
import ctypes, os, threading, numpy
threads = lambda: set(map(int, os.listdir("/proc/self/task")))
one = threading.Thread(target=threading.Event().wait, daemon=True)
one.start()
before, libc = threads(), ctypes.CDLL(None)
libc.calloc.restype = ctypes.c_void_p
mutex = ctypes.c_void_p(libc.calloc(1, 64))
libc.pthread_mutex_lock(mutex)
libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pthread_mutex_lock, mutex)
[native] = threads() - before
"""


@pytest.mark.diaphane
@pytest.mark.parametrize("magic", ["", *RECORDINGS])
def test_an_interrupt_that_another_thread_gets(client: Client, kernel: Kernel, magic: str):
    """Linux gives it to any thread where the main one is about to handle another signal, as recordings send them."""
    client.run(f"{SPOT}\n{OTHERS}")
    for tid in map(int, client.value("f'{one.native_id} {native}'").strip("'").split()):
        for name in ["loop", "sleep", "lock"]:
            cell = client.start(f"{magic}\n{CELLS[name]}".lstrip())
            client.until(lambda cell=cell: "ready" in cell.text(), "ready", cell)
            if name != "loop":
                kernel.wait_until_it_waits()
            kernel.interrupt_thread(tid)
            client.finish(cell)
            assert cell.content["ename"] == "KeyboardInterrupt", (tid, name)
            assert client.run("1 + 1").result == "2"


IMPORTS = """
import _imp, importlib.util, random, signal, sys, threading, time
from importlib import _bootstrap
armed, going, caught, kept = False, True, 0, []
main = threading.get_ident()
def interrupt_once():
    global armed
    while going:
        if armed:
            armed = False
            time.sleep(random.random() / 2000)
            signal.pthread_kill(main, signal.SIGINT)
sys.setswitchinterval(1e-4)
one = threading.Thread(target=interrupt_once)
one.start()
while caught < 500:
    try:
        armed = True
        while True: importlib.util.find_spec("no_such_module")
    except KeyboardInterrupt:
        caught += 1
        if _imp.lock_held(): kept.append(caught)
going = False
one.join()
sys.setswitchinterval(0.005)
"""


@pytest.mark.diaphane
def test_an_interrupt_leaves_no_lock_of_the_import_behind(launch):
    """Another thread that imports, such as the debugger's, would wait for it for ever."""
    client = launch().connect()
    client.run(IMPORTS)
    assert client.value("caught, kept") == "(500, [])"
