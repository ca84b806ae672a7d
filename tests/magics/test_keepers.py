"""Who keeps an array alive: every way that is no variable is named, in %buffer_addr --all, %%buffer_trace and %addr_map."""

from __future__ import annotations

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
ADDR = "application/vnd.diaphane.buffer_addr+json"
TRACE = "application/vnd.diaphane.buffer_trace+json"
MAP = "application/vnd.diaphane.addr_map+json"

KEEP = {
    "saved.__traceback__, frame of load, local big": """
def load():
    big = np.ones(SIZE)
    raise ValueError
try:
    load()
except ValueError as error:
    saved = error
""",
    "saved.__traceback__, frame of deep, local d['x'][1]": """
def deep():
    d = {'x': [1, np.ones(SIZE)]}
    raise ValueError
def outside():
    deep()
try:
    outside()
except ValueError as error:
    saved = error
""",
    "f, closure variable data": """
def outer():
    data = np.ones(SIZE)
    return lambda: data
f = outer()
""",
    "f.__defaults__[0]": "def f(x=np.ones(SIZE)): pass",
    "f.__kwdefaults__['x']": "def f(*, x=np.ones(SIZE)): pass",
    "f.note": "def f(): pass\nf.note = np.ones(SIZE)",
    "g, local held": """
def gen():
    held = np.ones(SIZE)
    yield 1
g = gen(); next(g)
""",
    "c, local held": """
async def coro():
    held = np.ones(SIZE)
    await asyncio.sleep(0)
import asyncio
c = coro(); c.send(None)
""",
    "f, its lru_cache": """
import functools
@functools.lru_cache
def f(n): return np.ones(n)
f(SIZE)
""",
    "f, its lru_cache[SIZE]": """
import functools
@functools.cache
def f(n): return np.ones(n)
f(SIZE)
""",
    "Model.weights": "class Model: weights = np.ones(SIZE)",
    "total.__self__": "total = np.ones(SIZE).sum",
    "ragged[1]": "ragged = np.array([None, np.ones(SIZE)], dtype=object)",
    "table.flat[3]['k']": """
table = np.empty((2, 2), object)
table[1, 1] = {'k': np.ones(SIZE)}
""",
    "p.args[0]": "import functools\np = functools.partial(print, np.ones(SIZE))",
    "thread holds, frame of work, local held": """
import threading
ready, go = threading.Event(), threading.Event()
def work():
    held = np.ones(SIZE)
    ready.set(); go.wait()
threading.Thread(target=work, name='holds', daemon=True).start(); ready.wait()
""",
}
# What a cell allocates on another thread is not seen by %%buffer_trace.
TRACED = [keeper for keeper in KEEP if not keeper.startswith("thread ")]


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("try: go.set()\nexcept NameError: pass")
    client.run("%reset -f")
    client.run("import sys, numpy as np\nsys.last_value = sys.last_exc = None")
    return client


def written(keeper: str, size: int) -> tuple[str, str]:
    return keeper.replace("SIZE", str(size)), KEEP[keeper].replace("SIZE", str(size))


@pytest.mark.parametrize("keeper", KEEP)
def test_all_names_who_keeps_an_array(numpy: Client, keeper: str):
    name, code = written(keeper, 1234)
    numpy.run(code)
    found = numpy.run("%buffer_addr --all").one("execute_result")["data"][ADDR]["rows"]
    assert [row["name"] for row in found if row["nbytes"] == 1234 * 8] == [name]


@pytest.mark.parametrize("keeper", TRACED)
def test_a_traced_cell_names_who_keeps_an_array(numpy: Client, keeper: str):
    name, code = written(keeper, 1235)
    done = numpy.run(f"%%buffer_trace\n{code}")
    reports = [m["data"][TRACE] for m in done.all("execute_result") if TRACE in m["data"]]
    kept = [row for row in reports[0]["rows"] if row["nbytes"] == 1235 * 8]
    assert [(row["state"], row["kept_by"]) for row in kept] == [("kept", name)]


def test_an_error_that_nobody_caught(numpy: Client):
    done = numpy.execute(
        "%%buffer_trace\ndef load():\n    big = np.ones(25_000_000)\n    1 / 0\nload()"
    )
    reports = [m["data"] for m in done.all("execute_result") if TRACE in m["data"]]
    kept = [row["kept_by"] for row in reports[0][TRACE]["rows"]]
    assert len(kept) == 1
    assert kept[0].endswith(".__traceback__, frame of load, local big")
    assert kept[0].startswith("sys.last_")
    assert f"1 kept ({kept[0]}, 200.0 MB)" in " ".join(reports[0]["text/plain"].split())
    rows = numpy.run("%buffer_addr --all").one("execute_result")["data"][ADDR]["rows"]
    big = next(row for row in rows if row["name"] == kept[0])
    found = numpy.run("%addr_map").one("execute_result")["data"][MAP]["rows"]
    owners = [row["owner"] for row in found if row["kind"] == "array"]
    assert kept[0] in owners
    said = numpy.run(f"%addr_map --at {big['addr']}").one("execute_result")["data"]["text/plain"]
    assert f"{big['addr']} is byte 0 of {kept[0]}" in " ".join(said.split())


def test_what_no_variable_leads_to(numpy: Client):
    """A module's own cache, and a list that only a C object holds."""
    numpy.run("import types, sys\nsys.modules['own'] = own = types.ModuleType('own'); del own")
    done = numpy.run(
        "%%buffer_trace\nimport itertools, sys\nsys.modules['own'].cache = [np.ones(1236)]\n"
        "sys.modules['own'].again = itertools.repeat(np.ones(1237))"
    )
    reports = [m["data"][TRACE] for m in done.all("execute_result") if TRACE in m["data"]]
    kept = {row["nbytes"] // 8: row["kept_by"] for row in reports[0]["rows"]}
    assert kept[1236] == "module own['cache'][0]"
    assert kept[1237] == "module own['again'].<ndarray>"
    numpy.run("del sys.modules['own']")


def test_looking_at_frames_changes_nothing(numpy: Client):
    """No reference more than before, and the local can still be freed."""
    numpy.run(
        "import weakref\nclass Big(np.ndarray): pass\n"
        "def gen():\n    held = np.ones(100).view(Big)\n    yield weakref.ref(held)\n    held = None\n    yield\n"
        "g = gen(); ref = next(g)"
    )
    before = numpy.value("sys.getrefcount(ref())")
    numpy.run("%buffer_addr --all")
    numpy.run("%addr_map")
    assert numpy.value("sys.getrefcount(ref())") == before
    numpy.run("next(g)")
    assert numpy.value("ref()") == "None"
