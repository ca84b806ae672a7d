"""The pseudo-kernel `floor`: signed protocol, minimal replies, nothing is executed.

It shows what the client and two hops through ZeroMQ cost by themselves.
"""

import json
import os
import threading
import time

import zmq

from kernelbench.cells import BIG_LINE, BIG_LINES, PRINT_50MB, PRINT_100K
from kernelbench.wire import DELIM, Signer

INFO = {
    "status": "ok",
    "protocol_version": "5.3",
    "implementation": "floor",
    "implementation_version": "0",
    "banner": "",
    "help_links": [],
    "language_info": {"name": "python", "version": "3", "mimetype": "", "file_extension": ".py"},
}
BUSY, IDLE = b'{"execution_state":"busy"}', b'{"execution_state":"idle"}'


class Floor:
    """Answers each request as shortly as the protocol allows."""

    def __init__(self, connection_file: str):
        with open(connection_file) as f:
            self.connection = json.load(f)
        self.signer = Signer(self.connection["key"], "floor")
        self.context = zmq.Context()
        self.shell = self.bind(zmq.ROUTER, "shell")
        self.control = self.bind(zmq.ROUTER, "control")
        self.stdin = self.bind(zmq.ROUTER, "stdin")
        self.iopub = self.bind(zmq.PUB, "iopub")
        heart = self.bind(zmq.ROUTER, "hb")
        threading.Thread(target=zmq.proxy, args=(heart, heart), daemon=True).start()
        self.count = 0
        self.streams: dict[str, list[bytes]] = {}

    def bind(self, kind, channel):
        c = self.connection
        socket = self.context.socket(kind)
        socket.linger = 100
        socket.set_hwm(0)
        separator = ":" if c["transport"] == "tcp" else "-"
        socket.bind(f"{c['transport']}://{c['ip']}{separator}{c[channel + '_port']}")
        return socket

    def run(self):
        poller = zmq.Poller()
        poller.register(self.shell, zmq.POLLIN)
        poller.register(self.control, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                self.receive(socket, socket.recv_multipart())

    def receive(self, socket, frames):
        i = frames.index(DELIM)
        identities, (signature, header, parent, metadata, raw) = frames[:i], frames[i + 1 : i + 6]
        if self.signer.signature(header, parent, metadata, raw) != signature:
            return
        msg_type, content = json.loads(header)["msg_type"], json.loads(raw)
        self.publish("status", header, BUSY)
        if msg_type == "execute_request":
            reply = self.execute(header, content)
        elif msg_type == "comm_msg":
            reply = self.publish("comm_msg", header, raw)
        else:
            reply = answer(msg_type, content)
        if reply is not None:
            name = msg_type.replace("_request", "_reply")
            socket.send_multipart([*identities, *self.signer.message(name, reply, header)[1]])
        self.publish("status", header, IDLE)
        if msg_type == "shutdown_request":
            time.sleep(0.05)
            os._exit(0)

    def publish(self, msg_type, parent, content):
        self.iopub.send_multipart([msg_type.encode(), *self.signer.message(msg_type, content, parent)[1]])

    def execute(self, header, content):
        code = content["code"]
        if not content.get("silent"):
            self.count += 1
            self.publish("execute_input", header, {"code": code, "execution_count": self.count})
        if code == "1+1":
            result = {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": self.count}
            self.publish("execute_result", header, result)
        elif code.startswith("display("):
            self.publish("display_data", header, {"data": {"text/html": "<b>x</b>"}, "metadata": {}, "transient": {}})
        elif code in (PRINT_100K, PRINT_50MB):
            for raw in self.stream(code):
                self.publish("stream", header, raw)
        return {"status": "ok", "execution_count": self.count, "user_expressions": {}, "payload": []}

    def stream(self, code):
        """The contents of the stream messages of a printing cell, made once."""
        if code not in self.streams:
            if code == PRINT_100K:
                text = "".join(f"{i}\n" for i in range(100000))
                texts = [text[i : i + 8192] for i in range(0, len(text), 8192)]
            else:
                texts = [(BIG_LINE + "\n") * BIG_LINES]
            self.streams[code] = [json.dumps({"name": "stdout", "text": t}).encode() for t in texts]
        return self.streams[code]


def answer(msg_type, content):
    """The content of the reply to a request that executes nothing; None for an unknown one."""
    if msg_type == "complete_request":
        p = content["cursor_pos"]
        return {"status": "ok", "matches": ["x"], "cursor_start": p, "cursor_end": p, "metadata": {}}
    return {
        "kernel_info_request": INFO,
        "inspect_request": {"status": "ok", "found": True, "data": {"text/plain": "x"}, "metadata": {}},
        "is_complete_request": {"status": "complete"},
        "history_request": {"status": "ok", "history": []},
        "shutdown_request": {"status": "ok", "restart": False},
    }.get(msg_type)
