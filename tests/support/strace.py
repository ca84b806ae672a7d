"""What strace sees of a process that runs already: the witness of the magics that record system calls."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\w+|\?)(?:<[^>]*>)?( \w+ \(.*\))?")


@dataclass
class Call:
    """A system call as a line of strace has it."""

    thread: int
    name: str
    arguments: str
    result: str
    error: str

    @property
    def path(self) -> str:
        quoted = re.search(r'"(.*?)"', self.arguments)
        return quoted[1] if quoted else ""


class Strace:
    """The system calls of a process, its threads and its children, from outside."""

    def __init__(self, pid: int, log: Path, names: str = "all"):
        self.log = log
        # The thread that serves the sockets looks at the system now and then, which no recording of a cell tells.
        tasks = Path(f"/proc/{pid}/task").iterdir()
        named = {int(task.name): (task / "comm").read_text().strip() for task in tasks}
        self.kernels = {tid for tid, name in named.items() if name == "diaphane-io"}
        command = [
            "strace",
            "-f",
            "-s",
            "4096",
            "-e",
            f"trace={names}",
            "-o",
            str(log),
            "-p",
            str(pid),
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        assert "attached" in first, first

    def between(self, begin: str, end: str) -> list[Call]:
        """The calls between two that open files which are not there."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)
        found = [CALL.match(line) for line in whole(self.log.read_text().splitlines())]
        calls = [Call(int(m[1]), m[2], m[3], m[4], m[5] or "") for m in found if m]
        calls = [call for call in calls if call.thread not in self.kernels]
        paths = [call.path if call.name.startswith("open") else "" for call in calls]
        return calls[paths.index(begin) + 1 : paths.index(end)]


def whole(lines: list[str]) -> list[str]:
    """The calls that another thread's line cut in two, put together where they began."""
    together: list[str] = []
    begun: dict[str, int] = {}
    for line in lines:
        thread = line.split(maxsplit=1)[0]
        if line.endswith(" <unfinished ...>"):
            begun[thread] = len(together)
            together.append(line.removesuffix(" <unfinished ...>"))
        elif (resumed := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line)) and thread in begun:
            together[begun.pop(thread)] += resumed[1]
        else:
            together.append(line)
    return together
