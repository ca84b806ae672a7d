"""What a process has changed of its libraries, seen from outside: pointers of their tables, bytes of their code."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from support.process import Kernel


def mappings(kernel: Kernel) -> list[tuple[int, int, str, int, str]]:
    """The process's mappings: start, end, rights, offset, and the file or nothing."""
    found = []
    for line in kernel.proc("maps").splitlines():
        parts = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in parts[0].split("-"))
        found.append((start, end, parts[1], int(parts[2], 16), parts[5] if len(parts) > 5 else ""))
    return found


def libraries(kernel: Kernel, word: str) -> dict[str, int]:
    """The files mapped by the process whose name contains a word, with the address where each begins."""
    found: dict[str, int] = {}
    for start, _, _, offset, path in mappings(kernel):
        if ".so" in path and word in Path(path).name:
            found.setdefault(path, start - offset)
    return found


def slots(kernel: Kernel, word: str) -> dict[str, bytes]:
    """The content of every slot of the global offset tables, as the files' relocations list them."""
    found = {}
    with open(f"/proc/{kernel.pid}/mem", "rb", buffering=0) as memory:
        for path, base in libraries(kernel, word).items():
            for address in relocated(path):
                memory.seek(base + address)
                found[f"{path}+{address:x}"] = memory.read(8)
    return found


@cache
def relocated(path: str) -> list[int]:
    """Where a library has its slots, by readelf."""
    listed = subprocess.run(["readelf", "-rW", path], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [
        int(row[0], 16)
        for row in rows
        if len(row) > 3 and ("JUMP_SLO" in row[2] or "GLOB_DAT" in row[2])
    ]


def hooked_slots(kernel: Kernel, word: str = "") -> list[str]:
    """The slots that lead to code of no file, which is where hooks are."""
    of_no_file = [
        (start, end)
        for start, end, rights, _, path in mappings(kernel)
        if "x" in rights and not path
    ]
    found = []
    for name, content in slots(kernel, word).items():
        target = int.from_bytes(content, "little")
        if any(start <= target < end for start, end in of_no_file):
            found.append(f"{name} leads to {target:#x}")
    return found


def changed_code(kernel: Kernel, word: str) -> list[str]:
    """The mappings of executable code that differ from their file."""
    changed = []
    with open(f"/proc/{kernel.pid}/mem", "rb", buffering=0) as memory:
        for start, end, rights, offset, path in mappings(kernel):
            if "x" not in rights or not path.startswith("/") or word not in Path(path).name:
                continue
            memory.seek(start)
            now = memory.read(end - start)
            before = Path(path).read_bytes()[offset : offset + len(now)]
            if now[: len(before)] != before:
                changed.append(f"{start:x}-{end:x} {path}")
    return changed
