#!/usr/bin/env python3
"""Measure what the recordings cost on twenty ordinary cells: time, bytes in the notebook, memory that is kept.

    benches/ordinary.py --cells fit,json --magics "%%native_calls,%%native_prof" --json out.json

Each cell runs in a fresh kernel for each magic: once to get warm, then plain, then twice below the magic; what comes
first pays for what is looked up once, so both are shown. A cell that is about its imports runs plain in one fresh
kernel and below the magic in another one. `%%native_calls --deep` is held to its second use, as its aim says.
The times are those of a client: from the request to the reply.
"""

import argparse
import json
import os
import statistics
import sys
import time

from jupyter_client.manager import KernelManager

FRAME = """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
df = pd.DataFrame({"g": rng.integers(0, 50, 100_000), "x": rng.random(100_000), "y": rng.random(100_000)})
other = pd.DataFrame({"g": np.arange(50), "name": [f"group {n}" for n in range(50)]})
"""
NUMPY = "import numpy as np\nrng = np.random.default_rng(0)\n"
PLAIN = "import collections, csv, io, json, re, sqlite3\n"
# A name, what comes before, the cell; whether all of it is one cell of its own kernel, since its imports are its time.
CELLS = [
    ("read a CSV", FRAME + "import io\ntext = df.head(20_000).to_csv()", "table = pd.read_csv(io.StringIO(text))"),
    ("groupby", FRAME, "df.groupby('g').x.mean()"),
    ("merge", FRAME, "merged = df.merge(other, on='g')"),
    ("describe", FRAME, "df.describe()"),
    ("sort values", FRAME, "ordered = df.sort_values('x')"),
    ("apply by rows", FRAME, "df.head(2000).apply(lambda row: row.x + row.y, axis=1)"),
    ("loop over a Series", FRAME, "total = 0\nfor value in df.x:\n    total += value"),
    ("json", PLAIN + "data = [{'a': i, 'b': str(i)} for i in range(3000)]", "again = json.loads(json.dumps(data))"),
    ("regex", PLAIN + "text = 'ab12 cd345 ' * 20_000", "found = re.findall(r'[a-z]+(\\d+)', text)"),
    ("Counter", PLAIN + "words = ['w%d' % (n % 997) for n in range(200_000)]", "counts = collections.Counter(words)"),
    ("comprehension", PLAIN, "squares = [n * n for n in range(300_000) if n % 3]"),
    ("generator", PLAIN, "total = sum(i * i for i in range(200_000))"),
    ("recursion", PLAIN + "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)", "fib(22)"),
    ("matmul", NUMPY + "a = rng.random((600, 600))", "b = a @ a"),
    ("svd", NUMPY + "a = rng.random((200, 200))", "u, s, v = np.linalg.svd(a)"),
    ("ufuncs", NUMPY + "x = rng.random(1_000_000)", "y = np.exp(-x) * np.sin(x) + x ** 2"),
    (
        "sqlite",
        PLAIN,
        "base = sqlite3.connect(':memory:')\nbase.execute('create table t (a, b)')\n"
        "base.executemany('insert into t values (?, ?)', [(n, str(n)) for n in range(5000)])\n"
        "rows = base.execute('select * from t where a % 7 = 3').fetchall()",
    ),
    (
        "plot",
        NUMPY + "import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as plt\nx = np.linspace(0, 9, 500)",
        "figure, axes = plt.subplots()\naxes.plot(x, np.sin(x), label='sine'); axes.legend()\n"
        "figure.canvas.draw(); plt.close(figure)",
    ),
    (
        "fit with imports",
        FRAME,
        "from sklearn.linear_model import LinearRegression\nmodel = LinearRegression().fit(df[['x']], df['g'])",
        True,
    ),
    (
        "fit of trees",
        FRAME + "from sklearn.ensemble import RandomForestRegressor",
        "model = RandomForestRegressor(20, max_depth=6).fit(df[['x', 'y']].head(3000), df['g'].head(3000))",
    ),
]
MAGICS = ["%%native_calls", "%%native_calls --deep", "%%native_prof", "%%syscalls", "%%buffer_trace", "%%trace_loads"]
# What is promised: how many times the plain cell, besides 0.3 s; bytes in the notebook; bytes that are kept.
TIMES = {"%%native_calls --deep": 5}
BESIDES = 0.3
BYTES = 256_000
KEPT = 50e6


class Kernel:
    """A fresh kernel and its client."""

    def __init__(self, name):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(stdout=sys.stderr, stderr=sys.stderr)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.pid = self.manager.provisioner.process.pid

    def run(self, code):
        """Execute; the seconds that it takes, the bytes of its outputs by MIME type, and what it shows as JSON."""
        outputs = {}
        shown = {}

        def hear(message):
            if message["msg_type"] == "error":
                raise SystemExit("\n".join(message["content"]["traceback"]))
            for kind, data in message["content"].get("data", {}).items():
                text = data if isinstance(data, str) else json.dumps(data)
                outputs[kind] = outputs.get(kind, 0) + len(text)
                if "diaphane" in kind:
                    shown.update(data)

        began = time.perf_counter()
        reply = self.client.execute_interactive(code, timeout=900, output_hook=hear)
        took = time.perf_counter() - began
        assert reply["content"]["status"] == "ok", reply["content"]
        return took, outputs, shown

    def resident(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def measure(kernel_name, magic, before, code, alone=False):
    """The figures of one cell below one magic."""
    kernel = Kernel(kernel_name)
    try:
        kernel.run(before)
        own = 0
        if alone:
            resident = kernel.resident()
            plain = kernel.run(code)[0]
            # What the cell keeps by itself.
            own = kernel.resident() - resident
            kernel.end()
            kernel = Kernel(kernel_name)
            kernel.run(before)
        else:
            kernel.run(code)
            plain = min(kernel.run(code)[0] for _ in range(2))
        resident = kernel.resident()
        first, outputs, shown = kernel.run(f"{magic}\n{code}")
        again = None
        if not alone:
            again, outputs, shown = kernel.run(f"{magic}\n{code}")
        return {
            "plain": plain,
            "first": first,
            "again": again,
            "bytes": sum(outputs.values()),
            "outputs": outputs,
            "kept": kernel.resident() - resident - own,
            "estimated": (shown.get("plain_ns") or 0) / 1e9 or None,
        }
    finally:
        kernel.end()


def is_kept(magic, figures):
    """Whether the aims hold."""
    took = figures["again"] or figures["first"]
    aim = TIMES.get(magic, 2) * figures["plain"] + BESIDES
    return took <= aim and figures["bytes"] <= BYTES and figures["kept"] <= KEPT


def table(figures):
    """The figures as Markdown, a table for each magic."""
    for magic in dict.fromkeys(magic for _, magic in figures):
        print(f"\n### `{magic}`\n")
        print("| cell | plain | estimated | first time | again | ratio | in the notebook | memory kept | |")
        print("|---|---|---|---|---|---|---|---|---|")
        for (cell, of), one in figures.items():
            if of != magic:
                continue
            if "failed" in one:
                print(f"| {cell} | | | | | | | | {one['failed']} |")
                continue
            took = one["again"] or one["first"]
            times = [one["plain"], one["estimated"], one["first"], one["again"]]
            words = ["-" if time is None else f"{time * 1e3:.0f} ms" for time in times]
            rest = [f"{took / one['plain']:.1f}", f"{one['bytes'] / 1e3:.0f} kB", f"{one['kept'] / 1e6:.0f} MB"]
            print(f"| {' | '.join([cell, *words, *rest])} | {'' if is_kept(magic, one) else 'over'} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default="diaphane")
    parser.add_argument("--cells", help="only those with one of these words in their names, separated by commas")
    parser.add_argument("--magics", help="only these, separated by commas")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", help="keep every number in a file")
    asked = parser.parse_args()
    words = asked.cells.split(",") if asked.cells else [""]
    magics = asked.magics.split(",") if asked.magics else MAGICS
    figures = {}
    for name, *cell in CELLS:
        if not any(word in name for word in words):
            continue
        for magic in magics:
            if magic == "%%buffer_trace" and "numpy" not in cell[0]:
                continue  # It is about NumPy's memory.
            try:
                rounds = [measure(asked.kernel, magic, *cell) for _ in range(asked.rounds)]
                middle = statistics.median_low([one["again"] or one["first"] for one in rounds])
                best = next(one for one in rounds if (one["again"] or one["first"]) == middle)
            except (Exception, SystemExit) as error:
                best = {"failed": f"{type(error).__name__}: {str(error)[-200:]}"}
            figures[name, magic] = best
            print(name, magic, best, file=sys.stderr, flush=True)
    table(figures)
    print(f"\nLoad of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs.")
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump([[*key, value] for key, value in figures.items()], file, indent=1)


if __name__ == "__main__":
    main()
