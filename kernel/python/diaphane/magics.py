"""The kernel's own magics: those that ipykernel has too, and the native ones, which are written in Rust."""

from pathlib import Path

from IPython.core import page
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magics import CodeMagics, MacroToEdit
from IPython.display import Javascript, display
from IPython.utils import openpy

from . import _diaphane, magic_lines
from .jsonable import encodable


def register(shell):
    """Registers all of them with the shell."""
    shell.register_magics(KernelMagics)
    shell.magics_manager.register_alias("ed", "edit")
    _diaphane.set_namespace(shell.user_ns)
    register_native(shell)


def register_native(shell):
    """Registers those that are written in Rust. What takes them away again."""
    known = shell.magics_manager.magics
    before = []
    for name, kind, about in _diaphane.magic_list():
        magic_lines.NAMES.add(name)
        before.append((kind, name, known[kind].get(name)))
        shell.register_magic_function(_native(shell, name, kind, about), kind, name)

    def undo():
        for kind, name, former in before:
            magic_lines.NAMES.discard(name)
            if former is None:
                known[kind].pop(name, None)
            else:
                known[kind][name] = former

    return undo


def _native(shell, name, kind, about):
    if kind == "cell":

        def run(line, cell):
            line = magic_lines.expand(line, shell.user_ns, None)
            return _diaphane.run_magic(name, encodable(line), encodable(cell), shell.user_ns)

    else:

        def run(line, local_ns=None):
            local_ns = _own(local_ns, shell.user_ns)
            if not _diaphane.takes_statement(name):
                line = magic_lines.expand(line, shell.user_ns, local_ns)
            return _diaphane.run_magic(name, encodable(line), None, shell.user_ns, local_ns)

        run.needs_local_scope = True

    run.__name__, run.__doc__ = name, about
    # What IPython shows for `%name?`, written when it is asked for.
    run.getdoc = lambda: _diaphane.magic_help(name)
    return no_var_expand(run)


def _own(local_ns, user_ns):
    """The variables of the calling function as a dict, which holds each once more; None outside of functions."""
    if local_ns is None or local_ns is user_ns:
        return None
    # Since 3.13 they are seen through an object that is no dict.
    return local_ns if type(local_ns) is dict else dict(local_ns)


def nearest(shell, name):
    """The magic that a mistyped name most likely means, with its signs: it may be `%%` where `%` was written."""
    import difflib

    known = {
        name: signs for kind, signs in (("cell", "%%"), ("line", "%")) for name in shell.magics_manager.magics[kind]
    }
    near = difflib.get_close_matches(name, known, 1, 0.75)
    return known[near[0]] + near[0] if near else None


@magics_class
class KernelMagics(Magics):
    """What a front end does for the kernel: editing, paging, connecting."""

    @line_magic
    def edit(self, parameter_s="", last_call=None):
        """Open a file, an object's source or earlier inputs in the front end: `%edit [-p] [-r] [-n LINE] [WHAT]`."""
        options, what = self.parse_options(parameter_s, "prn:")
        try:
            filename, line, _ = CodeMagics._find_edit_target(self.shell, what, options, last_call or ["", ""])
        except MacroToEdit:
            raise UsageError("A macro cannot be edited from a front end; %load it into a cell instead.") from None
        if filename is None:
            return
        payload = {"source": "edit_magic", "filename": str(Path(filename).resolve()), "line_number": line}
        self.shell.payload_manager.write_payload(payload)

    @line_magic
    def clear(self, line):
        """Clear the terminal."""
        self.shell.system("clear")

    @line_magic
    def less(self, line):
        """Show a file in the pager; Python is coloured."""
        if not line:
            raise UsageError("%less needs the name of a file.")
        if line.endswith(".py"):
            page.page(self.shell.pycolorize(openpy.read_py_file(line, skip_encoding_cookie=False)))
        else:
            page.page(Path(line).read_text())

    more = line_magic("more")(less)

    @line_magic
    def man(self, line):
        """Show a manual page in the pager."""
        page.page(self.shell.getoutput(f"man {line} | col -b", split=False))

    @line_magic
    def connect_info(self, line):
        """Show how other clients connect to this kernel."""
        path = Path(self.shell.kernel.native.connection_file)
        print(path.read_text() + "\n")
        print("Paste the above JSON into a file, and connect with:\n    $> jupyter <app> --existing <file>")
        print(f"or, on this machine, with:\n    $> jupyter <app> --existing {path}")

    @line_magic
    def qtconsole(self, line):
        """Open a qtconsole on this kernel."""
        import subprocess
        import sys

        command = [sys.executable, "-m", "qtconsole", "--existing", self.shell.kernel.native.connection_file]
        subprocess.Popen(command + line.split(), start_new_session=True)

    @line_magic
    def autosave(self, line):
        """Set the classic notebook's autosave interval in seconds; 0 switches it off."""
        try:
            interval = int(line)
        except ValueError:
            raise UsageError(f"%autosave needs a number of seconds, not {line!r}") from None
        script = f"IPython.notebook.set_autosave_interval({1000 * interval})"
        display(Javascript(script), include=["application/javascript"])
        print(f"Autosaving every {interval} seconds" if interval else "Autosave disabled")

    @line_magic
    def subshell(self, line):
        """List the subshells of this kernel."""
        import threading

        print(f"thread: {threading.get_native_id()}")
        print(f"subshells: {', '.join(self.shell.kernel.native.subshells()) or 'none'}")
