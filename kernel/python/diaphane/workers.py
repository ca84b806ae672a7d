"""What has to be on from the start of a worker of a cluster, whatever cluster that is.

Who starts threads is noted, a fault tells on the standard error why the worker dies and leaves its report in a folder
of its parent's, and questions are answered while native code holds the GIL.
"""

import contextlib
import faulthandler
import os
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

from . import _diaphane, attached

FAULTS = [signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT]
KEPT = 20
"""So many reports of dead workers are kept for one parent."""
OLD = 24 * 3600
"""Seconds after which the folder of a parent that is gone is nobody's."""

_begun = []


def begin(name=None):
    """On a worker that begins; `name` is what its reports are known by."""
    attached.begin()
    only_told = [one for one in FAULTS if faulthandler.is_enabled() and not callable(signal.getsignal(one))]
    with contextlib.suppress(OSError):
        folder = _folder(os.getppid()) / f"{_plain(name)}-{os.getpid()}"
        _begun.append(_diaphane.tell_of_faults(str(folder / "worker"), os.dup(2), only_told))


def end():
    """Puts all back."""
    while _begun:
        _begun.pop().undo()
    attached.end()


def crashes():
    """The reports of this process's workers that have died: their JSON by name, the latest last."""
    try:
        folder = _folder(os.getpid())
    except OSError:
        return {}
    found = sorted(folder.glob("*/*-crash-*.json"), key=lambda one: one.stat().st_mtime)
    for old in found[:-KEPT]:
        old.unlink(missing_ok=True)
    return {one.parent.name: one.read_text(encoding="utf-8", errors="replace") for one in found[-KEPT:]}


def _folder(parent):
    """The folder for the workers of a process; it is refused where it is somebody else's."""
    base = Path(tempfile.gettempdir(), f"diaphane-workers-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    about = base.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise PermissionError(f"{base} is somebody else's")
    folder = base / f"{parent}-{_begun_at(parent)}"
    if not folder.exists():
        _forget_old(base)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _begun_at(process):
    """A number is used again; when the process was begun tells which it is."""
    status = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    return status.rsplit(")", 1)[1].split()[19]


def _forget_old(base):
    """Removes what parents left behind that were killed. One of another container may only seem to be gone."""
    for folder in base.iterdir():
        parent, _, begun = folder.name.partition("-")
        try:
            lives = _begun_at(parent) == begun
        except (OSError, IndexError):
            lives = False
        with contextlib.suppress(OSError):
            if not lives and folder.stat().st_mtime < time.time() - OLD:
                shutil.rmtree(folder, ignore_errors=True)


def _plain(name):
    """A name as a part of a file's name."""
    return "".join(one if one.isalnum() else "_" for one in str(name or "worker"))[:60]
