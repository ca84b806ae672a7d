"""Two subshells at once, each with a magic: both answer, neither says what is the other's, and nothing stays behind."""

import itertools

import pytest

from support.attack import Dice, times
from support.client import Client
from support.exchange import Exchange
from support.magic_cells import ANSWER, LINES, PREPARE, RECORDINGS, line, recorded
from support.patches import changed_code, hooked_slots
from support.process import Kernel

LANES = ["first", "second"]


@pytest.fixture
def kernel(launch) -> Kernel:
    kernel = launch()
    client = kernel.connect()
    client.run(PREPARE)
    return kernel


def subshell(client: Client) -> str:
    return client.request("create_subshell_request", {}, "control").content["subshell_id"]


def pairs(dice: Dice, count: int) -> list[tuple[str, str]]:
    """Pairs of a recording with another one or with a line magic; a magic beside itself too."""
    both = list(itertools.product(RECORDINGS, [*RECORDINGS, *LINES]))
    return dice.sample_of(both, count)


def test_pairs_of_magics(kernel: Kernel, dice: Dice):
    """All 290 pairs, with the main shell as one of the two and without, is `DIAPHANE_ATTACK=20`."""
    client = kernel.connect()
    names = [None, subshell(client), subshell(client)]
    for pair in pairs(dice, times(10)):
        lanes = dice.sample(names, 2)
        cells = [cell(magic, lane) for magic, lane in zip(pair, LANES, strict=True)]
        running = [start(client, cells[n], lanes[n]) for n in range(2)]
        left = [times(3), times(3)]
        # Each lane goes on at its own pace, so that the two meet at different moments.
        while ready := wait_for_one(client, running, left, pair):
            for n in ready:
                check(running[n], pair[n], pair)
                left[n] -= 1
                running[n] = start(client, cells[n], lanes[n])
        for n in range(2):
            check(client.finish(running[n]), pair[n], pair)
            if pair[n].startswith("%%") and running[n].content["status"] == "ok":
                assert client.value(LANES[n]) == ANSWER, pair
        client.record.clear()
        client.exchanges.clear()
    assert changed_code(kernel, "") == []
    assert hooked_slots(kernel) == []


def wait_for_one(
    client: Client, running: list[Exchange], left: list[int], pair: tuple[str, str]
) -> list[int]:
    """The lanes that have answered and shall go on; none when none shall."""
    waiting = [n for n in range(2) if left[n]]
    client.until(
        lambda: not waiting or any(running[n].answered for n in waiting), f"an answer of {pair}"
    )
    return [n for n in waiting if running[n].answered]


def cell(magic: str, lane: str) -> str:
    return recorded(magic, lane) if magic.startswith("%%") else line(magic, f"report_{lane}")


def start(client: Client, code: str, lane: str | None) -> Exchange:
    return client.start(code, header={"subshell_id": lane} if lane else None, stop_on_error=False)


def check(done: Exchange, magic: str, pair: tuple[str, str]) -> None:
    """It did what it should, or said that it cannot be had beside the other one."""
    said = done.content
    assert "diaphane bug" not in str(said), (pair, said)
    if said["status"] == "error":
        assert said["ename"] == "UsageError", (magic, pair, said)
