"""Jupyter messages as the benchmark needs them: signed, parsed late, one request and what came of it."""

import hashlib
import hmac
import itertools
import json
import uuid

DELIM = b"<IDS|MSG>"


class Signer:
    """Builds signed messages of one session."""

    def __init__(self, key: str, username: str = "bench"):
        self.mac = hmac.new(key.encode(), digestmod=hashlib.sha256)
        self.session, self.username = uuid.uuid4().hex, username
        self.counter = itertools.count()

    def signature(self, *parts: bytes) -> bytes:
        h = self.mac.copy()
        for part in parts:
            h.update(part)
        return h.hexdigest().encode()

    def message(self, msg_type: str, content, parent: bytes = b"{}") -> tuple[str, list[bytes]]:
        """The id and the frames of a message, from the delimiter on."""
        msg_id = f"{self.session}_{next(self.counter)}"
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        header = (
            f'{{"msg_id":"{msg_id}","session":"{self.session}","username":"{self.username}",'
            f'"date":"2026-01-01T00:00:00.000000Z","msg_type":"{msg_type}","version":"5.3"}}'
        ).encode()
        parts = [header, parent, b"{}", content]
        return msg_id, [DELIM, self.signature(*parts), *parts]


class Msg:
    """A message that arrived at time `t`; its content is parsed when it is asked for."""

    __slots__ = ("header", "parent", "raw", "t", "type")

    def __init__(self, frames, t):
        i = frames.index(DELIM)
        self.t = t
        self.header = frames[i + 2]
        self.type = json.loads(frames[i + 2])["msg_type"]
        parent = frames[i + 3]
        self.parent = (json.loads(parent) or {}).get("msg_id", "")  # Some kernels send null.
        self.raw = frames[i + 5]

    @property
    def content(self):
        return json.loads(self.raw)


class Result:
    """One request; its times are seconds from the moment it was sent."""

    __slots__ = ("iopub", "reply", "t0", "t_idle", "t_reply")

    def __init__(self, t0):
        self.t0, self.reply, self.t_reply, self.t_idle, self.iopub = t0, None, None, None, []

    def first(self, msg_type):
        return next((m for m in self.iopub if m.type == msg_type), None)
