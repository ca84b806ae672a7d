"""%stack: the stack of this moment, from a cell and while a cell hangs."""

from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.stack+json"


def functions(rows: list[dict]) -> list[str]:
    return [row["function"] for row in rows]


def test_a_cell_sees_itself_down_to_the_native_code(client: Client):
    client.run("def inside():\n    return get_ipython().run_line_magic('stack', '')")
    client.run("def outside():\n    return inside()")
    done = client.run("outside()")
    rows = done.one("execute_result")["data"][MIME]["rows"]
    names = functions(rows)
    assert names.index("inside") + 1 == names.index("outside"), names
    assert any(row["kind"] == "native" for row in rows)
    assert {row["thread"] for row in rows} == {"MainThread"}


def test_the_thread_that_asks_does_not_sleep(client: Client):
    data = client.run("%stack").one("execute_result")["data"]
    assert data["text/plain"].startswith("The main thread asks this question at In[")
    assert "sleeps" not in data["text/plain"]
    assert {row["state"] for row in data[MIME]["rows"]} == {"R"}


def test_a_hanging_cell_is_seen_without_the_gil(launch):
    client = launch().connect()
    client.run("import ctypes\ndef hang():\n    print('ready')\n    ctypes.PyDLL(None).sleep(600)")
    cell = client.start("hang()")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    request = {"name": "stack", "line": "--all"}
    answer = client.request("magic_request", request, "control").content
    assert answer["status"] == "ok", answer
    rows = answer["data"][MIME]["rows"]
    assert len({row["tid"] for row in rows}) > 1
    assert "hang" in functions(rows)
    assert any("nanosleep" in (name or "") or name == "sleep" for name in functions(rows)), rows[:5]


NAMED = """
#include <unistd.h>
int %s(int fd) { char byte; int got = read(fd, &byte, 1); return got + 1; }
"""
WAIT_IN = """
def wait_in(path, name):
    library = ctypes.CDLL(path)
    function = library[name]
    address = ctypes.cast(function, ctypes.c_void_p).value
    reading, writing = os.pipe()
    thread = threading.Thread(target=function, args=(reading,))
    thread.start()
    text = ""
    while "read" not in text:
        text = str(get_ipython().run_line_magic("stack", "--all --native"))
    os.write(writing, b"x")
    thread.join()
    _ctypes.dlclose(library._handle)
    return address, text
"""


def test_another_library_at_the_same_place_has_its_own_names(client: Client, tmp_path: Path):
    """What was remembered of a library's addresses is of that library, and not of its successor's."""
    first = shared_library(tmp_path / "libfirst.so", NAMED % "waits_in_first", "-g")
    other = shared_library(tmp_path / "libother.so", NAMED % "waits_in_other", "-g")
    client.run("import _ctypes, ctypes, os, threading\n" + WAIT_IN)
    client.run(f"""
for turn in range(20):
    one, told = wait_in({str(first)!r}, "waits_in_first")
    assert "waits_in_first" in told and "libfirst.c:3" in told, told
    two, told = wait_in({str(other)!r}, "waits_in_other")
    assert "waits_in_other" in told and "waits_in_first" not in told, told
    assert "libother.c:3" in told, told
    if one == two:
        break
else:
    raise AssertionError("the second library never came to the place of the first")
""")
