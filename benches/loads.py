#!/usr/bin/env python3
"""What it costs to see the loads of an import: %%trace_loads beside strace, ltrace and LD_DEBUG.

Each round runs every variant once, in a fresh process, so that a slow moment of the machine meets all of them; the
import is timed inside of the process. Shown are the least and the median of the rounds, and the ratio of the least to
that of the plain Python (or, for the magic, of the same kernel without it).

    python benches/loads.py [--rounds N] [--cell CODE] [--ltrace]

Two times are taken: that on the clock, and that of the thread on a CPU, which a busy machine disturbs less. strace and
ltrace stop the process, which costs little of its own CPU time, so for them only the clock counts. "events alone" is
the magic in a kernel that a filter denies the dispatch of system calls: the linker is hooked, and opens are not seen.
The last line is the cost of one event: a library is opened and closed again and again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from jupyter_client.manager import KernelManager

CELL = "import numpy, scipy.linalg"
TIMED = """import time; begun, ran = time.perf_counter(), time.thread_time()
{cell}
ran, begun = time.thread_time() - ran, time.perf_counter() - begun
print('took', begun, ran)"""
DENY = Path(__file__).parents[1] / "tests" / "support" / "deny.c"
# Asked, about to change, complete, initialised between two; about to change, complete again.
EVENTS = 7
LOOP = """#include <dlfcn.h>
void loop(const char *path, int count) {
  while (count-- > 0) dlclose(dlopen(path, RTLD_NOW));
}
"""
OPENED = """import ctypes, time
loop, path, count = ctypes.CDLL({loop!r}).loop, {path!r}.encode(), 500
ran = time.thread_time()
loop(path, count)
print('took', 0, (time.thread_time() - ran) / count)"""


def seconds(text: str) -> tuple[float, float]:
    """What a cell said: the time on the clock and that of its thread."""
    clock, thread = text.split("took")[1].split()[:2]
    return float(clock), float(thread)


def in_python(cell: str, before: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """The seconds of a cell in a fresh Python, below another program or with more variables."""
    command = [*before, sys.executable, "-c", TIMED.format(cell=cell)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=True)
    return seconds(done.stdout)


def in_kernel(code: str, magic: str, before: list[str] | None = None) -> tuple[float, float]:
    """The seconds of a cell in a fresh kernel, below a magic or none, and below another program."""
    manager = KernelManager(kernel_name="diaphane")
    if before:
        manager.kernel_spec.argv[:0] = before
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    said: list[str] = []

    def hear(message):
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(magic + code, output_hook=hear, timeout=300)
        assert reply["content"]["status"] == "ok", reply
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return seconds("".join(said))


def denied(folder: Path) -> list[str]:
    """What a kernel is started below so that its system calls are not dispatched."""
    subprocess.run(["gcc", "-o", folder / "deny", DENY], check=True)
    return [str(folder / "deny"), "SYSCALL_USER_DISPATCH", "--"]


def event(folder: Path, rounds: int) -> float:
    """The CPU seconds of one event: a library without anything, opened and closed, with the magic and without."""
    sources = {"empty": "__attribute__((constructor)) static void begin(void) {}", "loop": LOOP}
    for name, source in sources.items():
        (folder / f"{name}.c").write_text(source)
        command = ["gcc", "-shared", "-fPIC", "-o", f"lib{name}.so", f"{name}.c"]
        subprocess.run(command, cwd=folder, check=True)
    cell = OPENED.format(loop=f"{folder}/libloop.so", path=f"{folder}/libempty.so")
    deny = denied(folder)
    plain = min(in_kernel(cell, "", deny)[1] for _ in range(rounds))
    traced = min(in_kernel(cell, "%%trace_loads\n", deny)[1] for _ in range(rounds))
    return (traced - plain) / EVENTS


def variants(cell: str, folder: Path, with_ltrace: bool):
    """Each variant by its name: what it is compared with, and how it runs once."""
    log = str(folder / "log")
    timed, deny = TIMED.format(cell=cell), denied(folder)
    opens = ["strace", "-f", "-e", "trace=open,openat", "-o", log]
    found = {
        "python": ("python", lambda: in_python(cell, [], {})),
        "LD_DEBUG=files": (
            "python",
            lambda: in_python(cell, [], {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": log}),
        ),
        "strace opens": ("python", lambda: in_python(cell, opens, {})),
        "strace opens, seccomp": (
            "python",
            lambda: in_python(cell, [*opens[:2], "--seccomp-bpf", *opens[2:]], {}),
        ),
        "kernel": ("kernel", lambda: in_kernel(timed, "")),
        "%%trace_loads": ("kernel", lambda: in_kernel(timed, "%%trace_loads\n")),
        "%%trace_loads, events alone": ("kernel", lambda: in_kernel(timed, "%%trace_loads\n", deny)),
    }
    if with_ltrace:
        ltrace = ["ltrace", "-f", "-e", "dlopen", "-o", log]
        found["ltrace dlopen"] = ("python", lambda: in_python(cell, ltrace, {}))
    return {
        name: way
        for name, way in found.items()
        if not name.startswith(("strace", "ltrace")) or shutil.which(name.split()[0])
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cell", default=CELL)
    parser.add_argument("--ltrace", action="store_true", help="also ltrace, which is slow")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = variants(options.cell, Path(folder), options.ltrace)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, (_, run) in ways.items():
                times[name].append(run())
        one = event(Path(folder), options.rounds)
    print(f"{options.cell}, {options.rounds} rounds")
    print(f"{'':30}{'clock: least':>14}{'median':>10}{'ratio':>8}{'CPU: least':>14}{'median':>10}{'ratio':>8}")
    for name, (beside, _) in ways.items():
        cells = []
        for which in (0, 1):
            own, other = ([time[which] for time in times[key]] for key in (name, beside))
            least, median = min(own), statistics.median(own)
            cells.append(f"{least * 1e3:>11.1f} ms{median * 1e3:>7.1f} ms{least / min(other):>8.2f}")
        print(f"{name:30}{cells[0]}{cells[1]}")
    print(f"one event of the linker: {one * 1e9:.0f} ns of CPU time")


if __name__ == "__main__":
    main()
