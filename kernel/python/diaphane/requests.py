"""What the kernel answers with Python: one method a request. Each returns the content of its reply, as JSON."""

import inspect
import json
import os
import sys
from os import getpid

from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.interactiveshell import _asyncio_runner
from IPython.utils.tokenutil import token_at_cursor

from . import _diaphane, completions
from .interrupts import CODE, OURS
from .jsonable import dumps
from .running import RUNNING, CellState

HISTORY_PAUSE = 0.5
"""Seconds without a cell before the history is written: the disk must not be in the way of the next cell."""

LARGEST_LOOKED_AT = 50_000
"""Characters of a cell beyond which completions and inspections look at fewer."""
AROUND = 4000
"""That many, around the cursor."""

FAREWELL = 1.0
"""Seconds after `exit` for the front end's shutdown request."""


class Requests:
    """The requests of one lane."""

    def __init__(self, shell, native, loop, interrupts):
        self._shell = shell
        self._native = native
        self._loop = loop
        self._interrupts = interrupts
        self._pid = getpid()
        self._history_timer = None
        self._last_cell = 0.0
        # IPython before 9.7 knows no metadata of cells.
        known = inspect.signature(shell.run_cell_async).parameters
        self._knows_cells = "cell_meta" in known and "cell_id" in known

    def cell(self, parent, code, silent, store_history):
        """A cell that is about to run; it has its number already. No code of others runs here, to be interrupted."""
        return Cell(self._shell, parent, code, silent, store_history)

    def execute(self, cell, expressions):
        """Runs a cell: the reply at once, or a task for a cell with `await`."""
        interrupts = self._interrupts
        before, interrupts.state = interrupts.state, OURS
        interrupts.begin_cell()
        token = RUNNING.set(cell)
        try:
            cell.prepare(self._knows_cells)
            if cell.asynchronous:
                return interrupts.start_cell(cell, self._execute_later(cell, expressions))
            return self._execute_now(cell, expressions)
        finally:
            RUNNING.reset(token)
            interrupts.state = before

    def _execute_now(self, cell, expressions):
        interrupts = self._interrupts
        try:
            interrupts.state = CODE
            if interrupts.waits:
                raise KeyboardInterrupt
            result = self._run(cell)
            interrupts.state = OURS
        except BaseException:
            interrupts.state = OURS
            return self._failed_outside(cell)
        return self._outcome(cell, result, expressions)

    def _run(self, cell):
        result = None
        cell.begin()
        try:
            result = cell.run_to_its_end()
        finally:
            cell.trigger_events(result)
        return result

    async def _execute_later(self, cell, expressions):
        interrupts = self._interrupts
        try:
            result = None
            cell.begin()
            try:
                result = await cell.coroutine()
            finally:
                cell.trigger_events(result)
            before, interrupts.state = interrupts.state, OURS
        except BaseException:
            before, interrupts.state = interrupts.state, OURS
            try:
                return self._failed_outside(cell)
            finally:
                interrupts.state = before
        try:
            return self._outcome(cell, result, expressions)
        finally:
            interrupts.state = before

    def _failed_outside(self, cell):
        """An interrupt, or an error in a hook, beside the cell's own code."""
        cell.end()
        error = sys.exc_info()[1]
        rest = error.__traceback__
        while rest is not None and rest.tb_frame.f_globals is globals():
            rest = rest.tb_next
        shown = (type(error), error, rest)
        self._interruptible(self._shell.showtraceback, shown, None, None, rest is None)
        return self._outcome(cell, None, None, error)

    def _interruptible(self, function, *arguments):
        """Calls what may lead to code of the user. Nothing comes of it if an interrupt or a handler's error ends it."""
        interrupts = self._interrupts
        try:
            interrupts.state = CODE
            value = function(*arguments)
            interrupts.state = OURS
        except BaseException as error:
            interrupts.state = OURS
            if isinstance(error, KeyboardInterrupt):
                return None
            if interrupts.escaped is None or not isinstance(error, Exception):
                raise
            interrupts.escaped(error, (self._native.current(), RUNNING.get()))
            return None
        return value

    def _outcome(self, cell, result, expressions, error=None):
        """Whether it went well, the content of the reply, and what the cell changed, for the reply's metadata."""
        if getpid() != self._pid:
            self._leave_child(result)
        self._interrupts.restore()
        shell = self._shell
        ok = result is not None and result.success and not cell.display_failed
        content = {"status": "ok" if ok else "error"}
        if not ok:
            error = error or (result and (result.error_before_exec or result.error_in_exec))
            content |= cell.last_error or self._unshown(error)
        content["execution_count"] = shell.execution_count - 1
        content["user_expressions"] = {}
        if ok and expressions:
            content["user_expressions"] = self._interruptible(shell.user_expressions, json.loads(expressions)) or {}
        content["payload"] = shell.payload_manager.read_payload()
        shell.payload_manager.clear_payload()
        cell.leave()
        if cell.store_history:
            self._save_history_soon()
        if shell.exit_now:
            # The front end reads in the reply that it is over, and ends the kernel; or else the kernel does.
            self._loop.call_later(FAREWELL, self._native.stop)
        return ok, dumps(content), cell.change

    def _unshown(self, error):
        """An exception without a traceback. If an interrupt has ended that, the user sees the error in a line."""
        described = describe(error)
        if self._interrupts.raised:
            self._native.publish("error", dumps(described))
        return described

    def _leave_child(self, result):
        """A cell has forked, and this is the child: it ends where the cell does, with the code that it asked for."""
        error = result and result.error_in_exec
        code = error.code if isinstance(error, SystemExit) else int(error is not None)
        os._exit(code & 0xFF if isinstance(code, int) else int(code is not None))

    def _save_history_soon(self):
        self._last_cell = self._loop.time()
        if self._history_timer is None and self._shell.history_manager.enabled:
            self._history_timer = self._loop.call_later(HISTORY_PAUSE, self._save_history)

    def _save_history(self):
        pause = self._last_cell + HISTORY_PAUSE - self._loop.time()
        if pause > 0:
            self._history_timer = self._loop.call_later(pause, self._save_history)
            return
        self._history_timer = None
        thread = self._shell.history_manager.save_thread
        if thread is not None:
            thread.save_flag.set()

    def complete(self, code, cursor_pos):
        position = len(code) if cursor_pos is None else min(cursor_pos, len(code))
        rust = _diaphane.rust_complete(code, position) if code.startswith("%%rust") else None
        if rust is not None:
            return rust
        magic = completions.complete(self._shell, code, position)
        if magic is not None:
            start, texts = magic
            return _completions([(start, position, text, kind, "") for text, kind in texts], position)
        code, before = around(code, position)
        with provisionalcompleter():
            known = self._shell.Completer.completions(code, position - before)
            found = list(rectify_completions(code, known))
        return _completions([(c.start + before, c.end + before, c.text, c.type, c.signature) for c in found], position)

    def inspect(self, code, cursor_pos, detail_level, omit_sections):
        position = len(code) if cursor_pos is None else min(cursor_pos, len(code))
        rust = _diaphane.rust_inspect(code, position) if code.startswith("%%rust") else None
        if rust is not None:
            return rust
        code, before = around(code, position)
        name = token_at_cursor(code, position - before)
        content = {"status": "ok", "found": True, "metadata": {}}
        try:
            data = self._shell.object_inspect_mime(name, detail_level=detail_level, omit_sections=omit_sections)
            if not self._shell.enable_html_pager:
                data.pop("text/html", None)
            content["data"] = data
        except KeyError:
            content |= {"found": False, "data": {}}
        return dumps(content)

    def history(self, access, arguments):
        output, raw, session, start, stop, n, pattern, unique = arguments
        manager = self._shell.history_manager
        if access == "tail":
            found = manager.get_tail(n, raw=raw, output=output, include_latest=True)
        elif access == "range":
            found = manager.get_range(session, start, stop, raw=raw, output=output)
            # IPython calls this session 0, whatever it was asked for.
            found = [(session or number, line, cell) for number, line, cell in found]
        elif access == "search":
            # What the last cells left in memory is searched too.
            manager.writeout_cache()
            found = manager.search(pattern or "*", raw=raw, output=output, n=n, unique=unique)
        else:
            found = []
        return dumps({"status": "ok", "history": list(found)})

    def is_complete(self, code):
        try:
            status, indent = self._shell.input_transformer_manager.check_complete(code)
        except Exception:
            # A transformer of the user's has failed; the cell itself will show it.
            status, indent = "unknown", None
        content = {"status": status}
        if status == "incomplete":
            content["indent"] = " " * (indent or 0)
        return dumps(content)

    def comm_info(self, target_name):
        comms = self._shell.kernel.comm_manager.comms.items()
        found = {key: {"target_name": comm.target_name} for key, comm in comms}
        if target_name is not None:
            found = {key: value for key, value in found.items() if value["target_name"] == target_name}
        return dumps({"status": "ok", "comms": found})

    def comm(self, parent):
        """A message of a comm; errors in the user's handlers are logged by the package `comm`."""
        message = parent.message()
        handler = getattr(self._shell.kernel.comm_manager, message["msg_type"])
        interrupts = self._interrupts
        before, interrupts.state = interrupts.state, OURS
        try:
            self._interruptible(handler, None, None, message)
        finally:
            interrupts.state = before


class Cell(CellState):
    """One execution of code in the shell."""

    change = None
    """What it changed under the surface, where the user wants to know: JSON."""

    def __init__(self, shell, parent, code, silent, store_history):
        super().__init__()
        self._shell = shell
        self._parent = parent
        self._code = code
        self._silent = silent
        self._scope = None
        self.store_history = store_history
        if store_history:
            self.count = shell.take_number()
        self.number = shell.execution_count if self.count is None else self.count

    def prepare(self, with_metadata):
        """Turns magics into Python."""
        shell = self._shell
        self._metadata = self._parent.metadata() if with_metadata else None
        self._refused = None
        try:
            self._transformed = shell.transform_cell(self._code)
        except Exception:
            self._transformed, self._refused = self._code, sys.exc_info()
        self._needs_loop = shell.should_run_async(
            self._code, transformed_cell=self._transformed, preprocessing_exc_tuple=self._refused
        )

    @property
    def asynchronous(self):
        """Whether it has to run as a task of the kernel's own loop."""
        return self._needs_loop and self._shell.loop_runner is _asyncio_runner and not self._shell.trio_runner

    def coroutine(self):
        options = {}
        if self._metadata is not None:
            options = {"cell_id": self._metadata.get("cellId"), "cell_meta": self._metadata}
        return self._shell.run_cell_async(
            self._code,
            store_history=self.store_history,
            silent=self._silent,
            transformed_cell=self._transformed,
            preprocessing_exc_tuple=self._refused,
            **options,
        )

    def run_to_its_end(self):
        """Runs the cell here and now."""
        if self._shell.trio_runner:
            return self._shell.trio_runner(self.coroutine())
        if self._needs_loop:
            return self._shell.loop_runner(self.coroutine())
        try:
            self.coroutine().send(None)
        except StopIteration as end:
            return end.value
        raise SyntaxError("this cell needs an event loop: %autoawait is off")

    def begin(self):
        """What is loaded and started from now on belongs to this cell. A front end's silent questions are no cells."""
        if not self._silent:
            self._scope = _diaphane.CellScope(self.count)

    def end(self):
        """What comes from now on belongs to no cell. What to show of what this one has changed, as far as wanted."""
        line = None
        if self._scope is not None:
            line, self.change = self._scope.close()
            self._scope = None
        if self.count == self.number:
            # IPython has not counted it: it was empty, or interrupted before it began.
            self._shell.give_back(self.number)
        return line

    def leave(self):
        """The reply is written: threads that the cell has left count as the shell does."""
        self.count = None

    def trigger_events(self, result):
        line = self.end()
        self._shell.events.trigger("post_execute")
        if not self._silent:
            self._shell.events.trigger("post_run_cell", result)
        if line:
            self._shell.display_pub.publish(line)


def around(code, position):
    """What IPython looks at of a cell for an answer, and how many characters stand before it.

    It takes a time that grows with the square of the length, so of a giant cell it gets what stands around the cursor.
    """
    if len(code) <= LARGEST_LOOKED_AT:
        return code, 0
    first, last = max(0, position - AROUND // 2), position + AROUND // 2
    first = code.find("\n", first, position) + 1 or first
    return code[first:last], first


def _completions(found, position):
    """The reply with completions: where each begins and ends, its text, its type and its signature."""
    fields = ("start", "end", "text", "type", "signature")
    return dumps(
        {
            "status": "ok",
            "matches": [text for _, _, text, *_ in found],
            "cursor_start": found[0][0] if found else position,
            "cursor_end": found[0][1] if found else position,
            "metadata": {"_jupyter_types_experimental": [dict(zip(fields, one, strict=True)) for one in found]},
        }
    )


def describe(error):
    """An exception that was not shown."""
    name, message = type(error).__name__, str(error)
    return {"ename": name, "evalue": message, "traceback": [f"{name}: {message}"]}
