"""What a busy process does while it is looked at: cells that light a fire each, and one that puts all of them out."""

from __future__ import annotations

import ast
from pathlib import Path

from support.client import Client
from support.compiler import shared_library

BEGIN = """
import _ctypes, collections, ctypes, gc, os, signal, subprocess, sys, threading, time
import numpy as np
stop, burning, wrong, turns = False, [], [], collections.Counter()
threading.excepthook = lambda args: wrong.append(repr(args.exc_value))
def burn(body):
    def loop():
        while not stop:
            body()
            turns[body.__name__] += 1
            # On few processors the magic under attack shall have its turn too.
            time.sleep(0.001)
    burning.append(threading.Thread(target=loop, name=body.__name__, daemon=True))
    burning[-1].start()
"""
FIRES = {
    "python": """
def python():
    if sum(n * n for n in range(2000)) != 2664667000: wrong.append("python")
for _ in range(2): burn(python)
""",
    "blas": """
ones = np.ones((96, 96))
def blas():
    if (ones @ ones)[3, 5] != 96: wrong.append("blas")
burn(blas)
""",
    "short threads": """
def threads():
    seen = []
    group = [threading.Thread(target=seen.append, args=(n,)) for n in range(3)]
    for one in group: one.start()
    for one in group: one.join()
    if sorted(seen) != [0, 1, 2]: wrong.append(f"threads {seen}")
burn(threads)
""",
    "libraries": """
def libraries():
    library = ctypes.CDLL("./fire.so")
    if library.twice(21) != 42: wrong.append("library")
    _ctypes.dlclose(library._handle)
burn(libraries)
""",
    "arrays": """
kept = {}
def arrays():
    n = turns["arrays"]
    kept[n % 30] = np.full(n % 5000 + 1, n)
    globals()[f"array_{n % 20}"] = kept[n % 30][::2]
    if kept[n % 30].sum() != n * (n % 5000 + 1): wrong.append("arrays")
burn(arrays)
""",
    "signals": """
heard = 0
def hear(*_):
    global heard
    heard += 1
signal.signal(signal.SIGALRM, hear)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
""",
    "children": """
def children():
    pid = os.fork()
    if not pid: os._exit(7)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 7: wrong.append("child")
burn(children)
""",
    "programs": """
def programs():
    if subprocess.run(["echo", "x"], capture_output=True).stdout != b"x\\n": wrong.append("program")
burn(programs)
""",
    "garbage": """
def garbage():
    ring = []; ring.append(ring); del ring
    gc.collect()
burn(garbage)
""",
}
END = """
stop = True
signal.setitimer(signal.ITIMER_REAL, 0)
for one in burning: one.join()
"""


def light(client: Client, folder: Path, names: list[str]) -> None:
    """Begin the fires of these names; the folder is the kernel's."""
    if "libraries" in names:
        shared_library(folder / "fire.so", "int twice(int n) { return 2 * n; }")
    client.run(BEGIN)
    for name in names:
        client.run(FIRES[name])


def put_out(client: Client) -> dict[str, int]:
    """End them all; how often each had its turn. Nothing of theirs may have gone wrong."""
    client.run(END)
    assert client.value("wrong") == "[]"
    return ast.literal_eval(client.value("dict(turns)"))
