"""What is between `initialize` and `disconnect`: debugpy listens, one front end is attached, cells stop.

debugpy consists of a tracer in this process and of an adapter, a process that speaks to front ends. The kernel is the
adapter's only client.
"""

import asyncio
import os
import sys
import threading

from IPython.core.inputtransformer2 import leading_empty_lines

from .dap import Connection

LATER = {"asttokens", "executing", "jedi", "matplotlib_inline", "parso", "pure_eval", "pygments", "stack_data"}
"""What the kernel imports later than the rest of it: to show an error, to complete, to draw."""
RESUMING = {"continue", "next", "stepIn", "stepOut"}


class RefusedError(Exception):
    """A request that cannot be answered; the message is for the user."""


def load():
    """debugpy, which takes over `breakpoint()` when it is imported: that waits until a front end is attached."""
    hook = sys.breakpointhook
    import debugpy.server.api

    sys.breakpointhook = hook
    return debugpy


def end_cell():
    """A step that leaves a cell ends with it: it does not stop in the next cell."""
    from _pydevd_bundle.pydevd_additional_thread_info import set_additional_thread_info
    from _pydevd_bundle.pydevd_thread_lifecycle import internal_run_thread

    internal_run_thread(threading.current_thread(), set_additional_thread_info)


def event(name, **body):
    """An event of ours."""
    return {"seq": 0, "type": "event", "event": name, "body": body}


def resume_all():
    """Lets every thread go on."""
    from _pydevd_bundle.pydevd_thread_lifecycle import resume_threads

    resume_threads("*")


class Session:
    """The state of debugging. `publish` is called with each event for the front end."""

    def __init__(self, shell, packages, publish):
        self._publish = publish
        self._rules = [{"module": package, "include": False} for package in sorted(packages | LATER)]
        # Its module has the name of the user's own.
        self._rules.append({"path": os.path.join(os.path.dirname(__file__), "__main__.py"), "include": False})
        self._events = shell.events
        self._history_manager = shell.history_manager
        self._transforms = shell.input_transformer_manager.cleanup_transforms
        self._endpoint = None
        self._connection = None
        self._initialized = asyncio.Event()
        self._announced = False
        self._restore = []
        self.breakpoints = {}
        """The breakpoints by file. They outlive the attachment: the next one begins with them."""
        self.stopped = set()
        """The threads that stand at a breakpoint or a step, by debugpy's numbers."""

    @property
    def is_started(self):
        return self._connection is not None and self._connection.is_open

    async def ask(self, command, arguments=None):
        """debugpy's response."""
        if not self.is_started:
            raise RefusedError(f"{command} needs a debugger that has started: send initialize and attach first")
        if command in RESUMING:
            return await self._resume(command, arguments)
        return await self._connection.ask(command, arguments)

    async def _resume(self, command, arguments):
        if not self.stopped:
            # debugpy would answer only when something stops that it can resume.
            raise RefusedError(f"nothing stands at a breakpoint, so there is nothing to {command}")
        thread = self.stopped.pop()
        self.stopped.clear()
        # debugpy says so when it has happened; a short cell would have ended by then.
        self._publish(event("continued", threadId=thread, allThreadsContinued=True))
        self._announced = True
        answer = await self._connection.ask(command, arguments)
        if not answer["success"]:
            self._on_event(event("stopped", reason="pause", threadId=thread, allThreadsStopped=True))
        return answer

    async def start(self):
        """Connects to debugpy."""
        if self.is_started:
            return
        self._endpoint = self._endpoint or self._listen()
        self._initialized.clear()
        connection = Connection(self._on_event, self._end)
        try:
            await connection.open(*self._endpoint)
        except OSError as error:
            raise RefusedError(f"debugpy's adapter has ended ({error}); restart the kernel to debug again") from error
        self._connection = connection
        self._begin()

    def _listen(self):
        """Starts the tracer and the adapter, once in the life of the process."""
        for thread in (threading.current_thread(), self._history_manager.save_thread):
            if thread is not None:
                thread.pydev_do_not_trace = thread.is_pydev_daemon_thread = True
        debugpy = load()
        from pydevd_tracing import TracingFunctionHolder

        # No front end of a kernel debugs the processes that a cell starts.
        debugpy.configure(subProcess=False)
        # pdb may replace the tracer: the next cell has it again.
        TracingFunctionHolder._warn = False
        try:
            return debugpy.listen(("127.0.0.1", 0))
        except RuntimeError as error:
            raise RefusedError(f"debugpy cannot listen ({error}); restart the kernel to debug from here") from error

    async def attach(self, arguments):
        """Lets cells stop from now on. The protocol wants the breakpoints before the end of the configuration."""
        arguments = {"justMyCode": False, **arguments, "rules": self._rules}
        host, port = self._endpoint or (None, None)
        attached = asyncio.ensure_future(self.ask("attach", arguments | {"connect": {"host": host, "port": port}}))
        initialized = asyncio.ensure_future(self._initialized.wait())
        await asyncio.wait({attached, initialized}, return_when=asyncio.FIRST_COMPLETED)
        initialized.cancel()
        if not attached.done():
            for path, breakpoints in self.breakpoints.items():
                await self.ask("setBreakpoints", {"source": {"path": path}, "breakpoints": breakpoints})
            await self.ask("configurationDone")
        return await attached

    async def set_breakpoints(self, path, arguments):
        """Replaces the breakpoints of a file."""
        answer = await self.ask("setBreakpoints", arguments)
        if answer["success"]:
            # debugpy moves a breakpoint to the next line that has code.
            pairs = zip(arguments.get("breakpoints") or [], answer["body"]["breakpoints"], strict=False)
            self.breakpoints[path] = [{**asked, "line": made.get("line", asked["line"])} for asked, made in pairs]
        return answer

    async def stop(self, arguments):
        """Lets go. The life of the kernel is not the debugger's to end."""
        response = await self.ask("disconnect", arguments | {"terminateDebuggee": False})
        await self._connection.close()
        return response

    def _begin(self):
        """What is different while a front end is connected."""
        plain = sys.breakpointhook
        sys.breakpointhook = load().breakpoint
        self._events.register("pre_execute", self._begin_cell)
        self._events.register("post_execute", end_cell)
        self._restore.append(lambda: self._events.unregister("post_execute", end_cell))
        self._restore.append(lambda: setattr(sys, "breakpointhook", plain))
        if leading_empty_lines in self._transforms:
            # The lines of a cell are counted as the front end counts them.
            index = self._transforms.index(leading_empty_lines)
            self._transforms.remove(leading_empty_lines)
            self._restore.append(lambda: self._transforms.insert(index, leading_empty_lines))

    def _begin_cell(self):
        """A cell is traced while a front end is attached, also when pdb took the tracer away, and not after that."""
        from _pydevd_bundle.pydevd_constants import get_global_debugger

        if self.is_started:
            get_global_debugger().enable_tracing()
        else:
            self._events.unregister("pre_execute", self._begin_cell)
            get_global_debugger().disable_tracing()

    def _end(self):
        self._connection = None
        self.stopped.clear()
        self._announced = False
        while self._restore:
            self._restore.pop()()

    def _on_event(self, message):
        match message["event"]:
            case "initialized":
                self._initialized.set()
            case "stopped":
                self.stopped.add(message["body"]["threadId"])
                self._announced = False
            case "continued" if self._announced:
                self._announced = False
                return
            case "continued":
                # Nobody asked for it: an interrupt has ended the wait, and pydevd would begin another one.
                self.stopped.clear()
                resume_all()
        self._publish(message)
