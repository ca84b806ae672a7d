"""Cells with magics: every line magic as it is mostly asked, and every recording of a cell."""

from __future__ import annotations

LINES = [
    "%loaded_libs",
    "%loaded_libs --all --rss",
    "%loaded_libs --why _multiarray_umath",
    "%threads",
    "%threads --stack",
    "%stack",
    "%buffer_addr",
    "%buffer_addr --all",
    "%addr_map",
    "%addr_map --diff",
    "%addr_map --at 0x1000",
    "%native_doctor",
    "%native_delta last",
    "%process_tree",
    "%where np.add --dtype f8",
    "%where len",
    "%disasm np.sum",
    "%disasm len",
    "%rust_status",
]
RECORDINGS = [
    "%%native_calls",
    "%%native_calls --deep",
    "%%native_calls --args",
    "%%native_prof",
    "%%syscalls",
    "%%buffer_trace",
    "%%trace_loads",
    "%%monitor",
    "%%watch_buffer spot[0]",
    "%%buffer_writes spot",
]
# What one of them watches.
SPOT = "import numpy as np\nspot = np.zeros(4)"
# What is recorded: a little of everything, with a value that is known.
PREPARE = f"""{SPOT}
import ctypes, json, math, os, threading
def work():
    spot[:] += 1
    roots = [math.sqrt(n) for n in range(200)]
    text = json.dumps({{"a": roots[:9]}})
    matrix = np.arange(64.0).reshape(8, 8)
    solved = np.linalg.solve(matrix + np.eye(8) * 99, np.ones(8))
    ends = []
    one = threading.Thread(target=lambda: ends.append(np.sort(np.arange(500)[::-1])[7]))
    one.start(); one.join()
    ctypes.CDLL(None).getppid()
    with open("/proc/self/stat") as file: file.read()
    return len(json.loads(text)["a"]), int(ends[0]), round(float(solved.sum()), 6)
"""
ANSWER = "(9, 7, 0.024703)"


def line(magic: str, name: str = "report") -> str:
    """A line magic whose report is bound to a name."""
    return f"{magic} --as {name}"


def recorded(magic: str, name: str = "answer") -> str:
    """A cell that is recorded; the name has its value then, and another one the report."""
    return f"{magic} --as report_of_{name}\n{name} = work()"
