"""Threads keep the request and the cell that started them, so that their output appears there."""

import contextlib
import contextvars
import functools
import sys
import threading


def inherit(*variables):
    """Makes every `threading.Thread` run with the values that the context variables have where it is started."""
    start, bootstrap = threading.Thread.start, threading.Thread._bootstrap_inner

    @functools.wraps(start)
    def start_with_context(self):
        self._diaphane_context = [(variable, variable.get()) for variable in variables]
        if hasattr(self, "_context"):
            enter(self, self._diaphane_context)
        start(self)

    @functools.wraps(bootstrap)
    def bootstrap_with_context(self):
        for variable, value in self.__dict__.pop("_diaphane_context", [(one, None) for one in variables]):
            variable.set(value)
        bootstrap(self)

    threading.Thread.start = start_with_context
    threading.Thread._bootstrap_inner = bootstrap_with_context


def enter(thread, values):
    """Sets the values in the context in which a thread runs from 3.14 on. It is the user's, a copy, or a new one."""
    if thread._context is None:
        if sys.flags.thread_inherit_context:
            return
        thread._context = contextvars.Context()
    # One that is entered elsewhere just now cannot be changed.
    with contextlib.suppress(RuntimeError):
        for variable, value in values:
            if variable not in thread._context:
                thread._context.run(variable.set, value)
