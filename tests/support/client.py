"""A front end made of plain ZeroMQ sockets that keeps every message it gets.

It uses jupyter_client for signing and parsing only, so that nothing between the kernel and the
assertions drops, merges or reorders a message. Each message is checked against the schema of its
type when it arrives.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable
from typing import Any

import zmq
from jupyter_client.session import Session
from jupyter_kernel_test import msgspec_v5

from support.exchange import Exchange, Message
from support.patience import PATIENCE

# It wants a number for `password`, where the protocol and ipykernel have a boolean.
WRONG_SCHEMAS = {"input_request"}
CHANNELS = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB}


class Client:
    """One front end: its own session, its own sockets, its own record."""

    def __init__(
        self,
        info: dict[str, Any],
        alive: Callable[[], bool] = lambda: True,
        channel: str = "shell",
    ):
        self.info = info
        self.alive = alive
        key = info["key"]
        self.session = Session(key=key if isinstance(key, bytes) else key.encode(), username="t")
        self.context = zmq.Context()
        self.poller = zmq.Poller()
        self.sockets = {name: self._socket(name, kind) for name, kind in CHANNELS.items()}
        self.heart = self._socket("hb", zmq.REQ)
        self.channel_of = {socket: name for name, socket in self.sockets.items()}
        for socket in self.channel_of:
            self.poller.register(socket, zmq.POLLIN)
        self.record: list[Message] = []
        self.strays: list[Message] = []
        self.exchanges: dict[str, Exchange] = {}
        try:
            self._subscribe(channel)
        except BaseException:
            self.close()
            raise

    def _subscribe(self, channel: str) -> None:
        """Ask until the answer is heard on IOPub too: only then nothing more can be missed.

        A welcome would do, but ipykernel greets the first subscriber only.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            probe = self.send("kernel_info_request", {}, channel)
            self.until(lambda probe=probe: probe.replies, "the first reply")
            self.pump(100)
            if probe.iopub:
                break
            assert time.monotonic() < deadline, "replies come, but nothing is published"
        self.until(lambda: probe.state == "idle", "the first idle")
        self.record.clear()

    def _socket(self, name: str, kind: int) -> zmq.Socket:
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.set_hwm(0)
        if kind == zmq.DEALER:
            socket.identity = self.session.session.encode()
        if kind == zmq.SUB:
            socket.subscribe(b"")
        if "curve_publickey" in self.info:
            socket.curve_serverkey = as_bytes(self.info["curve_publickey"])
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.connect(address(self.info, name))
        return socket

    def close(self) -> None:
        self.context.destroy(linger=0)

    # Asking.

    def send(
        self,
        msg_type: str,
        content: dict[str, Any] | None = None,
        channel: str = "shell",
        *,
        metadata: dict[str, Any] | None = None,
        buffers: list[bytes] | None = None,
        header: dict[str, Any] | None = None,
        parent: Message | None = None,
    ) -> Exchange:
        """Send one message; what comes of it is collected in the exchange returned."""
        message = self.session.msg(msg_type, content or {}, metadata=metadata, parent=parent)
        message["header"].update(header or {})
        exchange = self.exchanges[message["header"]["msg_id"]] = Exchange(message)
        self.session.send(self.sockets[channel], message, buffers=buffers)
        return exchange

    def request(self, msg_type: str, content: dict | None = None, *args: Any, **kw: Any):
        """Send one request and wait for its reply and its idle."""
        return self.finish(self.send(msg_type, content, *args, **kw))

    def start(self, code: str, **options: Any) -> Exchange:
        """Send an execute_request without waiting; options as in the message."""
        header = options.pop("header", None)
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        return self.send("execute_request", content | options, header=header)

    def execute(self, code: str, **options: Any) -> Exchange:
        """Execute and wait, whatever the outcome."""
        return self.finish(self.start(code, **options))

    def run(self, code: str, **options: Any) -> Exchange:
        """Execute code that must succeed."""
        exchange = self.execute(code, **options)
        content = exchange.content
        assert content["status"] == "ok", "\n".join(content.get("traceback", [str(content)]))
        return exchange

    def value(self, expression: str) -> str:
        """The repr of an expression evaluated in the kernel, without a trace in its history."""
        content = self.run("", user_expressions={"value": expression}, silent=True).content
        answer = content["user_expressions"]["value"]
        assert answer["status"] == "ok", answer
        return answer["data"]["text/plain"]

    def whole(self, name: str = "Out[max(Out)]") -> dict[str, Any]:
        """All of a report: a notebook gets no more than some of its rows."""
        return json.loads(ast.literal_eval(self.value(f"{name}.to_json()")))

    def answer(self, exchange: Exchange, value: str) -> Message:
        """Wait for the next unanswered question of a cell and answer it; the question."""
        n = exchange.answers
        self.until(lambda: len(exchange.stdin) > n or exchange.answered, "a question", exchange)
        assert len(exchange.stdin) > n, f"the cell ended without a question: {exchange.trace}"
        question = exchange.stdin[n]
        exchange.answers += 1
        self.send("input_reply", {"value": value, "status": "ok"}, "stdin", parent=question)
        return question

    def beat(self, payload: bytes = b"beat") -> bytes:
        """One heartbeat there and back."""
        self.heart.send(payload)
        assert self.heart.poll(PATIENCE * 1000), "no heartbeat"
        return self.heart.recv()

    # Waiting.

    def finish(self, exchange: Exchange) -> Exchange:
        self.until(lambda: exchange.answered, f"answer to {exchange.request['msg_type']}", exchange)
        return exchange

    def interrupt_at(self, word: str, code: str) -> Exchange:
        """Run a cell, and interrupt it when it has printed this word."""
        begun = self.start(code)
        self.until(lambda: word in begun.text(), f"the cell's {word!r}", begun)
        self.request("interrupt_request", {}, "control")
        return self.finish(begun)

    def until(
        self,
        condition: Callable[[], Any],
        what: str,
        exchange: Exchange | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Take in messages until the condition holds; fail when it does not or the kernel ends."""
        deadline = time.monotonic() + patience
        while not condition():
            if self.pump(200) and time.monotonic() < deadline:
                continue
            seen = f"; it has {exchange.trace}" if exchange else ""
            if not self.alive():
                raise AssertionError(f"the kernel ended while waiting for {what}{seen}")
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {patience:g} s in vain for {what}{seen}")

    def pump(self, milliseconds: int) -> bool:
        """Take in what has arrived; whether there was anything."""
        events = self.poller.poll(milliseconds)
        for socket, _ in events:
            # A kernel that prints for ever may do so faster than this, and the caller has a deadline.
            for _ in range(1000):
                if not socket.poll(0):
                    break
                self._take(self.channel_of[socket], socket.recv_multipart())
        return bool(events)

    def drain(self) -> None:
        """A full round trip, after which all earlier publications have been taken in."""
        self.request("kernel_info_request")

    def _take(self, channel: str, frames: list[bytes]) -> None:
        _, parts = self.session.feed_identities(frames)
        message = self.session.deserialize(parts)
        message["channel"] = channel
        validate(message)
        self.record.append(message)
        exchange = self.exchanges.get(message["parent_header"].get("msg_id"))
        if exchange is None:
            self.strays.append(message)
        elif channel == "iopub":
            exchange.iopub.append(message)
        elif channel == "stdin":
            exchange.stdin.append(message)
        else:
            exchange.replies.append(message)


def validate(message: Message) -> None:
    """Check a message against the schema of its type, where there is one."""
    msgspec_v5.msg_structure_validator.validate(
        {k: message[k] for k in ("header", "parent_header", "metadata", "content")}
    )
    kind = message["msg_type"]
    if kind not in msgspec_v5.schema_fragments or kind in WRONG_SCHEMAS:
        return
    if message["content"].get("status") != "aborted":
        msgspec_v5.validate_message(message)


def address(info: dict[str, Any], channel: str) -> str:
    """The endpoint of a channel by the connection file."""
    separator = "-" if info["transport"] == "ipc" else ":"
    return f"{info['transport']}://{info['ip']}{separator}{info[channel + '_port']}"


def as_bytes(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else key.encode()
