"""The little of a debugging front end that the tests need: requests of the Debug Adapter Protocol, and events."""

from __future__ import annotations

import itertools
from typing import Any

from support.client import Client
from support.exchange import Exchange, Message

CELL = """
def double(n):
    twice = n * 2
    return twice

answer = double(21)
after = answer + 1
"""


class Debugger:
    """One front end's debugging, by its client."""

    def __init__(self, client: Client):
        self.client = client
        self.seq = itertools.count(1)

    def request(self, command: str, **arguments: Any) -> Exchange:
        """A request and everything that came of it."""
        content = {"type": "request", "seq": next(self.seq), "command": command}
        done = self.client.request("debug_request", content | {"arguments": arguments}, "control")
        assert done.reply["msg_type"] == "debug_reply"
        return done

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The content of the reply, whether it went well or not."""
        return self.request(command, **arguments).content

    def body(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The body of a reply that must be a success."""
        answer = self.ask(command, **arguments)
        assert answer["success"], answer
        return answer.get("body", {})

    def refusal(self, command: str, **arguments: Any) -> str:
        """The sentence of a reply that must be a failure."""
        answer = self.ask(command, **arguments)
        assert not answer["success"], answer
        assert answer["command"] == command
        return answer["message"]

    def attach(self) -> Debugger:
        """Begin to debug, as JupyterLab does."""
        self.body("initialize", clientID="test", adapterID="test", linesStartAt1=True)
        self.body("attach")
        return self

    def detach(self) -> None:
        """Leave the kernel to the next front end, without breakpoints."""
        for kept in self.body("debugInfo")["breakpoints"]:
            self.ask("setBreakpoints", source={"path": kept["source"]}, breakpoints=[])
        self.ask("disconnect", restart=False, terminateDebuggee=False)

    def break_at(self, code: str, *lines: int, **more: Any) -> str:
        """Set breakpoints in a cell that was not run yet; its file."""
        path = self.body("dumpCell", code=code)["sourcePath"]
        breakpoints = [{"line": line, **more} for line in lines]
        set_ = self.body("setBreakpoints", source={"path": path}, breakpoints=breakpoints)
        assert [b["verified"] for b in set_["breakpoints"]] == [True] * len(lines)
        return path

    # Cells that stop.

    def events(self, name: str) -> list[Message]:
        messages = [m for m in self.client.record if m["msg_type"] == "debug_event"]
        return [m for m in messages if m["content"]["event"] == name]

    def wait(self, name: str, count: int = 1) -> dict[str, Any]:
        """The content of the latest event of this name, when there are `count` of them."""
        self.client.until(lambda: len(self.events(name)) >= count, f"event {name}")
        return self.events(name)[-1]["content"]

    def start(self, code: str, **options: Any) -> Exchange:
        """Start a cell, and wait until it stops."""
        stops = len(self.events("stopped"))
        cell = self.client.start(code, **options)
        self.wait("stopped", stops + 1)
        return cell

    def step(self, command: str) -> tuple[str, int]:
        """Go on until the next stop; where that is."""
        stops = len(self.events("stopped"))
        self.body(command, threadId=1)
        self.wait("stopped", stops + 1)
        return self.place

    def resume(self, cell: Exchange) -> Exchange:
        """Go on to the end of the cell."""
        self.body("continue", threadId=1)
        return self.client.finish(cell)

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The stack of the main thread. Its number is 1, which JupyterLab takes for granted."""
        return self.body("stackTrace", threadId=1)["stackFrames"]

    @property
    def place(self) -> tuple[str, int]:
        frame = self.frames[0]
        return frame["name"], frame["line"]

    def variables(self, scope: str) -> dict[str, dict[str, Any]]:
        """The variables of the innermost frame in one scope, by their names."""
        scopes = self.body("scopes", frameId=self.frames[0]["id"])["scopes"]
        reference = next(s["variablesReference"] for s in scopes if s["name"] == scope)
        found = self.body("variables", variablesReference=reference)["variables"]
        return {variable["name"]: variable for variable in found}
