"""What gdb runs: stop the process at random moments, and write each thread's registers, stack and backtrace.

gdb -q --batch -p PID -x benches/unwind/stops.py with UNWIND_FOLDER and UNWIND_STOPS set. The backtraces are the witness
that both unwinders are compared with; the stacks are copied at the same stop.
"""

import json
import os
import random
import re
import signal
import threading
import time

import gdb

DEPTH = 256 * 1024
NAMES = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)), "rip"]
MASK = (1 << 64) - 1


def regions(pid: int) -> list[tuple[int, int]]:
    with open(f"/proc/{pid}/maps") as lines:
        found = (re.match(r"([0-9a-f]+)-([0-9a-f]+)", line) for line in lines)
        return [(int(match[1], 16), int(match[2], 16)) for match in found]


def seen(maps: list[tuple[int, int]], stacks) -> dict | None:
    frame = gdb.newest_frame()
    registers = [int(frame.read_register(name)) & MASK for name in NAMES]
    start = registers[NAMES.index("rsp")]
    end = next((end for begin, end in maps if begin <= start < end), None)
    if end is None:
        return None
    size = min(DEPTH, end - start)
    place = stacks.tell()
    stacks.write(gdb.selected_inferior().read_memory(start, size))
    codes, names, last = [], [], start
    while frame is not None:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            codes.append(frame.pc() & MASK)
            names.append(frame.name())
            last = int(frame.read_register("rsp")) & MASK
        frame = frame.older()
    seen = {"registers": registers, "start": start, "place": place, "size": size, "codes": codes, "names": names}
    # Nobody finds what lies beyond the copy.
    return {**seen, "is_cut": last > start + size}


def stop_soon(pid: int) -> None:
    time.sleep(random.uniform(0.002, 0.03))
    os.kill(pid, signal.SIGINT)


def main() -> None:
    folder = os.environ["UNWIND_FOLDER"]
    for setting in ("pagination off", "backtrace past-main on", "backtrace past-entry on", "print thread-events off"):
        gdb.execute(f"set {setting}")
    gdb.execute("handle SIGINT stop print nopass", to_string=True)
    gdb.execute("handle SIGUSR1 SIGALRM nostop noprint pass", to_string=True)
    pid = gdb.selected_inferior().pid
    maps = regions(pid)
    with open(f"{folder}/stacks", "wb") as stacks, open(f"{folder}/stops", "w") as stops:
        for _ in range(int(os.environ["UNWIND_STOPS"])):
            threading.Thread(target=stop_soon, args=(pid,)).start()
            gdb.execute("continue", to_string=True)
            for thread in gdb.selected_inferior().threads():
                thread.switch()
                try:
                    copy = seen(maps, stacks)
                except gdb.error:
                    continue
                if copy is not None:
                    stops.write(json.dumps({"tid": thread.ptid[1], **copy}) + "\n")


main()
