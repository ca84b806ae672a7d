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
from typing import ClassVar

from . import threads
from .interrupts import IDLE, Interrupts
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

from . import comms, shell
from .imports import AfterImport, make_pdb_interruptible
from .kernel import Kernel
from .requests import Requests
from .running import RUNNING
from .shell import ZMQInteractiveShell

INPUTS_IN_MEMORY = 1000
"""IPython's writing thread would disturb every cell: it writes when the kernel pauses, or after this many cells."""

_kernel = None


class IPKernelApp(BaseIPythonApplication, InteractiveShellApp):
    """Configuration, extensions and startup files as ipykernel has them; hence its name, and that of its files."""

    name = "ipython-kernel"
    classes: ClassVar = [ZMQInteractiveShell]
    kernel = None
    interrupts = None

    def init_shell(self):
        self.shell = ZMQInteractiveShell.instance(
            parent=self, profile_dir=self.profile_dir, kernel=self.kernel, interrupts=self.interrupts, user_ns={}
        )
        self.shell.configurables.append(self)

    def prepare(self, kernel, arguments):
        """Everything up to the first cell."""
        self.kernel = kernel
        self.initialize(arguments)
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
    """Runs until the kernel is asked to end."""
    global _kernel
    sys.stdout, sys.stderr = OutStream(native, "stdout"), OutStream(native, "stderr")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    # debugpy would warn about frozen modules, which no user of a notebook steps into.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.register_at_fork(after_in_child=native.forked)
    faulthandler.enable(native.stderr)
    native.tell_of_faults()
    threads.inherit(native.parent, RUNNING)

    _kernel = Kernel(native, comms.install(native))
    change_modules(AfterImport())
    builtins.input, getpass.getpass = _kernel.raw_input, _kernel.getpass
    loop = asyncio.new_event_loop()
    interrupts = Interrupts(loop)
    app = IPKernelApp.instance()
    app.interrupts = interrupts
    app.prepare(_kernel, arguments)
    asyncio.set_event_loop(loop)
    interrupts.install(native)
    runner = native.runner(Requests(app.shell, native, loop, interrupts))
    _kernel.request_fd = runner.fileno()
    native.ready()
    interrupts.state = IDLE
    serve(loop, runner)
    farewell()


def change_modules(after_import):
    """What libraries expect of a notebook's kernel, in modules that may never be imported."""
    after_import.add("ipykernel.comm.comm", comms.connect_ipykernels)
    after_import.add("pdb", make_pdb_interruptible)
    after_import.add("IPython.core.debugger", make_pdb_interruptible)
    # tqdm, plotly and others know a notebook by this module; it is an attribute of its package where that is there.
    sys.modules["ipykernel.zmqshell"] = shell
    after_import.add("ipykernel", lambda package: setattr(package, "zmqshell", shell))


def serve(loop, runner):
    """Lets the loop run until the lane is closed. What is left of tasks then is left."""
    ended = False

    def on_request():
        nonlocal ended
        if not runner.serve():
            ended = True
            loop.stop()

    loop.add_reader(runner.fileno(), on_request)
    while not ended:
        # A callback of the user that was interrupted throws the loop off.
        with contextlib.suppress(KeyboardInterrupt):
            loop.run_forever()


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
            serve(loop, runner)
        loop.close()
    finally:
        ended.set()


def debugger():
    """The life of the debugger's thread."""
    from .debugger import Debugger

    loop = asyncio.new_event_loop()
    serve(loop, _kernel.native.debug_runner(Debugger(_kernel, loop)))


class Unsignalled:
    """In the place of `Interrupts` outside of the main thread, which alone gets signals."""

    state = None
    waits = raised = False

    def __init__(self, loop):
        self._loop = loop

    def begin_cell(self):
        """Nothing came, and nothing will."""

    def start_cell(self, coroutine):
        return self._loop.create_task(coroutine)


def farewell():
    """What Python does at its end, but for the destruction of modules."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
