#!/usr/bin/env python3
"""Measure %%rust beside %%cython and rustimport, in turns: what an edited cell costs, and an unchanged one.

    python -m venv peers && peers/bin/pip install cython setuptools rustimport ipykernel numpy
    benches/rust_cells.py --peers peers --rounds 7

It needs a kernel that is installed as `diaphane` (a release build), and Rust. The peers are left out without `--peers`.
A row is a cell: the CPU time of the kernel and of all that it started, and the time on the clock; each is the median
of the rounds.
In each round every cell is run once, and edited by a number that no cell had before, so that no cache has it.
"""

import argparse
import itertools
import statistics
import time
from pathlib import Path

import psutil
from jupyter_client.manager import KernelManager

SLICE = "%%rust --slices -i a -o s\nlet s: f64 = a.iter().sum::<f64>() + {n} as f64;"
NDARRAY = "%%rust -i a -o s\nlet s = a.sum() + {n} as f64;"
CYTHON = """%%cython
def total(double[::1] a):
    cdef double s = {n}
    cdef Py_ssize_t i
    for i in range(a.shape[0]): s += a[i]
    return s"""
RUSTIMPORT = """%%rustimport
//:
//: [dependencies]
//: numpy = "*"
use pyo3::prelude::*;
use numpy::PyReadonlyArray1;
#[pyfunction]
fn total(a: PyReadonlyArray1<f64>) -> f64 {{ a.as_slice().unwrap().iter().sum::<f64>() + {n} as f64 }}"""
SUMS = """
import time
def best(f, count=50):
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns(); f(a); times.append(time.perf_counter_ns() - begin)
    return sorted(times)[count // 2]
"""
DEFINITION = """%%rust --def
use ndarray::ArrayView1;
pub fn rust_sum(a: ArrayView1<f64>) -> f64 {{ a.sum() }}
pub fn edited() -> i64 {{ {n} }}"""

numbers = itertools.count(int(time.time()) % 1_000_000_000)
AIMS = {"edited slice": 0.25, "edited ndarray": 0.35, "unchanged": 50e-6, "first, warm cache": 2.0}
"""Seconds: of CPU for what is edited, on the clock for the rest."""


class Kernel:
    """A kernel, and the clocks of all that it started."""

    def __init__(self, command=None):
        self.manager = KernelManager(kernel_name="python3" if command else "diaphane")
        if command:
            self.manager.kernel_spec.argv = command
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.process = psutil.Process(self.manager.provisioner.pid)
        self.run("import numpy as np\na = np.ones(1_000_000)")

    def run(self, code: str) -> str:
        text = []
        reply = self.client.execute_interactive(
            code, output_hook=lambda m: text.append(m["content"].get("text", "")), timeout=1800
        )
        if reply["content"]["status"] != "ok":
            raise SystemExit("\n".join(reply["content"].get("traceback", text)))
        return "".join(text)

    def cpu(self) -> float:
        processes = [self.process, *self.process.children(recursive=True)]
        total = 0.0
        for process in processes:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def timed(self, code: str) -> tuple[float, float]:
        """CPU and clock, in seconds."""
        cpu, clock = self.cpu(), time.perf_counter()
        self.run(code)
        clock = time.perf_counter() - clock
        return self.cpu() - cpu, clock

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def unchanged(kernel: Kernel) -> tuple[float, float]:
    """A cell that was compiled before, from the call of the magic to its end: the clock and a thread's CPU time."""
    line, source = "--slices -i a -o s", "let s = a[0];"
    kernel.run(f"get_ipython().run_cell_magic('rust', {line!r}, {source!r})")
    code = f"""
import time
run, times, works = get_ipython().run_cell_magic, [], []
for _ in range(300):
    begin, work = time.perf_counter_ns(), time.thread_time_ns()
    run("rust", {line!r}, {source!r})
    works.append(time.thread_time_ns() - work); times.append(time.perf_counter_ns() - begin)
print(sorted(works)[150], sorted(times)[150])"""
    work, clock = kernel.run(code).split()
    return int(work) / 1e9, int(clock) / 1e9


def first() -> tuple[float, float]:
    """The first Rust cell of a kernel, whose dependencies were compiled by another one."""
    kernel = Kernel()
    try:
        return kernel.timed(NDARRAY.format(n=next(numbers)))
    finally:
        kernel.end()


def sums(kernel: Kernel) -> tuple[float, float]:
    """The sum of 1e6 items by a function in Rust and by NumPy, in turns, in seconds on the clock."""
    found = kernel.run("print(*[best(f) for f in (rust_sum, np.sum)])").split()
    return int(found[0]) / 1e9, int(found[1]) / 1e9


def many(count: int) -> None:
    """Memory and mappings after so many different cells."""
    kernel = Kernel()
    memory, mappings = [], []
    for number in range(count + 1):
        kernel.run(NDARRAY.format(n=next(numbers)))
        if number in (0, count):
            memory.append(kernel.process.memory_info().rss)
            mappings.append(len(kernel.process.memory_maps(grouped=False)))
    folder = kernel.run("print(max((m.split()[-1] for m in open('/proc/self/maps') if 'rust_cell_' in m)))")
    files = [file.stat().st_size for file in Path(folder.strip()).parent.iterdir()]
    kernel.end()
    print(
        f"{count} more cells: {(memory[1] - memory[0]) / 2**20:.1f} MiB of memory, "
        f"{mappings[1] - mappings[0]} mappings, {sum(files) / 2**20:.1f} MiB of files"
    )


def peers_of(path: Path | None) -> list[tuple[str, Kernel, str]]:
    if path is None:
        return []
    python = str(path / "bin/python")
    found = []
    for name, load, cell in [
        ("%%cython, edited", "%load_ext cython", CYTHON),
        ("%%rustimport, edited", "%load_ext rustimport", RUSTIMPORT),
    ]:
        kernel = Kernel([python, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
        kernel.run(load)
        found.append((name, kernel, cell))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", type=Path, help="a virtual environment with cython, rustimport, ipykernel, numpy")
    parser.add_argument("--cells", type=int, default=200, help="how many cells for memory and mappings; 0 for none")
    options = parser.parse_args()
    kernel = Kernel()
    for cell in (SLICE, NDARRAY, DEFINITION):
        kernel.run(cell.format(n=next(numbers)))
    kernel.run(SUMS)
    peers = peers_of(options.peers)
    rows: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for name, cell in [("edited slice", SLICE), ("edited ndarray", NDARRAY)]:
            rows.setdefault(name, []).append(kernel.timed(cell.format(n=next(numbers))))
        rows.setdefault("unchanged", []).append(unchanged(kernel))
        rows.setdefault("first, warm cache", []).append(first())
        rows.setdefault("sum of 1e6: Rust, NumPy", []).append(sums(kernel))
        for name, peer, cell in peers:
            rows.setdefault(name, []).append(peer.timed(cell.format(n=next(numbers))))
    print(f"{'':26}{'CPU':>14}{'clock':>14}   aim")
    for name, found in rows.items():
        cpu, clock = (statistics.median(one[part] for one in found) for part in (0, 1))
        aim = AIMS.get(name)
        kept = (
            ""
            if aim is None
            else f"{'kept' if (clock if 'edited' not in name else cpu) <= aim else 'MISSED'} ({aim:g} s)"
        )
        if name.startswith("sum"):
            kept = f"{'kept' if cpu <= clock else 'MISSED'} (Rust / NumPy = {cpu / clock:.2f}, at most 1)"
        print(f"{name:26}{cpu * 1e3:11.3f} ms{clock * 1e3:11.3f} ms   {kept}")
    for one in [kernel, *(peer for _, peer, _ in peers)]:
        one.end()
    if options.cells:
        many(options.cells)


if __name__ == "__main__":
    main()
