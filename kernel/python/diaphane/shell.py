"""IPython's shell for a kernel.

The classes bear ipykernel's names: libraries (rich, pandas, tqdm...) tell a notebook by them.
"""

import os

import _diaphane
from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell, InteractiveShellABC
from traitlets import Any, CBool, Instance, Type, default

from .cells import CellCompiler
from .display import ZMQDisplayPublisher, ZMQShellDisplayHook
from .jsonable import dumps


class ZMQInteractiveShell(InteractiveShell):
    """The shell whose output, questions and payloads are messages."""

    compiler_class = Type(CellCompiler)
    displayhook_class = Type(ZMQShellDisplayHook)
    display_pub_class = Type(ZMQDisplayPublisher)
    kernel = Any()
    interrupts = Any()
    autoindent = CBool(False)
    exiter = Instance(ZMQExitAutocall)
    keepkernel_on_exit = None
    last_error = None
    """Name, message and traceback of the exception that was shown last, in this cell."""
    _last_shown = None
    display_failed = False
    """Whether that was while the cell's value was formatted, where IPython itself goes on."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.display_pub.kernel = self.displayhook.kernel = self.kernel
        # tqdm takes a shell for a notebook's when this section is there.
        if "IPKernelApp" not in self.config:
            self.config.IPKernelApp.kernel = "diaphane"

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

    def init_magics(self):
        super().init_magics()
        from . import magics

        magics.register(self)

    def _find_with_lazy_load(self, /, type_, magic_name):
        """IPython's search for a magic, which helps those who mistyped its name."""
        found = super()._find_with_lazy_load(type_, magic_name)
        other, signs = ("cell", "%") if type_ == "line" else ("line", "%%")
        if found is None and self.find_magic(magic_name, other) is None:
            from . import magics

            if near := magics.nearest(self, magic_name):
                raise UsageError(
                    f"There is no magic {signs}{magic_name}; did you mean {near}? %lsmagic lists all of them."
                )
        return found

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
        """Output of the calling thread or task goes to this request from now on."""
        self.kernel.set_parent(parent)

    def set_thread_parent(self, parent):
        """The same, until `reset_thread_parent` gets the token that this returns."""
        return self.kernel.set_parent(parent)

    def reset_thread_parent(self, token):
        self.kernel.native.parent.reset(token)

    def _page(self, text, start=0, screen_lines=0, pager_cmd=None):
        data = text if isinstance(text, dict) else {"text/plain": text}
        self.payload_manager.write_payload({"source": "page", "data": data, "start": max(0, start)})

    def showtraceback(self, *args, **kwargs):
        self.interrupts.show(super().showtraceback, *args, **kwargs)

    def showsyntaxerror(self, *args, **kwargs):
        self.interrupts.show(super().showsyntaxerror, *args, **kwargs)

    def _showtraceback(self, etype, evalue, stb):
        stb = [*stb, *explanation(evalue)]
        error = {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
        self.last_error, self._last_shown = error, evalue
        self.display_failed = self.displayhook.content is not None
        self.kernel.native.publish("error", dumps(error))

    def forget_error(self):
        """A cell begins."""
        self.last_error, self._last_shown, self.display_failed = None, None, False

    def _format_exception_for_storage(self, exception, *args, **kwargs):
        # IPython formats for its history what was formatted for the reader a moment ago, at the same cost.
        if exception is not None and exception is self._last_shown:
            return self.last_error
        return super()._format_exception_for_storage(exception, *args, **kwargs)

    def run_cell(self, *args, **kwargs):
        self.forget_error()
        return super().run_cell(*args, **kwargs)

    @property
    def _last_traceback(self):
        return self.last_error["traceback"] if self.last_error else None

    @_last_traceback.setter
    def _last_traceback(self, value):
        if value is None:
            self.forget_error()


def explanation(error):
    """What to write below a traceback: why a native library could not be loaded, where this was the cause."""
    try:
        text = _diaphane.explain_import(error)
    except Exception:
        # The user's error is what must be shown, whatever becomes of its explanation.
        return []
    return ["", text] if text else []


InteractiveShellABC.register(ZMQInteractiveShell)
# plotly and others look at the name of the module; `diaphane.main` puts this one under it.
ZMQInteractiveShell.__module__ = "ipykernel.zmqshell"
