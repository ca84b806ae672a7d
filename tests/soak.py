"""Runs many mixed cells in one kernel and says what each kind of them leaves behind.

    tests/.venv/bin/python tests/soak.py --cells 100000

Between intervals the outputs are forgotten (`%reset -f out`), garbage is collected, and the process is looked at from
outside: anonymous memory, resident memory, descriptors, threads, mappings. In each interval another kind of cell has
half of the turns, so that the growth of the intervals tells the kinds apart: a least-squares fit with one slope for
each kind, and the standard error of each. The kernel as a whole has the mean growth and the standard error of that.

A fit can blame a kind for what happened once, such as an arena of malloc that grew while the kind had its turns. So
what it accuses is tried alone, in the same kernel: several batches of that kind, and only what grows in each of them,
but for the first, is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TESTS = Path(__file__).resolve().parent
# Where tests/run.sh installs the kernel.
os.environ.setdefault("JUPYTER_PATH", str(TESTS / ".work/share/jupyter"))

from support.attack import Dice  # noqa: E402
from support.client import Client  # noqa: E402
from support.magic_cells import LINES, PREPARE, RECORDINGS, line, recorded  # noqa: E402
from support.process import Kernel  # noqa: E402

CELLS = {
    "a value": "1 + 1",
    "prints": "for n in range(20): print(n)",
    "native prints": "import os\nfor n in range(20): os.write(1, b'x\\n')",
    "a display": "from IPython.display import HTML\nHTML('<b>x</b>')",
    "a large value": "'x' * 100_000",
    "an error": "1 / 0",
    "a class": "class C:\n    def m(self): return self\nc = C()",
    "await": "import asyncio\nawait asyncio.sleep(0)",
    "a thread": "import threading\none = threading.Thread(target=print); one.start(); one.join()",
    "a program": "import subprocess\nsubprocess.run(['true'])",
    "a fork": "import os\npid = os.fork()\nif not pid: os._exit(0)\nos.waitpid(pid, 0)",
    "arrays": "a = np.ones(100_000); b = a[::2]; a @ a",
    "an import": "import importlib, decimal\nimportlib.reload(decimal)",
    "a comm": "from comm import create_comm\ncreate_comm('none').close()",
    "a cell without magics": "answer = work()",
    **{magic: line(magic) for magic in LINES},
    **{magic: recorded(magic) for magic in RECORDINGS},
}
REQUESTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "completion": ("complete_request", {"code": "np.lin", "cursor_pos": 6}, "shell"),
    "inspection": (
        "inspect_request",
        {"code": "np.sum", "cursor_pos": 6, "detail_level": 0},
        "shell",
    ),
    "history": (
        "history_request",
        {"hist_access_type": "tail", "n": 3, "output": False, "raw": True},
        "shell",
    ),
    "usage": ("usage_request", {}, "control"),
    "magic_request": ("magic_request", {"name": "threads", "line": ""}, "control"),
}
FAIL = {"an error"}
KINDS = [*CELLS, *REQUESTS]
# A growth a cell and its standard error, by what is measured and by kind.
Slopes = dict[str, dict[str, tuple[float, float] | None]]
# What a first cell of a kind brings is no growth.
WARM = 3
# What a cell may leave behind, by the fit and alone. Its own history is 2 kB; the rest cannot be told from nothing.
MOST = {"anonymous": 100_000, "descriptors": 0.05, "threads": 0.05, "mappings": 1}
# Errors that a slope may be from the truth.
SIGMA = 4
# The whole is accused too; then it is the mixture that is tried.
WHOLE = ("all", "second half")
# The first batch of a trial brings what is kept for the next ones, and is not counted.
BATCHES = 4
SMALLEST_BATCH = 30


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=10_000, help="how many cells and requests")
    parser.add_argument("--every", type=int, help="how many of them are one interval")
    parser.add_argument("--report", type=Path, help="a JSON file for the samples and the slopes")
    asked = parser.parse_args()
    # Twenty intervals for each kind are enough, and three of them the fewest that tell something.
    every = asked.every or max(5, asked.cells // (20 * len(KINDS)))
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder) / "kernel")
        try:
            soak = Soak(kernel)
            dice = Dice("soak")
            soak.run(asked.cells, every, dice)
            found = soak.slopes()
            print(table(found))
            batch = max(SMALLEST_BATCH, asked.cells // len(KINDS))
            trials = [soak.try_alone(*charge, batch, dice) for charge in accused(found)]
        finally:
            kernel.close()
    for trial in trials:
        print(trial.sentence)
    failed = soak.failed + [trial.sentence for trial in trials if trial.is_guilty]
    if asked.report:
        asked.report.write_text(
            json.dumps({"slopes": found, "samples": soak.samples, "failed": failed})
        )
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


class Trial(NamedTuple):
    """How much a measure grew a cell, in each batch of a kind that was accused of it."""

    measure: str
    kind: str
    growth: list[float]

    @property
    def is_guilty(self) -> bool:
        return min(self.growth[1:]) > MOST[self.measure]

    @property
    def sentence(self) -> str:
        verdict = "grows" if self.is_guilty else "does not grow"
        batches = ", ".join(f"{growth:.2f}" for growth in self.growth)
        return f"tried alone, {self.kind} {verdict}: {self.measure} a cell in each batch {batches}"


def accused(found: Slopes) -> list[tuple[str, str]]:
    """The measures and kinds whose slope is above what a cell may leave, beyond its error."""
    return [
        (measure, kind)
        for measure, most in MOST.items()
        for kind, slope in found[measure].items()
        if slope and slope[0] - SIGMA * slope[1] > most
    ]


class Soak:
    """One kernel, what was asked of it between the samples, and what it failed to do."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.client = kernel.connect()
        self.client.run(PREPARE)
        self.client.run("%native_delta on")
        self.counts: list[Counter[str]] = []
        self.samples: list[dict[str, float]] = []
        self.failed: list[str] = []

    def run(self, cells: int, every: int, dice: Dice) -> None:
        for kind in KINDS * WARM:
            self.ask(kind)
        self.samples.append(self.sample())
        deck: list[str] = []
        told = time.monotonic()
        for done in range(0, cells, every):
            deck = deck or dice.sample(KINDS, len(KINDS))
            favourite = deck.pop()
            kinds = [favourite if dice.random() < 0.5 else dice.choice(KINDS) for _ in range(every)]
            for kind in kinds:
                self.ask(kind)
            self.counts.append(Counter(kinds))
            self.samples.append(self.sample())
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"{done + every} of {cells}: {self.samples[-1]}", file=sys.stderr)

    def try_alone(self, measure: str, kind: str, batch: int, dice: Dice) -> Trial:
        """Batches of one kind, or of all where the whole is accused."""
        samples = [self.sample()[measure]]
        for _ in range(BATCHES):
            for _ in range(batch):
                self.ask(dice.choice(KINDS) if kind in WHOLE else kind)
            samples.append(self.sample()[measure])
        return Trial(measure, kind, [float(growth) / batch for growth in np.diff(samples)])

    def ask(self, kind: str) -> None:
        """One cell or request of a kind; what is wrong with its answer is kept."""
        client = self.client
        if kind in CELLS:
            content = client.execute(CELLS[kind]).content
        else:
            msg_type, content, channel = REQUESTS[kind]
            content = client.request(msg_type, content, channel).content
        # A reply that says only what it was asked is good.
        if content.get("status", "ok") != ("error" if kind in FAIL else "ok"):
            self.failed.append(f"{kind}: {content}")
        forget(client)

    def sample(self) -> dict[str, float]:
        """What the process has, with the user's outputs forgotten."""
        self.client.run("%reset -f out", store_history=False)
        self.client.run("import gc; report = report_of_answer = None; gc.collect()", silent=True)
        forget(self.client)
        rollup = dict(
            line.split(":", 1) for line in self.kernel.proc("smaps_rollup").splitlines()[1:]
        )
        return {
            "anonymous": 1024 * int(rollup["Anonymous"].split()[0]),
            "resident": 1024 * int(rollup["Rss"].split()[0]),
            "descriptors": len(os.listdir(f"/proc/{self.kernel.pid}/fd")),
            "threads": len(self.kernel.threads),
            "mappings": len(self.kernel.proc("maps").splitlines()),
        }

    def slopes(self) -> Slopes:
        """For each measure the growth a cell with its standard error: of the whole, of its second half, of each kind."""
        turns = np.array([[count[kind] for kind in KINDS] for count in self.counts], float)
        found = {}
        for measure in self.samples[0]:
            growth = np.diff([sample[measure] for sample in self.samples])
            late = len(growth) // 2
            found[measure] = {
                **dict(
                    zip(
                        WHOLE, (mean(growth, turns), mean(growth[late:], turns[late:])), strict=True
                    )
                ),
                **dict(zip(KINDS, fit(growth, turns), strict=True)),
            }
        return found


def forget(client: Client) -> None:
    client.record.clear()
    client.strays.clear()
    client.exchanges.clear()


def mean(growth: np.ndarray, turns: np.ndarray) -> tuple[float, float]:
    """The growth a cell, by the scatter of the intervals."""
    cells = turns.sum() / len(growth)
    return float(growth.mean() / cells), float(growth.std(ddof=1) / np.sqrt(len(growth)) / cells)


def fit(growth: np.ndarray, turns: np.ndarray) -> list[tuple[float, float] | None]:
    """The growth a cell of each kind, by least squares; None of what so few intervals cannot tell."""
    known = turns.any(axis=0)
    turns = turns[:, known]
    free = len(growth) - turns.shape[1]
    if free <= 0 or np.linalg.matrix_rank(turns) < turns.shape[1]:
        return [None] * len(known)
    inverse = np.linalg.inv(turns.T @ turns)
    slopes = inverse @ turns.T @ growth
    variance = ((growth - turns @ slopes) ** 2).sum() / free
    found = zip(slopes.tolist(), np.sqrt(variance * np.diag(inverse)).tolist(), strict=True)
    return [next(found) if is_known else None for is_known in known]


def table(found: Slopes) -> str:
    """A table in Markdown: bytes a cell, and how many descriptors, threads and mappings a thousand cells."""
    lines = [
        "| Cells | anonymous, B | resident, B | descriptors/1000 | threads/1000 | mappings/1000 |",
        "|---|---|---|---|---|---|",
    ]
    for kind in found["anonymous"]:
        fields = []
        for measure, slopes in found.items():
            fields.append(field(slopes[kind], measure))
        lines.append(f"| `{kind}` | {' | '.join(fields)} |")
    return "\n".join(lines)


def field(slope: tuple[float, float] | None, measure: str) -> str:
    if slope is None:
        return "?"
    if measure in ("anonymous", "resident"):
        return f"{slope[0]:.0f} ± {slope[1]:.0f}"
    return f"{1000 * slope[0]:.2f} ± {1000 * slope[1]:.2f}"


if __name__ == "__main__":
    sys.exit(main())
