"""What the kernel itself does for a cell, counted in calls of Python: a count is the same on any machine."""

import pytest

from support.client import Client

BEGIN = """
import collections, sys
calls = collections.Counter()
def count(frame, event, function):
    if event == "call":
        calls[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1
sys.setprofile(count)
"""
CELLS = 50
# About 350 with CPython 3.11, nearly all of them IPython's and traitlets'.
MOST = 450


@pytest.mark.diaphane
def test_an_empty_cell_takes_few_calls(client: Client):
    client.run("pass")
    client.run(BEGIN)
    for _ in range(CELLS):
        client.run("pass")
    client.run("sys.setprofile(None)")
    often = client.value(f"calls.most_common(12), sum(calls.values()) // {CELLS}")
    assert int(client.value(f"sum(calls.values()) // {CELLS}")) <= MOST, often
