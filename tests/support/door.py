"""The door by which the kernel under test comes to its Python: a program that embeds it, or a module of a plain `python`."""

from __future__ import annotations

import ast
import os
import subprocess
from functools import cache
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager

from support.process import NAME


@cache
def argv() -> list[str]:
    """What the kernelspec under test starts."""
    return KernelSpecManager().get_kernel_spec(NAME).argv


def is_hosted() -> bool:
    """Whether it is `python -m diaphane`."""
    return argv()[1:3] == ["-m", "diaphane"]


def command() -> list[str]:
    """The words that run the command line."""
    return argv()[: argv().index("kernel")]


def python() -> str:
    """The Python whose packages the kernel under test uses."""
    return argv()[0] if is_hosted() else argv()[argv().index("--python") + 1]


@cache
def version() -> tuple[int, int]:
    """That Python's version, which need not be that of the tests."""
    command = [python(), "-c", "import sys; print(sys.version_info[:2])"]
    return ast.literal_eval(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )


def kernel(python: str | Path, connection_file: str | Path) -> list[str]:
    """The words that start a kernel for this Python."""
    if is_hosted():
        return [str(python), "-m", "diaphane", "kernel", "-f", str(connection_file)]
    return [*command(), "kernel", "--python", str(python), "-f", str(connection_file)]


def packages() -> dict[str, str]:
    """The environment by which any Python finds the hosted kernel's module, and nothing else of its packages."""
    if not is_hosted():
        return {}
    own = next(Path(argv()[0]).parents[1].glob("lib/python3.*/site-packages"))
    return {"PYTHONPATH": os.fspath(own)}
