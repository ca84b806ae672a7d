"""CPython's and NumPy's own tests end below each recording as they end without it."""

import json
from pathlib import Path
from typing import Any

import pytest

from support import suite_in_kernel
from support.attack import SCALE, Dice, times
from support.client import Client
from support.magic_cells import RECORDINGS, SPOT

CPYTHON = [
    "test.test_json",
    "test.test_gc",
    "test.test_threading",
    "test.test_pickle",
    "test.test_signal",
    "test.test_ctypes",
    "test.test_subprocess",
    "test.test_asyncio.test_tasks",
    "test.test_re",
    "test.test_contextlib",
    "test.test_weakref",
    "test.test_generators",
    "test.test_descr",
]
NUMPY = [
    "numpy._core.tests.test_indexing",
    "numpy._core.tests.test_ufunc",
    "numpy._core.tests.test_multiarray",
    "numpy.linalg.tests.test_linalg",
    "numpy.fft.tests.test_pocketfft",
    "numpy.random.tests.test_generator_mt19937",
]
# What takes a minute, needs a gigabyte, or asks how long something took.
LONG = ("Bigmem", "bigmem", "large", "huge", "timing", "timeout", "slow", "stress", "memory_error")
CODE = Path(suite_in_kernel.__file__).read_text()
# From here on, everything of a module is run.
EVERYTHING = 10


@pytest.mark.parametrize("recording", RECORDINGS)
@pytest.mark.parametrize(
    ("kind", "modules"), [("unittests", CPYTHON), ("pytests", NUMPY)], ids=["cpython", "numpy"]
)
def test_results_are_equal(launch, dice: Dice, recording: str, kind: str, modules: list[str]):
    """Whole modules with `DIAPHANE_ATTACK=10`."""
    suite = Suite(launch().connect(), kind)
    there = suite.there(modules)
    if not there:
        pytest.skip("this Python comes without its tests")
    chosen = dice.sample_of(there, len(there) if SCALE >= EVERYTHING else times(1))
    different = {}
    for module in chosen:
        different |= suite.differences(recording, module, dice)
        assert suite.client.run("1 + 1").result == "2"
        # What a module's tests leave behind, the next one does not meet.
        if module != chosen[-1]:
            suite = Suite(launch().connect(), kind)
    assert different == {}


class Suite:
    """A kernel that runs tests of one kind."""

    def __init__(self, client: Client, kind: str):
        self.client = client
        self.kind = kind
        client.run(f"{CODE}\nimport json, numpy\n{SPOT}")

    def there(self, modules: list[str]) -> list[str]:
        return self.value(f"[one for one in {modules} if exists(one)]")

    def value(self, expression: str) -> Any:
        """A value of any length; IPython abbreviates what it shows."""
        return json.loads(self.client.run(f"print(json.dumps({expression}))").text())

    def differences(self, recording: str, module: str, dice: Dice) -> dict[str, tuple]:
        """The tests that end otherwise below a recording, each with both ends."""
        names = self.names(module, dice)
        plain = self.run("", module, names)
        again = self.run("", module, names)
        under = self.run(recording, module, names)
        # A test that ends differently the second time has itself to blame.
        steady = [name for name in plain if plain[name] == again.get(name)]
        assert steady, f"nothing of {module} was run"
        return {n: (plain[n], under.get(n)) for n in steady if under.get(n) != plain[n]}

    def names(self, module: str, dice: Dice) -> list[str] | None:
        """Which tests are run; None for all."""
        names = self.value(f"{self.kind}({module!r})")
        assert names, f"{module} has no tests"
        names = [name for name in names if not any(word in name for word in LONG)]
        return names if SCALE >= EVERYTHING else dice.sample_of(names, times(25))

    def run(self, recording: str, module: str, names: list[str] | None) -> dict[str, str]:
        """How the tests end in a cell with this magic."""
        line = f"{recording} --as report\n" if recording else ""
        begun = self.client.start(f"{line}outcomes = run_{self.kind}({module!r}, {names!r})")
        self.client.until(
            lambda: begun.answered, f"{module} below {recording}", begun, patience=600
        )
        assert begun.content["status"] == "ok", (module, recording, begun.content)
        return self.value("outcomes")
