"""The plugin for pytest."""

import pytest

from support import door
from support.programs import start

TESTS = """
import threading
import numpy as np
a = np.ones(100_000)

def test_copies(no_copy):
    with no_copy(a):
        b = a.copy()

def test_views(no_copy):
    with no_copy(a):
        b = a[::2]
        small = np.ones(10)

def test_size(no_copy):
    with no_copy(min="1kB"):
        np.zeros(1000)

def test_starts(no_new_thread):
    go = threading.Event()
    with no_new_thread():
        thread = threading.Thread(target=go.wait, name="mine", daemon=True)
        thread.start()
    go.set()

def test_starts_none(no_new_thread):
    with no_new_thread():
        sum(range(10))

def test_loads(no_new_library):
    with no_new_library():
        import _lsprof

def test_loads_none(no_new_library):
    with no_new_library():
        import json

def test_own_error(no_copy):
    with no_copy(a):
        a.copy()
        raise KeyError("own")
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_mine.py").write_text(TESTS)
    words = [
        "-m",
        "pytest",
        "-p",
        "diaphane.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "--diaphane-doctor",
        "-v",
        ".",
    ]
    return start(door.python(), *words, cwd=folder)


def outcomes(done):
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("test_mine.py::")]
    return {line[0].split("::")[1]: line[1] for line in lines}


def test_what_must_not_be_fails(done):
    assert outcomes(done) == {
        "test_copies": "FAILED",
        "test_views": "PASSED",
        "test_size": "FAILED",
        "test_starts": "FAILED",
        "test_starts_none": "PASSED",
        "test_loads": "FAILED",
        "test_loads_none": "PASSED",
        "test_own_error": "FAILED",
    }


def test_the_message_names_it(done):
    assert "1 buffer of 800000 bytes or more allocated" in done.stdout
    assert "at test_mine.py:8: b = a.copy()" in done.stdout
    assert "1 buffer of 1kB or more allocated" in done.stdout
    assert "1 thread started" in done.stdout
    assert "mine (python, thread" in done.stdout
    assert "1 library loaded" in done.stdout
    assert "_lsprof" in done.stdout
    assert "KeyError: 'own'" in done.stdout
    assert "pytest_plugin.py" not in done.stdout


def test_the_doctor_speaks_at_the_end(done):
    assert "= diaphane =" in done.stdout
