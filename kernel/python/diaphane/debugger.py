"""The debugger's requests (`debug_request`): what debugpy cannot know of cells is answered here, the rest by debugpy.

They are served on a thread of their own, since a cell at a breakpoint holds the main thread.
"""

import ast
import importlib.util
import json
import os
import sys
from pathlib import Path

from . import cells
from .debugging import RefusedError, Session
from .jsonable import dumps
from .variables import Explorer, of_the_user

GROUPS = {f"{kind} variables" for kind in ("special", "function", "class", "protected")}
"""Names under which debugpy collects variables; they hold no value of their own."""


class Debugger:
    """The requests of the debugger's lane, which come one after the other."""

    def __init__(self, kernel, loop):
        self._native = kernel.native
        self._shell = kernel.shell
        self._loop = loop
        self._session = Session(kernel.shell, kernel.packages, self._publish)
        self._explorer = Explorer({})
        self._parent = None
        self._answers = {
            "attach": self._attach,
            "configurationDone": self._configuration_done,
            "copyToGlobals": self._copy_to_globals,
            "debugInfo": self._debug_info,
            "disconnect": self._disconnect,
            "dumpCell": self._dump_cell,
            "initialize": self._initialize,
            "inspectVariables": self._inspect_variables,
            "modules": self._modules,
            "richInspectVariables": self._rich_inspect_variables,
            "setBreakpoints": self._set_breakpoints,
            "source": self._source,
            "terminate": self._disconnect,
            "variables": self._variables,
        }

    def debug(self, parent):
        """Answers a request by a task, whose result is the content of the reply."""
        self._parent = parent
        try:
            content = parent.message()["content"]
        except ValueError:
            # No JSON, or no text: the answer says what a request needs.
            content = {}
        return self._loop.create_task(self._answer(content if isinstance(content, dict) else {}))

    def _publish(self, event):
        # An event answers nothing; it is given to the last request.
        self._native.parent.set(self._parent)
        self._native.publish("debug_event", dumps(event))

    async def _answer(self, request):
        command, arguments = request.get("command"), request.get("arguments") or {}
        try:
            if not isinstance(command, str) or not isinstance(arguments, dict):
                raise RefusedError("a debug request needs a command (a string) and takes arguments (an object)")
            if importlib.util.find_spec("debugpy") is None:
                remedy = f"run `{sys.executable} -m pip install debugpy`"
                raise RefusedError(f"debugpy is not installed for {sys.executable}: {remedy}")
            own = self._answers.get(command)
            answer = await (own(Arguments(arguments)) if own else self._session.ask(command, arguments))
        except (RefusedError, OSError) as error:
            answer = failure(str(error))
        number = request.get("seq")
        return dumps({"seq": number, **answer, "type": "response", "command": command, "request_seq": number})

    async def _initialize(self, arguments):
        await self._session.start()
        return await self._session.ask("initialize", arguments)

    async def _attach(self, arguments):
        return await self._session.attach(arguments)

    async def _disconnect(self, arguments):
        return await self._session.stop(arguments)

    async def _configuration_done(self, _arguments):
        # The session said it to debugpy before, which answers to `attach` only then.
        return success()

    async def _debug_info(self, _arguments):
        session = self._session
        threads = (await session.ask("threads"))["body"]["threads"] if session.stopped else []
        return success(
            isStarted=session.is_started,
            hashMethod="Murmur2",
            hashSeed=cells.HASH_SEED,
            tmpFilePrefix=f"{cells.FOLDER}{os.sep}",
            tmpFileSuffix=cells.SUFFIX,
            breakpoints=[{"source": path, "breakpoints": found} for path, found in session.breakpoints.items()],
            stoppedThreads=[thread["id"] for thread in threads],
            richRendering=True,
            exceptionPaths=["Python Exceptions"],
            copyToGlobals=True,
        )

    async def _dump_cell(self, arguments):
        return success(sourcePath=cells.write(arguments["code"]))

    async def _source(self, arguments):
        path = Path(arguments.path())
        if not path.is_file():
            raise RefusedError(f"there is no source at {path}")
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return success(content=file.read())

    async def _set_breakpoints(self, arguments):
        return await self._session.set_breakpoints(arguments.path(), arguments)

    async def _inspect_variables(self, _arguments):
        self._explorer = Explorer(self._shell.user_ns)
        return success(variables=of_the_user(self._explorer.all()))

    async def _variables(self, arguments):
        reference = arguments["variablesReference"]
        if reference in self._explorer:
            return success(variables=of_the_user(self._explorer.parts(reference)))
        answer = await self._session.ask("variables", arguments)
        if answer["success"]:
            answer["body"]["variables"] = of_the_user(answer["body"]["variables"])
        return answer

    async def _rich_inspect_variables(self, arguments):
        name = arguments["variableName"]
        if name in GROUPS:
            return success(data={}, metadata={})
        require_identifiers(name)
        if self._session.stopped and arguments.get("frameId") is not None:
            return await self._rich_inspect_in_frame(name, arguments["frameId"])
        found = self._shell.user_expressions({name: name})[name]
        if found["status"] != "ok":
            raise RefusedError(f"{name} cannot be shown: {found['ename']}: {found['evalue']}")
        return rich(found["data"], found["metadata"])

    async def _rich_inspect_in_frame(self, name, frame):
        value = f"get_ipython().display_formatter.format({name})"
        expression = f"__import__('diaphane.jsonable', fromlist=['dumps']).dumps({value})"
        # The context tells debugpy to shorten nothing.
        arguments = {"expression": expression, "frameId": frame, "context": "clipboard"}
        answer = await self._session.ask("evaluate", arguments)
        return rich(*json.loads(ast.literal_eval(answer["body"]["result"]))) if answer["success"] else answer

    async def _copy_to_globals(self, arguments):
        source, target = arguments["srcVariableName"], arguments["dstVariableName"]
        require_identifiers(source, target)
        expression = {"expression": f"globals()['{target}']", "value": source, "frameId": arguments["srcFrameId"]}
        return await self._session.ask("setExpression", expression)

    async def _modules(self, arguments):
        modules = list(sys.modules.values())
        first = arguments.get("startModule") or 0
        last = first + (arguments.get("moduleCount") or len(modules))
        found = []
        for number, module in enumerate(modules[first:last], first):
            origin = getattr(getattr(module, "__spec__", None), "origin", None)
            if isinstance(origin, str) and os.path.isabs(origin) and origin.endswith(".py"):
                found.append({"id": number, "name": module.__name__, "path": origin})
        return success(modules=found, totalModules=len(modules))


class Arguments(dict):
    """The arguments of a request; one that is needed and is not there is the front end's mistake."""

    def __missing__(self, name):
        raise RefusedError(f"the argument {name} is missing")

    def path(self):
        """The file that the request is about."""
        return Arguments(self["source"])["path"]


def success(**body):
    return {"success": True, "body": body}


def failure(sentence):
    return {"success": False, "message": sentence, "body": {}}


def rich(data, metadata):
    """The representations of a value by their types, as a front end shows them."""
    return success(data=data, metadata={kind: of_it for kind, of_it in metadata.items() if kind in data})


def require_identifiers(*names):
    """Names become part of an expression, which must hold nothing else."""
    for name in names:
        if not name.isidentifier():
            raise RefusedError(f"{name!r} is not the name of a variable: letters, digits and _ make one")
