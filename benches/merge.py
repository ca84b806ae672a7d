#!/usr/bin/env python3
"""Measure what it takes to make one report of many workers' reports.

    benches/merge.py --workers 1000 10000

It needs a Python that has the package and NumPy. The reports are of this process, with as many threads as a worker
has, and are made different: each has other numbers and times, and a finding that names its process; every hundredth
worker is set up otherwise. They are merged as JSON, and up to a thousand as values too, since these take more memory.
The least CPU time of three rounds counts, which a busy neighbour disturbs less than the time on the clock; all is done
on one thread.
"""

import argparse
import json
import resource
import threading
import time
from collections.abc import Callable

import diaphane
import numpy  # noqa: F401  its pool of threads is what workers differ in

THREADS = 20
MOST_VALUES = 1000


def reports(magic: str, count: int) -> dict[str, str]:
    """The reports of so many workers as JSON, by their names."""
    one = json.loads(getattr(diaphane, magic)().to_json())
    made = {}
    for number in range(count):
        found = {
            "code": "T001",
            "severity": "warn",
            "title": f"Process {10_000 + number} has more threads than CPUs.",
            "evidence": [f"process {10_000 + number}: {THREADS} threads"],
            "fix": "Set fewer.",
        }
        rows = [row | {"tid": 10_000 + number, "cpu_ns": 10**9 + number} for row in one["rows"]]
        quota = 0.5 if number % 100 == 7 else None
        fields = one | {"rows": rows or [found], "cpus": one["cpus"] | {"quota": quota}, "diagnoses": [found]}
        made[f"tcp://10.0.{number // 250}.{number % 250}:8786"] = json.dumps(fields)
    return made


def value(text: str) -> diaphane.Report:
    """A report as a value that a worker has sent."""
    return diaphane.Report._from_stored(text)


def best(function: Callable[[], diaphane.Report]) -> tuple[float, diaphane.Report]:
    """The least CPU time of three, and what came of it."""
    took = []
    for _ in range(3):
        begun = time.process_time()
        merged = function()
        took.append(time.process_time() - begun)
    return min(took), merged


def main() -> None:
    """Prints a line for each magic and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--magics", nargs="+", default=["native_doctor", "threads"])
    options = parser.parse_args()
    over = threading.Event()
    for number in range(THREADS):
        threading.Thread(target=over.wait, name=f"Worker-Threads-{number}", daemon=True).start()
    print("| Magic | Workers | JSON of each | As JSON | As values | A worker, as JSON | HTML | Peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for magic in options.magics:
        for count in options.workers:
            texts = reports(magic, count)
            seconds, merged = best(lambda texts=texts: diaphane.merge(texts))
            live = "-"
            if count <= MOST_VALUES:
                values = {name: value(text) for name, text in texts.items()}
                live = f"{best(lambda values=values: diaphane.merge(values))[0]:.2f} s"
            size = sum(map(len, texts.values())) / count
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            print(
                f"| `{magic}` | {count} | {size / 1000:.1f} kB | {seconds:.2f} s | {live} "
                f"| {seconds / count * 1e6:.0f} us | {len(merged.to_html()) / 1000:.0f} kB | {peak:.0f} MB |"
            )


if __name__ == "__main__":
    main()
