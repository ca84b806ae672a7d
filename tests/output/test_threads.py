"""Whose output is it? Threads, tasks and pools belong to the cell that made them.

ipykernel gives most of it to the cell that happens to run.
"""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane

# Each cell starts something that prints only after a later cell has opened the gate.
THREAD = """
import threading
gate = threading.Event()
def work():
    gate.wait()
    print('from the first')
thread = threading.Thread(target=work); thread.start()
"""
POOL = """
import concurrent.futures, threading
gate = threading.Event()
pool = concurrent.futures.ThreadPoolExecutor(1)
def work():
    gate.wait()
    print('from the first')
thread = pool.submit(work)
thread.join = thread.result
"""
NESTED = """
import threading
gate = threading.Event()
def work():
    gate.wait()
    print('from the first')
def outer():
    inner = threading.Thread(target=work); inner.start(); inner.join()
thread = threading.Thread(target=outer); thread.start()
"""
TIMER = """
import threading
gate = threading.Event()
def work():
    gate.wait()
    print('from the first')
thread = threading.Timer(0, work); thread.start()
"""


@pytest.mark.parametrize(
    "code", [THREAD, POOL, NESTED, TIMER], ids=["thread", "pool", "nested", "timer"]
)
def test_threads(client: Client, code: str):
    first = client.run(code)
    second = client.run(
        "print('from the second')\ngate.set(); thread.join()\nprint('still the second')"
    )
    client.until(lambda: first.text(), "the text of the first cell", first)
    assert first.text() == "from the first\n"
    assert second.text() == "from the second\nstill the second\n"


def test_tasks(client: Client):
    first = client.run(
        "import asyncio\ngate = asyncio.Event()\n"
        "async def work():\n    await gate.wait()\n    print('from the first')\n"
        "task = asyncio.create_task(work())"
    )
    second = client.run(
        "print('from the second')\ngate.set()\nawait task\nprint('still the second')"
    )
    client.until(lambda: first.text(), "the text of the first cell", first)
    assert first.text() == "from the first\n"
    assert second.text() == "from the second\nstill the second\n"


def test_display_from_a_thread_of_an_earlier_cell(client: Client):
    first = client.run(THREAD.replace("print(", "display("))
    second = client.run("gate.set(); thread.join()")
    client.until(lambda: first.all("display_data"), "the display of the first cell", first)
    assert second.all("display_data") == []


def test_standard_error_of_a_thread(client: Client):
    """An exception in a thread is reported under the cell that started it."""
    first = client.run(
        "import threading\ngate = threading.Event()\n"
        "def work():\n    gate.wait()\n    1 / 0\n"
        "thread = threading.Thread(target=work); thread.start()"
    )
    second = client.run("gate.set(); thread.join()")
    client.until(lambda: "ZeroDivisionError" in first.text("stderr"), "the traceback", first)
    assert second.text("stderr") == ""


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


def test_a_thread_may_outlive_many_cells(client: Client):
    first = client.run(THREAD)
    for i in range(20):
        client.run(f"print({i})")
    client.run("gate.set(); thread.join()")
    client.until(lambda: first.text(), "the text of the first cell", first)
    assert first.text() == "from the first\n"
