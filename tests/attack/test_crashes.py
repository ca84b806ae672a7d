"""Crashes in a row, of different kinds and each of a fresh kernel: every one is told, and ends by its own signal."""

from __future__ import annotations

import signal
from typing import NamedTuple

import pytest

from support.attack import times
from support.crash import die, library, restarted, told


class Fault(NamedTuple):
    """How a cell ends its kernel, the signal, and words of the headline under the cell."""

    code: str
    signal: int
    headline: str


SHORT_FILE = """
import mmap
with open("short", "w+b") as file:
    file.write(b"x" * 8192)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 8192)
    file.truncate(100)
mapped[5000]
"""
FAULTS = {
    "null write": Fault("ctypes.memset(0, 0, 1)", signal.SIGSEGV, "writing address 0x0"),
    "abort": Fault("import os\nos.abort()", signal.SIGABRT, "aborted"),
    "stack overflow": Fault("ways.recurse(0)", signal.SIGSEGV, "guard page"),
    "bad jump": Fault("ways.jump_to_data()", signal.SIGSEGV, "jumping to address"),
    "bus error": Fault(SHORT_FILE, signal.SIGBUS, "bus error"),
    "null write on a thread": Fault("ways.on_thread()", signal.SIGSEGV, "writing address 0x10"),
    "illegal instruction": Fault("ways.illegal()", signal.SIGILL, "illegal instruction"),
    "division by zero": Fault("ways.divide(1, 0)", signal.SIGFPE, "division by zero"),
}


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    return f"import ctypes\nways = ctypes.CDLL({str(library(tmp_path_factory.mktemp('ways')))!r})"


def test_every_crash_is_told(launch, ways, dice):
    """A hundred in a row are `DIAPHANE_ATTACK=20`. The next kernel is the same client's, as after a restart."""
    kernel = launch()
    client = kernel.connect()
    for number in range(times(5)):
        # Each kind comes before any comes again.
        if number % len(FAULTS) == 0:
            kinds = dice.sample(list(FAULTS), len(FAULTS))
        kind = kinds[number % len(FAULTS)]
        fault = FAULTS[kind]
        client.run(ways)
        exchange = die(kernel, client, fault.code)
        crash = f"crash {number}, {kind}"
        assert kernel.wait() == -fault.signal, crash
        text = told(exchange)
        assert fault.headline in text.splitlines()[0], f"{crash}: {text}"
        assert "In[" in text or kind == "null write on a thread", f"{crash}: {text}"
        assert exchange.one("display_data"), crash
        client = restarted(kernel)
        shown = client.run("%crash_report").one("execute_result")["data"]["text/plain"]
        assert fault.headline in shown, f"{crash}: {shown}"
    assert client.run("1 + 1").result == "2"
