"""Messages that no front end sends: broken, forged, sent twice, of the wrong type in every field, deep, gigantic.

None of them may end a kernel in an orderly way: a `shutdown_request` that is one is left out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from jupyter_client.session import DELIM, Session

from support.attack import Dice

CHANNELS = ["shell", "control", "stdin"]
# What each type may ask; mutations begin here.
CONTENTS: dict[str, dict[str, Any]] = {
    "execute_request": {
        "code": "1",
        "silent": False,
        "store_history": True,
        "user_expressions": {"a": "1"},
        "allow_stdin": False,
        "stop_on_error": False,
    },
    "complete_request": {"code": "pri", "cursor_pos": 3},
    "inspect_request": {"code": "print", "cursor_pos": 3, "detail_level": 0, "omit_sections": []},
    "is_complete_request": {"code": "1 +"},
    "history_request": {
        "hist_access_type": "tail",
        "output": False,
        "raw": True,
        "session": 0,
        "start": 0,
        "stop": 3,
        "n": 3,
        "pattern": "*",
        "unique": False,
    },
    "comm_open": {"comm_id": "a", "target_name": "none", "data": {}},
    "comm_msg": {"comm_id": "a", "data": {}},
    "comm_close": {"comm_id": "a", "data": {}},
    "comm_info_request": {"target_name": "none"},
    "kernel_info_request": {},
    "connect_request": {},
    "usage_request": {},
    "interrupt_request": {},
    "magic_request": {"name": "threads", "line": ""},
    "monitor_request": {"epoch": 1, "stack": True, "why": True},
    "profile_request": {"action": "read"},
    "debug_request": {"type": "request", "command": "debugInfo", "seq": 1, "arguments": {}},
    "delete_subshell_request": {"subshell_id": "none"},
    "list_subshell_request": {},
    "input_reply": {"value": "", "status": "ok"},
}
# Types that a kernel sends and does not take, and words that are none.
STRANGERS = [
    "execute_reply",
    "status",
    "stream",
    "input_request",
    "",
    "_request",
    "x" * 1000,
    "\x00",
    "<b>",
    "é",
]
# JSON text that is odd in itself, and values that are.
ODD_TEXTS = [
    "NaN",
    "1e999",
    "-0",
    "1" * 400,
    '"\\ud800"',
    '{"a":1,"a":2}',
    "",
    "{",
    "[]",
    "null",
    "true",
    '"',
    "\ufeff{}",
]
ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    2**63,
    2**64,
    10**40,
    1.5,
    "",
    "\x00",
    "x" * 3000,
    [],
    [[]],
    {},
    {"": None},
]
DEPTHS = [10, 127, 128, 129, 1000, 20_000]


class Hostile(NamedTuple):
    """One message as it is sent; `name` says what is wrong with it."""

    name: str
    channel: str
    frames: list[bytes]


class HostileMessages:
    """A source of hostile messages for one kernel, by the dice."""

    def __init__(self, session: Session, dice: Dice):
        self.session = session
        self.dice = dice
        self.sent: list[Hostile] = []
        self.kinds: list[Callable[[], Hostile]] = [
            self.malformed,
            self.forged,
            self.replayed,
            self.stranger,
            self.wrong_field,
            self.wrong_field,
            self.wrong_header,
            self.odd_text,
            self.deep,
            self.flipped,
            self.addressed,
        ]

    def next(self) -> Hostile:
        """The next message."""
        hostile = self.dice.choice(self.kinds)()
        # What is sent again later; the newest is enough, for the kernel keeps signatures for a while only.
        self.sent = [*self.sent[-50:], hostile]
        return hostile

    def malformed(self) -> Hostile:
        frames = [
            self.dice.randbytes(self.dice.choice([0, 1, 20, 500]))
            for _ in range(self.dice.randrange(1, 12))
        ]
        if self.dice.random() < 0.7:
            frames.insert(self.dice.randrange(len(frames) + 1), DELIM)
        return Hostile("malformed frames", self.channel(), frames)

    def forged(self) -> Hostile:
        parts = self.message(*self.request())
        how = self.dice.randrange(5)
        if how == 0:
            parts[1] = self.dice.randbytes(32).hex().encode()
        elif how == 1:
            parts[1] = parts[1][: self.dice.randrange(64)]
        elif how == 2:
            parts[1] = b""
        elif how == 3:
            parts[1] = (
                hmac.new(b"another key", b"".join(parts[2:]), hashlib.sha256).hexdigest().encode()
            )
        else:
            place = self.dice.randrange(2, 6)
            parts[place] = parts[place].replace(b"}", b" }", 1)
        return Hostile("wrong signature", self.channel(), parts)

    def replayed(self) -> Hostile:
        if not self.sent:
            return self.stranger()
        return self.dice.choice(self.sent)._replace(name="replay")

    def stranger(self) -> Hostile:
        kind = self.dice.choice(STRANGERS)
        return Hostile(f"unknown type {kind[:20]!r}", self.channel(), self.message(kind, {}))

    def wrong_field(self) -> Hostile:
        kind, content = self.request()
        content = dict(content)
        name = self.dice.choice([*content, "new_field"])
        value = content[name] = self.dice.choice(ODD_VALUES)
        if self.dice.random() < 0.2:
            del content[name]
        return Hostile(
            f"{kind} with {name}={str(value)[:20]!r}", self.channel(), self.message(kind, content)
        )

    def wrong_header(self) -> Hostile:
        kind, content = self.request()
        name = self.dice.choice(
            ["msg_id", "session", "username", "version", "msg_type", "subshell_id", "date"]
        )
        value = self.dice.choice(ODD_VALUES)
        parts = self.message(kind, content, **{name: value})
        return Hostile(f"{kind} with a header of {name}={str(value)[:20]!r}", self.channel(), parts)

    def odd_text(self) -> Hostile:
        """JSON that is odd, in place of one of the four parts."""
        parts = self.message(*self.request())
        text = self.dice.choice(ODD_TEXTS)
        parts[self.dice.randrange(2, 6)] = text.encode()
        return Hostile(f"a part {text[:20]!r}", self.channel(), self.sign(parts))

    def deep(self) -> Hostile:
        parts = self.message(*self.request())
        depth = self.dice.choice(DEPTHS)
        opening, closing = self.dice.choice([(b"[", b"]"), (b'{"a":', b"}")])
        inner = b"1" if self.dice.random() < 0.8 else b""
        nested = opening * depth + inner + closing * depth
        place = self.dice.randrange(2, 6)
        parts[place] = (
            b'{"deep":' + nested + (b"," + parts[place][1:] if len(parts[place]) > 2 else b"}")
        )
        return Hostile(f"{depth} levels of {opening.decode()}", self.channel(), self.sign(parts))

    def flipped(self) -> Hostile:
        """A request in which some bytes are others, rightly signed."""
        parts = self.message(*self.request())
        place = self.dice.randrange(2, 6)
        changed = bytearray(parts[place])
        for _ in range(self.dice.randrange(1, 4)):
            changed[self.dice.randrange(len(changed))] = self.dice.randrange(256)
        parts[place] = bytes(changed)
        return Hostile("flipped bytes", self.channel(), self.sign(parts))

    def addressed(self) -> Hostile:
        """A good request behind identities that no router gives, or before buffers that nobody wants."""
        parts = self.message(*self.request())
        extra = [
            self.dice.randbytes(self.dice.choice([0, 1, 255, 4000]))
            for _ in range(self.dice.randrange(1, 40))
        ]
        frames = extra + parts if self.dice.random() < 0.5 else parts + extra
        return Hostile("identities and buffers", self.channel(), frames)

    def channel(self) -> str:
        return self.dice.choices(CHANNELS, [6, 3, 1])[0]

    def request(self) -> tuple[str, dict[str, Any]]:
        return self.dice.choice(list(CONTENTS.items()))

    def message(self, kind: str, content: dict[str, Any], **header: Any) -> list[bytes]:
        """The signed frames of a request, with some fields of its header as given."""
        fields = self.session.msg_header(kind) | header
        return self.sign([DELIM, b"", text(fields), b"{}", b"{}", text(content)])

    def sign(self, parts: list[bytes]) -> list[bytes]:
        parts[1] = self.session.sign(parts[2:6])
        return parts


def text(value: Any) -> bytes:
    return json.dumps(value, default=str).encode()
