"""Payloads of execute_reply: the pager, the next input, and the wish to leave."""

import pytest

from support.client import Client


@pytest.mark.parametrize("code", ["zip?", "?zip", "%timeit?", "zip??"])
def test_pager(client: Client, code: str):
    done = client.run(code)
    assert done.trace == ["busy", "execute_input", "idle"]
    (payload,) = done.content["payload"]
    assert payload["source"] == "page"
    assert payload["start"] == 0
    assert "Docstring" in payload["data"]["text/plain"]


def test_set_next_input(client: Client):
    (payload,) = client.run("get_ipython().set_next_input('x = 1')").content["payload"]
    assert payload == {"source": "set_next_input", "text": "x = 1", "replace": False}


def test_load(client: Client, kernel):
    (kernel.directory / "snippet.py").write_text("loaded = 1\n")
    (payload,) = client.run("%load snippet.py").content["payload"]
    assert payload["source"] == "set_next_input"
    assert payload["replace"] is True
    assert "loaded = 1" in payload["text"]


def test_a_wildcard_search_is_paged(client: Client):
    client.run("needle_one = needle_two = 1")
    done = client.run("needle_*?")
    (payload,) = done.content["payload"]
    assert "needle_one" in payload["data"]["text/plain"]


@pytest.mark.parametrize("code", ["exit", "quit", "exit()", "quit()"])
def test_leaving(launch, code: str):
    """The front end is told to leave, and the kernel ends by itself."""
    kernel = launch()
    (payload,) = kernel.connect().run(code).content["payload"]
    assert payload == {"source": "ask_exit", "keepkernel": False}
    assert kernel.wait() == 0


def test_leaving_but_keeping_the_kernel(client: Client):
    (payload,) = client.run("exit(keep_kernel=True)").content["payload"]
    assert payload == {"source": "ask_exit", "keepkernel": True}


def test_payloads_do_not_leak_into_the_next_cell(client: Client):
    client.run("zip?")
    assert client.run("pass").content["payload"] == []
