"""pdb by questions on the stdin channel: breakpoint() and %debug.

In ipykernel breakpoint() does nothing until a front end attaches its debugger.
"""

import pytest

from support.client import Client
from support.text import plain

CODE = """
def f(x):
    y = x + 1
    breakpoint()
    return y
f(41)
"""


@pytest.mark.diaphane
def test_breakpoint(client: Client):
    cell = client.start(CODE, allow_stdin=True)
    question = client.answer(cell, "p y")
    assert "(Pdb)" in question["content"]["prompt"] or "ipdb>" in question["content"]["prompt"]
    client.answer(cell, "p x * 2")
    client.answer(cell, "c")
    assert client.finish(cell).result == "42"
    text = plain(cell.text())
    assert "42" in text
    assert "82" in text
    assert "return y" in text


def test_debug_after_an_error(client: Client):
    assert client.execute("def g(n):\n    return 1 / n\ng(0)").content["status"] == "error"
    cell = client.start("%debug", allow_stdin=True)
    question = client.answer(cell, "p n")
    assert "ipdb>" in question["content"]["prompt"]
    client.answer(cell, "up")
    client.answer(cell, "q")
    assert client.finish(cell).content["status"] == "ok"
    assert "0" in plain(cell.text())
    assert "return 1 / n" in plain(cell.text())


@pytest.mark.diaphane
def test_quitting_a_breakpoint_ends_the_cell(client: Client):
    cell = client.start(CODE + "print('not' + ' reached')", allow_stdin=True)
    client.answer(cell, "q")
    assert client.finish(cell).content["ename"] == "BdbQuit"
    assert "not reached" not in cell.text()
    assert client.run("1 + 1").result == "2"


def test_set_trace_of_ipython(client: Client):
    cell = client.start(
        "from IPython.core.debugger import set_trace\nz = 5\nset_trace()\nz", allow_stdin=True
    )
    client.answer(cell, "p z + 1")
    client.answer(cell, "c")
    assert "6" in plain(client.finish(cell).text())


def test_trace_functions_of_the_user(client: Client):
    code = """
import sys
calls = []
sys.settrace(lambda frame, event, arg: calls.append(event))
def h(): pass
h()
sys.settrace(None)
'call' in calls
"""
    assert client.run(code).result == "True"
