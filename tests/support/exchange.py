"""One request and everything that came of it."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


class Exchange:
    """The reply, the publications and the questions whose parent is one request."""

    def __init__(self, request: Message):
        self.request = request
        self.replies: list[Message] = []
        self.iopub: list[Message] = []
        self.stdin: list[Message] = []
        self.answers = 0

    @property
    def id(self) -> str:
        return self.request["header"]["msg_id"]

    @property
    def reply(self) -> Message:
        assert len(self.replies) == 1, f"{len(self.replies)} replies to {self.request['msg_type']}"
        return self.replies[0]

    @property
    def content(self) -> dict[str, Any]:
        """The content of the reply."""
        return self.reply["content"]

    @property
    def state(self) -> str | None:
        """The last status published for this request."""
        states = [m["content"]["execution_state"] for m in self.iopub if m["msg_type"] == "status"]
        return states[-1] if states else None

    @property
    def answered(self) -> bool:
        """The reply is here and the kernel has said that it is idle again."""
        return bool(self.replies) and self.state == "idle"

    @property
    def trace(self) -> list[str]:
        """The whole sequence on IOPub, one word a message; a status or stream shows which."""
        return [word(m) for m in self.iopub]

    def all(self, msg_type: str) -> list[dict[str, Any]]:
        """The contents of the publications of one type."""
        return [m["content"] for m in self.iopub if m["msg_type"] == msg_type]

    def one(self, msg_type: str) -> dict[str, Any]:
        """The content of the only publication of one type."""
        found = self.all(msg_type)
        assert len(found) == 1, f"{len(found)} {msg_type} in {self.trace}"
        return found[0]

    def text(self, name: str = "stdout") -> str:
        """All text of one stream."""
        return "".join(c["text"] for c in self.all("stream") if c["name"] == name)

    @property
    def result(self) -> str:
        """The text of the only execute_result."""
        return self.one("execute_result")["data"]["text/plain"]

    def report(self, magic: str) -> dict[str, Any]:
        """The only report of a magic among the values that were shown."""
        kind = f"application/vnd.diaphane.{magic}+json"
        found = [c["data"][kind] for c in self.all("execute_result") if kind in c["data"]]
        assert len(found) == 1, f"{len(found)} reports of {magic} in {self.trace}"
        return found[0]


def word(message: Message) -> str:
    """The type of a message; for a status the state, for a stream its name."""
    kind, content = message["msg_type"], message["content"]
    return {"status": content.get("execution_state"), "stream": content.get("name")}.get(kind, kind)
