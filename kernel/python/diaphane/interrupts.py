"""SIGINT: ends the code of a user, never the kernel's own.

One handler, with which every cell begins; what it does depends on what runs at that moment.
"""

import asyncio
import faulthandler
import signal
import threading
import time
import types
from _signal import signal as set_handler
from importlib import _bootstrap

from .tasks import Awaiting

IDLE = "idle"
"""No cell runs here and now; one may wait in an `await`, and callbacks of the user may run."""
CODE = "code"
"""Code of the user runs, and whoever called it is ready for an exception."""
OURS = "ours"
"""The kernel works for a cell, before or after its code."""

SHOWING = 1.0
"""Seconds in which an error is shown whatever comes: an interrupt would end that, and the imports that it may need."""


class Interrupts:
    """Turns SIGINT into a KeyboardInterrupt where the user expects one.

    `state` is set by plain assignments: between one and the exception that a `try` has caught, no signal is handled.
    """

    survived = (KeyboardInterrupt,)
    """What ends a callback of the user and not the loop."""

    def __init__(self, loop):
        self._loop = loop
        self._awaiting = None
        self._native = None
        self.escaped = None
        """Gets an error of a user's handler that ended the kernel's own code, and the cell that it is told under."""
        self.serving = False
        """Whether a request is answered, or an error delivered; `state` knows of cells only."""
        self.state = OURS
        self.kept = False
        """Whether one came for the first cell while Python started."""
        self.waits = False
        """Whether one came before the code of the cell had begun."""
        self.raised = False
        """Whether one has ended something in this cell."""
        self._shown_since = None

    def install(self, native):
        self._native = native
        # Trio and asyncio take SIGINT over, for as long as they run, where they find Python's own handler.
        signal.default_int_handler = native.interrupter(self._decide)
        self.restore()
        self.kept = native.take_interrupt()

    def restore(self):
        """What a cell or a library has made of SIGINT counts until the cell's end."""
        # Asking costs as much as all the rest of a short cell, so asyncio's loop is asked only where it has handlers.
        if getattr(self._loop, "_signal_handlers", True):
            self._loop.remove_signal_handler(signal.SIGINT)
        # It would take its own handler for installed, and install none when it is asked again.
        faulthandler.unregister(signal.SIGINT)
        set_handler(signal.SIGINT, signal.default_int_handler)
        self._native.unblock_interrupts()

    def begin_cell(self):
        """One that came earlier was for another cell, unless this is the first one."""
        self.restore()
        self.waits, self.kept = self.kept, False
        self.raised = False

    def start_cell(self, cell, coroutine):
        """Runs a cell with `await` as a task that can be interrupted."""
        self._awaiting = awaiting = Awaiting(self._loop, cell, coroutine)
        if self.waits:
            self._loop.call_soon(awaiting.interrupt)
        awaiting.task.add_done_callback(self._forget)
        return awaiting.task

    def _forget(self, task):
        if self._awaiting is not None and self._awaiting.task is task:
            self._awaiting = None

    def throw(self, cell, error):
        """Ends the `await` of a cell by an error. Whether the cell waits in one."""
        awaiting = self._awaiting
        if awaiting is None or awaiting is not cell.awaiting:
            return False
        awaiting.throw(error)
        return True

    def show(self, function, *arguments, **options):
        """Calls what shows an error."""
        if self._shown_since is not None or threading.current_thread() is not threading.main_thread():
            function(*arguments, **options)
            return
        self._shown_since = time.monotonic()
        try:
            function(*arguments, **options)
        finally:
            self._shown_since = None

    def may_raise(self, signalnum, frame):
        """Whether a handler of the user's may end what runs by an error."""
        if self._is_showing() or (self._shown_since is not None and signalnum != signal.SIGINT):
            return False
        if self.state is IDLE:
            return not self.serving and not _is_ours(frame) and _is_in_callback(frame)
        # On the way to the user's code and back, nobody but an interrupt is expected.
        return self.state is CODE and not _is_in(frame, "diaphane.requests")

    def _decide(self, _signal, frame):
        """Whether what runs is interrupted; a cell that waits in an `await` is, but in its own way. None: not yet."""
        if self.state is OURS:
            self.waits = True
            return False
        if self._is_showing():
            return False
        if frame is not None and _has_import_lock(frame):
            return None
        if self.state is CODE or self._may_end(frame):
            self.raised = True
            return True
        if self._awaiting is not None:
            self._awaiting.is_asked = True
            self._loop.call_soon_threadsafe(self._awaiting.interrupt)
        return False

    def _is_showing(self):
        return self._shown_since is not None and time.monotonic() - self._shown_since < SHOWING

    def _may_end(self, frame):
        """Whether what runs in the loop is to be interrupted by an exception, there where it runs."""
        runs, awaiting = not _is_ours(frame), self._awaiting
        if awaiting is None:
            return runs
        task = asyncio.current_task(self._loop)
        if awaiting.owns(task) and (runs or awaiting.is_asked):
            awaiting.is_interrupted = True
            if task is not awaiting.task:
                self._loop.call_soon_threadsafe(awaiting.interrupt)
            return True
        # Somebody else's task or callback; where the loop does not come back from it, the cell cannot be ended.
        return runs and awaiting.is_asked


def _codes(*functions):
    """The code of functions, and of those inside of them."""
    codes = [function.__code__ for function in functions]
    inner = [const for code in codes for const in code.co_consts if isinstance(const, types.CodeType)]
    return frozenset(codes + inner)


_LOCKING = _codes(
    _bootstrap._ImportLockContext.__enter__,
    _bootstrap._ImportLockContext.__exit__,
    _bootstrap._ModuleLockManager.__enter__,
    _bootstrap._ModuleLockManager.__exit__,
    _bootstrap._ModuleLock.release,
    _bootstrap._get_module_lock,
)
_WAITING = _bootstrap._ModuleLock.acquire.__code__


def _has_import_lock(frame):
    """Whether the frame takes or gives back a lock of the import, which an error would leave locked for ever.

    It waits for no other thread there; where it does, in `acquire`, the lock is not its own yet.
    """
    if frame.f_code is _WAITING:
        return frame.f_locals["self"].owner == threading.get_ident()
    return frame.f_code in _LOCKING


def _is_in_callback(frame):
    """Whether the loop has called what runs, and catches an error of it."""
    while frame is not None and frame.f_code is not asyncio.Handle._run.__code__:
        frame = frame.f_back
    return frame is not None


def _is_ours(frame):
    """Whether the frame is the waiting loop or the kernel, and no code of the user."""
    return _is_in(frame, "asyncio", "selectors", "diaphane")


def _is_in(frame, *modules):
    """Whether the frame belongs to one of the modules, or to one of a package's."""
    name = frame.f_globals.get("__name__", "") if frame is not None else ""
    return name in modules or name.partition(".")[0] in modules
