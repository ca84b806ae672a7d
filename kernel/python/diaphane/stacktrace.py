"""`get_thread_stack`, as Dask's profiler asks a module named `stacktrace` for it (its option `profile.low-level`).

`diaphane.dask.Plugin` puts this one in its place on a worker that has no module of that name.
"""

import threading

from . import _diaphane


class Frame:
    """A function of a thread: `addr` is where it is, `offset` how far behind the function's beginning."""

    __slots__ = ("addr", "is_python", "library", "name", "offset")

    def __init__(self, name, library, addr, offset):
        self.name, self.library, self.addr, self.offset = name, library, addr, offset
        self.is_python = library is None

    def __str__(self):
        return self.name if self.is_python else f"{self.name}+{self.offset:#x}  {self.library}"


def get_thread_stack(ident, show_python=True):
    """The functions of a thread, the innermost first. `ident` is Python's number of it, or Linux's.

    Without `show_python` there are the native ones only that the innermost Python function has called.
    """
    tids = [one.native_id for one in threading.enumerate() if one.ident == ident]
    frames = [Frame(*one) for one in _diaphane.thread_stack(tids[0] if tids else ident)]
    if show_python:
        return frames
    first = next((place for place, one in enumerate(frames) if one.is_python), len(frames))
    return frames[:first]
