#!/usr/bin/env python3
"""Measure what a recording of native calls costs, beside the tools that record similar things, in one run.

    benches/native_calls.py --rounds 5 --peers

Each workload is timed without a magic and below it, in turns, in one diaphane kernel. A peer runs the same workloads in
a Python of its own, which is timed without the peer too; those that are not installed are left out: uftrace, ltrace,
valgrind and py-spy are looked for on PATH. README.md beside this file says how to read the tables.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile

from magics import Kernel

SETUP = """
import json, timeit
import numpy as np
a = np.random.rand(200, 200)
m = np.random.rand(100, 100)
x = np.random.rand(100_000)
items = [float(one) for one in np.random.rand(1000)]
record = {"key": [1, 2, 3] * 30, "text": "x" * 100, "more": {str(n): n for n in range(100)}}
def _best(statement, number, repeat):
    return min(timeit.repeat(statement, number=number, repeat=repeat, globals=globals())) / number * 1e9
"""
# A name, the statement, how often it runs in one timing, and whether the time of one is dominated by few calls.
WORKLOADS = [
    ("sum", "np.sum(np.arange(4))", 200),
    ("mm", "a @ a", 20),
    ("svd", "np.linalg.svd(m)", 4),
    ("exp", "np.exp(x)", 40),
    ("sorted", "sorted(items)", 40),
    ("json", "json.dumps(record)", 40),
]
REPEAT = 10
MODES = {
    "default": "%%native_calls",
    "arguments": "%%native_calls --args",
    "deep": "%%native_calls --deep",
    "samples, 1 kHz": "%%native_calls --sample 1000",
}
# What is promised: the mode, the largest ratio to the plain run of any workload.
AIMS = [("default", 1.5), ("deep", 6.0), ("samples, 1 kHz", 1.05)]
PEERS = {
    "uftrace": ["uftrace", "record", "-d", "FOLDER/data", "--no-libcall", "LIBRARIES", "PYTHON", "SCRIPT"],
    "ltrace": ["ltrace", "-f", "-o", "FOLDER/log", "-x", "*@_multiarray_umath*", "PYTHON", "SCRIPT"],
    "callgrind": [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=FOLDER/out",
        "--log-file=FOLDER/log",
        "PYTHON",
        "SCRIPT",
    ],
    "py-spy --native, 1 kHz": [
        "py-spy",
        "record",
        "--native",
        "-r",
        "1000",
        "-f",
        "raw",
        "-o",
        "FOLDER/out",
        "--",
        "PYTHON",
        "SCRIPT",
    ],
}
# ltrace needs seconds for each call, callgrind for each millisecond.
FEW = {"ltrace": {"sum": 1}, "callgrind": {"sum": 20, "mm": 1, "exp": 1, "sorted": 2, "json": 2}}


def cell(statement, number):
    """The code that times a statement."""
    return f"answer = _best({statement!r}, {number}, {REPEAT})"


def ours(kernel, rounds):
    """{workload: {mode: [ns of each round]}}; the order moves on from round to round."""
    figures = {name: {mode: [] for mode in ("plain", *MODES)} for name, _, _ in WORKLOADS}
    runs = [
        (name, mode, f"{line}\n{cell(statement, number)}" if line else cell(statement, number))
        for name, statement, number in WORKLOADS
        for mode, line in {"plain": "", **MODES}.items()
    ]
    for turn in range(rounds):
        at = turn * 3 % len(runs)
        for name, mode, code in runs[at:] + runs[:at]:
            took = kernel.run(code)
            figures[name][mode].append(None if took is None else float(took))
    return figures


def switching(kernel, rounds):
    """How long recording is switched on and off, in ns, by mode; from the report's own facts."""
    taken = {}
    for mode in ("default", "deep"):
        kernel.run(f"{MODES[mode]} --as _calls\npass")
        for _ in range(rounds):
            kernel.run(f"{MODES[mode]}\npass")
            facts = kernel.run("answer = __import__('json').dumps(getattr(_, 'facts', {}).get('overhead', {}))")
            for key, value in json.loads(facts.strip("'") if facts else "{}").items():
                if key.endswith("_ns") and value is not None:
                    taken.setdefault(f"{mode}: {key}", []).append(value)
    return {key: statistics.median(values) for key, values in taken.items()}


def script(counts):
    """A program that runs the workloads and prints their times."""
    lines = [SETUP, "figures = {}"]
    for name, statement, number in WORKLOADS:
        number = counts.get(name) if counts else number
        if number:
            repeat = 1 if counts else REPEAT
            lines.append(f"_best({statement!r}, 1, 1)")
            lines.append(f"figures[{name!r}] = _best({statement!r}, {number}, {repeat})")
    return "\n".join([*lines, "print(json.dumps(figures))"])


def libraries():
    """The options by which uftrace is told to patch every function of the libraries."""
    import numpy

    folder = os.path.join(os.path.dirname(numpy.__file__), "..", "numpy.libs")
    names = ["libpython", "_multiarray_umath", *(one for one in os.listdir(folder) if "openblas" in one)]
    return [word for name in names for word in ("-P", f".@{name}")]


def peer(label, command):
    """{workload: ratio of the time with the peer to the time without}; None if it cannot be run."""
    program = shutil.which(command[0], path=f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    if not program:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "workloads.py")
        with open(path, "w") as file:
            file.write(script(FEW.get(label)))
        words = {"PYTHON": [sys.executable], "SCRIPT": [path], "LIBRARIES": libraries() if label == "uftrace" else []}
        full = [program]
        for word in command[1:]:
            full += words.get(word, [word.replace("FOLDER", folder)])
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", LD_LIBRARY_PATH=sysconfig.get_config_var("LIBDIR"))
        plain, traced = (run(words, environment) for words in ([sys.executable, path], full))
        if plain is None or traced is None:
            return None
        return {name: traced[name] / plain[name] for name in traced if name in plain}


def run(command, environment):
    """The figures that a command prints as a line of JSON; None if it fails or takes minutes."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=420, check=False)
    except subprocess.TimeoutExpired:
        return None
    figures = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(figures[-1]) if figures else None


def least(taken):
    """The smallest figure: what a noisy neighbour disturbs least."""
    known = [one for one in taken if one is not None]
    return min(known) if known else None


def table(figures, peers):
    """Ratios to the plain run, as Markdown."""
    names = [name for name, _, _ in WORKLOADS]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    plain = {name: least(figures[name]["plain"]) for name in names}
    lines.append(f"| plain, us | {' | '.join(f'{plain[name] / 1e3:.2f}' for name in names)} |")
    for mode in MODES:
        took = [least(figures[name][mode]) for name in names]
        ratios = [f"{one / plain[name]:.2f}" if one else "-" for name, one in zip(names, took, strict=True)]
        lines.append(f"| {mode} | {' | '.join(ratios)} |")
    for label, ratios in peers.items():
        cells = [f"{ratios[name]:.1f}" if ratios and name in ratios else "-" for name in names]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(figures):
    """What is promised, and whether it was kept."""
    lines = ["| mode | worst ratio, at most | measured | met |", "|---|---|---|---|"]
    for mode, most in AIMS:
        ratios = [
            least(of[mode]) / least(of["plain"]) for of in figures.values() if least(of[mode]) and least(of["plain"])
        ]
        worst = max(ratios, default=float("nan"))
        lines.append(f"| {mode} | {most} | {worst:.2f} | {'yes' if worst <= most else 'NO'} |")
    return "\n".join(lines)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="diaphane", help="the kernelspec")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="run the peers too; it takes minutes")
    parser.add_argument("--json", help="write all figures here")
    args = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    kernel = Kernel(args.kernel)
    try:
        kernel.run(SETUP)
        figures = ours(kernel, args.rounds)
        switched = switching(kernel, args.rounds)
    finally:
        kernel.close()
    peers = {label: peer(label, command) for label, command in PEERS.items()} if args.peers else {}
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"ours": figures, "switching": switched, "peers": peers}, file, indent=1)
    print(table(figures, peers), verdicts(figures), sep="\n\n")
    for key, nanoseconds in switched.items():
        print(f"{key}: {nanoseconds / 1e6:.3f} ms")


if __name__ == "__main__":
    main()
