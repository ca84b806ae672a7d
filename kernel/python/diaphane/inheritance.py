"""Threads belong to the lane that started them: what they print appears under the cell that runs there by then.

What a thread has cells count for it (loaded libraries, threads) is the cell's that started it.
"""

import contextlib
import contextvars
import functools
import sys
import threading


def inherit(native, running):
    """Makes every `threading.Thread` follow the lane, and know the cell, that it was started from."""
    start, bootstrap = threading.Thread.start, threading.Thread._bootstrap_inner

    @functools.wraps(start)
    def start_with_context(self):
        self._diaphane_context = [(native.parent, native.following()), (running, running.get())]
        if hasattr(self, "_context"):
            enter(self, self._diaphane_context)
        start(self)

    @functools.wraps(bootstrap)
    def bootstrap_with_context(self):
        for variable, value in self.__dict__.pop("_diaphane_context", ()):
            variable.set(value)
        bootstrap(self)

    threading.Thread.start = start_with_context
    threading.Thread._bootstrap_inner = bootstrap_with_context


def enter(thread, values):
    """Sets the values in the context in which a thread runs from 3.14 on. It is a copy, a new one, or the user's."""
    if thread._context is None:
        thread._context = contextvars.copy_context() if sys.flags.thread_inherit_context else contextvars.Context()
        for variable, value in values:
            thread._context.run(variable.set, value)
    # One that is entered elsewhere just now cannot be changed.
    with contextlib.suppress(RuntimeError):
        for variable, value in values:
            if variable not in thread._context:
                thread._context.run(variable.set, value)
