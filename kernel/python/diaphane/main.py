"""The life of the Python half: IPython is set up, the loop runs, everything is put away."""

import asyncio
import atexit
import builtins
import contextlib
import faulthandler
import getpass
import os
import sys
import tempfile
import threading
import time
import warnings
from typing import ClassVar

from . import inheritance
from .streams import OutStream

try:
    from IPython.core.application import BaseIPythonApplication
    from IPython.core.shellapp import InteractiveShellApp
except ModuleNotFoundError as error:
    if error.name not in ("IPython", "traitlets"):
        raise
    raise SystemExit(
        f"IPython is not installed for {sys.executable}: "
        f"run `{sys.executable} -m pip install ipython comm matplotlib-inline`"
    ) from None

try:
    tempfile.gettempdir()
except FileNotFoundError:
    raise SystemExit(
        "no folder for temporary files can be written, and IPython needs one: "
        "mount one at /tmp (in a container by --tmpfs /tmp), or name another one by TMPDIR"
    ) from None

from traitlets import Unicode

from . import comms, shell
from .handlers import Handlers
from .imports import AfterImport, make_pdb_interruptible
from .interrupts import IDLE, Interrupts
from .kernel import Kernel
from .requests import Requests
from .running import RUNNING
from .shell import ZMQInteractiveShell
from .tasks import Loop

INPUTS_IN_MEMORY = 1000
"""IPython's writing thread would disturb every cell: it writes when the kernel pauses, or after this many cells."""

_EXIT = os._exit
_kernel = None


def offer_command(folder):
    """Lets `!diaphane` find the kernel's own program, behind everything that the user has on the path."""
    path = os.environ.get("PATH", os.defpath)
    if folder not in path.split(os.pathsep):
        os.environ["PATH"] = f"{path}{os.pathsep}{folder}"


class IPKernelApp(BaseIPythonApplication, InteractiveShellApp):
    """Configuration, extensions and startup files as ipykernel has them; hence its name, and that of its files."""

    name = "ipython-kernel"
    classes: ClassVar = [ZMQInteractiveShell]
    kernel = None
    interrupts = None
    connection_file = Unicode().tag(config=True)
    connection_dir = Unicode()

    def init_shell(self):
        self.shell = ZMQInteractiveShell.instance(
            parent=self, profile_dir=self.profile_dir, kernel=self.kernel, interrupts=self.interrupts
        )
        self.shell.configurables.append(self)

    def prepare(self, kernel, arguments):
        """Everything up to the first cell."""
        self.kernel = kernel
        self.initialize(arguments)
        offer_command(os.fspath(kernel.native.command_folder))
        self.connection_file = self.abs_connection_file = os.path.abspath(kernel.native.connection_file)
        self.connection_dir = os.path.dirname(self.connection_file)
        # Libraries look for the file here, and tqdm takes a shell for a notebook's when this section is there.
        self.config.IPKernelApp.connection_file = self.connection_file
        self.init_path()
        self.init_shell()
        kernel.shell = self.shell
        manager = self.shell.history_manager
        manager.db_cache_size = max(manager.db_cache_size, INPUTS_IN_MEMORY)
        session = os.environ.get("JPY_SESSION_NAME")
        if session:
            self.shell.user_ns["__session__"] = session
        self.init_gui_pylab()
        self.init_extensions()
        self.init_code()


def main(native, arguments):
    """Runs until the kernel is asked to end. The process's exit code."""
    global _kernel
    sys.stdout, sys.stderr = OutStream(native, "stdout"), OutStream(native, "stderr")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    # debugpy would warn about frozen modules, which no user of a notebook steps into.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.register_at_fork(after_in_child=lambda: be_child(native))
    faulthandler.enable(native.stderr)
    native.tell_of_faults()
    inheritance.inherit(native, RUNNING)

    _kernel = Kernel(native, comms.install(native))
    change_modules(AfterImport())
    builtins.input, getpass.getpass = _kernel.raw_input, _kernel.getpass
    loop = Loop()
    interrupts = Interrupts(loop)
    app = IPKernelApp.instance()
    app.interrupts = interrupts
    app.prepare(_kernel, arguments)
    asyncio.set_event_loop(loop)
    interrupts.install(native)
    interrupts.escaped = lambda error, who: loop.call_soon_threadsafe(deliver, interrupts, error, *who)
    Handlers(native, interrupts.may_raise, lambda: (native.current(), RUNNING.get()), interrupts.escaped)
    runner = native.runner(Requests(app.shell, native, loop, interrupts))
    _kernel.request_fd = runner.fileno()
    native.ready()
    interrupts.state = IDLE
    code = 0
    try:
        serve(loop, runner, interrupts)
    except SystemExit as exit:
        code = exit_code(exit)
    farewell()
    return code


def be_child(native):
    """A forked child has no more of a kernel than its streams, and leaves nothing of a line in them."""
    native.forked()
    if os._exit is not _leave_child:
        # IPython would tell the user how to leave.
        warnings.filterwarnings("ignore", "To exit: use")
        os._exit = _leave_child


def _leave_child(status):
    for stream in (sys.stdout, sys.stderr):
        # It may be anything by now, and no error must keep the child here.
        with contextlib.suppress(Exception):
            stream.flush()
    _EXIT(status)


def change_modules(after_import):
    """What libraries expect of a notebook's kernel, in modules that may never be imported."""
    after_import.add("ipykernel.comm.comm", comms.connect_ipykernels)
    after_import.add("ipykernel.ipkernel", lambda _: comms.take_over())
    after_import.add("ipykernel.kernelapp", lambda module: setattr(module, "IPKernelApp", IPKernelApp))
    after_import.add("ipykernel.iostream", lambda module: setattr(module, "OutStream", OutStream))
    after_import.add("pdb", make_pdb_interruptible)
    after_import.add("IPython.core.debugger", make_pdb_interruptible)
    # tqdm, plotly and others know a notebook by this module; it is an attribute of its package where that is there.
    sys.modules["ipykernel.zmqshell"] = shell
    after_import.add("ipykernel", lambda package: setattr(package, "zmqshell", shell))


def serve(loop, runner, interrupts):
    """Lets the loop run until the lane is closed. What is left of tasks then is left."""
    ended = False

    def on_request():
        nonlocal ended
        interrupts.serving = True
        if not runner.serve():
            ended = True
            loop.stop()
        interrupts.serving = False

    loop.add_reader(runner.fileno(), on_request)
    while not ended:
        # A callback of the user that was interrupted throws the loop off.
        with contextlib.suppress(*interrupts.survived):
            loop.run_forever()


def deliver(interrupts, error, parent, cell):
    """An error of a signal handler ends the `await` of the cell that armed the signal, or is shown under it."""
    if isinstance(error, SystemExit):
        raise error
    if cell is not None and interrupts.throw(cell, error):
        return
    interrupts.serving = True
    token = _kernel.native.parent.set(parent)
    _kernel.shell.showtraceback((type(error), error, error.__traceback__))
    _kernel.native.parent.reset(token)
    interrupts.serving = False


def exit_code(exit):
    """What a SystemExit beside the cells asks for; Python says a value that is no number, and ends with 1."""
    sentence = "The kernel ends, because a task, a callback or a signal handler has raised SystemExit"
    print(f"{sentence}({'' if exit.code is None else repr(exit.code)}).", file=sys.stderr)
    if exit.code is None:
        return 0
    return exit.code & 0xFF if isinstance(exit.code, int) else 1


def subshell(identity):
    """The life of a subshell (JEP 91): a thread of `threading`, so that Python knows and counts it."""
    ended = threading.Event()
    thread = threading.Thread(target=_serve_subshell, args=(identity, ended), name="subshell", daemon=True)
    thread.start()
    # `join` would enter the calling thread, which is not Python's, into the list of threads for good.
    ended.wait()
    while thread.is_alive():
        time.sleep(0.001)


def _serve_subshell(identity, ended):
    try:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        requests = Requests(_kernel.shell, _kernel.native, loop, Unsignalled(loop))
        runner = _kernel.native.runner(requests, identity)
        if runner is not None:  # or it was deleted before it began
            serve(loop, runner, Unsignalled(loop))
        end_tasks(loop)
        loop.close()
    finally:
        ended.set()


def end_tasks(loop):
    """Ends what a subshell still waits for, as `asyncio.run` does, so that its last cell is answered."""
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    if rest:
        with contextlib.suppress(*Unsignalled.survived):
            loop.run_until_complete(asyncio.wait(rest))


def debugger():
    """The life of the debugger's thread."""
    from .debugger import Debugger

    loop = asyncio.new_event_loop()
    serve(loop, _kernel.native.debug_runner(Debugger(_kernel, loop)), Unsignalled(loop))


class Unsignalled:
    """In the place of `Interrupts` outside of the main thread, which alone gets signals."""

    state = None
    waits = raised = serving = False
    survived = (KeyboardInterrupt, SystemExit)
    """It ends no more than a thread's would: the lane goes on."""

    def __init__(self, loop):
        self._loop = loop

    def begin_cell(self):
        """Nothing came, and nothing will."""

    def restore(self):
        """Only the main thread can set handlers."""

    def start_cell(self, _cell, coroutine):
        return self._loop.create_task(coroutine)


def farewell():
    """What Python does at its end, but for the destruction of modules."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
