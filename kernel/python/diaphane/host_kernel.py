"""What the kernel of a guest's host answers for it on its control channel: the questions of live views, and magics.

ipykernel reads that channel on a thread of its own, in Python: it answers while a cell runs, but not while native code
has the GIL.
"""

import json

from . import _diaphane

FEATURES = ["diaphane monitor", "diaphane profile"]
"""By which front ends know that they may ask."""

_SILENT = ["monitor_request", "profile_request"]
"""These are asked again and again, and make the kernel neither busy nor idle."""


def can_answer(kernel):
    """Whether it is a kernel that lets others handle messages."""
    return all(hasattr(kernel, name) for name in ("control_handlers", "shell_handlers", "session", "kernel_info"))


def answer(kernel, wrap):
    """Has it answer; `wrap(owner, name, around)` puts a function around a method. What ends that."""
    view = _diaphane.LiveView()

    def ask(stream, ident, parent):
        kind, content = view.answer(parent["header"]["msg_type"], json.dumps(parent["content"]))
        kernel.session.send(stream, kind, json.loads(content), parent, ident)

    async def kernel_info(stream, ident, parent):
        content = {"status": "ok", **kernel.kernel_info}
        content["supported_features"] = [*content.get("supported_features", []), *FEATURES]
        kernel.session.send(stream, "kernel_info_reply", content, parent, ident)

    def publish_status(before, status, channel, parent=None):
        asked = parent or kernel.get_parent(channel)
        if channel != "control" or asked.get("header", {}).get("msg_type") not in _SILENT:
            before(status, channel, parent)

    undo = [_handle(kernel.control_handlers, name, ask) for name in (*_SILENT, "magic_request")]
    for handlers in (kernel.control_handlers, kernel.shell_handlers):
        undo.append(_handle(handlers, "kernel_info_request", kernel_info))
    wrap(kernel, "_publish_status", publish_status)

    def end():
        for one in undo:
            one()
        view.close()

    return end


def _handle(handlers, name, handler):
    """Handles messages of this type, until what is returned is called; who has taken that over since keeps it."""
    before = handlers.get(name)
    handlers[name] = handler

    def undo():
        if handlers.get(name) is handler:
            if before is None:
                del handlers[name]
            else:
                handlers[name] = before

    return undo
