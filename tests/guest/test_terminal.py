"""The magics in IPython's own terminal, typed at as a person would."""

import re

import pexpect
import pytest

from support import door, process
from support.patience import PATIENCE

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


@pytest.fixture
def terminal(tmp_path):
    """What types a line, and gives back what is shown until the next prompt."""
    options = [
        "-m",
        "IPython",
        "--simple-prompt",
        "--colors=nocolor",
        "--no-confirm-exit",
        "--no-banner",
    ]
    child = pexpect.spawn(
        door.python(),
        options,
        env=process.environment(tmp_path) | {"TERM": "xterm"},
        cwd=str(tmp_path),
        encoding="utf-8",
        dimensions=(40, 80),
        timeout=PATIENCE,
    )
    child.expect(r"In \[1\]: ")

    def type_line(line: str) -> str:
        child.sendline(line)
        child.expect(r"\nIn \[\d+\]: ")
        return ANSI.sub("", child.before)

    yield type_line
    child.close(force=True)


def test_a_session(terminal):
    assert "Error" not in terminal("%load_ext diaphane")
    terminal("import numpy as np; a = np.ones(1000)")
    shown = terminal("%loaded_libs --new")
    assert "_multiarray_umath" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "8.0 kB" in terminal("%buffer_addr a")
    assert "MainThread" in terminal("%threads")
    assert "soname" in terminal("%diaphane soname").lower()
    assert "no array" in terminal("%buffer_addr nosuch").lower() or "nosuch" in terminal(
        "%buffer_addr nosuch"
    )
    assert "Error" not in terminal("%unload_ext diaphane")
    assert "not found" in terminal("%threads")
