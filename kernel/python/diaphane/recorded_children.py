"""`--children`: processes that a cell starts record themselves, and send their reports to the one that invited them.

A fork begins by a hook of Python's. A program that is started is reached by `PYTHONPATH`: a folder there, which is made
for the time of the cell, has a `sitecustomize` that begins, and goes on to the one that would be found without it.
What is changed of a child stays in that child.
"""

import _socket
import _thread
import atexit
import contextlib
import functools
import json
import os
import signal
import struct
import sys
import time
from multiprocessing import popen_fork
from pathlib import Path

from . import _diaphane

HOOK = '''"""Made by diaphane for the time of a cell that records its children: has this Python record itself."""

import os
import sys

folder = os.path.dirname(os.path.abspath(__file__))


def begin():
    while folder in sys.path:
        sys.path.remove(folder)
    try:
        from diaphane import recorded_children

        recorded_children.join(folder)
    except ImportError as error:
        tell(f"has no diaphane: install the package in the environment of {sys.executable} ({error})")
    except Exception as error:
        tell(f"could not record: {type(error).__name__}: {error}")


def tell(why):
    import json
    import socket

    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(os.path.join(folder, "socket"))
            link.sendall(json.dumps({"pid": os.getpid(), "how": "spawned", "silent": why}).encode() + b"\\n")
    except OSError:
        pass


def go_on():
    """Runs the sitecustomize that would have been found without this one."""
    import importlib.machinery
    import importlib.util

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


begin()
go_on()
'''

HELPERS = ("resource_tracker", "semaphore_tracker", "multiprocessing.forkserver")
"""What pools of processes start for themselves: it does nothing of the user's, but may fork who does."""

FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS, signal.SIGTRAP}
FOR_MAIN = {one for one in signal.valid_signals() if one < signal.SIGRTMIN} - FAULTS
"""Signals that a thread of ours leaves to the main one; by real-time ones recordings reach each thread."""

PATIENCE = 10
"""Seconds until a child gives up to hand over its report."""

_invited = None
"""What children of this process are to record: the folder, the magic and its words."""
_mine = None
"""The recording of this process, if it is a child that records."""
_known = {"hook": False}
_LEAVING = ("_exit", "execv", "execve")
"""By which of `os` a process ends without a word, or becomes another program; `execvp` and the like call these."""


def invite(folder, magic, words):
    """Has children record from now on, and send their reports to the socket in the folder. What takes it back."""
    global _invited
    Path(folder, "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    Path(folder, "plan.json").write_text(json.dumps({"magic": magic, "words": words}), encoding="utf-8")
    _invited = folder, magic, words
    _hook_forks()
    return _Invitation(folder)


class _Invitation:
    def __init__(self, folder):
        self._folder, self._before = folder, os.environ.get("PYTHONPATH")
        self._ours = os.pathsep.join(filter(None, (folder, self._before)))
        os.environ["PYTHONPATH"] = self._ours
        self._send = popen_fork.Popen._send_signal
        self._insists = popen_fork.Popen._send_signal = _insisting(self._send)

    def undo(self):
        """Nobody is invited any more. What the cell itself has made of the variable stays, but for our folder."""
        global _invited
        _invited = None
        if popen_fork.Popen._send_signal is self._insists:
            popen_fork.Popen._send_signal = self._send
        now = os.environ.get("PYTHONPATH")
        if now == self._ours and self._before is not None:
            os.environ["PYTHONPATH"] = self._before
        elif now is not None:
            _leave_environment(self._folder)


def _insisting(send):
    """Sends SIGTERM to a child until it has gone: with our handler, Python there notices one that comes just before it
    waits only when that wait ends, which may be never."""

    @functools.wraps(send)
    def _send_signal(self, number):
        send(self, number)
        if number == signal.SIGTERM and _invited is not None:
            _thread.start_new_thread(_insist, (self,))

    return _send_signal


def _insist(popen):
    for _ in range(PATIENCE):
        # Who cleans up at the first one is given time for it.
        time.sleep(1)
        if popen.returncode is not None:
            return
        with contextlib.suppress(OSError):
            os.kill(popen.pid, signal.SIGTERM)


def _leave_environment(folder):
    before = os.environ.get("PYTHONPATH", "")
    rest = [one for one in before.split(os.pathsep) if one != folder]
    if rest and rest != [""]:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)


def _hook_forks():
    """Python has no way to take such a hook back; it does nothing while nobody is invited."""
    if not _known["hook"]:
        _known["hook"] = True
        os.register_at_fork(after_in_child=_forked)


def join(folder):
    """In a Python that was started while its parent records: it records too."""
    global _invited
    plan = json.loads(Path(folder, "plan.json").read_text(encoding="utf-8"))
    _invited = folder, plan["magic"], plan["words"]
    _hook_forks()
    if any(helper in word for word in sys.orig_argv for helper in HELPERS):
        _tell(_connected(folder), "spawned", helps=True)
    else:
        _begin("spawned")


def _forked():
    """In the child of a fork."""
    global _mine
    if _mine is not None:
        _mine.forget()
        _mine = None
    if _invited is not None:
        _begin("fork")


def _begin(how):
    global _mine, _invited
    folder, magic, words = _invited
    link = _connected(folder)
    if link is None:
        # The cell has ended.
        _invited = None
        return
    try:
        waits = _Waiting(link)
        recording = _diaphane.Recording(magic, words, None, True)
        report = recording.__enter__()
    except Exception as error:
        _tell(link, how, silent=f"could not record: {type(error).__name__}: {error}")
        return
    _tell(link, how)
    _mine = _Recorded(folder, link, recording, report, waits)
    # Only now: who is told to end has to find what it ends.
    _mine.listen()


def _connected(folder):
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        link.connect(os.path.join(folder, "socket"))
    except OSError:
        link.close()
        return None
    link.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE, 0))
    return link


def _tell(link, how, silent=None, helps=False):
    if link is not None:
        try:
            hello = {"pid": os.getpid(), "how": how, "silent": silent, "helps": helps}
            link.sendall(json.dumps(hello).encode() + b"\n")
        except OSError:
            # Nobody listens any more.
            link.close()


class _Waiting:
    """A thread that waits for the parent's word. It begins before the recording, in which it would wait for the GIL."""

    def __init__(self, link):
        self._link, self._begun = link, _thread.allocate_lock()
        self.told, self.is_over = None, False
        self._begun.acquire()
        _thread.start_new_thread(self._wait, ())
        self._begun.acquire()

    def _wait(self):
        # A signal to the process that this thread got would not wake the main one, which alone runs Python's handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, FOR_MAIN)
        self._begun.release()
        try:
            self._link.recv(16)
        except OSError:
            return
        self.is_over = True
        if self.told is not None:
            self.told()


class _Recorded:
    """A child's recording, which ends with the child, or when the cell of its parent has ended."""

    def __init__(self, folder, link, recording, report, waits):
        self._folder, self._link, self._recording, self._report = folder, link, recording, report
        self._waits, self._file = waits, _file_of(link)
        self._thread = _thread.get_ident()
        self._signals, self._leaving = {}, {}
        self._ends, self._died_of = False, None

    def listen(self):
        """Ends with the process from now on, however that ends, and when the parent says so."""
        atexit.register(self.finish)
        self._leaving = {name: _finishing(getattr(os, name)) for name in _LEAVING}
        for name, ours in self._leaving.items():
            setattr(os, name, ours)
        self._listen(signal.SIGTERM, self._terminated)
        wake = _free_signal()
        if wake is not None and self._listen(wake, self._told):
            # A recording ends on the thread on which it began, which may wait for work.
            self._waits.told = lambda: self._signals and signal.pthread_kill(self._thread, wake)
            if self._waits.is_over:
                self.finish()

    def _listen(self, number, handler):
        """Sets a handler where there is none."""
        if signal.getsignal(number) is not signal.SIG_DFL:
            return False
        try:
            signal.signal(number, handler)
        except (ValueError, OSError):
            return False
        self._signals[number] = handler
        return True

    def _told(self, *_):
        self.finish()

    def _terminated(self, number, _frame):
        # A pool ends its workers so while they leave by themselves, and in the middle of their report.
        self._died_of = number
        self.finish()
        if not self._ends:
            self._die()

    def finish(self, goes_on=False):
        """Ends the recording, puts all back, and hands the report over; once, and on the thread of the recording. Where
        another program `goes_on` in this process, that is invited too."""
        global _mine, _invited
        if _mine is not self or self._ends or _thread.get_ident() != self._thread:
            return
        self._ends = True
        self._recording.__exit__(None, None, None)
        if _file_of(self._link) == self._file:
            try:
                self._link.sendall(self._report.__reduce__()[1][0].encode())
                self._link.shutdown(_socket.SHUT_RDWR)
            except OSError:
                # Nobody listens any more.
                pass
        self._part()
        _mine = _invited = None
        self._undo()
        if not goes_on:
            _leave_environment(self._folder)
        self._ends = False
        if self._died_of is not None:
            self._die()

    def _die(self):
        """As it would have without us; with our handler still there it would only be called again."""
        signal.signal(self._died_of, signal.SIG_DFL)
        os.kill(os.getpid(), self._died_of)

    def _undo(self):
        atexit.unregister(self.finish)
        for name, ours in self._leaving.items():
            if getattr(os, name) is ours:
                setattr(os, name, ours.__wrapped__)
        for number, handler in self._signals.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, signal.SIG_DFL)
        self._signals = {}

    def _part(self):
        """Lets go of the socket, unless its number is another file's by now: daemons close all they do not know."""
        if _file_of(self._link) == self._file:
            self._link.close()
        else:
            self._link.detach()

    def forget(self):
        """In a fork of the child, which has a recording of its own: what was copied of the child's is dropped."""
        self._part()
        self._undo()


def _file_of(link):
    """Which file the number of a socket stands for; None if for none."""
    try:
        about = os.fstat(link.fileno())
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _finishing(function):
    """A function by which a process leaves, which ends the recording first."""

    @functools.wraps(function)
    def leave(*arguments, **named):
        if _mine is not None:
            _mine.finish(goes_on=function.__name__ != "_exit")
        return function(*arguments, **named)

    return leave


def _free_signal():
    """A real-time signal without a handler, also one of native code's."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigCgt:", "SigBlk:"))]
    for number in range(signal.SIGRTMAX - 8, signal.SIGRTMIN + 1, -1):
        if not any(mask >> (number - 1) & 1 for mask in masks):
            return number
    return None
