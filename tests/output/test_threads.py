"""Whose output is it? A task's belongs to the cell that made it, a thread's to the cell that runs."""

import pytest

from support.client import Client

# Each cell starts something that prints when a later cell has opened the gate.
GATE = """
import threading
gate = threading.Event()
def work():
    gate.wait()
    print('from the first')
"""
STARTS = {
    "thread": "thread = threading.Thread(target=work); thread.start()",
    "pool": "import concurrent.futures\npool = concurrent.futures.ThreadPoolExecutor(1)\n"
    "thread = pool.submit(work)\nthread.join = thread.result",
    "nested": "def outer():\n    inner = threading.Thread(target=work); inner.start(); inner.join()\n"
    "thread = threading.Thread(target=outer); thread.start()",
    "timer": "thread = threading.Timer(0, work); thread.start()",
}
THREAD = GATE + STARTS["thread"]


@pytest.mark.parametrize("name", STARTS)
def test_a_thread_prints_under_the_cell_that_runs(client: Client, name: str):
    first = client.run(GATE + STARTS[name])
    second = client.run(
        "print('from the second')\ngate.set(); thread.join()\nprint('still the second')"
    )
    assert first.text() == ""
    assert second.text() == "from the second\nfrom the first\nstill the second\n"


def test_old_workers_print_for_the_cell_that_uses_them(client: Client):
    """Pools and listeners live long, and what they print is asked for by the cell that gives them work."""
    code = """
import concurrent.futures, logging, logging.handlers, queue, sys
pool = concurrent.futures.ThreadPoolExecutor(2)
_ = list(pool.map(print, ['one-a', 'one-b']))
log, records = logging.getLogger('listened'), queue.SimpleQueue()
log.addHandler(logging.handlers.QueueHandler(records))
listener = logging.handlers.QueueListener(records, logging.StreamHandler(sys.stdout))
listener.start()
"""
    first = client.run(code)
    second = client.run("_ = list(pool.map(print, ['two-a', 'two-b']))")
    third = client.run("log.warning('three'); listener.stop(); pool.shutdown()")
    assert sorted(first.text().split()) == ["one-a", "one-b"]
    assert sorted(second.text().split()) == ["two-a", "two-b"]
    assert third.text() == "three\n"


@pytest.mark.diaphane
def test_threads_of_a_subshell_follow_its_cells(client: Client):
    main = client.run("print('main')")
    subshell = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    header = {"subshell_id": subshell}
    first = client.run(THREAD, header=header)
    again = client.run("print('main again')")
    second = client.run("gate.set(); thread.join()", header=header)
    client.request("delete_subshell_request", {"subshell_id": subshell}, "control")
    assert (first.text(), second.text()) == ("", "from the first\n")
    assert (main.text(), again.text()) == ("main\n", "main again\n")


PINS = {
    "shell": "get_ipython().set_parent(parent)",
    "thread": "get_ipython().set_thread_parent(parent)",
    "kernel": "get_ipython().kernel.set_parent([], parent)",
    "header": "get_ipython().set_parent(parent['header'])",
    "stream": "sys.stdout.set_parent(parent)",
    "display": "get_ipython().display_pub.set_parent(parent)",
}


@pytest.mark.parametrize("name", PINS)
def test_output_of_a_thread_can_be_pinned(client: Client, name: str):
    pin = f"""
import sys, threading
parent = get_ipython().get_parent()
pinned, gate = threading.Event(), threading.Event()
def work():
    {PINS[name]}
    print('before')
    pinned.set()
    gate.wait()
    print('after'); display('shown')
    assert get_ipython().get_parent()['header']['msg_id'] == parent['header']['msg_id']
thread = threading.Thread(target=work); thread.start(); pinned.wait()
"""
    first = client.run(pin)
    second = client.run("print('second'); gate.set(); thread.join()")
    client.drain()
    assert first.text() == "before\nafter\n"
    assert len(first.all("display_data")) == 1
    assert second.trace == ["busy", "execute_input", "stdout", "idle"]


def test_a_pin_can_be_taken_back(client: Client):
    code = """
import threading
shell, parent = get_ipython(), get_ipython().get_parent()
pinned, gate = threading.Event(), threading.Event()
def work():
    token = shell.set_thread_parent(parent)
    pinned.set()
    gate.wait()
    print('first')
    shell.reset_thread_parent(token)
    print('second')
thread = threading.Thread(target=work); thread.start(); pinned.wait()
"""
    first = client.run(code)
    second = client.run("gate.set(); thread.join()")
    client.drain()
    assert (first.text(), second.text()) == ("first\n", "second\n")


@pytest.mark.diaphane
def test_tasks(client: Client):
    first = client.run(
        "import asyncio\ngate = asyncio.Event()\n"
        "async def work():\n    await gate.wait()\n    print('from the first')\n"
        "    await asyncio.to_thread(print, 'from its thread')\n"
        "task = asyncio.create_task(work())"
    )
    second = client.run(
        "print('from the second')\ngate.set()\nawait task\nprint('still the second')"
    )
    client.drain()
    assert first.text() == "from the first\nfrom its thread\n"
    assert second.text() == "from the second\nstill the second\n"


def test_display_from_a_thread_of_an_earlier_cell(client: Client):
    first = client.run(THREAD.replace("print(", "display("))
    second = client.run("gate.set(); thread.join()")
    assert (first.all("display_data"), len(second.all("display_data"))) == ([], 1)


def test_standard_error_of_a_thread(client: Client):
    """An exception in a thread is reported under the cell that runs."""
    client.run(
        "import threading\ngate = threading.Event()\n"
        "def work():\n    gate.wait()\n    1 / 0\n"
        "thread = threading.Thread(target=work); thread.start()"
    )
    second = client.run("gate.set(); thread.join()")
    assert "ZeroDivisionError" in second.text("stderr")


def test_many_threads_lose_nothing(client: Client):
    code = """
import threading
def work(n):
    for i in range(200): print(f'{n} {i}')
threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
for t in threads: t.start()
for t in threads: t.join()
"""
    lines = client.run(code).text().splitlines()
    for n in range(20):
        assert [x for x in lines if x.startswith(f"{n} ")] == [f"{n} {i}" for i in range(200)]
    assert len(lines) == 4000


def test_thread_started_by_native_code(client: Client):
    """A thread that Python did not start has no cell of its own: it speaks under the running one."""
    code = """
import ctypes
CALL = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
@CALL
def work(_):
    print('from a native thread')
    return 0
libc = ctypes.CDLL(None)
handle = ctypes.c_ulong()
libc.pthread_create(ctypes.byref(handle), None, work, None)
_ = libc.pthread_join(handle, None)
"""
    assert client.run(code).text() == "from a native thread\n"


def test_a_thread_that_prints_while_nothing_runs(client: Client):
    """It belongs to the cell that ran last."""
    client.run(THREAD)
    last = client.run("threading.Timer(0, gate.set).start()")
    client.until(lambda: last.text(), "the text of the thread", last)
    assert last.text() == "from the first\n"
    client.run("thread.join()")
