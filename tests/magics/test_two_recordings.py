"""Two recordings at once, one on the main thread and one in a subshell: each shows its own cell or says why it cannot,
and both leave nothing behind."""

import platform

import pytest

from support.client import Client
from support.patches import changed_code, slots

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]
RECORDINGS = [
    "native_calls",
    "native_calls --args",
    "native_prof --hz 997",
    "native_prof --wall",
    "trace_loads",
    "buffer_trace",
    "watch_buffer a[0,0]",
    "buffer_writes a",
    "monitor",
]
if platform.machine() == "x86_64":
    RECORDINGS += ["native_calls --deep", "syscalls"]
WORDS = ["_multiarray_umath", "openblas"]
SETUP = """
import os, sys, threading
import numpy as np
a = np.ones((100, 100))
def work():
    for _ in range(50):
        b = a @ a
        os.stat('.')
    return float(b[0, 0])
def turn():
    global inside, done
    inside, done = threading.Event(), threading.Event()
"""


def name(magic: str) -> str:
    return magic.split(maxsplit=1)[0]


def report(done, magic: str) -> dict | None:
    kind = f"application/vnd.diaphane.{name(magic)}+json"
    shown = done.all("execute_result") + done.all("display_data")
    found = [content["data"][kind] for content in shown if kind in content["data"]]
    return found[-1] if found else None


def may_be_refused(first: str, second: str) -> bool:
    """There is one recording of each kind, and loads are traced with system calls; arrays are each context's own."""
    if (name(first), name(second)) == ("trace_loads", "syscalls"):
        return True
    return name(first) == name(second) and name(first) not in ("buffer_trace", "monitor")


@pytest.mark.parametrize("first", RECORDINGS)
def test_each_shows_its_cell_or_says_why_not(client: Client, kernel, first: str):
    client.run(SETUP)
    client.run(f"%%{first}\nwork()")
    before = [slots(kernel, word) for word in WORDS]
    sub = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    on = {"header": {"subshell_id": sub}}
    for second in RECORDINGS:
        client.run("turn()")
        outer = client.start(f"%%{first}\ninside.set(); done.wait(60); left = work()")
        client.run("assert inside.wait(60)", **on)
        inner = client.execute(f"%%{second}\nright = work()", **on)
        client.run("done.set()", **on)
        client.finish(outer)
        pair = (first, second)
        assert outer.content["status"] == "ok", (pair, outer.content)
        assert report(outer, first), pair
        refused = inner.content["status"] == "error" or report(inner, second) is None
        assert not refused or may_be_refused(*pair), (pair, inner.content, inner.text("stderr"))
        assert client.value("left") == "100.0"
        assert [slots(kernel, word) for word in WORDS] == before, pair
        assert [changed_code(kernel, word) for word in WORDS] == [[], []], pair
    # Each of them can begin again.
    for magic in RECORDINGS:
        assert report(client.run(f"%%{magic}\nwork()"), magic), magic
    client.request("delete_subshell_request", {"subshell_id": sub}, "control")
