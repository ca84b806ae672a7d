#!/usr/bin/env python3
"""Measure what %%syscalls costs beside strace, interleaved: getppid in a loop.

    benches/syscalls.py --rounds 7

It needs a kernel that is installed as `diaphane`, and strace on PATH. A row is nanoseconds for one system call, the
minimum of the rounds: as it is, in a cell below %%syscalls, after such a cell, under strace, and under strace that
leaves most calls out by a filter. In the kernel the time of the thread on a CPU is taken, which a busy machine disturbs
less than the clock; strace's time passes in another process, so it is that on the clock.
"""

import argparse
import shutil
import subprocess
import sys

from jupyter_client.manager import KernelManager

WORK = """
import os, time
def run(count=20_000, now=time.thread_time_ns):
    begin = now()
    for _ in range(count): os.getppid()
    return (now() - begin) / count
"""


def value(client, code: str) -> float:
    found = []
    client.execute_interactive(code, output_hook=lambda m: found.append(m["content"].get("text", "")), timeout=300)
    return float("".join(found).split()[0])


def strace(*options: str) -> float:
    program = [sys.executable, "-c", WORK + "print(run(2_000, time.perf_counter_ns))"]
    command = ["strace", "-f", *options, "-o", "/dev/null", *program]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    manager = KernelManager(kernel_name="diaphane")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute_interactive(WORK)
    ways = {
        "as it is": lambda: value(client, "print(run())"),
        "%%syscalls": lambda: value(client, "%%syscalls --as _\nprint(run())"),
        "after it": lambda: value(client, "print(run())"),
    }
    if shutil.which("strace"):
        ways["strace -f"] = strace
        ways["strace --seccomp-bpf -e openat"] = lambda: strace("--seccomp-bpf", "-e", "trace=openat")
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = min(best[name], way())
    for name, nanoseconds in best.items():
        print(f"{name:32} {nanoseconds:10.0f} ns")
    client.shutdown()
    manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
