"""Others' tests, run in the kernel: code for its cells, which is sent as text. `outcomes` maps each test to its end."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import unittest

import pytest

# NumPy's conftest.py wants packages that its tests can mostly do without.
QUIET = (
    "-q",
    "-p",
    "no:cacheprovider",
    "--noconftest",
    "-o",
    "addopts=",
    "-c",
    "/dev/null",
    "--pyargs",
)


def exists(module: str) -> bool:
    """Whether this Python has a module; Debian's, for one, comes without most of its tests."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def flat(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from flat(one)
        else:
            yield one


def unittests(module: str) -> list[str]:
    """The names of all tests of a module."""
    return [one.id() for one in flat(unittest.defaultTestLoader.loadTestsFromName(module))]


class Ends(unittest.TextTestResult):
    """How each test ended, by one word."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.ends: dict[str, str] = {}

    def startTest(self, test):
        super().startTest(test)
        self.ends[test.id()] = "ok"

    def addError(self, test, err):
        super().addError(test, err)
        self.ends[test.id()] = f"error {err[0].__name__}"

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.ends[test.id()] = f"failure {err[1]}"[:300]

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.ends[test.id()] = "skipped"

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.ends[test.id()] = "expected failure"

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.ends[test.id()] = f"sub test: {err[0].__name__}"


def run_unittests(module: str, names: list[str] | None = None) -> dict[str, str]:
    """Run tests of a module, and with no names all of them."""
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    if names is not None:
        # The order is that of the module, with its classes' and its own preparations.
        suite = unittest.TestSuite(one for one in flat(suite) if one.id() in names)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return unittest.TextTestRunner(said, resultclass=Ends).run(suite).ends


class Chosen:
    """A plugin of pytest that runs some tests and keeps how they ended."""

    def __init__(self, names: list[str] | None):
        self.names = names
        self.ends: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items):
        if self.names is not None:
            items[:] = [item for item in items if item.nodeid in self.names]
        self.ends = {item.nodeid: "not run" for item in items}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.ends[report.nodeid] = f"{report.when} {report.outcome}"


def run_pytests(module: str, names: list[str] | None = None, *options: str) -> dict[str, str]:
    """The same for a module of pytest's."""
    chosen = Chosen(names)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        pytest.main([*QUIET, *options, module], plugins=[chosen])
    return chosen.ends


def pytests(module: str) -> list[str]:
    return list(run_pytests(module, None, "--collect-only"))
