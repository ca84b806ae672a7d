"""What a kernel publishes of its state, for each request by the bytes of its header: busy, then idle, and so on.

It listens to bytes, for a request may have a header that no client can read, and the kernel gives it back.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import zmq
from jupyter_client.session import DELIM

from support.client import address
from support.patience import wait_until


class Balance:
    """A subscriber that keeps counts only."""

    def __init__(self, info: dict[str, Any]):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.set_hwm(0)
        self.socket.subscribe(b"")
        self.socket.connect(address(info, "iopub"))
        self.counts: Counter[str] = Counter()
        self.busy: set[bytes] = set()
        self.wrong: list[bytes] = []

    def hear(self) -> None:
        """Take in what has come."""
        while self.socket.poll(0):
            self.take(self.socket.recv_multipart())

    def take(self, frames: list[bytes]) -> None:
        parts = frames[frames.index(DELIM) + 2 :]
        kind = json.loads(parts[0])["msg_type"]
        self.counts[kind] += 1
        if kind != "status":
            return
        parent, state = parts[1], json.loads(parts[3])["execution_state"]
        self.counts[state] += 1
        if state == "busy":
            if parent in self.busy:
                self.wrong.append(parent)
            self.busy.add(parent)
        elif state == "idle":
            if parent not in self.busy:
                self.wrong.append(parent)
            self.busy.discard(parent)

    def until_idle(self) -> None:
        """Wait until no request is busy."""

        def quiet() -> bool:
            self.hear()
            return not self.busy

        wait_until(quiet, "every request that was busy is idle")

    def close(self) -> None:
        self.context.destroy(linger=0)
