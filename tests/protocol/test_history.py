"""history_request: tail, range and search."""

import pytest

from support.client import Client

CELLS = ["'history one'", "history_x = 2", "'history one'", "history_x * 3"]


@pytest.fixture
def client(launch):
    """A front end on a kernel whose history is known."""
    client = launch().connect()
    for cell in CELLS:
        client.run(cell)
    return client


def ask(client: Client, **content):
    done = client.request("history_request", {"output": False, "raw": True} | content)
    assert done.trace == ["busy", "idle"]
    assert done.content["status"] == "ok"
    return done.content["history"]


def test_tail(client: Client):
    entries = ask(client, hist_access_type="tail", n=3)
    assert [source for _, _, source in entries] == CELLS[1:]
    assert [line for _, line, _ in entries] == [2, 3, 4]


def test_tail_with_output(client: Client):
    entries = ask(client, hist_access_type="tail", n=2, output=True)
    # The output is there once IPython has written it to its database; a number says so, else None.
    assert [source for _, _, (source, _) in entries] == CELLS[2:]


def test_range(client: Client):
    entries = ask(client, hist_access_type="range", session=0, start=2, stop=4)
    assert [source for _, _, source in entries] == CELLS[1:3]


def test_range_with_output(client: Client):
    entries = ask(client, hist_access_type="range", session=0, start=1, stop=5, output=True)
    outputs = [output for _, _, (_, output) in entries]
    assert outputs == ["'history one'", None, "'history one'", "6"]


def test_search(client: Client):
    entries = ask(client, hist_access_type="search", pattern="*history_x*", n=10)
    assert [source for _, _, source in entries] == [CELLS[1], CELLS[3]]


def test_search_unique(client: Client):
    entries = ask(client, hist_access_type="search", pattern="*one*", n=10, unique=True)
    assert [source for _, _, source in entries] == ["'history one'"]


def test_search_without_match(client: Client):
    assert ask(client, hist_access_type="search", pattern="nothing like it", n=10) == []


def test_silent_cells_are_not_kept(client: Client):
    client.run("secret = 1", silent=True)
    client.run("unkept = 1", store_history=False)
    entries = ask(client, hist_access_type="tail", n=10)
    assert [source for _, _, source in entries] == CELLS


def test_history_outlives_the_kernel(launch, tmp_path):
    env = {"IPYTHONDIR": str(tmp_path / "profile")}
    first = launch(env=env)
    client = first.connect()
    client.run("'to be remembered'")
    client.request("shutdown_request", {"restart": False}, "control")
    first.wait()
    later = launch(env=env).connect()
    entries = ask(later, hist_access_type="search", pattern="*remembered*", n=5)
    assert [source for _, _, source in entries] == ["'to be remembered'"]
