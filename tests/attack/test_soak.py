"""The short form of the soak: nothing grows with the cells, as far as so few of them can tell."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import soak
from support.attack import times

SOAK = Path(__file__).parents[1] / "soak.py"


def test_nothing_grows(tmp_path):
    """The long form is `tests/soak.py --cells 100000`."""
    report = tmp_path / "soak.json"
    command = [sys.executable, SOAK, "--cells", str(times(500)), "--report", report]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert found["failed"] == []
    # What is whole is whole: descriptors and threads are counted, not estimated.
    first, last = found["samples"][1], found["samples"][-1]
    assert last["descriptors"] <= first["descriptors"] + 2
    assert last["threads"] <= first["threads"] + 2


def test_one_jump_is_accused_and_acquitted():
    """What happened once is no growth, however the fit shares it out; what each cell leaves is."""
    jump = {"anonymous": {"a value": (4.4e6, 0.9e6), "a fork": (4.4e6, 2e6), "prints": None}}
    found = {measure: jump.get(measure, {}) for measure in soak.MOST}
    assert soak.accused(found) == [("anonymous", "a value")]
    assert not soak.Trial("anonymous", "a value", [2e6, 2e6, 0.0, 0.0]).is_guilty
    assert not soak.Trial("anonymous", "a value", [2e6, 99_000.0, 2e6, 2e6]).is_guilty
    assert soak.Trial("anonymous", "a value", [0.0, 2e5, 3e5, 2e5]).is_guilty


def test_what_grows_with_a_kind_is_found(launch, monkeypatch, dice):
    """A cell that keeps a megabyte, and one that does not."""
    monkeypatch.setitem(
        soak.CELLS, "a value", "kept = globals().get('kept', []) + [bytes(1 << 20)]"
    )
    tried = soak.Soak(launch())
    assert tried.try_alone("anonymous", "a value", 10, dice).is_guilty
    assert not tried.try_alone("anonymous", "an error", 10, dice).is_guilty
    assert tried.failed == []
    assert np.isclose(tried.try_alone("mappings", "an error", 10, dice).growth[-1], 0, atol=1)
