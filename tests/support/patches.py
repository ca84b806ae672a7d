"""What a process has changed of its libraries, seen from outside: pointers of their tables, bytes of their code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.process import Kernel


def libraries(kernel: Kernel, word: str) -> dict[str, int]:
    """The files mapped by the process whose name contains a word, with the address where each begins."""
    found: dict[str, int] = {}
    for line in kernel.proc("maps").splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and ".so" in parts[5] and word in Path(parts[5]).name:
            start = int(parts[0].split("-")[0], 16)
            found.setdefault(parts[5], start - int(parts[2], 16))
    return found


def slots(kernel: Kernel, word: str) -> dict[str, bytes]:
    """The content of every slot of the global offset tables, as the files' relocations list them."""
    found = {}
    with open(f"/proc/{kernel.pid}/mem", "rb", buffering=0) as memory:
        for path, base in libraries(kernel, word).items():
            listed = subprocess.run(
                ["readelf", "-rW", path], capture_output=True, text=True, check=True
            )
            for line in listed.stdout.splitlines():
                parts = line.split()
                if len(parts) > 3 and ("JUMP_SLO" in parts[2] or "GLOB_DAT" in parts[2]):
                    memory.seek(base + int(parts[0], 16))
                    found[f"{path}+{parts[0]}"] = memory.read(8)
    return found


def changed_code(kernel: Kernel, word: str) -> list[str]:
    """The mappings of executable code that differ from their file."""
    changed = []
    with open(f"/proc/{kernel.pid}/mem", "rb", buffering=0) as memory:
        for line in kernel.proc("maps").splitlines():
            parts = line.split(maxsplit=5)
            if len(parts) < 6 or "x" not in parts[1] or word not in Path(parts[5]).name:
                continue
            start, end = (int(part, 16) for part in parts[0].split("-"))
            offset = int(parts[2], 16)
            memory.seek(start)
            now = memory.read(end - start)
            before = Path(parts[5]).read_bytes()[offset : offset + len(now)]
            if now[: len(before)] != before:
                changed.append(line)
    return changed
