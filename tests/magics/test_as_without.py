"""A cell below a recording behaves as without it, in what is easily overlooked: what is shown of it, a profiler that it
sets, memory that it uses up, and functions that it replaces."""

from __future__ import annotations

import pytest

from support.client import Client
from support.magic_cells import RECORDINGS, SPOT

pytestmark = pytest.mark.diaphane
ALL = [*RECORDINGS, "%%memory", "%%threads"]


@pytest.mark.parametrize("magic", ALL)
def test_a_value_behind_which_a_semicolon_stands_is_not_shown(client: Client, magic: str):
    client.run(SPOT)
    shown = client.run(f"{magic}\n'value' + ' 7'").all("execute_result")
    assert "'value 7'" in [one["data"].get("text/plain") for one in shown]
    shown = client.run(f"{magic}\n'value' + ' 7';  # Not shown.").all("execute_result")
    assert "'value 7'" not in [one["data"].get("text/plain") for one in shown]


def test_a_profiler_that_a_cell_sets_stays(client: Client):
    client.run("import sys, threading\nmine = lambda *about: None")
    client.run("%%native_calls\nsys.setprofile(mine)\nthreading.setprofile(mine)\nlen([1])")
    kept = client.value("sys.getprofile() is mine, threading.getprofile() is mine")
    client.run("sys.setprofile(None)\nthreading.setprofile(None)")
    assert kept == "(True, True)"
    client.run("%%native_calls\nlen([1])")
    assert client.value("sys.getprofile(), threading.getprofile()") == "(None, None)"


USE_UP = """
import resource
used = int(open('/proc/self/statm').read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), -1))
"""


@pytest.mark.parametrize("magic", [*ALL, ""])
def test_a_cell_that_uses_up_all_memory_has_its_error(launch, magic: str):
    client = launch().connect()
    client.run(SPOT + USE_UP)
    done = client.execute(f"{magic}\nkept = []\nwhile True: kept.append(bytes(3 << 20))")
    assert done.content["status"] == "error"
    assert done.content["ename"] == "MemoryError"
    assert int(client.value("len(kept)")) > 20
    client.run("kept.clear()")
    assert client.run("1 + 1").result == "2"


def test_memory_that_threads_use_up_ends_no_kernel(launch):
    """At the end of a cell it is looked who has come; that takes memory, too."""
    client = launch().connect()
    client.run(
        "import resource, threading\nused = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), -1))"
    )
    client.execute(
        "gate = threading.Event()\nstarted = []\n"
        "for _ in range(200):\n    one = threading.Thread(target=gate.wait, daemon=True)\n    one.start()\n    started.append(one)"
    )
    assert client.value("1 + 1") == "2"
    client.run("gate.set()")
    assert client.run("len(started) > 3").result == "True"


@pytest.mark.parametrize("other", ["lambda: 5", "None"])
def test_a_replaced_number_of_the_process_is_no_fork(client: Client, other: str):
    client.run(f"import os\ntrue = os.getpid\nos.getpid = {other}\nprint('still', 'here')")
    assert client.run("print('still', 'here')").text() == "still here\n"
    client.run("os.getpid = true")


def test_threads_are_told_of_where_their_names_cannot_be_had(client: Client):
    client.run("import threading\nactive, threading._active = threading._active, None")
    done = client.execute("%threads")
    client.run("threading._active = active")
    assert done.content["status"] == "ok"
    assert done.report("threads")["rows"]
