"""IPython's shell for a kernel.

The classes bear ipykernel's names: libraries (rich, pandas, tqdm...) tell a notebook by them.
"""

import os
import sys
import threading

from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell, InteractiveShellABC
from traitlets import Any, CBool, Instance, Type, default

from . import magic_lines, parents
from .cells import CellCompiler
from .display import ZMQDisplayPublisher, ZMQShellDisplayHook
from .jsonable import dumps
from .running import RUNNING, CellState, History, Payloads


class ZMQInteractiveShell(InteractiveShell):
    """The shell whose output, questions and payloads are messages."""

    compiler_class = Type(CellCompiler)
    inspector_class = Type("diaphane.inspector.Inspector")
    displayhook_class = Type(ZMQShellDisplayHook)
    display_pub_class = Type(ZMQDisplayPublisher)
    kernel = Any()
    interrupts = Any()
    autoindent = CBool(False)
    exiter = Instance(ZMQExitAutocall)
    keepkernel_on_exit = None
    _next_count = 1

    def __init__(self, *args, **kwargs):
        self._no_cell = CellState()
        self._counting = threading.Lock()
        super().__init__(*args, **kwargs)
        self.display_pub.kernel = self.displayhook.kernel = self.kernel

    @property
    def cell(self):
        """What belongs to the cell that the calling code runs for. Code that runs for none has one in common."""
        return RUNNING.get() or self._no_cell

    @property
    def execution_count(self):
        count = self.cell.count
        return self._next_count if count is None else count

    @execution_count.setter
    def execution_count(self, count):
        cell = self.cell
        with self._counting:
            # IPython counts on in each cell; its number was taken before, and a cell beside it may have the next one.
            counts_on = cell.count is not None and count == cell.count + 1
            self._next_count = max(count, self._next_count) if counts_on else count
        if cell.count is not None:
            cell.count = count

    def take_number(self):
        """The number of a cell that begins."""
        with self._counting:
            number = self._next_count
            self._next_count = number + 1
        return number

    def give_back(self, number):
        """The cell was none: the next one has its number."""
        with self._counting:
            if self._next_count == number + 1:
                self._next_count = number

    @default("banner1")
    def _default_banner1(self):
        return ""

    @default("exiter")
    def _default_exiter(self):
        return ZMQExitAutocall(self)

    def init_environment(self):
        """Colours, and no pager that waits for keys."""
        colours = {"TERM": "xterm-color", "CLICOLOR": "1", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
        os.environ.update(colours, PAGER="cat", GIT_PAGER="cat")

    def init_virtualenv(self):
        """The kernel was started for its environment already."""

    def init_hooks(self):
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(self._page), 99)

    def init_history(self):
        self.history_manager = History(shell=self, parent=self)
        self.configurables.append(self.history_manager)

    def init_payload(self):
        self.payload_manager = Payloads(parent=self)
        self.configurables.append(self.payload_manager)

    def init_magics(self):
        super().init_magics()
        from . import magics

        magics.register(self)

    def _find_with_lazy_load(self, /, type_, magic_name):
        """IPython's search for a magic, which helps those who mistyped its name."""
        magic_lines.refuse_misplaced(self, magic_name)
        found = super()._find_with_lazy_load(type_, magic_name)
        other, signs = ("cell", "%") if type_ == "line" else ("line", "%%")
        if found is None and self.find_magic(magic_name, other) is None:
            from . import magics

            if near := magics.nearest(self, magic_name):
                raise UsageError(
                    f"There is no magic {signs}{magic_name}; did you mean {near}? %lsmagic lists all of them."
                )
        return found

    def _ofind(self, oname, namespaces=None):
        """IPython's search for what `?` asks about: `%name?` also finds a cell magic, and `%%name?` a line magic."""
        return magic_lines.ofind(super()._ofind, oname, namespaces)

    def transform_ast(self, node):
        return magic_lines.show_everywhere(super().transform_ast(node), self.ast_node_interactivity)

    def _show_report(self, value):
        """Around a magic that does not stand last in a cell."""
        magic_lines.show(value)

    def _without_report(self, _value):
        """Around a magic whose line ends with `;`."""

    def enable_gui(self, gui=None):
        from . import gui as loops

        try:
            loops.enable(self.kernel, gui)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self.active_eventloop = gui

    def ask_exit(self):
        self.exit_now = not self.keepkernel_on_exit
        self.payload_manager.write_payload({"source": "ask_exit", "keepkernel": self.keepkernel_on_exit})

    def set_next_input(self, text, replace=False):
        self.payload_manager.write_payload({"source": "set_next_input", "text": text, "replace": replace})

    def get_parent(self):
        return self.kernel.get_parent()

    @property
    def parent_header(self):
        return self.kernel.get_parent()

    def set_parent(self, parent):
        """Output of the calling thread or task goes to this request from now on, other threads' until the next cell."""
        self.kernel.set_parent(None, parent)

    def set_thread_parent(self, parent):
        """The calling thread's or task's alone, until `reset_thread_parent` gets the token that this returns."""
        return parents.pin(self.kernel.native, parent)

    def reset_thread_parent(self, token):
        parents.unpin(self.kernel.native, token)

    def _page(self, text, start=0, screen_lines=0, pager_cmd=None):
        data = text if isinstance(text, dict) else {"text/plain": text}
        self.payload_manager.write_payload({"source": "page", "data": data, "start": max(0, start)})

    async def run_code(self, code_obj, result=None, *, async_=False):
        """IPython's; but a cell that was interrupted in an `await` ends when nothing of it is left."""
        failed = await super().run_code(code_obj, result, async_=async_)
        awaiting = self.cell.awaiting
        if failed and awaiting is not None and awaiting.is_interrupted:
            error = await awaiting.end()
            if error is not None:
                if result is not None:
                    result.error_in_exec = error
                self.showtraceback((type(error), error, error.__traceback__), running_compiled_code=True)
        return failed

    def showtraceback(self, *args, **kwargs):
        awaiting = self.cell.awaiting
        if awaiting is not None and "running_compiled_code" in kwargs and not args and awaiting.keeps(sys.exception()):
            return
        which = args[0] if args else kwargs.get("exc_tuple")
        self._show_error(which[1] if which else sys.exception(), super().showtraceback, *args, **kwargs)

    def showsyntaxerror(self, *args, **kwargs):
        self._show_error(sys.exception(), super().showsyntaxerror, *args, **kwargs)

    def _show_error(self, error, function, *args, **kwargs):
        """What shows an error is imported at the first one, which may be that no descriptor is left."""
        try:
            self.interrupts.show(self.kernel.native.with_spare_descriptors, function, *args, **kwargs)
        except Exception:
            if error is None:
                raise
            # Other code has taken those that were kept; then the error alone is shown.
            self._showtraceback(type(error), error, [f"{type(error).__name__}: {error}"])

    def _showtraceback(self, etype, evalue, stb):
        if etype is SystemExit and self.kernel.native.is_child():
            return
        stb = [*stb, *magic_lines.explanation(self, evalue)]
        error = {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
        cell = self.cell
        cell.last_error, cell.last_shown = error, evalue
        cell.display_failed = cell.value is not None
        self.kernel.native.publish("error", dumps(error))

    def _format_exception_for_storage(self, exception, *args, **kwargs):
        # IPython formats for its history what was formatted for the reader a moment ago, at the same cost.
        if exception is not None and exception is self.cell.last_shown:
            return self.cell.last_error
        return super()._format_exception_for_storage(exception, *args, **kwargs)

    def run_cell(self, *args, **kwargs):
        self.cell.forget_error()
        return super().run_cell(*args, **kwargs)

    @property
    def _last_traceback(self):
        error = self.cell.last_error
        return error["traceback"] if error else None

    @_last_traceback.setter
    def _last_traceback(self, value):
        if value is None:
            self.cell.forget_error()


InteractiveShellABC.register(ZMQInteractiveShell)
# plotly and others look at the name of the module; `diaphane.main` puts this one under it.
ZMQInteractiveShell.__module__ = "ipykernel.zmqshell"
