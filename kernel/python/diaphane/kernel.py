"""The object that libraries find at `get_ipython().kernel`."""

import logging
import os
import sys
import uuid
from datetime import UTC, datetime

from . import parents
from .jsonable import dumps, encodable


class StdinNotImplementedError(RuntimeError):
    """The front end cannot be asked for input."""


class Session:
    """As much of a `jupyter_client` session as libraries use to make and send messages."""

    def __init__(self, native):
        self._native = native
        self.session = uuid.uuid4().hex
        self.username = "kernel"

    def msg(self, msg_type, content=None, parent=None, header=None, metadata=None):
        """A message as a dict."""
        header = header or {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "username": self.username,
            "session": self.session,
            "date": datetime.now(UTC),
            "version": "5.5",
        }
        parent = parent or {}
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": parent.get("header", parent),
            "content": content or {},
            "metadata": metadata or {},
        }

    def send(self, stream, msg_or_type, content=None, parent=None, ident=None, buffers=None, metadata=None, **_rest):
        """Publishes a message on iopub."""
        if isinstance(msg_or_type, dict):
            message = msg_or_type
        else:
            message = self.msg(msg_or_type, content, parent, metadata=metadata)
        blobs = [memoryview(buffer).tobytes() for buffer in buffers or message.get("buffers") or ()]
        self._native.publish(message["msg_type"], dumps(message["content"]), dumps(message["metadata"]), blobs)
        return message


class Kernel:
    """The kernel for code that looks for ipykernel's: shell, comms, parents, questions to the user."""

    implementation = "diaphane"
    iopub_socket = None
    eventloop = None
    request_fd = None
    """Readable when a request waits for the main thread: a GUI's loop then makes room."""

    def __init__(self, native, comm_manager):
        self.native = native
        self.comm_manager = comm_manager
        self.session = Session(native)
        self.log = logging.getLogger("diaphane")
        self.shell = None
        # Python as it is before the user's first line: what the kernel itself consists of.
        self.packages = {name.partition(".")[0] for name in sys.modules} - {"__main__"}

    def get_parent(self, channel=None):
        """The request that output of the calling code belongs to, as a dict; or the latest one on control."""
        parent = self._parent(channel)
        return parent.message() if parent else {}

    def set_parent(self, _ident, parent, channel="shell"):
        """Lets output of the calling code, and of threads until the next cell, go to another request, a dict."""
        if channel == "shell":
            parents.pin(self.native, parent)
            self.native.set_present()

    def _parent(self, channel):
        return self.native.control_parent() if channel == "control" else self.native.current()

    @property
    def _parent_ident(self):
        parents = {channel: self._parent(channel) for channel in ("shell", "control")}
        return {channel: parent.identities if parent else [] for channel, parent in parents.items()}

    @property
    def _parent_header(self):
        return self.get_parent()

    def send_response(self, stream, msg_or_type, content=None, ident=None, buffers=None, metadata=None, **_rest):
        """Publishes a message on iopub as part of the request that runs."""
        return self.session.send(stream, msg_or_type, content, self.get_parent(), None, buffers, metadata)

    def raw_input(self, prompt=""):
        """`input()`: asks the user in the front end."""
        return self._ask(prompt, False)

    def getpass(self, prompt="", stream=None, *, echo_char=None):
        """`getpass.getpass()`: asks without showing what is typed."""
        return self._ask(prompt, True)

    def _ask(self, prompt, password):
        answer = self.native.ask(encodable(str(prompt)), password)
        if answer is None:
            raise StdinNotImplementedError(
                "raw_input was called, but this frontend does not support input requests, "
                "or the cell that asks has ended."
            )
        return answer

    @property
    def pid(self):
        return os.getpid()
