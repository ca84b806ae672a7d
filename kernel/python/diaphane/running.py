"""The cell that runs: a context variable, since cells run beside each other in subshells and each has its own."""

import threading
from contextvars import ContextVar
from weakref import WeakSet

from IPython.core.history import HistoryManager
from IPython.core.payload import PayloadManager

RUNNING = ContextVar("diaphane_cell", default=None)


class CellState:
    """What belongs to one cell, where IPython keeps it in the shell."""

    count = None
    """IPython's `execution_count` as the cell sees it; None: that of the shell."""
    last_error = None
    """Name, message and traceback of the exception that was shown last."""
    last_shown = None
    display_failed = False
    """Whether that was while the cell's value was formatted, where IPython itself goes on."""
    value = None
    """The message with the cell's value, while it is made."""
    exec_result = None
    """IPython's record of the cell."""
    awaiting = None
    """The task of a cell with a top-level `await`."""

    def __init__(self):
        self.payload = []
        self.tasks = WeakSet()

    def forget_error(self):
        self.last_error, self.last_shown, self.display_failed = None, None, False


class Payloads(PayloadManager):
    """What a cell wants of the front end, kept with the cell until its reply."""

    @property
    def _payload(self):
        return self.parent.cell.payload

    @_payload.setter
    def _payload(self, payload):
        self.parent.cell.payload = payload


MOST_BESIDE = 256
"""A larger gap between two cells' numbers comes of no cells beside them; somebody has set the count."""


class History(HistoryManager):
    """Inputs stand under their cells' numbers, also where a cell that began later stored its own first."""

    def __init__(self, *args, **kwargs):
        self._storing = threading.Lock()
        super().__init__(*args, **kwargs)

    def store_inputs(self, line_num, source, source_raw=None):
        with self._storing:
            before = len(self.input_hist_raw)
            super().store_inputs(line_num, source, source_raw)
            if len(self.input_hist_raw) == before:
                return
            for inputs in (self.input_hist_parsed, self.input_hist_raw):
                ahead = line_num - before
                if 0 < ahead < MOST_BESIDE:
                    inputs[before:before] = [""] * ahead
                elif ahead < 0 and inputs[line_num] == "":
                    inputs[line_num] = inputs.pop()
