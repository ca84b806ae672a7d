"""The short form of the soak: nothing grows with the cells, as far as so few of them can tell."""

import json
import subprocess
import sys
from pathlib import Path

from support.attack import times

SOAK = Path(__file__).parents[1] / "soak.py"
# A cell's own history is 2 kB; the rest is what a short run cannot tell from nothing.
BYTES = 100_000
# Errors that a slope may be from the truth.
SIGMA = 4


def test_nothing_grows(tmp_path):
    """The long form is `tests/soak.py --cells 100000`."""
    report = tmp_path / "soak.json"
    command = [sys.executable, SOAK, "--cells", str(times(500)), "--report", report]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert found["failed"] == []
    for measure, most in {
        "anonymous": BYTES,
        "descriptors": 0.05,
        "threads": 0.05,
        "mappings": 1,
    }.items():
        slopes = found["slopes"][measure].items()
        grown = {kind: s for kind, s in slopes if s and s[0] - SIGMA * s[1] > most}
        assert grown == {}, measure
    # What is whole is whole: descriptors and threads are counted, not estimated.
    first, last = found["samples"][1], found["samples"][-1]
    assert last["descriptors"] <= first["descriptors"] + 2
    assert last["threads"] <= first["threads"] + 2
