#!/usr/bin/env python3
"""What it costs to see the loads of an import: %%trace_loads beside strace, ltrace and LD_DEBUG.

Each round runs every variant once, in a fresh process, so that a slow moment of the machine meets all of them; the
import is timed inside of the process. Shown are the least and the median of the rounds, and the ratio of the least to
that of the plain Python (or, for the magic, of the same kernel without it).

    python benches/loads.py [--rounds N] [--cell CODE] [--ltrace]
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

from jupyter_client.manager import start_new_kernel

CELL = "import numpy, scipy.linalg"
TIMED = "import time; begun = time.perf_counter()\n{cell}\nprint('took', time.perf_counter() - begun)"


def in_python(cell: str, before: list[str], environment: dict[str, str]) -> float:
    """The seconds of a cell in a fresh Python, below another program or with more variables."""
    command = [*before, sys.executable, "-c", TIMED.format(cell=cell)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=True)
    return float(done.stdout.split("took")[1].split()[0])


def in_kernel(cell: str, magic: str) -> float:
    """The seconds of a cell in a fresh kernel, below a magic or none."""
    manager, client = start_new_kernel(kernel_name="diaphane")
    said: list[str] = []

    def hear(message):
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(magic + TIMED.format(cell=cell), output_hook=hear, timeout=300)
        assert reply["content"]["status"] == "ok", reply
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return float("".join(said).split("took")[1].split()[0])


def variants(cell: str, folder: Path, with_ltrace: bool):
    """Each variant by its name: what it is compared with, and how it runs once."""
    log = str(folder / "log")
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
        "kernel": ("kernel", lambda: in_kernel(cell, "")),
        "%%trace_loads": ("kernel", lambda: in_kernel(cell, "%%trace_loads\n")),
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
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, (_, run) in ways.items():
                times[name].append(run())
    print(f"{options.cell}, {options.rounds} rounds")
    print(f"{'':24}{'least':>10}{'median':>10}{'ratio':>8}")
    for name, (beside, _) in ways.items():
        least, median = min(times[name]), statistics.median(times[name])
        ratio = least / min(times[beside])
        print(f"{name:24}{least * 1e3:>7.1f} ms{median * 1e3:>7.1f} ms{ratio:>8.2f}")


if __name__ == "__main__":
    main()
