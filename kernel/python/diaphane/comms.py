"""Comms: the channel of widgets. The package `comm` has the logic; what is sent goes through Rust."""

import comm
from comm.base_comm import BaseComm, CommManager

from .jsonable import dumps


class Comm(BaseComm):
    """A comm whose messages leave on iopub."""

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        publish(self, msg_type, data, metadata, buffers, **keys)


_native = _manager = None


def publish(comm, msg_type, data=None, metadata=None, buffers=None, **keys):
    """Sends a message of a comm."""
    match data:
        case {"content": {"id": str(question)}}:
            _native.ask_comm(comm.comm_id, question)
    content = dumps({"data": data or {}, "comm_id": comm.comm_id, **keys})
    blobs = [memoryview(buffer).tobytes() for buffer in buffers or ()]
    _native.publish(msg_type, content, dumps(metadata or {}), blobs)


def install(native):
    """Makes `comm.create_comm` and `comm.get_comm_manager` ours. Returns the manager."""
    global _native, _manager
    _native, _manager = native, CommManager()
    take_over()
    return _manager


def take_over():
    """Says to `comm` that comms are made here; ipykernel says the same of itself when it is imported."""
    comm.create_comm = Comm
    comm.get_comm_manager = lambda: _manager


def connect_ipykernels(module):
    """Older libraries make comms with `ipykernel.comm`, which sends nothing outside of ipykernel: here it does."""
    module.BaseComm.publish_msg = publish
