"""Lives that end at odd moments and in odd ways: the process goes, and leaves nothing behind."""

import os
import signal
import time
from pathlib import Path

import pytest

from support.attack import MARK, Dice, marked, times
from support.patience import wait_until
from support.process import Kernel

READY = "print('ready', flush=True)\n"
# What a kernel does when its end comes; a cell says when it is there.
MOMENTS = {
    "it has just been started": None,
    "Python starts": None,
    "it is idle": READY,
    "it computes": READY + "while True: pass",
    "it sleeps in C": READY + "import ctypes; ctypes.CDLL(None).sleep(600)",
    "C code holds the GIL": READY + "import ctypes; ctypes.PyDLL(None).sleep(600)",
    "it awaits": READY + "import asyncio\nawait asyncio.sleep(600)",
    "it swallows interrupts": READY
    + "import time\nwhile True:\n    try: time.sleep(600)\n    except BaseException: pass",
    "it asks": READY + "input()",
    "it prints": READY + "while True: print('x' * 1000)",
    "it has threads": READY
    + "import threading\nfor _ in range(20): threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()",
    "threads print": READY
    + "import threading\nfor _ in range(3): threading.Thread(target=lambda: [print('y') for _ in iter(int, 1)], daemon=True).start()",
    "its signals are blocked": READY
    + "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})\nwhile True: time.sleep(600)",
    "atexit hangs": READY + "import atexit, time\natexit.register(time.sleep, 600)",
    "a finaliser hangs": READY
    + "import time\nclass Slow:\n    def __del__(self): time.sleep(600)\nslow = Slow()",
    "calls are recorded": "%%native_calls\n" + READY + "while True: sum([1, 2])",
    "functions are hooked": "%%native_calls --deep\n" + READY + "while True: sum([1, 2])",
    "it is sampled": "%%native_prof\n" + READY + "while True: sum([1, 2])",
    "system calls are recorded": "%%syscalls\n" + READY + "import os\nwhile True: os.getppid()",
}
# A cell that is still running when its kernel is to go is no reason to stay.
ENDS = ["message", "message on shell", "SIGTERM", "SIGKILL", "SIGHUP", "SIGQUIT"]
# Whoever blocks a signal does not end by it, and shell requests wait for cells.
KILLED = ["message", "SIGKILL"]
ONLY = {
    "its signals are blocked": KILLED,
    "atexit hangs": KILLED,
    "a finaliser hangs": KILLED,
    "it is idle": [*ENDS, "exit"],
    "it has just been started": [end for end in ENDS if end.startswith("SIG")],
}
TRANSPORTS = ["tcp", "ipc"]


def test_ends(launch, dice: Dice, tmp_path):
    """Two hundred of them is `DIAPHANE_ATTACK=14`."""
    moments = list(MOMENTS)
    for number in range(times(14)):
        # The short form has as many moments as it can, and no moment twice.
        if number % len(moments) == 0:
            dice.shuffle(moments)
        moment = moments[number % len(moments)]
        end = dice.choice(
            ONLY.get(moment)
            or (ENDS if "just" in moment else [e for e in ENDS if "shell" not in e])
        )
        story = f"{end} while {moment}"
        temporary = tmp_path / str(number)
        temporary.mkdir()
        mark = f"{os.getpid()}-{number}-{tmp_path.name}"
        transport = dice.choice(TRANSPORTS)
        # Whoever runs the tests in the background may ignore signals, which is inherited.
        under = ["env", "--default-signal"]
        kernel = launch(
            transport=transport, env={"TMPDIR": str(temporary), MARK: mark}, under=under
        )
        live(kernel, MOMENTS[moment], end, moment, dice)
        wait_until(lambda kernel=kernel: not kernel.alive, f"the kernel ends by {story}")
        # Of a kernel that is asked to go while its user's code hangs, the code is not known.
        if end in ("message", "exit") and "hangs" not in moment:
            assert kernel.wait() == 0, (story, kernel.log)
        wait_until(lambda mark=mark: not marked(mark), f"no process is left after {story}")
        assert list(temporary.iterdir()) == [], story
        if end in ("message", "exit"):
            assert sockets(kernel) == [], story
        kernel.close()


def live(kernel: Kernel, cell: str | None, end: str, moment: str, dice: Dice) -> None:
    """Bring a kernel to a moment of its life, and end it."""
    if "just" in moment:
        # At no known moment of its start.
        time.sleep(dice.random() / 2)
        os.kill(kernel.pid, getattr(signal, end))
        return
    client = kernel.connect()
    if cell:
        begun = client.start(cell, allow_stdin=True)
        client.until(lambda: "ready" in begun.text(), "the moment", begun)
        if cell == READY:
            client.finish(begun)
    if end == "exit":
        client.start("exit")
    elif end.startswith("message"):
        channel = "shell" if end.endswith("shell") else "control"
        client.send("shutdown_request", {"restart": dice.random() < 0.5}, channel)
    else:
        os.kill(kernel.pid, getattr(signal, end))


def sockets(kernel: Kernel) -> list[Path]:
    """The files of its sockets that are still there."""
    return [path for path in kernel.directory.iterdir() if path.is_socket()]


HARMLESS = ["SIGCHLD", "SIGWINCH", "SIGCONT", "SIGURG", "SIGPIPE", "SIGSTOP"]
WORK = "sum(len(str(n)) for n in range(200_000))"


@pytest.mark.parametrize("magic", ["", "%%native_calls\n", "%%native_prof\n", "%%syscalls\n"])
def test_signals_that_mean_nothing(launch, dice: Dice, magic: str):
    """A cell under signals has the value that it has without."""
    kernel = launch()
    client = kernel.connect()
    expected = client.run(WORK).result
    sent = 0
    while sent < times(100):
        begun = client.start(f"{magic}found = {WORK}")
        while not begun.answered:
            os.kill(kernel.pid, getattr(signal, dice.choice(HARMLESS)))
            os.kill(kernel.pid, signal.SIGCONT)
            sent += 1
            client.pump(1)
        assert begun.content["status"] == "ok", begun.content
        assert client.value("found") == expected
