"""Interrupts that CPython notes right before it waits in a system call, which it would look at only after the call."""

import signal

import pytest

from support.client import Client
from support.process import Kernel

pytestmark = pytest.mark.diaphane

# `deque`, `map` and `operator.call` are C: between two calls, nobody looks whether a signal came. `pause` ends when it
# comes, with the GIL all the time, so whatever stands behind it begins with an interrupt that is noted and not handled.
RACE = """
import collections, ctypes, functools, operator, os, select, signal, threading, time
gil, libc = ctypes.PyDLL(None), ctypes.CDLL(None)
results = collections.deque()
def interrupted_before(*calls):
    results.clear()
    print("ready", flush=True)
    results.extend(map(operator.call, [gil.pause, *calls]))
call = functools.partial
# It does not begin again what a signal has ended: 0 where none came, else -1.
sleep = call(libc.nanosleep, (ctypes.c_long * 2)(1, 0), None)
lock = threading.Lock(); lock.acquire()
r, w = os.pipe()
poll = select.poll(); poll.register(r, select.POLLIN)
epoll = select.epoll(); epoll.register(r, select.EPOLLIN)
"""
CALLS = {
    "sleep": "call(time.sleep, 600)",
    "read": "call(os.read, r, 1)",
    "select": "call(select.select, [r], [], [])",
    "poll": "poll.poll",
    "epoll": "epoll.poll",
    "lock": "lock.acquire",
    "lock with a timeout": "call(lock.acquire, timeout=600)",
    "wait for a signal": "signal.pause",
}


def race(client: Client, kernel: Kernel, code: str, interrupt=None):
    """Run a cell, and interrupt it where it waits in `pause`."""
    client.run(RACE)
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    kernel.wait_until_it_waits()
    (interrupt or kernel.interrupt)()
    return client.finish(cell)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("way", ["message", "signal"])
def test_an_interrupt_right_before_a_call_that_waits(
    client: Client, kernel: Kernel, way: str, name: str
):
    def by_message():
        client.request("interrupt_request", {}, "control")

    code = f"interrupted_before({CALLS[name]})"
    done = race(client, kernel, code, by_message if way == "message" else None)
    assert done.content["ename"] == "KeyboardInterrupt"
    assert client.run("1 + 1").result == "2"


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("module", ["signal", "_signal"])
def test_another_signal_right_before_a_call_that_waits(
    client: Client, kernel: Kernel, module: str, name: str
):
    code = f"import {module}\ndef ring(*_): raise TimeoutError('rings')\n"
    code += f"{module}.signal(signal.SIGALRM, ring)\ninterrupted_before({CALLS[name]})"
    done = race(client, kernel, code, lambda: kernel.process.send_signal(signal.SIGALRM))
    assert done.content["ename"] == "TimeoutError"
    assert client.run("sleep()").result == "0"


@pytest.mark.parametrize(
    "magic", ["%%native_calls", "%%native_calls --deep", "%%native_prof", "%%syscalls"]
)
def test_below_a_recording(client: Client, kernel: Kernel, magic: str):
    done = race(client, kernel, f"{magic}\ninterrupted_before(call(time.sleep, 600))")
    assert done.content["ename"] == "KeyboardInterrupt"
    assert client.run("1 + 1").result == "2"


def test_c_code_that_begins_its_call_again_gets_to_its_end(client: Client, kernel: Kernel):
    """Whoever ends calls for ever lets no such code end."""
    done = race(client, kernel, "interrupted_before(*[libc.pause] * 4, sleep)")
    assert done.content["ename"] == "KeyboardInterrupt"
    assert client.value("list(results)") == "[-1, -1, -1, -1, -1, 0]"


def test_no_call_is_ended_when_the_interrupt_was_handled(client: Client, kernel: Kernel):
    code = "try: interrupted_before()\nexcept KeyboardInterrupt: print(sleep())"
    assert race(client, kernel, code).text().split() == ["ready", "0"]


def test_no_call_of_the_users_own_handler_is_ended(client: Client, kernel: Kernel):
    code = "ended = []\nsignal.signal(signal.SIGINT, lambda *_: ended.append(sleep()))\n"
    code += "interrupted_before()\nended, sleep()"
    assert race(client, kernel, code).result == "([0], 0)"


def test_an_interrupt_of_an_idle_kernel_ends_no_call_of_a_later_cell(
    client: Client, kernel: Kernel
):
    client.run(RACE)
    for _ in range(5):
        kernel.interrupt()
    client.request("interrupt_request", {}, "control")
    assert client.run("sleep()").result == "0"


@pytest.mark.parametrize(("restarts", "read"), [(False, 1), (True, -1)])
def test_a_call_that_sigint_does_not_end_goes_on(
    client: Client, kernel: Kernel, restarts: bool, read: int
):
    """`SA_RESTART` is what the user has asked for."""
    code = f"signal.siginterrupt(signal.SIGINT, {restarts})\n"
    code += "threading.Timer(2, os.write, (w, b'x')).start()\n"
    code += "interrupted_before(call(libc.read, r, ctypes.create_string_buffer(1), 1))"
    assert race(client, kernel, code).content["ename"] == "KeyboardInterrupt"
    assert client.value("list(results)") == f"[-1, {read}]"


def test_who_blocks_all_signals_gets_none(client: Client, kernel: Kernel):
    """Not even one that waits for somebody who takes signals by `sigwait`."""
    code = "status, every = os.open('/proc/self/status', os.O_RDONLY), (ctypes.c_ulong * 16)(*[2**64 - 1] * 16)\n"
    code += "block = call(libc.pthread_sigmask, signal.SIG_SETMASK, every, None)\n"
    code += "try: interrupted_before(block, sleep, call(os.read, status, 9999))\n"
    code += "finally: signal.pthread_sigmask(signal.SIG_SETMASK, [])"
    done = race(client, kernel, code)
    assert done.content["ename"] == "KeyboardInterrupt"
    client.run("*rest, status = results")
    assert client.value("rest") == "[-1, 0, 0]"
    pending = "{line.split()[1] for line in status.decode().splitlines() if 'Pnd' in line}"
    assert client.value(pending) == "{'0000000000000000'}"


TAKEN = """
every = range(signal.SIGRTMIN, signal.SIGRTMAX + 1)
hits = []
def mine(number, _): hits.append(number)
def caught():
    [mask] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("SigCgt")]
    return {number for number in every if int(mask, 16) >> number - 1 & 1}
"""


def test_a_signal_that_the_user_takes_is_the_users(launch):
    kernel = launch()
    client = kernel.connect()
    client.run(RACE + TAKEN)
    assert client.value("caught()") == "set()"
    for step in [1, 2, 3]:
        done = race(client, kernel, "interrupted_before(call(time.sleep, 600))")
        assert done.content["ename"] == "KeyboardInterrupt"
        assert client.value("len(caught()), hits") == f"({step}, [])"
        client.run("for number in caught(): signal.signal(number, mine)")
    client.run("for number in every: signal.signal(number, mine)")
    done = race(client, kernel, "interrupted_before(sleep)")
    assert done.content["ename"] == "KeyboardInterrupt"
    assert client.value("list(results), hits") == "([-1, 0], [])"


def test_a_forked_child_writes_to_none_of_its_files(client: Client):
    """It has none of ours, and other files may have their numbers."""
    client.run(RACE)
    code = "pid = os.fork()\nif not pid:\n    signal.signal(signal.SIGINT, lambda *_: None)\n"
    code += "    os.closerange(3, 300)\n    files = [os.memfd_create('one') for _ in range(99)]\n"
    code += "    signal.raise_signal(signal.SIGINT)\n"
    code += "    os._exit(sum(os.fstat(file).st_size for file in files))\n"
    assert client.run(code + "os.waitpid(pid, 0)[1]").result == "0"
