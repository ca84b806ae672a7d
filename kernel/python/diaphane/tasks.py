"""The tasks of cells: which cell made them, and how an interrupt ends a cell that waits in an `await`.

It ends as a program does that `asyncio.run` runs: the cell's own task is cancelled, then what is left of its others.
"""

import asyncio
import contextlib
import types

from .running import RUNNING


class Loop(asyncio.SelectorEventLoop):
    """A loop that remembers for each cell the tasks that it has made, and those that these have made."""

    def create_task(self, *args, **kwargs):
        task = super().create_task(*args, **kwargs)
        cell = RUNNING.get()
        if cell is not None:
            cell.tasks.add(task)
        return task


class Waiting:
    """The future that a cell's task waits for, but that the task can leave it.

    A task that is cancelled asks its future to end, and waits on until that has happened: what ignores it, as a task
    below `gather` can, would keep the cell for ever.
    """

    def __init__(self, future):
        self._future = future
        self._callback = None
        self._asyncio_future_blocking = True
        future._asyncio_future_blocking = False

    def get_loop(self):
        return self._future.get_loop()

    def add_done_callback(self, callback, *, context=None):
        self._callback = callback, context
        self._future.add_done_callback(callback, context=context)

    def cancel(self, msg=None):
        return self._future.cancel(msg=msg)

    def leave(self):
        """The task goes on as if what it waits for was cancelled, whatever becomes of that."""
        if self._future.done() or self._callback is None:
            return
        callback, context = self._callback
        self._future.remove_done_callback(callback)
        left = self.get_loop().create_future()
        left.cancel()
        self.get_loop().call_soon(callback, left, context=context)


class Awaiting:
    """A cell with a top-level `await`, as a task that can be interrupted."""

    def __init__(self, loop, cell, coroutine):
        self._cell = cell
        self._coroutine = coroutine
        self._thrown = None
        self._waiting = None
        self._end = None
        self.is_asked = False
        """Whether an interrupt is on its way to the loop."""
        self.is_interrupted = False
        cell.awaiting = self
        # Whatever factory of tasks the user has set: an eager one would run the cell here.
        self.task = asyncio.Task(self._run(), loop=loop)

    def owns(self, task):
        """Whether the cell has made the task."""
        return task is self.task or task in self._cell.tasks

    def interrupt(self):
        """Cancels the cell's task; one that goes on after that gets a KeyboardInterrupt."""
        self.is_asked = False
        self.throw(KeyboardInterrupt() if self.is_interrupted else None)

    def throw(self, error):
        """Ends the `await` that the cell waits in, by an error or by its cancellation."""
        if not self.task.done():
            again, self.is_interrupted = self.is_interrupted, True
            self._thrown = error
            self.task.cancel()
            if again and self._waiting is not None:
                self._waiting.leave()

    def keeps(self, error):
        """Whether an error is how the interrupted cell ends; it is shown when nothing is left of the cell."""
        if self.is_interrupted and isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
            self._end = error
        return self._end is not None

    async def end(self):
        """Ends the tasks that the interrupted cell has made. The error that is to be shown, if it is not shown yet."""
        error, self._end = self._end, None
        while self.task.cancelling():
            self.task.uncancel()
        rest = [task for task in self._cell.tasks if task is not self.task and not task.done()]
        for task in rest:
            task.cancel()
        if rest:
            # They may wait for something at their end; another interrupt leaves them alone.
            with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
                await asyncio.wait(rest)
        return error and KeyboardInterrupt().with_traceback(error.__traceback__)

    async def _run(self):
        return await self._steps()

    @types.coroutine
    def _steps(self):
        step, value = self._coroutine.send, None
        while True:
            try:
                awaited = step(value)
            except StopIteration as end:
                return end.value
            if getattr(awaited, "_asyncio_future_blocking", False):
                awaited = self._waiting = Waiting(awaited)
            try:
                step, value = self._coroutine.send, (yield awaited)
            except asyncio.CancelledError as cancelled:
                step, value = self._coroutine.throw, self._reason(cancelled)
            except BaseException as error:
                step, value = self._coroutine.throw, error
            self._waiting = None

    def _reason(self, cancelled):
        error, self._thrown = self._thrown, None
        if error is None:
            return cancelled
        self.task.uncancel()
        return error
