"""Interrupts of cells that wait in an `await`: nothing of the cell is left, as when `asyncio.run` is interrupted."""

import pytest

from support.client import Client
from support.process import Kernel

pytestmark = pytest.mark.diaphane

ENDLESS = """
import asyncio
ended = []
async def endless(name):
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)
        print('ended', name)
READY = lambda: print('ready', flush=True)
"""
WAITS = {
    "task group": "async with asyncio.TaskGroup() as group:\n"
    "    group.create_task(endless('a')); group.create_task(endless('b')); READY()",
    "body of a task group": "async with asyncio.TaskGroup() as group:\n"
    "    group.create_task(endless('a')); group.create_task(endless('b')); READY()\n"
    "    await asyncio.sleep(600)",
    "wait_for": "both = asyncio.gather(endless('a'), endless('b'))\nREADY()\n"
    "await asyncio.wait_for(both, 600)",
    "gather": "READY()\nawait asyncio.gather(endless('a'), endless('b'))",
    "shield": "tasks = [asyncio.create_task(endless(name)) for name in 'ab']\nREADY()\n"
    "await asyncio.shield(asyncio.wait(tasks))",
    "beside": "tasks = [asyncio.create_task(endless(name)) for name in 'ab']\nREADY()\n"
    "await asyncio.sleep(600)",
    "nested": "async def outer():\n    task = asyncio.create_task(endless('a'))\n"
    "    await endless('b')\nREADY()\nawait asyncio.create_task(outer())",
}
OBJECTS = {
    "queue": "queue = asyncio.Queue()\nREADY()\nawait queue.get()",
    "semaphore": "semaphore = asyncio.Semaphore(0)\nREADY()\nawait semaphore.acquire()",
    "lock": "lock = asyncio.Lock()\nawait lock.acquire()\nREADY()\nawait lock.acquire()",
    "event": "READY()\nawait asyncio.Event().wait()",
    "thread": "import threading\ngate = threading.Event()\nREADY()\nawait asyncio.to_thread(gate.wait)",
    "subprocess": "child = await asyncio.create_subprocess_exec('sleep', '600')\nREADY()\nawait child.wait()",
    "code": "await asyncio.sleep(0)\nREADY()\nwhile True: pass",
    "code of a task": "async def work():\n    READY()\n    while True: pass\n"
    "async with asyncio.TaskGroup() as group:\n    group.create_task(work()); group.create_task(endless('a'))",
}


@pytest.fixture
def interrupted(client: Client):
    """Run a cell up to its word, interrupt it; the cell, which has ended by that."""

    def run(code: str, word: str = "ready"):
        cell = client.start(code)
        client.until(lambda: word in cell.text(), word, cell)
        client.request("interrupt_request", {}, "control")
        done = client.finish(cell)
        assert done.content["status"] == "error"
        assert done.content["ename"] == "KeyboardInterrupt"
        assert done.trace.count("error") == 1
        return done

    client.run(ENDLESS)
    yield run
    assert (
        client.run(
            "import asyncio\n[t for t in asyncio.all_tasks() if 'endless' in repr(t)]"
        ).result
        == "[]"
    )


@pytest.mark.parametrize("name", WAITS)
def test_the_tasks_of_the_cell_end_with_it(client: Client, interrupted, name: str):
    done = interrupted(WAITS[name])
    assert sorted(done.text().split("\n")) == ["", "ended a", "ended b", "ready"]
    assert done.trace[-2:] == ["error", "idle"]
    assert client.value("sorted(ended)") == "['a', 'b']"


@pytest.mark.parametrize("name", OBJECTS)
def test_what_it_waits_for_is_left_whole(client: Client, interrupted, name: str):
    interrupted(OBJECTS[name])
    again = {
        "queue": "queue.put_nowait(1)\nawait queue.get(), queue._getters",
        "semaphore": "semaphore.release()\nawait semaphore.acquire(), len(semaphore._waiters or ())",
        "lock": "lock.release()\nawait lock.acquire(), len(lock._waiters or ())",
        "thread": "gate.set()\nawait asyncio.to_thread(int), 0",
        "subprocess": "await child.wait()",
    }
    client.run(again.get(name, "0"))


def test_tasks_of_earlier_cells_go_on(client: Client, interrupted):
    client.run("server = asyncio.create_task(endless('server'))")
    client.run(
        "async def makes():\n    made.append(asyncio.create_task(endless('made')))\nmade = []"
    )
    client.run(
        "asyncio.get_running_loop().call_later(0.01, lambda: asyncio.ensure_future(makes()))"
    )
    interrupted("while not made: await asyncio.sleep(0.01)\nREADY()\nawait asyncio.sleep(600)")
    assert client.value("server.done(), made[0].done(), ended") == "(False, False, [])"
    client.run("server.cancel(), made[0].cancel()\nawait asyncio.wait([server, *made]);")


def test_the_busy_task_of_an_earlier_cell_is_not_what_is_interrupted(client: Client, interrupted):
    client.run(
        "async def busy():\n    while working:\n        sum(range(10**4)); await asyncio.sleep(0)\n"
        "working = True\nwork = asyncio.create_task(busy())"
    )
    for _ in range(5):
        interrupted("READY()\nawait asyncio.sleep(600)")
    assert client.value("work.done()") == "False"
    client.run("working = False\nawait work")


def test_a_cell_that_goes_on_ends_by_the_second_interrupt(client: Client):
    code = """
import asyncio
async def stubborn():
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            print('no', flush=True)
print('ready', flush=True)
await stubborn()
"""
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    client.request("interrupt_request", {}, "control")
    client.until(lambda: "no" in cell.text(), "no", cell)
    client.request("interrupt_request", {}, "control")
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"
    assert client.run("1 + 1").result == "2"


def test_a_factory_of_tasks_is_for_the_users_own(client: Client, interrupted):
    client.run(
        "loop = asyncio.get_running_loop()\n"
        "loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))"
    )
    interrupted("task = asyncio.create_task(endless('a'))\nREADY()\nawait asyncio.sleep(600)")
    client.run("loop.set_task_factory(getattr(asyncio, 'eager_task_factory', None))")
    interrupted("READY()\nawait asyncio.sleep(600)")
    client.run("loop.set_task_factory(None)")
    assert client.value("task.cancelled()") == "True"


def test_hooks_know_how_the_cell_has_ended(client: Client, interrupted):
    client.run(
        "results = []\nhook = lambda result: results.append(result.error_in_exec)\n"
        "get_ipython().events.register('post_run_cell', hook)"
    )
    interrupted("READY()\nawait asyncio.sleep(600)")
    client.run("get_ipython().events.unregister('post_run_cell', hook)")
    assert client.value("results[1]") == "KeyboardInterrupt()"


@pytest.fixture
def trio(client: Client):
    client.run("%autoawait trio")
    yield
    client.run("%autoawait asyncio")


TRIO = {
    "sleep": "await trio.sleep(600)",
    "nursery": "async with trio.open_nursery() as nursery:\n"
    "    nursery.start_soon(forever); nursery.start_soon(forever)",
    "channel": "send, receive = trio.open_memory_channel(0)\nawait receive.receive()",
    "code": "while True: pass",
}


@pytest.mark.parametrize("name", TRIO)
def test_trio(client: Client, trio, name: str):
    client.run(
        "import trio\nended = []\nasync def forever():\n    try:\n        await trio.sleep(600)\n"
        "    finally:\n        ended.append(1)"
    )
    cell = client.start("await trio.sleep(0)\nprint('ready', flush=True)\n" + TRIO[name])
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    client.request("interrupt_request", {}, "control")
    done = client.finish(cell)
    assert done.content["status"] == "error"
    shown = str(done.content["traceback"]) + done.text("stderr")  # IPython prints groups there
    assert "KeyboardInterrupt" in shown
    assert "TrioInternalError" not in shown
    assert client.value("len(ended)") == ("2" if name == "nursery" else "0")


def test_trio_run(client: Client):
    """Trio takes SIGINT over where it finds Python's own handler, and gives it back."""
    code = "import trio\nasync def main():\n    print('ready', flush=True)\n    await trio.sleep(600)\ntrio.run(main)"
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    client.request("interrupt_request", {}, "control")
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"
    assert (
        client.run(
            "import signal\nsignal.getsignal(signal.SIGINT) is signal.default_int_handler"
        ).result
        == "True"
    )


@pytest.mark.parametrize(
    "left",
    [
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "signal.signal(signal.SIGINT, signal.SIG_DFL)",
        "signal.signal(signal.SIGINT, signal.default_int_handler)",
        "signal.signal(signal.SIGINT, lambda *_: print('not this one'))",
        "import _signal; _signal.signal(2, lambda *_: print('not this one'))",
        "import ctypes; ctypes.CDLL(None).signal(2, ctypes.c_void_p(1))",
        "import ctypes; ctypes.PyDLL(None).PyOS_setsig(2, ctypes.c_void_p(1))",
        "import faulthandler, sys; faulthandler.register(2, sys.__stderr__)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])",
        "asyncio.get_event_loop().add_signal_handler(signal.SIGINT, print, 'not this one')",
    ],
)
def test_each_cell_begins_with_the_handler_of_the_kernel(client: Client, kernel: Kernel, left: str):
    for code in ("time.sleep(600)", "await asyncio.sleep(600)"):
        done = client.run(f"import asyncio, signal, time\n{left};")
        client.request("interrupt_request", {}, "control")
        cell = client.start(f"print('ready', flush=True)\n{code}")
        client.until(lambda cell=cell: "ready" in cell.text(), "ready", cell)
        client.request("interrupt_request", {}, "control")
        assert client.finish(cell).content["ename"] == "KeyboardInterrupt"
        assert "not this one" not in done.text() + cell.text()
    assert client.run("1 + 1").result == "2"


@pytest.mark.parametrize(
    "wait", ["while not hits: time.sleep(0.01)", "while not hits: await asyncio.sleep(0.01)"]
)
def test_a_handler_that_a_cell_sets_counts_in_that_cell(client: Client, wait: str):
    code = f"""
import asyncio, signal, time
hits = []
old = signal.signal(signal.SIGINT, lambda *_: hits.append(1))
print('ready', flush=True)
{wait}
"""
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    client.request("interrupt_request", {}, "control")
    assert client.finish(cell).content["status"] == "ok"
    assert client.value("hits") == "[1]"


@pytest.mark.parametrize(
    "setting",
    [
        "signal.signal(2, lambda *_: hits.append(1))",
        "_signal.signal(2, lambda *_: hits.append(1))",
        "ctypes.PyDLL(None).PyOS_setsig(2, ctypes.c_void_p(1)); hits.append(1)",
        "faulthandler.register(2, tempfile.TemporaryFile()); hits.append(1)",
    ],
)
def test_whoever_sets_a_handler_it_counts_in_that_cell(client: Client, setting: str):
    imports = "import _signal, ctypes, faulthandler, signal, tempfile"
    code = f"{imports}\nhits = []\n{setting}\nsignal.raise_signal(2)\nhits"
    # In a second cell as in the first, whatever the setter believes to have installed.
    for _ in range(2):
        assert client.run(code).result == "[1]"
        done = client.execute("signal.raise_signal(2)")
        assert done.content["ename"] == "KeyboardInterrupt"
        assert client.value("hits") == "[1]"


def test_what_ignores_its_cancellation_is_left(client: Client):
    """As `asyncio.run` leaves it: not by the first interrupt, but by one of the next."""
    client.run("import asyncio\nstop = False")
    cell = client.start(
        "async def ignore():\n    while not stop:\n        try: await asyncio.sleep(600)\n"
        "        except asyncio.CancelledError: print('no', flush=True)\n"
        "print('ready', flush=True)\nawait asyncio.gather(ignore(), ignore())"
    )
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    for asked in range(1, 4):
        client.request("interrupt_request", {}, "control")
        client.until(
            lambda asked=asked: cell.text().count("no") >= min(2 * asked, 4), "it is told", cell
        )
    done = client.finish(cell)
    assert done.content["ename"] == "KeyboardInterrupt"
    client.run(
        "stop = True\n[task.cancel() for task in asyncio.all_tasks() if 'ignore' in repr(task)]"
    )
    assert client.run("await asyncio.sleep(0)\n7").result == "7"
