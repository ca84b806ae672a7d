#!/usr/bin/env python3
"""Measure what it costs to watch a kernel: its own messages beside psutil, py-spy and what jupyter-resource-usage asks.

    benches/monitor.py --rounds 7 --json out.json

Everything is asked in turns of one kernel with NumPy, idle and while native code holds the GIL. The second table says
how much a loop in Python and a product of matrices are slowed down by 1 and by 10 questions a second, and by %%monitor
above their cell; `--slowdowns` measures that alone. psutil has to be importable here, py-spy is looked for on PATH;
what is missing is left out. README.md beside this file says how to read the tables.
"""

import argparse
import contextlib
import json
import os
import queue
import resource
import shutil
import statistics
import subprocess
import sys
import time

from jupyter_client.manager import KernelManager

with contextlib.suppress(ImportError):
    import psutil

SETUP = "import numpy as np, time; np.ones((300, 300)) @ np.ones((300, 300)); np.linalg.svd(np.ones((50, 50)))"
HOLD = "import ctypes; ctypes.PyDLL(None).usleep({seconds} * 1_000_000)"
# Each piece takes about a tenth of a second; the clock of the thread does not see a busy neighbour.
WORK = """
def _loop():
    total = 0
    for i in range(1_500_000):
        total += i
a = np.ones((600, 600))
def _product():
    for _ in range(4):
        a @ a
def _work(run, pieces):
    taken = []
    for _ in range(pieces):
        begin = time.perf_counter_ns(), time.thread_time_ns()
        run()
        taken.append((time.perf_counter_ns() - begin[0], time.thread_time_ns() - begin[1]))
    return taken
"""
# Ours, at most this many ms of CPU in the kernel.
AIMS = {
    ("idle", "monitor_request"): 0.3,
    ("GIL held", "monitor_request"): 0.3,
    ("idle", "monitor_request, stack"): 3,
    ("idle", "magic_request stack"): 3,
    ("GIL held", "magic_request stack"): 10,
    ("idle", "usage_request"): 0.5,
}
# What shows a live picture by itself.
MAGIC = "%%monitor"
# How often each is asked for one figure.
TIMES = 10


def cpu(pid):
    """The CPU time of a whole process, also of its threads that have ended, in ms."""
    of_a_process = 2
    return time.clock_gettime_ns(~pid << 3 | of_a_process) / 1e6


class Kernel:
    """The process that is watched."""

    def __init__(self, name):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.pid = self.manager.provisioner.process.pid

    def ask(self, kind, content=None):
        """A question on the control channel; its answer's content."""
        session = self.client.session
        session.send(self.client.control_channel.socket, kind, content or {})
        answer = self.client.get_control_msg(timeout=60)["content"]
        assert answer.get("status", "ok") == "ok", answer
        return answer

    def run(self, code, rate=0, value="0"):
        """Execute, with so many questions a second meanwhile; an expression's value afterwards."""
        epoch = self.ask("monitor_request")["epoch"]
        request = self.client.execute(code, store_history=False, user_expressions={"value": value})
        begin, asked = time.monotonic(), 0
        while True:
            due = begin + (asked + 1) / rate if rate else begin + 3600
            with contextlib.suppress(queue.Empty):
                reply = self.client.get_shell_msg(timeout=max(0, due - time.monotonic()))
                if reply["parent_header"].get("msg_id") == request:
                    assert reply["content"]["status"] == "ok", reply["content"]
                    return json.loads(reply["content"]["user_expressions"]["value"]["data"]["text/plain"].strip("'"))
                continue
            self.ask("monitor_request", {"epoch": epoch})
            asked += 1

    def close(self):
        """Ends it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def with_psutil(pid):
    """What monitor_request tells, as far as psutil does."""
    process = psutil.Process(pid)
    with process.oneshot():
        return process.memory_info().rss, process.cpu_times(), process.threads()


def resource_usage(pid):
    """What jupyter-resource-usage asks of a kernel's processes: memory of each and CPU."""
    parent = psutil.Process(pid)
    everything = [parent, *parent.children(recursive=True)]
    return [(one.memory_full_info().pss, one.cpu_percent(interval=None)) for one in everything]


def contenders(kernel):
    """(label, whether the kernel does the work, call)."""
    epoch = kernel.ask("monitor_request")["epoch"]
    known = {"epoch": epoch}
    yield "monitor_request", True, lambda: kernel.ask("monitor_request", known)
    yield "monitor_request, names", True, lambda: kernel.ask("monitor_request")
    yield "monitor_request, stack", True, lambda: kernel.ask("monitor_request", known | {"stack": True, "why": True})
    for name in ("stack", "threads"):
        yield f"magic_request {name}", True, lambda name=name: kernel.ask("magic_request", {"name": name, "line": ""})
    yield "usage_request", True, lambda: kernel.ask("usage_request")
    yield "kernel_info_request", True, lambda: kernel.ask("kernel_info_request")
    if "psutil" in globals():
        yield "psutil, from outside", False, lambda: with_psutil(kernel.pid)
        yield "jupyter-resource-usage's, from outside", False, lambda: resource_usage(kernel.pid)
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    if program := shutil.which("py-spy", path=path):
        for options in ([], ["--native"]):
            command = [program, "dump", *options, "--pid", str(kernel.pid)]
            # Of some processes it can only tell the Python half.
            if dump(command) == 0:
                yield " ".join(["py-spy dump", *options]), False, lambda command=command: dump(command)


def dump(command):
    """Runs a program to its end; its exit status."""
    return subprocess.run(command, capture_output=True, check=False).returncode


def one(kernel, is_kernels, call):
    """(ms on the clock, ms of CPU) of one call: the kernel's, or that of who looks."""

    def used():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        outside = time.process_time() + children.ru_utime + children.ru_stime
        return cpu(kernel.pid) if is_kernels else outside * 1e3

    before, taken = used(), []
    for _ in range(TIMES):
        begin = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken), (used() - before) / TIMES


def costs(kernel, rounds):
    """{state: {label: [(ms, ms of CPU) of each round]}}; the order moves on from round to round."""
    figures = {"idle": {}, "GIL held": {}}
    everything = list(contenders(kernel))
    for state, labels in figures.items():
        for turn in range(rounds):
            if state == "GIL held":
                kernel.client.execute(HOLD.format(seconds=600), stop_on_error=False)
                time.sleep(0.3)
            at = turn * 3 % len(everything)
            for label, is_kernels, call in everything[at:] + everything[:at]:
                call()
                labels.setdefault(label, []).append(one(kernel, is_kernels, call))
            if state == "GIL held":
                kernel.ask("interrupt_request")
                kernel.run("pass")
    return figures


def slowdowns(kernel, rounds):
    """{work: {questions a second: [(ms on the clock, ms of the thread's CPU) of each piece]}}, in turns."""
    kernel.run(WORK)
    figures = {}
    for _ in range(rounds):
        for work in ("_loop", "_product"):
            for rate in (0, 1, 10, MAGIC):
                above, asked = (f"{MAGIC} --as _seen\n", 0) if rate == MAGIC else ("", rate)
                taken = kernel.run(f"{above}taken = _work({work}, 20)", asked, "__import__('json').dumps(taken)")
                pieces = figures.setdefault(work, {}).setdefault(rate, [])
                pieces.extend((wall / 1e6, thread / 1e6) for wall, thread in taken)
    return figures


def error(taken):
    """The standard error of a median, by the spread of the middle half."""
    low, _, high = statistics.quantiles(taken, n=4)
    return 1.253 * (high - low) / 1.349 / len(taken) ** 0.5


def report(figures, slow):
    """Both tables as Markdown."""
    lines = ["| state | question | ms to the answer | ms of CPU | at most | met |", "|---|---|---|---|---|---|"]
    for state, labels in figures.items():
        for label, taken in labels.items():
            wall, used = (statistics.median(column) for column in zip(*taken, strict=True))
            most = AIMS.get((state, label))
            verdict = f"{most} | {'yes' if used <= most else 'NO'}" if most else "- | -"
            lines.append(f"| {state} | {label} | {wall:.2f} | {used:.2f} | {verdict} |")
    lines += ["", "| work | questions a second | ms on the clock | ms of CPU | slower by |", "|---|---|---|---|---|"]
    for work, rates in slow.items():
        base = [thread for _, thread in rates[0]]
        for rate, taken in rates.items():
            wall, thread = ([piece[n] for piece in taken] for n in (0, 1))
            ratio = statistics.median(thread) / statistics.median(base) - 1
            spread = (error(thread) ** 2 + error(base) ** 2) ** 0.5 / statistics.median(base)
            slower = f"{100 * ratio:+.2f} ± {100 * spread:.2f} %" if rate else "-"
            lines.append(
                f"| {work[1:]} | {rate} | {statistics.median(wall):.1f} | {statistics.median(thread):.1f} | {slower} |"
            )
    return "\n".join(lines)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="diaphane", help="the kernelspec")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slowdowns", action="store_true", help="the second table alone")
    parser.add_argument("--json", help="write all figures here")
    args = parser.parse_args()
    kernel = Kernel(args.kernel)
    try:
        kernel.run(SETUP)
        figures = {} if args.slowdowns else costs(kernel, args.rounds)
        slow = slowdowns(kernel, args.rounds)
        size = len(json.dumps(kernel.ask("monitor_request", {"epoch": kernel.ask("monitor_request")["epoch"]})))
        threads = len(kernel.ask("monitor_request")["threads"])
    finally:
        kernel.close()
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"costs": figures, "slowdowns": slow}, file)
    print(report(figures, slow))
    print(f"\nA reply without names has {size} bytes for {threads} threads.")


if __name__ == "__main__":
    main()
