"""Comms: the channel of widgets. The package `comm` has the logic; what is sent goes through Rust."""

import comm
from comm.base_comm import BaseComm, CommManager

from .jsonable import dumps


class Comm(BaseComm):
    """A comm whose messages leave on iopub."""

    native = None

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        content = dumps({"data": data or {}, "comm_id": self.comm_id, **keys})
        blobs = [memoryview(buffer).tobytes() for buffer in buffers or ()]
        self.native.publish(msg_type, content, dumps(metadata or {}), blobs)


def install(native):
    """Makes `comm.create_comm` and `comm.get_comm_manager` ours. Returns the manager."""
    manager = CommManager()
    Comm.native = native
    comm.create_comm = Comm
    comm.get_comm_manager = lambda: manager
    return manager
