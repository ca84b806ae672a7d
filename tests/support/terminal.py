"""A program in a pseudo terminal, seen as a person would see it: by what stands on the screen."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pexpect
import pyte

from support import process
from support.homes import default_signals
from support.patience import wait_until


class Terminal:
    """A terminal that a program draws on."""

    def __init__(self, command: list[str], directory: Path, *, rows=24, columns=80, env=None):
        self.raw = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.child = pexpect.spawn(
            command[0],
            command[1:],
            env=process.environment(directory) | {"TERM": "xterm-256color"} | (env or {}),
            cwd=str(directory),
            dimensions=(rows, columns),
            preexec_fn=default_signals,
        )

    def read(self) -> bool:
        """Take what the program has written; whether it has ended."""
        with contextlib.suppress(pexpect.TIMEOUT):
            try:
                while True:
                    read = self.child.read_nonblocking(1 << 16, timeout=0.02)
                    self.raw += read
                    self._stream.feed(read)
            except pexpect.EOF:
                return True
        return False

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        self.read()
        return [line.rstrip() for line in self._screen.display]

    def until(self, *parts: str) -> list[str]:
        """Wait until all of this stands on the screen; the screen."""

        def shown():
            lines = self.lines
            return all(part in "\n".join(lines) for part in parts) and lines

        try:
            return wait_until(shown, f"{parts} is shown")
        except TimeoutError as error:
            raise AssertionError("\n".join([str(error), *self.lines])) from None

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def resize(self, rows: int, columns: int) -> None:
        self._screen.resize(rows, columns)
        self._screen.reset()
        self.child.setwinsize(rows, columns)

    def finish(self) -> int:
        """Wait for the end of the program; its exit code, or the negative number of its signal."""
        wait_until(self.read, "the program ends")
        self.child.close()
        return (
            self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus
        )

    def close(self) -> None:
        self.child.close(force=True)


def descendant(pid: int, word: str) -> int:
    """The process below another one that has this word in its command line."""

    def below(parent: int) -> list[int]:
        path = Path(f"/proc/{parent}/task/{parent}/children")
        own = [int(child) for child in path.read_text().split()] if path.exists() else []
        return own + [one for child in own for one in below(child)]

    def found():
        for child in below(pid):
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0"):
                    return child
        return None

    return wait_until(found, f"{word} runs below {os.getpid()}")
