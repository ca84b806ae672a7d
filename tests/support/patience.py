"""How long a test waits for something that must happen: long, because it only matters in failure.

On a machine that does much else, `DIAPHANE_PATIENCE=10` waits ten times as long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 30.0 * float(os.environ.get("DIAPHANE_PATIENCE", "1"))

T = TypeVar("T")


def wait_until(probe: Callable[[], T], what: str) -> T:
    """Ask `probe` until it says something true; what it says. `what` names it in the failure."""
    deadline = time.monotonic() + PATIENCE
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain until {what}")
        time.sleep(0.005)
    return found
