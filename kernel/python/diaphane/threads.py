"""Threads keep the request and the cell that started them, so that their output appears there."""

import functools
import threading


def inherit(*variables):
    """Makes every `threading.Thread` run with the values that the context variables have where it is started."""
    start, bootstrap = threading.Thread.start, threading.Thread._bootstrap_inner

    @functools.wraps(start)
    def start_with_context(self):
        self._diaphane_context = [variable.get() for variable in variables]
        start(self)

    @functools.wraps(bootstrap)
    def bootstrap_with_context(self):
        values = self.__dict__.pop("_diaphane_context", [None] * len(variables))
        for variable, value in zip(variables, values, strict=True):
            variable.set(value)
        bootstrap(self)

    threading.Thread.start = start_with_context
    threading.Thread._bootstrap_inner = bootstrap_with_context
