"""The magics as a guest: `%load_ext diaphane` in an IPython whose kernel is somebody else's.

All that is changed of the host is put back by `%unload_ext diaphane`.
"""

import faulthandler
import functools
import os
import signal
import sys
import threading

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.magic import no_var_expand

from . import _diaphane, completions, host_kernel, magic_lines, magics

_here = {}
"""The guest of each shell; there is one at most in a process that has one shell."""

_FAULTS = [signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT]
_descriptors = []
"""Where is told why the process dies; it stays open, since nobody knows when that is."""


def load(shell):
    """Becomes a guest of this shell."""
    if "diaphane.main" in sys.modules:
        print("This is diaphane's own kernel: its magics are there already, and %diaphane lists what you can ask.")
    elif shell not in _here:
        _here[shell] = Guest(shell)


def unload(shell):
    """Leaves everything as it was before."""
    guest = _here.pop(shell, None)
    if guest is not None:
        guest.leave()


class Guest:
    """What is put into a shell, and how it is taken away again."""

    def __init__(self, shell):
        self._shell = shell
        self._undo = []
        self._scopes = threading.local()
        self._socket = None
        self._faults = None
        _diaphane.set_namespace(shell.user_ns)
        _diaphane.note_imports()
        self._stand_in()
        self._tell_of_faults()
        _diaphane.set_guest(True)
        self._undo.append(lambda: _diaphane.set_guest(False))
        self._undo.append(magics.register_native(shell))
        self._undo.append(self._stop_listening)
        shell.register_magic_function(self._overview(), "line", "diaphane")
        self._listen("pre_run_cell", self._begin)
        self._listen("post_run_cell", self._end)
        self._show_everywhere()
        self._wrap(shell, "_showtraceback", self._explained)
        self._wrap(shell, "_find_with_lazy_load", self._found)
        self._wrap(shell, "_ofind", self._asked)
        self._wrap(shell.compile, "get_code_name", self._named)
        self._complete()
        self._answer_live_views()
        # The cell that loads us has begun already.
        self._begin(None)

    def leave(self):
        """Puts everything back."""
        while getattr(self._scopes, "open", None):
            self._scopes.open.pop().close()
        while self._undo:
            self._undo.pop()()

    def _stand_in(self):
        try:
            self._undo.append(_diaphane.stand_in().undo)
        except OSError as error:
            print(f"diaphane: who starts threads will not be known: {error}")

    def _tell_of_faults(self):
        """Has a fault told on the standard error that the host was started with, before faulthandler tells of it."""
        if not _descriptors:
            started_with = getattr(sys.stderr, "_original_stdstream_copy", None)
            _descriptors.append(os.dup(2 if started_with is None else started_with))
        app = getattr(getattr(self._shell, "kernel", None), "parent", None)
        file = getattr(app, "abs_connection_file", None)
        # A handler in Python goes on, whatever comes of that.
        only_told = [one for one in _FAULTS if faulthandler.is_enabled() and not callable(signal.getsignal(one))]
        try:
            self._faults = _diaphane.tell_of_faults(file, _descriptors[0], only_told)
        except OSError as error:
            print(f"diaphane: why the process dies will not be told: {error}")
            return
        self._undo.append(self._faults.undo)

    def _answer_live_views(self):
        kernel = getattr(self._shell, "kernel", None)
        if host_kernel.can_answer(kernel):
            self._undo.append(host_kernel.answer(kernel, self._wrap))

    def _overview(self):
        """`%diaphane`, which a guest can also tell to listen to questions from outside."""
        overview = self._shell.magics_manager.magics["line"]["diaphane"]

        @no_var_expand
        @functools.wraps(overview)
        def run(line, local_ns=None):
            if line.strip() == "listen":
                return self._start_listening()
            if line.strip() == "listen off":
                return self._stop_listening()
            return overview(line, local_ns)

        run.needs_local_scope = True
        return run

    def _start_listening(self):
        if self._socket is None or not self._socket.is_own():
            self._socket = _diaphane.open_socket()
        print(f"Questions of this user are answered: diaphane ask -k {os.getpid()} stack")
        print("%diaphane listen off ends it.")

    def _stop_listening(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _listen(self, event, function):
        self._shell.events.register(event, function)
        self._undo.append(lambda: self._shell.events.unregister(event, function))

    def _wrap(self, owner, name, around):
        """Puts a function around a method of this one object, until we leave."""
        before = getattr(owner, name, None)
        if before is None:
            return
        had = owner.__dict__.get(name)

        def wrapped(*args, **kwargs):
            return around(before, *args, **kwargs)

        def undo():
            # What somebody else has put around it since stays, with us inside: we only pass on then.
            nonlocal around
            around = _pass_on
            if owner.__dict__.get(name) is wrapped:
                if had is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, had)

        setattr(owner, name, wrapped)
        self._undo.append(undo)

    def _begin(self, info):
        if info is not None and getattr(info, "silent", False):
            return
        if not hasattr(self._scopes, "open"):
            self._scopes.open = []
        number = _number()
        self._scopes.open.append(_diaphane.CellScope(number))
        if self._faults is not None and _is_main_thread():
            self._faults.begin_cell(number or 0, getattr(info, "raw_cell", None) or "")

    def _end(self, _result):
        open_scopes = getattr(self._scopes, "open", None)
        if not open_scopes:
            return
        if self._faults is not None and _is_main_thread():
            self._faults.end_cell()
        line, _change = open_scopes.pop().close()
        if line:
            self._shell.display_pub.publish(line)

    def _show_everywhere(self):
        shell, transformer = self._shell, _ShowEverywhere(self._shell)
        shell._show_report, shell._without_report = magic_lines.show, _nothing
        shell.ast_transformers.append(transformer)

        def undo():
            if transformer in shell.ast_transformers:
                shell.ast_transformers.remove(transformer)
            del shell._show_report, shell._without_report

        self._undo.append(undo)

    def _explained(self, before, etype, evalue, stb):
        return before(etype, evalue, [*stb, *magic_lines.explanation(self._shell, evalue)])

    def _found(self, before, type_, magic_name):
        magic_lines.refuse_misplaced(self._shell, magic_name)
        return before(type_, magic_name)

    def _asked(self, before, oname, namespaces=None):
        return magic_lines.ofind(before, oname, namespaces)

    def _named(self, before, raw_code, transformed_code, number):
        name = before(raw_code, transformed_code, number)
        if isinstance(number, int):
            _diaphane.name_cell(name, number)
        return name

    def _complete(self):
        matcher = _matcher(self._shell)
        matchers = self._shell.Completer.custom_matchers
        matchers.append(matcher)

        def undo():
            if matcher in matchers:
                matchers.remove(matcher)

        self._undo.append(undo)


class _ShowEverywhere:
    """Where IPython looks for changes of a cell's tree."""

    def __init__(self, shell):
        self._shell = shell

    def visit(self, tree):
        return magic_lines.show_everywhere(tree, self._shell.ast_node_interactivity)


def _is_main_thread():
    return threading.current_thread() is threading.main_thread()


def _pass_on(before, *args, **kwargs):
    return before(*args, **kwargs)


def _nothing(_value):
    """Around a magic whose line ends with `;`."""


def _number():
    """The number of the cell that runs here: IPython has told nobody yet, but its function knows."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "run_cell_async":
            return getattr(frame.f_locals.get("result"), "execution_count", None)
        frame = frame.f_back
    return None


def _matcher(shell):
    @context_matcher()
    def diaphane_matcher(context):
        lines = context.full_text.split("\n")
        position = sum(len(line) + 1 for line in lines[: context.cursor_line]) + context.cursor_position
        code = context.full_text
        found = completions.complete_rust(code, position) or completions.complete(shell, code, position)
        if found is None:
            return {"completions": []}
        start, texts = found
        return {
            "completions": [SimpleCompletion(text=text, type=kind) for text, kind in texts],
            "matched_fragment": code[start:position],
            "suppress": True,
            "ordered": True,
        }

    diaphane_matcher.matcher_identifier = "diaphane"
    return diaphane_matcher
