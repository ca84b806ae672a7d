"""Rust cells as a front end runs them."""

from support.client import Client
from support.exchange import Exchange

# The first cell may compile `ndarray`, once in a cache's life.
LONG = 300


def rust(client: Client, code: str) -> Exchange:
    """Execute a cell, whatever the outcome, and however long its dependencies take."""
    begun = client.start(code)
    client.until(lambda: begun.answered, "the Rust cell", begun, patience=LONG)
    return begun


def fine(client: Client, code: str) -> Exchange:
    done = rust(client, code)
    assert done.content["status"] == "ok", done.content
    return done


def failed(client: Client, code: str) -> dict:
    done = rust(client, code)
    assert done.content["status"] == "error", done.trace
    return done.content


def shown(done: Exchange) -> str:
    """The value of the last expression; a line about dependencies may have stood there before."""
    *_, last = done.all("display_data")
    return last["data"]["text/plain"]


def running(client: Client, code: str) -> Exchange:
    """Start a cell that prints `on`, and wait until it does."""
    begun = client.start(code)
    client.until(
        lambda: begun.answered or "on" in begun.text(), "the cell's output", begun, patience=LONG
    )
    assert not begun.answered, begun.content
    return begun
