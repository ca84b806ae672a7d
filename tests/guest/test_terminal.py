"""The magics in IPython's own terminal, typed at as a person would."""

import re

import pexpect
import pytest

from support import door, process
from support.patience import PATIENCE

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


@pytest.fixture
def start(tmp_path):
    """Starts a program in a terminal of 80 columns."""
    children = []

    def start(*options: str) -> pexpect.spawn:
        child = pexpect.spawn(
            door.python(),
            [*options],
            env=process.environment(tmp_path) | {"TERM": "dumb", "PYTHON_BASIC_REPL": "1"},
            cwd=str(tmp_path),
            encoding="utf-8",
            dimensions=(40, 80),
            timeout=PATIENCE,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.close(force=True)


def typing(child: pexpect.spawn, prompt: str):
    """What types a line, and gives back what is shown until the next prompt."""
    child.expect(prompt)

    def type_line(line: str) -> str:
        child.sendline(line)
        child.expect(r"\n" + prompt)
        return ANSI.sub("", child.before)

    return type_line


IPYTHON = r"In \[\d+\]: "
OPTIONS = ["--simple-prompt", "--colors=nocolor", "--no-confirm-exit", "--no-banner"]


@pytest.fixture
def terminal(start):
    return typing(start("-m", "IPython", *OPTIONS), IPYTHON)


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


EMBED = """
import IPython
from traitlets.config import Config
config = Config()
config.InteractiveShell.update(simple_prompt=True, colors="nocolor", confirm_exit=False)
number_of_mine = bytearray(123456)
def inside():
    bytes_of_mine = bytearray(654321)
    IPython.embed(config=config, banner1="")
"""


def test_ipython_that_a_program_embeds(start):
    """`python -i`, and IPython in a function of it: a guest there, and the functions where there is no IPython."""
    child = start("-i", "-c", EMBED)
    python = typing(child, ">>> ")
    child.sendline("inside()")
    embedded = typing(child, IPYTHON)
    assert "Error" not in embedded("%load_ext diaphane")
    assert "MainThread" in embedded("%threads")
    shown = embedded("%buffer_addr")
    assert "bytes_of_mine" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "Error" not in embedded("%unload_ext diaphane")
    assert "not found" in embedded("%threads")
    child.sendline("exit")
    child.expect(">>> ")
    assert "MainThread" in python("import diaphane; print(diaphane.threads())")
