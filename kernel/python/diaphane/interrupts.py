"""SIGINT: ends the code of a user, never the kernel's own.

One handler for the whole life of the kernel; what it does depends on what runs at that moment.
"""

import asyncio
import signal
import threading
import time
import types

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

    def __init__(self, loop):
        self._loop = loop
        self._cell = None
        self.state = OURS
        self.kept = False
        """Whether one came for the first cell while Python started."""
        self.waits = False
        """Whether one came before the code of the cell had begun."""
        self.raised = False
        """Whether one has ended something in this cell."""
        self._shown_since = None

    def install(self, native):
        signal.signal(signal.SIGINT, native.interrupter(self._decide))
        self.kept = native.take_interrupt()

    def begin_cell(self):
        """One that came earlier was for another cell, unless this is the first one."""
        self.waits, self.kept = self.kept, False
        self.raised = False

    def start_cell(self, coroutine):
        """Runs a cell with `await` as a task that can be interrupted."""
        cell = Interruptible(coroutine)
        cell.task = self._loop.create_task(cell.run())
        self._cell = cell
        if self.waits:
            self._loop.call_soon(cell.interrupt)
        cell.task.add_done_callback(self._forget)
        return cell.task

    def _forget(self, task):
        if self._cell is not None and self._cell.task is task:
            self._cell = None

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

    def _decide(self, _signal, frame):
        """Whether what runs is interrupted; a cell that waits in an `await` is, but in its own way."""
        if self.state is OURS:
            self.waits = True
            return False
        if self._shown_since is not None and time.monotonic() - self._shown_since < SHOWING:
            return False
        if self.state is CODE or self._is_task(frame) or not _is_ours(frame):
            self.raised = True
            return True
        if self._cell is not None:
            self._loop.call_soon_threadsafe(self._cell.interrupt)
        return False

    def _is_task(self, frame):
        """Whether code of the user runs in a task, and not the step of ours that leads to it."""
        return asyncio.current_task(self._loop) is not None and (frame is None or frame.f_globals is not globals())


def _is_ours(frame):
    """Whether the frame is the waiting loop or the kernel, and no callback of the user."""
    name = frame.f_globals.get("__name__", "") if frame is not None else ""
    return name.partition(".")[0] in ("asyncio", "selectors", "diaphane")


class Interruptible:
    """A coroutine in which an interrupt is a KeyboardInterrupt at the `await` that it waits in."""

    def __init__(self, coroutine):
        self._coroutine = coroutine
        self._interrupted = False
        self.task = None

    def interrupt(self):
        if not self.task.done():
            self._interrupted = True
            self.task.cancel()

    async def run(self):
        return await self._steps()

    @types.coroutine
    def _steps(self):
        step, value = self._coroutine.send, None
        while True:
            try:
                awaited = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = self._coroutine.send, (yield awaited)
            except asyncio.CancelledError as cancelled:
                step, value = self._coroutine.throw, self._reason(cancelled)
            except BaseException as error:
                step, value = self._coroutine.throw, error

    def _reason(self, cancelled):
        if not self._interrupted:
            return cancelled
        self._interrupted = False
        self.task.uncancel()
        return KeyboardInterrupt()
