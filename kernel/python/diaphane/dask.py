"""The workers of a Dask cluster: `doctor(client)`, `ask(client, "threads --stack")`, `with native_prof(client): ...`.

Workers are asked by `client.run`, so a question waits for no task. Each has a deadline of its own: one that hangs, has
died or has no diaphane is told in the merged report. The package has to be installed where the workers are.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import uuid

from distributed import WorkerPlugin, default_client

from . import _diaphane, stacktrace, workers
from ._diaphane import Report
from .library import everything, watch_threads
from .merging import described, merge

TIMEOUT = 10
"""Seconds until a worker is not waited for any more; behind half of them its nanny is asked what it does."""

MISSING = "has no diaphane: install the package in the environment of the workers"

_recordings = {}
"""On a worker: what is recorded there, by the key of who asked for it."""


def doctor(client, workers=None, *, timeout=TIMEOUT):
    """What is remarkable on the workers, the worst first, and in what they differ."""
    return ask(client, "native_doctor", workers, timeout=timeout)


def ask(client, question, workers=None, *, timeout=TIMEOUT):
    """What a magic answers on each worker, as one report: `ask(client, "threads --stack")`.

    `workers` are names or addresses; without them all are asked. No worker is waited for longer than `timeout` seconds.
    """
    name, *words = shlex.split(question.strip().lstrip("%")) or [""]
    if name not in everything():
        raise ValueError(f"there is no magic {name!r} to ask the workers; dir(diaphane) lists them")

    async def answer():
        return merge(await _Cluster(client, timeout).ask_all(workers, _answer, _from_outside, name, words))

    return client.sync(answer)


def crashes(client, *, timeout=TIMEOUT):
    """Why workers have died: the reports of those with the plugin, by worker, as their nannies keep them."""

    async def answer():
        return await _Cluster(client, timeout).crashes()

    return {worker: Report._from_stored(text) for worker, text in client.sync(answer).items()}


def native_prof(client, workers=None, *, timeout=TIMEOUT, **options):
    """Where the workers' time goes in a block: `with native_prof(client) as found: ...`, then `found.report`."""
    return Recorded(client, "native_prof", workers, timeout, options)


def native_calls(client, workers=None, *, timeout=TIMEOUT, **options):
    """Which native functions the workers call while a block runs."""
    return Recorded(client, "native_calls", workers, timeout, options)


class Recorded:
    """A recording on the workers, for as long as a block runs; its `report` is there at the end."""

    def __init__(self, client, name, workers, timeout, options):
        everything()[name](**options)
        self._cluster, self._workers = _Cluster(client, timeout), workers
        self._name, self._options, self._key = name, options, uuid.uuid4().hex
        self._begun = {}
        self.report = None

    def __enter__(self):
        self._cluster.client.sync(self._begin)
        return self

    def __exit__(self, *_error):
        self._cluster.client.sync(self._end)

    async def __aenter__(self):
        await self._begin()
        return self

    async def __aexit__(self, *_error):
        await self._end()

    async def _begin(self):
        self._begun = await self._cluster.ask_all(self._workers, _begin, None, self._key, self._name, self._options)

    async def _end(self):
        ended = await self._cluster.ask_all(self._workers, _end, None, self._key)
        failed = {name: why for name, why in self._begun.items() if why is not True}
        self.report = merge(ended | failed)


class Plugin(WorkerPlugin):
    """What has to be on from the start of a worker: `client.register_plugin(diaphane.dask.Plugin())`.

    Who starts threads is noted, a fault tells why the worker dies (`crashes(client)`), questions are answered while
    native code holds the GIL, and Dask's profiler gets native functions where it wants them (`profile.low-level`).
    """

    name = "diaphane"

    def setup(self, worker):
        """On a worker that begins."""
        workers.begin(worker.name)
        if importlib.util.find_spec("stacktrace") is None:
            sys.modules["stacktrace"] = stacktrace

    def teardown(self, worker):
        """Puts all back."""
        if sys.modules.get("stacktrace") is stacktrace:
            del sys.modules["stacktrace"]
        workers.end()


class _Cluster:
    """The workers that a client knows, each asked by itself."""

    def __init__(self, client, timeout):
        self.client, self.timeout = client, timeout

    async def ask_all(self, wanted, function, outside, *args):
        """The answer of each worker by its name, or why there is none."""
        before = await self._workers()
        names = {str(about["name"]): address for address, about in before.items()}
        asked = (
            sorted(before, key=lambda one: _order(_name(before, one)))
            if wanted is None
            else [names.get(str(one), str(one)) for one in wanted]
        )
        answers = await asyncio.gather(*(self._ask(one, before, function, outside, args) for one in asked))
        answers = {_name(before, address): answer for address, answer in zip(asked, answers, strict=True)}
        if wanted is None:
            after = await self._workers()
            new = [_name(after, address) for address in after if address not in before]
            answers |= dict.fromkeys(new, "was added while the others were asked: ask again")
        return answers

    async def crashes(self):
        """What the nannies have of workers that died; a nanny that does not answer has nothing."""
        asked = [self._run(one, workers.crashes, (), self.timeout, nanny=True) for one in await self._nannies()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return {name: text for answer in answers if isinstance(answer, dict) for name, text in answer.items()}

    async def _nannies(self):
        return [address for address, about in (await self._workers()).items() if about.get("nanny")]

    async def _workers(self):
        return (await self.client.scheduler.identity(n_workers=-1))["workers"]

    async def _ask(self, address, known, function, outside, args):
        if address not in known:
            return "is no worker of this cluster"
        has_nanny = outside is not None and known[address].get("nanny")
        patience = self.timeout / 2 if has_nanny else self.timeout
        try:
            return await self._run(address, function, args, patience, nanny=False)
        except TimeoutError:
            silent = f"did not answer within {patience:g} s"
        if not has_nanny:
            return silent
        try:
            return _told(await self._run(address, outside, args, self.timeout - patience, nanny=True), silent)
        except TimeoutError:
            return f"did not answer within {self.timeout:g} s, and neither did its nanny"

    async def _run(self, address, function, args, timeout, *, nanny):
        if not nanny:
            function, args = _by_value(), (function.__name__, MISSING, args)
        run = self.client.run(function, *args, workers=[address], nanny=nanny, on_error="return")
        try:
            answer = (await asyncio.wait_for(run, timeout))[address]
        except TimeoutError:
            raise
        except Exception as error:
            # One that is gone makes the scheduler's own call fail.
            answer = error
        # What cannot be read there comes back as an exception that names the other one.
        if isinstance(answer, Exception) and "ModuleNotFoundError" in repr(answer) and "diaphane" in repr(answer):
            return MISSING
        if isinstance(answer, OSError | KeyError):
            return f"was lost while it was asked ({described(answer)}); diaphane.dask.crashes(client) may know why"
        return answer


def _by_value():
    """A function that goes to a worker as code: one without diaphane says so, where it could not read one of ours."""

    def call(name, missing, args):
        try:
            from diaphane import dask as there
        except ModuleNotFoundError:
            return missing
        return getattr(there, name)(*args)

    return call


def _order(name):
    """`2` stands before `10`."""
    return len(name), name


def _name(known, address):
    return str(known[address]["name"]) if address in known else address


def _answer(name, words):
    """On a worker: what the magic answers."""
    return _diaphane.ask_magic(name, words, None, sys.modules["__main__"].__dict__)


def _begin(key, name, options):
    """On a worker: a recording begins, on the thread on which it will end."""
    watch_threads()
    recording = everything()[name](**options)
    _recordings[key] = recording, recording.__enter__()
    return True


def _end(key):
    """On a worker: the report of a recording."""
    if key not in _recordings:
        return "was not there when the recording began"
    recording, report = _recordings.pop(key)
    recording.__exit__(None, None, None)
    return report


async def _from_outside(name, words, dask_worker):
    """On the nanny of a worker that does not answer: what its socket says, or else what its stack shows."""
    return await asyncio.get_running_loop().run_in_executor(None, _look, dask_worker.pid, name, words)


def _look(pid, name, words):
    if pid in _diaphane.listening() and (answer := _command("ask", "-k", str(pid), name, *words, "--json")):
        return "answer", answer
    return "stack", _command("stack", str(pid), "--json")


def _command(*words):
    """What our command line prints, in a process of its own: this one serves the worker. None where it fails."""
    own = shutil.which("diaphane", path=os.path.dirname(sys.executable))
    command = [own] if own else [sys.executable, "-m", "diaphane"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        return done.stdout if done.returncode == 0 else None
    return None


def _told(answer, silent):
    """What a nanny knows of a worker that is silent: its answer, or a sentence."""
    if not isinstance(answer, tuple):
        return silent
    kind, text = answer
    if kind == "answer" or text is None:
        return text or silent
    with contextlib.suppress(ValueError, KeyError):
        rows = json.loads(text)["rows"]
        holder = [row for row in rows if row["gil"] == "holder"] or rows
        native = next((row["function"] for row in holder if row["function"]), None)
        python = next((row for row in holder if row["kind"] == "python"), None)
        if python is not None:
            place = f"{python['function']} ({python['file']}:{python['line']})"
            silent += f"; its thread {python['thread']} is in {native}, called by {place}"
    return silent


def load_ipython_extension(shell):
    """`%load_ext diaphane.dask`: the magic `%dask_doctor`."""

    def dask_doctor(line):
        """`%dask_doctor client`: what is remarkable on its workers; without a name, the client that was made last."""
        name = line.strip()
        return doctor(shell.ev(name) if name else default_client())

    shell.register_magic_function(dask_doctor, "line", "dask_doctor")
