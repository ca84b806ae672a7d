"""A kernel process, started through jupyter_client from its kernelspec.

It is the real thing: the connection file, the environment and the way to stop are those of a
front end. It holds no sockets; `support.client.Client` does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from support.client import Client
from support.patience import PATIENCE, wait_until

NAME = os.environ.get("DIAPHANE_TEST_KERNEL", "diaphane")


class Kernel:
    """One kernel process with a directory, an IPython profile and a log of its own."""

    def __init__(
        self,
        directory: Path,
        *,
        name: str = NAME,
        transport: str = "tcp",
        encryption: str = "disabled",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        under: list[str] | None = None,
    ):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {}
        if transport == "ipc":
            # The path of a UNIX socket may have 107 characters, so it stands in the directory.
            options["ip"] = str(directory / "s")
        self.manager = KernelManager(
            kernel_name=name,
            transport=transport,
            connection_file=str(directory / "connection.json"),
            **options,
        )
        # A program that starts the kernel, instead of Jupyter.
        self.manager.kernel_spec.argv[:0] = under or []
        self.clients: list[Client] = []
        with open(self.log_file, "wb") as log:
            self.manager.start_kernel(
                cwd=str(cwd or directory),
                env=environment(directory) | (env or {}),
                stdout=log,
                stderr=log,
                transport_encryption=encryption,
            )
        self.process = self.manager.provisioner.process
        self.pid: int = self.process.pid

    @property
    def log_file(self) -> Path:
        return self.directory / "kernel.log"

    @property
    def log(self) -> str:
        """What the process wrote to the terminal it was started from."""
        return self.log_file.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def info(self) -> dict[str, Any]:
        """The content of the connection file."""
        return self.manager.get_connection_info()

    def connect(self, **options: Any) -> Client:
        """A new front end, subscribed and ready."""
        client = Client(self.info, alive=lambda: self.alive, **options)
        self.clients.append(client)
        return client

    def interrupt(self) -> None:
        """SIGINT as a terminal or a server sends it: to the whole process group."""
        os.killpg(self.pid, signal.SIGINT)

    def interrupt_thread(self, tid: int) -> None:
        """SIGINT to one thread, as Linux chooses one while the main thread blocks it or waits for a CPU."""
        number = {"x86_64": 234, "aarch64": 131}[platform.machine()]
        assert ctypes.CDLL(None).syscall(number, self.pid, tid, signal.SIGINT) == 0

    def wait_until_it_waits(self) -> None:
        """Until the main thread has been in one system call for some looks.

        CPython looks for an interrupt before such a call and after it; one that comes right in between is a test's own.
        """
        task, looks = Path(f"/proc/{self.pid}/task/{self.pid}"), []

        def waits() -> bool:
            status = (task / "status").read_text()
            looks.append(
                (task.joinpath("syscall").read_text(), status[status.index("voluntary_ctxt") :])
            )
            return looks[-1][0] != "running\n" and looks[-5:] == looks[-1:] * 5

        wait_until(waits, "the main thread waits")

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end of the process; its exit code."""
        return self.process.wait(timeout)

    def restart(self) -> None:
        """Start the next process of the same connection file; this one has ended, or is killed."""

        async def nobody() -> None:
            """Jupyter interrupts what it ends; by message, which would wait for the next process."""

        self.manager._async_interrupt_kernel = nobody
        with open(self.log_file, "ab") as log:
            self.manager.restart_kernel(now=True, stdout=log, stderr=log)
        del self.manager._async_interrupt_kernel
        self.process = self.manager.provisioner.process
        self.pid = self.process.pid

    def close(self) -> None:
        """End the process, whatever state it is in."""
        for client in self.clients:
            client.close()
        if self.alive:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
        self.manager.cleanup_resources()

    # What the kernel of Linux says about the process, read from outside.

    def proc(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text()

    @property
    def threads(self) -> dict[int, str]:
        """Thread ids and their names."""
        tasks = Path(f"/proc/{self.pid}/task")
        return {int(t.name): (t / "comm").read_text().strip() for t in tasks.iterdir()}

    def memory(self, address: int, size: int) -> bytes:
        """Bytes of the process, read from outside."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(size)

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(self.proc("statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def switches(self) -> dict[int, int]:
        """Voluntary context switches of each thread so far: how often it went to sleep."""
        counts = {}
        for tid in self.threads:
            status = Path(f"/proc/{self.pid}/task/{tid}/status").read_text()
            line = next(x for x in status.splitlines() if x.startswith("voluntary_ctxt"))
            counts[tid] = int(line.split()[1])
        return counts

    def wait_for_child(self, name: str) -> int:
        """Wait until a descendant of the process runs a program of that name; its pid. Some shells do not step aside."""

        def find() -> int | None:
            return next((pid for pid in descendants(self.pid) if comm(pid) == name), None)

        return wait_until(find, f"the kernel runs {name}")


def descendants(pid: int) -> Iterator[int]:
    """The processes below one, as far as they are still there."""
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, listing.read_text().split()):
                yield child
                yield from descendants(child)


def comm(pid: int) -> str | None:
    """The name of the program that a process runs; none when it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return None


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to ask how it ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def environment(directory: Path) -> dict[str, str]:
    """The environment of this process, without what changes Python, IPython or Jupyter."""
    mine = ("PYTHON", "IPYTHON", "JPY_", "MPL")
    env = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
    env["IPYTHONDIR"] = str(directory / "ipython")
    env["JUPYTER_RUNTIME_DIR"] = str(directory)
    return env
