"""Threads keep the cell that started them, so that their output appears there."""

import functools
import threading


def inherit(variable):
    """Makes every `threading.Thread` run with the value that the context variable has where it is started."""
    start, bootstrap = threading.Thread.start, threading.Thread._bootstrap_inner

    @functools.wraps(start)
    def start_with_parent(self):
        self._diaphane_parent = variable.get()
        start(self)

    @functools.wraps(bootstrap)
    def bootstrap_with_parent(self):
        variable.set(self.__dict__.pop("_diaphane_parent", None))
        bootstrap(self)

    threading.Thread.start = start_with_parent
    threading.Thread._bootstrap_inner = bootstrap_with_parent
