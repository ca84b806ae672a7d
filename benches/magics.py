#!/usr/bin/env python3
"""Measure the magics beside the tools that tell similar things, interleaved, on one process.

    benches/magics.py --rounds 7 --json out.json

The process is a diaphane kernel with NumPy, SciPy and matplotlib, one figure drawn, 200 named arrays and 10,000 in a
list. A tool that is not installed is left out: py-spy, pystack, gdb, pmap, pldd, objdump are looked for on PATH,
psutil and threadpoolctl in the kernel's Python. README.md beside this file says how to read the table.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from jupyter_client.manager import KernelManager

SETUP = """
import numpy as np, scipy.linalg, scipy.stats, scipy.sparse, scipy.signal, scipy.optimize
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.figure(); plt.plot([1, 2]); plt.gcf().canvas.draw(); plt.close()
np.ones((500, 500)) @ np.ones((500, 500)); scipy.linalg.svd(np.ones((50, 50)))
for n in range(200): globals()[f"array_{n}"] = np.ones(1000 + n)
many = [np.ones(10) for _ in range(10_000)]
big = np.ones(10_000_000)
"""
NAMES = " ".join(f"array_{n}" for n in range(200))
TIMER = """
def _timed(run, times):
    import time
    taken = []
    for _ in range(times):
        begin = time.perf_counter_ns()
        run()
        taken.append(time.perf_counter_ns() - begin)
    taken.sort()
    return taken[len(taken) // 2] / 1e6
def _magic(name, line=""):
    return lambda: get_ipython().run_line_magic(name, line)
"""

INSIDE = {
    "libraries": {
        "%loaded_libs": "_magic('loaded_libs')",
        "psutil memory_maps": "__import__('psutil').Process().memory_maps",
        "threadpoolctl info": "__import__('threadpoolctl').threadpool_info",
    },
    "resident memory": {
        "%loaded_libs --rss": "_magic('loaded_libs', '--rss')",
        "%addr_map": "_magic('addr_map')",
        "psutil memory_maps": "lambda: __import__('psutil').Process().memory_maps(grouped=False)",
    },
    "threads": {
        "%threads": "_magic('threads')",
        "psutil threads (ids only)": "__import__('psutil').Process().threads",
    },
    "stacks": {"%threads --stack": "_magic('threads', '--stack')"},
    "200 arrays": {
        "%buffer_addr": f"_magic('buffer_addr', {NAMES!r})",
        "%whos": "_whos",
    },
    "10,000 arrays in a list": {
        "%buffer_addr --all": "_magic('buffer_addr', '--all')",
        "gc walk in Python": "_walk",
    },
    "one address": {"%addr_map --at": "lambda: get_ipython().run_line_magic('addr_map', f'--at {big.ctypes.data:#x}')"},
    "one function": {"%disasm": "_magic('disasm', 'np.add --dtype d')"},
    "every cell": {
        "%native_delta": "lambda: __import__('diaphane._diaphane')._diaphane.CellScope(1).close()",
        "psutil memory_info": "__import__('psutil').Process().memory_info",
    },
}
WALK = """
def _walk():
    import gc
    seen, arrays, stack = set(), [], [globals()]
    while stack:
        for one in gc.get_referents(stack.pop()):
            if id(one) not in seen:
                seen.add(id(one))
                (arrays if isinstance(one, np.ndarray) else stack).append(one)
    return arrays
def _whos():
    from IPython.utils.capture import capture_output
    with capture_output():
        get_ipython().run_line_magic("whos", "")
"""
OUTSIDE = {
    "libraries": {"pldd": ["pldd", "PID"]},
    "resident memory": {"pmap -X": ["pmap", "-X", "PID"]},
    "stacks": {
        "py-spy dump --native": ["py-spy", "dump", "--native", "--pid", "PID"],
        "pystack --native-all": ["pystack", "remote", "--native-all", "PID"],
    },
    "one function": {
        "objdump": ["objdump", "-d", "--no-show-raw-insn", "--disassemble=DOUBLE_add", "LIBRARY"],
        "gdb": ["gdb", "-batch", "-p", "PID", "-ex", "disassemble DOUBLE_add"],
    },
}
# By message, while native code holds the GIL.
MESSAGES = [("loaded_libs", ""), ("threads", ""), ("threads", "--stack"), ("addr_map", ""), ("native_doctor", "")]

# Ours, at most this many milliseconds, and at most this part of a peer's time.
AIMS = [
    ("first time", "%loaded_libs", 60, None),
    ("libraries", "%loaded_libs", 3, ("psutil memory_maps", 1 / 15)),
    ("resident memory", "%loaded_libs --rss", 20, ("psutil memory_maps", 1 / 3)),
    ("resident memory", "%addr_map", 20, ("psutil memory_maps", 1 / 3)),
    ("threads", "%threads", 3, None),
    ("stacks", "%threads --stack", 20, ("py-spy dump --native", 1 / 6)),
    ("200 arrays", "%buffer_addr", 10, None),
    ("10,000 arrays in a list", "%buffer_addr --all", 40, ("gc walk in Python", 1 / 4)),
    ("one function", "%disasm", 10, ("objdump", 1 / 4)),
    ("every cell", "%native_delta", 0.1, None),
    *(("while the GIL is held", f"{name} {line}".strip(), 20, None) for name, line in MESSAGES),
]


class Kernel:
    """The process that is looked at."""

    def __init__(self, name):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.pid = self.manager.provisioner.process.pid

    def run(self, code):
        """Execute; what an expression called `answer` is then, or None if the code failed."""
        reply = self.client.execute(
            code, reply=True, timeout=600, store_history=False, user_expressions={"answer": "answer"}
        )
        content = reply["content"]
        if content["status"] != "ok":
            return None
        answer = content["user_expressions"]["answer"]
        return answer["data"]["text/plain"] if answer["status"] == "ok" else None

    def inside(self, expression, times=5):
        """The median time of a few calls, in ms; None where the kernel's Python cannot call it."""
        answer = self.run(f"answer = _timed({expression}, {times})")
        return None if answer is None else float(answer)

    def ask(self, name, line):
        """The time from a question on the control channel to its answer, in ms."""
        session = self.client.session
        begin = time.perf_counter()
        session.send(self.client.control_channel.socket, "magic_request", {"name": name, "line": line})
        reply = self.client.get_control_msg(timeout=60)
        took = (time.perf_counter() - begin) * 1e3
        return took if reply["content"]["status"] == "ok" else None

    def hold_the_gil(self, seconds):
        """Starts a cell that sleeps in native code without giving the GIL away."""
        self.client.execute(f"import ctypes; ctypes.PyDLL(None).usleep({seconds} * 1_000_000)")
        time.sleep(0.3)

    def close(self):
        """Ends it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def outside(command, kernel, library):
    """The time of a whole command, in ms; None if it is not there or fails."""
    words = {"PID": str(kernel.pid), "LIBRARY": library}
    command = [words.get(word, word) for word in command]
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which(command[0], path=path)
    if not program:
        return None
    begin = time.perf_counter()
    done = subprocess.run([program, *command[1:]], capture_output=True, check=False)
    return (time.perf_counter() - begin) * 1e3 if done.returncode == 0 else None


def contenders(kernel, library):
    """(group, label, call) of everything that is measured beside each other."""
    for group, calls in INSIDE.items():
        for label, expression in calls.items():
            yield group, label, lambda expression=expression: kernel.inside(expression)
        for label, command in OUTSIDE.get(group, {}).items():
            yield group, label, lambda command=command: outside(command, kernel, library)


def measure(kernel, rounds):
    """{group: {label: [ms of each round]}}; the order moves on from round to round."""
    for code in (SETUP, TIMER, WALK):
        kernel.run(code)
    library = kernel.run("import numpy._core._multiarray_umath as m; answer = m.__file__").strip("'")
    figures = {"first time": {}}
    for label, line in (("%loaded_libs", "loaded_libs"), ("%threads", "threads")):
        figures["first time"][label] = [kernel.inside(f"_magic({line!r})", times=1)]
    everything = list(contenders(kernel, library))
    for turn in range(rounds):
        at = turn * 3 % len(everything)
        for group, label, call in everything[at:] + everything[:at]:
            took = call()
            figures.setdefault(group, {}).setdefault(label, []).append(took)
    held = figures["while the GIL is held"] = {}
    kernel.hold_the_gil(2 + rounds)
    for name, line in MESSAGES * rounds:
        held.setdefault(f"{name} {line}".strip(), []).append(kernel.ask(name, line))
    return figures


def median(taken):
    """Of the rounds that gave a figure."""
    known = [one for one in taken if one is not None]
    return statistics.median(known) if known else None


def table(figures):
    """The figures with the spread, as Markdown."""
    lines = ["| what | who | median ms | min | max |", "|---|---|---|---|---|"]
    for group, labels in figures.items():
        for label, taken in labels.items():
            known = sorted(one for one in taken if one is not None)
            numbers = f"{median(known):.2f} | {known[0]:.2f} | {known[-1]:.2f}" if known else "- | - | -"
            lines.append(f"| {group} | {label} | {numbers} |")
    return "\n".join(lines)


def verdicts(figures):
    """What was aimed at, and whether it was met."""
    lines = ["| aim | at most | measured | of the peer | met |", "|---|---|---|---|---|"]
    for group, label, most, peer in AIMS:
        ours = median(figures.get(group, {}).get(label, []))
        if ours is None:
            lines.append(f"| {group}: {label} | {most} ms | - | - | not measured |")
            continue
        met, ratio = ours <= most, "-"
        theirs = median(figures[group].get(peer[0], [])) if peer else None
        if theirs:
            ratio = f"{ours / theirs:.3f} of {peer[0]}, at most {peer[1]:.3f}"
            met = met and ours / theirs <= peer[1]
        lines.append(f"| {group}: {label} | {most} ms | {ours:.2f} ms | {ratio} | {'yes' if met else 'NO'} |")
    return "\n".join(lines)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="diaphane", help="the kernelspec")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write all figures here")
    args = parser.parse_args()
    kernel = Kernel(args.kernel)
    try:
        figures = measure(kernel, args.rounds)
    finally:
        kernel.close()
    if args.json:
        with open(args.json, "w") as file:
            json.dump(figures, file, indent=1)
    print(table(figures), verdicts(figures), sep="\n\n")


if __name__ == "__main__":
    main()
