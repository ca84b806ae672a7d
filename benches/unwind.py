#!/usr/bin/env python3
"""Measure the unwinder's step beside framehop's, on the same copied stacks, with gdb's backtraces as the witness.

    tests/.venv/bin/python benches/unwind.py --stops 300

It needs cargo and gdb, x86-64, and NumPy. Each scene is a process of its own that gdb stops at random moments; what it
copies there is unwound by both, once with all registers and once with the two that are known of a sleeping thread. With
UNWIND_WHY set, each walk that is not gdb's says where it left it.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parent / "unwind"

BEGIN = """
import ctypes, functools, json, os, re, signal, sys, threading, time
import numpy as np
libc = ctypes.CDLL(None)
"""

SCENES = {
    "OpenBLAS": """
a = np.random.rand(700, 700)
def once():
    a @ a; np.linalg.svd(a[:120, :120]); np.linalg.solve(a, a)
""",
    "NumPy loops": """
a = np.random.rand(300_000); b = a.copy()
def once():
    np.exp(a); np.sin(a); np.sort(a); np.fft.fft(a); a.astype('f4'); np.add(a, b, out=b); np.cumsum(a); a.var()
""",
    "deep recursion": """
def nested(depth):
    return functools.reduce(lambda x, y: nested(depth - 1), (0, 0)) if depth else sum(i * i for i in range(3000))
def once():
    nested(70); sorted(range(3000), key=lambda n: -n)
""",
    "signal frames": """
handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: sum(i * i for i in range(30_000)))
libc.signal(signal.SIGUSR1, handler)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda x, y: 0)
words = (ctypes.c_int * 200)()
def once():
    libc['raise'](signal.SIGUSR1)
    libc.qsort(words, len(words), 4, compare)
""",
    "libc assembly": """
big = bytearray(8 << 20); other = bytearray(8 << 20); text = b'x' * (1 << 20)
view, more, room = memoryview(big), memoryview(other), ctypes.create_string_buffer(1 << 22)
def once():
    view[:] = more; big.count(b'y'); text.find(b'xy'); big == other
    libc.memset(room, 1, len(room)); libc.memcpy(room, text, len(text))
    libc.strlen(text); libc.memchr(text, 1, len(text))
""",
    "waiting threads": """
def wait(gate): gate.wait()
gate = threading.Event()
for _ in range(3): threading.Thread(target=wait, args=(gate,), daemon=True).start()
def once():
    time.sleep(0.01); json.dumps(list(range(5000))); re.sub('a+', 'b', 'aaab' * 999)
""",
}
END = """
once()
print('ready', flush=True)
while True: once()
"""


def measure(scene: str, stops: int, program: pathlib.Path, environment: dict) -> dict:
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + SCENES[scene] + END], stdout=subprocess.PIPE, env=environment
    )
    try:
        if not process.stdout.readline():
            sys.exit(f"the scene {scene!r} did not start")
        with tempfile.TemporaryDirectory() as folder:
            gdb = ["gdb", "-q", "-nx", "--batch", "-p", str(process.pid), "-x", str(FOLDER / "stops.py")]
            settings = {**os.environ, "UNWIND_FOLDER": folder, "UNWIND_STOPS": str(stops)}
            subprocess.run(
                gdb, env=settings, check=True, timeout=60 + stops, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            process.send_signal(signal.SIGSTOP)
            command = [str(program), str(process.pid), folder]
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stops", type=int, default=300)
    parser.add_argument("--scene", choices=SCENES, action="append")
    parser.add_argument("--json", action="store_true", help="print every number")
    arguments = parser.parse_args()
    build = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(FOLDER / "Cargo.toml")]
    subprocess.run(build, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", FOLDER / "target"))
    program = target / "release/unwind-bench"
    scenes = arguments.scene or list(SCENES)
    runs = {scene: (scene, {**os.environ}) for scene in scenes}
    if "OpenBLAS" in runs:
        runs["OpenBLAS, Haswell kernels"] = ("OpenBLAS", {**os.environ, "OPENBLAS_CORETYPE": "Haswell"})
    found = {name: measure(scene, arguments.stops, program, env) for name, (scene, env) in runs.items()}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name, result in found.items():
        cut = f"{result['cut']} more are longer than a copy"
        print(f"\n{name}: {result['stacks']} stacks, {result['frames']} frames; {cut}")
        for way in result["ways"]:
            figures = ", ".join(f"{key} {value}" for key, value in way.items() if key != "way")
            print(f"  {way['way']:24} {figures}")
        print(f"  rows: {result['rows']}")


if __name__ == "__main__":
    main()
