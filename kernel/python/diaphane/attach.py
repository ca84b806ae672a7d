"""`diaphane attach PID`: lets a Python that runs already load the guest, and answer questions (PEP 768)."""

import os
import sys
import tempfile
import time
from pathlib import Path

from . import _diaphane

PATIENCE = 10
"""Seconds until a Python is called busy: it runs what it was sent when its main thread runs Python next."""

SCRIPT = """
import sys
sys.path.append({folder!r})
try:
    from diaphane import attached
    attached.begin()
except BaseException as error:
    with open({answer!r}, "w") as answer:
        answer.write(f"{{type(error).__name__}}: {{error}}")
finally:
    sys.path.remove({folder!r})
"""


def attach(pid):
    """Returns when the process answers. Raises RuntimeError with a sentence where it does not."""
    if pid in _diaphane.listening():
        return
    if not hasattr(sys, "remote_exec"):
        version = sys.version.split()[0]
        raise RuntimeError(f"CPython {version} cannot be attached to, 3.14 and later can; {_outside(pid)}")
    folder = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as temporary:
        script, answer = Path(temporary, "attach.py"), Path(temporary, "answer")
        script.write_text(SCRIPT.format(folder=folder, answer=str(answer)))
        # The other process may be another user's, where we are root.
        os.chmod(temporary, 0o755)
        _execute(pid, script)
        _wait(pid, answer)


def _execute(pid, script):
    try:
        sys.remote_exec(pid, os.fspath(script))
    except ProcessLookupError:
        raise RuntimeError(f"there is no process {pid}") from None
    except PermissionError:
        raise RuntimeError(
            f"Linux does not let this user look into process {pid}: "
            "run it as root, or see /proc/sys/kernel/yama/ptrace_scope"
        ) from None
    except (OSError, RuntimeError) as error:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise RuntimeError(
            f"process {pid} cannot be attached to ({error}): it must be CPython {version}, as this one is, "
            f"and started without PYTHON_DISABLE_REMOTE_DEBUG; {_outside(pid)}"
        ) from None


def _outside(pid):
    return f"`diaphane stack {pid}` looks from outside"


def _wait(pid, answer):
    end = time.monotonic() + PATIENCE
    while pid not in _diaphane.listening():
        if answer.exists() and (text := answer.read_text()):
            raise RuntimeError(f"process {pid} could not load diaphane: {text}")
        if time.monotonic() > end:
            raise RuntimeError(
                f"process {pid} has not run Python on its main thread for {PATIENCE} s, so it has not loaded the guest "
                f"yet; {_outside(pid)}"
            )
        time.sleep(0.01)
