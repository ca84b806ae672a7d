"""No descriptor is left: what can be answered is, and what cannot says why."""

import re

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane

EXHAUST = """
import numpy as np, os, resource
a = np.ones(1000)
taken = []
def exhaust():
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return len(taken)
"""
MAGICS = ["threads", "loaded_libs", "addr_map", "stack", "process_tree", "native_doctor"]


@pytest.fixture
def exhausted(launch):
    """A front end of a kernel in which each magic has answered, and then all descriptors were opened."""
    client = launch(under=["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"]).connect()
    client.run(EXHAUST)
    for magic in MAGICS:
        client.run(f"%{magic}")
    client.request("magic_request", {"name": "threads"}, "control")
    assert int(client.run("exhaust()").result) > 100
    return client


def rows(client: Client, line: str) -> list[dict]:
    data = client.run(f"%{line}").one("execute_result")["data"]
    return data[f"application/vnd.diaphane.{line.split(maxsplit=1)[0]}+json"]["rows"]


def test_what_can_be_answered_is(exhausted: Client):
    assert any(row["kind"] == "main" for row in rows(exhausted, "threads"))
    assert any("libc" in row["name"] for row in rows(exhausted, "loaded_libs"))
    assert [row["nbytes"] for row in rows(exhausted, "buffer_addr a")] == [8000]
    for magic in MAGICS:
        exhausted.run(f"%{magic}")
    answer = exhausted.request("magic_request", {"name": "loaded_libs"}, "control").content
    assert answer["status"] == "ok"
    # And again: what was kept for questions is kept again.
    assert rows(exhausted, "threads")
    exhausted.run("[os.close(one) for one in taken]; None")
    exhausted.run("%threads")


def test_what_cannot_be_answered_names_the_descriptors(exhausted: Client):
    """Where other code takes what was kept for questions too."""
    code = """
import threading
def take():
    while not done:
        exhaust()
done = False
thief = threading.Thread(target=take)
"""
    exhausted.run(code)
    exhausted.run("thief.start()")
    told = set()
    for _ in range(200):
        cell = exhausted.execute("%threads")
        if cell.content["status"] == "error":
            told.add(cell.content["evalue"])
        if told:
            break
    exhausted.run("done = True; thief.join()")
    assert told
    assert all("256 of 256 file descriptors" in one for one in told), told


def test_what_else_needs_a_descriptor_names_it(exhausted: Client):
    made = exhausted.request("create_subshell_request", {}, "control").content
    assert (made["status"], "descriptor" in made["evalue"] or "open files" in made["evalue"]) == (
        "error",
        True,
    )
    asked = exhausted.execute("input()", allow_stdin=True).content
    assert (asked["ename"], "open files" in asked["evalue"]) == ("OSError", True)
    assert exhausted.run("6 * 7").result == "42"


def test_the_first_error_is_shown_with_its_lines(exhausted: Client):
    """What shows it is imported then, which needs descriptors."""
    error = exhausted.execute("x = 1\n1 / 0").one("error")
    assert error["ename"] == "ZeroDivisionError"
    assert "----> 2" in re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
