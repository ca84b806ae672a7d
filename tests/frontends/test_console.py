"""`jupyter console` in a pseudo-terminal: typed at and read as a person would."""

import re
import sys

import pexpect
import pytest

from support import process
from support.patience import PATIENCE

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


class Console:
    """A person at a terminal."""

    def __init__(self, directory):
        arguments = ["-m", "jupyter_console", "--kernel", process.NAME, "--simple-prompt"]
        arguments.append("--no-confirm-exit")
        self.child = pexpect.spawn(
            sys.executable,
            arguments,
            env=process.environment(directory)
            | {"TERM": "xterm", "JUPYTER_CONFIG_DIR": str(directory)},
            cwd=str(directory),
            encoding="utf-8",
            dimensions=(40, 100),
            timeout=PATIENCE,
        )
        self.child.expect(r"In \[1\]: ")
        self.greeting = ANSI.sub("", self.child.before)
        # The console drops the output of a cell that meets a kernel which is still starting.
        self.type("None")

    def type(self, line: str) -> str:
        """Type a line; what is shown until the next prompt."""
        self.child.sendline(line)
        self.child.expect(r"\nIn \[\d+\]: ")
        return ANSI.sub("", self.child.before)


@pytest.fixture
def console(tmp_path):
    console = Console(tmp_path)
    yield console
    console.child.close(force=True)


def test_a_session(console: Console):
    assert "Out[2]: 42" in console.type("6 * 7")
    assert "hello" in console.type("print('hello')")
    assert "ZeroDivisionError" in console.type("1/0")
    assert "native" in console.type("import os; _ = os.system('echo native')")
    shown = console.type("import os; os.write(1, b'once' + bytes([10]))")
    assert shown.count("once\n") == 1
    console.child.sendline("name = input('Who? ')")
    console.child.expect(r"Who\? ")
    console.child.sendline("me")
    console.child.expect(r"\nIn \[\d+\]: ")
    assert "'me'" in console.type("name")


def test_interrupt(console: Console):
    console.child.sendline(
        "while True: print('running') if not globals().setdefault('n', 0) else None; n = 1"
    )
    console.child.expect("running\r\n")
    console.child.sendintr()
    console.child.expect("KeyboardInterrupt")
    console.child.expect(r"\nIn \[\d+\]: ")
    assert "2" in console.type("1 + 1")


@pytest.mark.parametrize("word", ["exit", "quit()"])
def test_leaving(console: Console, word: str):
    console.child.sendline(word)
    console.child.expect(pexpect.EOF)
    console.child.wait()
    assert console.child.exitstatus == 0


@pytest.mark.diaphane
def test_magics_are_tables_of_text(console: Console):
    console.type("import numpy as np; a = np.zeros(3); b = a[1:]")
    shown = console.type("%buffer_addr a b")
    assert "b is a view of a" in shown
    assert "MainThread" in console.type("%threads")


@pytest.mark.diaphane
def test_the_terminal_shows_nothing_at_start(tmp_path):
    """Nothing but the banner and the prompt: the kernel itself is silent."""
    console = Console(tmp_path)
    console.child.close(force=True)
    assert "WARN" not in console.greeting
    assert "Type '%diaphane'" in console.greeting


def test_of_a_live_picture_the_summary_alone_is_seen(console: Console):
    shown = console.type("%monitor 1 --every 0.25")
    first, number, second = [line for line in shown.splitlines() if line.strip()][:3]
    assert first == "%monitor 1 --every 0.25"
    assert number.startswith("Out["), shown
    assert second.startswith("The process was watched for ")
    assert "<div" not in shown
