"""A cell or more for each magic, with the reports that people see most."""

from __future__ import annotations

# What the reports are about: arrays and views, tables, threads, children, Rust.
PREPARE = """
import ctypes, json, math, subprocess, sys, threading, time
import numpy as np, pandas as pd
names = ["a rather long name", "b"]
a = np.arange(1_000_000.0)
view, every_third = a[1000:], a[::3]
matrix = np.ones((300, 300))
frame = pd.DataFrame({"one": np.arange(9000), "two": np.arange(9000) / 7, "words": ["word"] * 9000})
column = frame["one"].to_numpy()
texts = ["x" * 100] * 1000
def slow(series):
    total = 0.0
    for value in series:
        total += math.sqrt(value)
    return total
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
"""
CELLS = {
    "addr_map": "%addr_map",
    "addr_map group": "%addr_map --group kind",
    "addr_map at": "%addr_map --at {hex(a.ctypes.data)}",
    "buffer_addr": "%buffer_addr",
    "buffer_addr names": "%buffer_addr a view every_third column frame",
    "buffer_addr graph": "%buffer_addr a view every_third --graph",
    "buffer_trace": "%%buffer_trace\nkept = matrix @ matrix + 1\nkept.sum()",
    "crash_report": "%crash_report",
    "buffer_writes": "%%buffer_writes\na[1000:5000] += 1\nmatrix *= 2\nkept = matrix + 1\ntop = a[:10]",
    "watch_buffer stack": "%%watch_buffer a[10] matrix[0,0] --stack\na[10] = 1.5\nnp.add(a, 1, out=a)\nnp.matmul(matrix, matrix, out=matrix)",
    "diaphane": "%diaphane",
    "disasm": "%disasm np.add --dtype float64",
    "disasm class": "%disasm pd.DataFrame",
    "loaded_libs": "%loaded_libs",
    "loaded_libs new": "import scipy.linalg\n%loaded_libs --new",
    "loaded_libs why": "%loaded_libs --why _multiarray_umath",
    "loaded_libs tree": "%loaded_libs numpy --tree",
    "loaded_libs sym": "%loaded_libs --sym malloc",
    "memory": "%memory",
    "memory cell": "%%memory\nmore = np.ones(2_000_000)\ngrown = list(range(100_000))",
    "monitor cell": "%%monitor --every 0.25\nfor _ in range(300):\n    matrix @ matrix\nslow(frame.one)",
    "monitor line": "%monitor 0.5",
    "native_calls": "%%native_calls\nframe.one.sum(), np.sort(a), matrix @ matrix",
    "native_calls deep": "%%native_calls --deep\nmatrix @ matrix",
    "native_calls args": "%%native_calls --args\nmatrix @ matrix + 1",
    "native_delta": "%native_delta last",
    "native_doctor": "%native_doctor",
    "native_doctor all": "%native_doctor --all",
    "native_prof": "%%native_prof\nfor _ in range(3):\n    slow(frame.one)\nnp.sort(np.random.rand(1_000_000))",
    "native_prof lines": "%%native_prof --lines --repeat\nslow(frame.one)",
    "process_tree": "%process_tree",
    "rust": "%%rust --def\npub fn one_sum(x: &[f64]) -> f64 { x.iter().sum() }",
    "rust_status": "%rust_status",
    "stack": "%stack",
    "syscalls": '%%syscalls\nopen("/proc/self/stat").read()\nsubprocess.run(["true"])',
    "threads": "%threads",
    "threads stack": "%threads --stack",
    "threads sample": "%threads --sample 200",
    "threads cell": "%%threads\nfor _ in range(40):\n    matrix @ matrix",
    "trace_loads": "%%trace_loads\nimport scipy.spatial",
    "where": "%where np.add --dtype float64",
    "why_import": "%why_import numpy_that_is_not_there",
}
# These need the compiler of Rust cells, and its time.
RUST = {"rust"}
