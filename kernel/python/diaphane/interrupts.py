"""SIGINT: ends the code of a user, never the kernel's own.

One handler for the whole life of the kernel; what it does depends on what runs at that moment.
"""

import asyncio
import contextlib
import signal
import types


class Interrupts:
    """Turns SIGINT into a KeyboardInterrupt where the user expects one."""

    def __init__(self, loop):
        self._loop = loop
        self._synchronous = False
        self._cell = None

    def install(self, native):
        signal.signal(signal.SIGINT, native.interrupter(self._decide))

    @contextlib.contextmanager
    def running(self):
        """A cell without `await` runs: it is interrupted where it is."""
        before, self._synchronous = self._synchronous, True
        try:
            yield
        finally:
            self._synchronous = before

    def start_cell(self, coroutine):
        """Runs a cell with `await` as a task that can be interrupted."""
        cell = Interruptible(coroutine)
        cell.task = self._loop.create_task(cell.run())
        self._cell = cell
        cell.task.add_done_callback(self._forget)
        return cell.task

    def _forget(self, task):
        if self._cell is not None and self._cell.task is task:
            self._cell = None

    def _decide(self, _signal, frame):
        """Whether what runs is interrupted; a cell that waits in an `await` is, but in its own way."""
        if self._synchronous or asyncio.current_task(self._loop) is not None or not _is_ours(frame):
            return True
        if self._cell is not None:
            self._loop.call_soon_threadsafe(self._cell.interrupt)
        return False


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
