"""asyncio in cells: top-level await, and tasks that go on between cells."""

from support.client import Client
from support.text import plain


def test_top_level_await(client: Client):
    assert client.run("import asyncio\nawait asyncio.sleep(0, 'slept')").result == "'slept'"


def test_async_for_and_with(client: Client):
    code = """
import contextlib
async def numbers():
    for i in range(3): yield i
@contextlib.asynccontextmanager
async def place():
    print('in'); yield 'here'; print('out')
async for i in numbers(): print(i)
async with place() as p: print(p)
[i async for i in numbers()]
"""
    done = client.run(code)
    assert done.text() == "0\n1\n2\nin\nhere\nout\n"
    assert done.result == "[0, 1, 2]"


def test_tasks_go_on_between_cells(client: Client):
    """While no cell runs the loop does: the task finishes without anybody awaiting it."""
    first = client.run(
        "import asyncio\n"
        "async def later():\n    for i in range(3):\n        await asyncio.sleep(0.01); print(i)\n"
        "task = asyncio.create_task(later())"
    )
    client.until(lambda: first.text() == "0\n1\n2\n", "the task between the cells", first)
    assert client.value("task.done()") == "True"


def test_create_task_in_a_cell_without_await(client: Client):
    assert client.run("import asyncio\nt = asyncio.create_task(asyncio.sleep(0, 5))").content
    assert client.run("await t").result == "5"


def test_the_loop_is_running_and_stays_the_same(client: Client):
    client.run("import asyncio\nloop = asyncio.get_running_loop()")
    assert client.run("asyncio.get_running_loop() is loop and loop.is_running()").result == "True"
    assert client.run("await asyncio.sleep(0)\nasyncio.get_running_loop() is loop").result == "True"


def test_asyncio_run_says_why_not(client: Client):
    code = (
        "import asyncio, warnings\nwarnings.simplefilter('ignore')\nasyncio.run(asyncio.sleep(0))"
    )
    done = client.execute(code)
    assert done.content["ename"] == "RuntimeError"
    expected = "asyncio.run() cannot be called from a running event loop"
    assert done.content["evalue"] == expected


def test_error_in_an_awaited_coroutine(client: Client):
    done = client.execute("async def bad():\n    raise KeyError('k')\nawait bad()")
    assert done.trace == ["busy", "execute_input", "error", "idle"]
    assert done.content["ename"] == "KeyError"
    assert "await bad()" in plain("\n".join(done.content["traceback"]))


def test_error_in_a_task_is_reported_not_lost(client: Client):
    first = client.run(
        "import asyncio, gc\nasync def bad(): 1 / 0\ntask = asyncio.create_task(bad())\n"
        "await asyncio.sleep(0)\nawait asyncio.sleep(0)\ndel task; gc.collect();"
    )
    client.until(
        lambda: "ZeroDivisionError" in first.text("stderr"), "the report of the loop", first
    )


def test_cells_wait_for_an_awaiting_cell(client: Client):
    first = client.start("import asyncio\nawait asyncio.sleep(0.05)\nprint('first')")
    second = client.start("print('second')")
    client.finish(first)
    client.finish(second)
    texts = [m["content"]["text"] for m in client.record if m["msg_type"] == "stream"]
    assert texts == ["first\n", "second\n"]


def test_autoawait_off_and_on(client: Client):
    client.run("%autoawait False")
    assert (
        client.execute("import asyncio\nawait asyncio.sleep(0)").content["ename"] == "SyntaxError"
    )
    client.run("%autoawait True")
    assert client.run("await asyncio.sleep(0, 1)").result == "1"


def test_context_variables_are_kept_between_cells(client: Client):
    client.run("import contextvars\nvar = contextvars.ContextVar('v')\ntoken = var.set('kept')")
    assert client.run("var.get()").result == "'kept'"


def test_queues_between_cells(client: Client):
    client.run(
        "import asyncio\nq = asyncio.Queue()\n"
        "async def worker():\n    while True: print('got', await q.get()); q.task_done()\n"
        "w = asyncio.create_task(worker())"
    )
    client.run("q.put_nowait(1)\nawait q.join()\nw.cancel();")
    assert any(m["content"].get("text") == "got 1\n" for m in client.record)


def test_threads_may_call_into_the_loop(client: Client):
    code = """
import asyncio
loop = asyncio.get_running_loop()
def work(): return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 'done'), loop).result(10)
await asyncio.to_thread(work)
"""
    assert client.run(code).result == "'done'"
