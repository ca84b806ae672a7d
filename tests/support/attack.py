"""How long an attack lasts and what its dice say: `DIAPHANE_ATTACK=100` makes a hundred times as many attempts.

The seed of the dice is printed where a test fails, and `DIAPHANE_ATTACK_SEED` throws the same again.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

SCALE = float(os.environ.get("DIAPHANE_ATTACK", "1"))
# In the environment of a kernel and so in that of all processes that it starts.
MARK = "DIAPHANE_ATTACK_MARK"


def times(count: int) -> int:
    """How often something is tried that the short form tries `count` times."""
    return max(1, round(count * SCALE))


class Dice(random.Random):
    """Chance that can be had again."""

    def __init__(self, what: str):
        chosen = os.environ.get("DIAPHANE_ATTACK_SEED", "")
        seed = int(chosen) if chosen else time.time_ns() % 1_000_000_007
        # Tests that share a seed get numbers of their own.
        super().__init__(f"{seed} {what}")
        print(f"DIAPHANE_ATTACK_SEED={seed} throws the same dice again")

    def sample_of(self, items: list, count: int) -> list:
        """So many of the items, in their order; all of them where there are no more."""
        if count >= len(items):
            return list(items)
        return [items[place] for place in sorted(self.sample(range(len(items)), count))]


def marked(mark: str) -> list[str]:
    """The processes that were born below a kernel with this mark, with their command lines."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                found.append(f"{folder.name} {command}")
        except OSError:
            # It has ended, or is another user's.
            continue
    return found
