"""`diaphane attach`: a Python that runs already answers questions."""

import subprocess

import pytest

from support import door

SCRIPT = """
import sys, threading
number_of_mine = bytearray(123456)
print("ready", flush=True)
for line in sys.stdin:
    threading.Thread(target=print, args=(line,)).start()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*door.command(), *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def running():
    """A Python that reads lines; it knows nothing of us."""
    process = subprocess.Popen(
        [door.python(), "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    yield process
    process.stdin.close()
    assert process.wait(60) == 0


def test_it_answers_and_goes_on(running):
    if door.version() < (3, 14):
        pytest.skip("only 3.14 and later can be attached to")
    pid = str(running.pid)
    attaching = subprocess.Popen(
        [*door.command(), "attach", pid],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while attaching.poll() is None:
        # What it was sent runs when it runs Python next.
        running.stdin.write("line\n")
        running.stdin.flush()
        running.stdout.readline()
    assert "answers" in attaching.stdout.read()
    assert "MainThread" in run("ask", "-k", pid, "threads").stdout
    assert "number_of_mine" in run("ask", "-k", pid, "buffer_addr").stdout
    assert run("attach", pid).returncode == 0


def test_an_older_python_says_what_to_do(running):
    if door.version() >= (3, 14):
        pytest.skip("these can be attached to")
    said = run("attach", str(running.pid))
    assert (said.returncode, said.stdout) == (1, "")
    assert f"diaphane stack {running.pid}" in said.stderr


def test_a_process_that_is_not_there():
    gone = subprocess.Popen(["true"])
    gone.wait()
    said = run("attach", str(gone.pid))
    assert said.returncode == 1
    assert str(gone.pid) in said.stderr
