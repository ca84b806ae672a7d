"""Hooks at the entries of functions, against the processor's own single steps, other tools and NumPy's answers."""

import ctypes
import gc
import os
import pathlib
import subprocess
import sys
import threading

import hooks
import numpy as np

HOOKS = hooks.Hooks()


def functions(path, bias):
    """The functions of a file as readelf shows them, at their addresses here; not parts of others."""
    text = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in text.splitlines())
    rows = (row for row in rows if len(row) == 8 and row[3] == "FUNC" and row[6] != "UND" and row[2] != "0")
    return {bias + int(row[1], 16) for row in rows if ".cold" not in row[7]}


def memory(address, length):
    return ctypes.string_at(address, length)


def code():
    """The bytes of all code that may be changed."""
    return [memory(start, length) for _, _, start, length, _ in hooks.code()]


def is_as_in_the_files():
    for path, _, start, length, offset in hooks.code():
        with pathlib.Path(path).open("rb") as file:
            file.seek(offset)
            there = file.read(length)
        here = memory(start, len(there))
        assert here == there, path


class hooked:
    """Hooks functions for the length of a block, and checks that all is as before behind it."""

    def __init__(self, *names):
        self.names = names

    def __enter__(self):
        self.before = code()
        self.about = HOOKS.on(*self.names)
        assert self.about["hooked"] > 1000 and self.about["foreign"] == 0, self.about
        assert code() != self.before
        return HOOKS

    def __exit__(self, *error):
        HOOKS.end()
        HOOKS.off()
        assert code() == self.before


def count(logs, name):
    """How often functions of a name were entered, on all threads."""
    addresses = [address for _, log in logs for address in log]
    known = dict(zip(set(addresses), hooks.names(list(set(addresses))), strict=True))
    return sum(known[address][1] == name for address in addresses)


def test_nearly_all_functions_can_be_hooked():
    rows = hooks.prepared()
    assert hooks.unfit() == []
    names = [row[0] for row in rows]
    for part in ["libpython", "_multiarray_umath", "libscipy_openblas", "math."]:
        assert any(part in name for name in names), names
    for part in ["libc.so", "ld-linux", "libm.so", "libstdc++", "libgcc_s", "native_deep"]:
        assert not any(part in name for name in names), names
    every, taken = sum(row[1] for row in rows), sum(row[2] for row in rows)
    assert taken >= 0.998 * every > 20_000, rows
    # Each function is hooked, or counted with a reason.
    for name, functions, taken, reasons, _ in rows:
        assert functions == taken + sum(count for _, count in reasons), name


def test_the_functions_are_those_of_readelf():
    skipped = {address for _, address, _ in hooks.skipped()}
    for path, bias in {(path, bias) for path, bias, *_ in hooks.code()}:
        name = pathlib.Path(path).name
        if name.startswith(("libpython", "_multiarray_umath", "_ctypes")):
            found = next(row[1] for row in hooks.prepared() if row[0] == name)
            assert abs(found - len(functions(path, bias))) <= 0.01 * found, name
    assert len(skipped) < 50


def test_events_are_those_of_single_steps():
    def run():
        np.sum(np.arange(4))

    starts = set()
    for path, bias in {(path, bias) for path, bias, *_ in hooks.code()}:
        if "libpython" in path or "_multiarray_umath" in path:
            starts |= functions(path, bias)
    # Whether objects are collected, and caches are filled, must not depend on when it runs.
    gc.disable()
    try:
        with hooked("libpython", "_multiarray_umath") as on:
            for _ in range(20):
                run()
            recorded = on.recorded(run)
        for _ in range(3):
            run()
        stepped = hooks.stepped(list(starts), run)
    finally:
        gc.enable()
    assert len(stepped) > 400
    names = [name for _, name in hooks.names(recorded)]
    assert recorded == stepped, (len(recorded), len(stepped))
    for name in ["array_arange", "LONG_fill", "ufunc_reduce", "reduce_loop"]:
        assert name in names, names


def test_every_product_of_matrices_is_seen():
    a = np.arange(64.0).reshape(8, 8)
    expected = a @ a
    with hooked("libscipy_openblas") as on:
        on.begin()
        for _ in range(20_000):
            b = a @ a
        logs = on.end()
    assert (b == expected).all()
    assert count(logs, "scipy_cblas_dgemm64_") == 20_000


def test_threads_run_on_while_hooks_come_and_go():
    stop = threading.Event()
    a = np.random.default_rng(1).random((120, 120))
    expected = a @ a
    wrong, rounds = [], [0, 0, 0]

    def multiply():
        while not stop.is_set():
            if not np.allclose(a @ a, expected):
                wrong.append("product")
            rounds[0] += 1

    def interpret():
        while not stop.is_set():
            if sum(sorted(range(200), key=lambda one: -one)) != 19900:
                wrong.append("sum")
            rounds[1] += 1

    def come_and_go():
        while not stop.is_set():
            thread = threading.Thread(target=lambda: rounds.__setitem__(2, rounds[2] + 1))
            thread.start()
            thread.join()

    workers = [threading.Thread(target=run) for run in (multiply, interpret, come_and_go)]
    for worker in workers:
        worker.start()
    before, refused = code(), 0
    for turn in range(400):
        try:
            HOOKS.on()
        except RuntimeError as error:
            # A thread that gets no CPU for long does not stop in time; then nothing is changed.
            assert "did not stop in time" in str(error)
            refused += 1
            continue
        if turn % 2:
            HOOKS.begin(1 << 14)
            HOOKS.end()
        HOOKS.off()
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong and all(rounds), (wrong, rounds)
    assert refused < 40
    assert code() == before
    is_as_in_the_files()


def test_a_child_process_has_its_code_as_in_the_file():
    with hooked() as on:
        on.begin()
        child = os.fork()
        if child == 0:
            try:
                is_as_in_the_files()
                sorted([3, 1, 2])
                os._exit(0 if HOOKS.on()["hooked"] > 1000 else 2)
            except BaseException as error:
                print(error, file=sys.stderr)
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert subprocess.run(["true"], check=False).returncode == 0
        logs = on.end()
    assert count(logs, "os_fork") in (0, 1)


def test_signals_arrive():
    import signal

    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        with hooked() as on:
            on.begin()
            for _ in range(100):
                signal.raise_signal(signal.SIGUSR1)
                sorted(range(100))
            on.end()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(seen) == 100


def test_deep_recursion_and_generators():
    def down(depth):
        return 0 if depth == 0 else 1 + down(depth - 1)

    def numbers():
        try:
            yield from range(10)
        finally:
            seen.append("closed")

    seen = []
    with hooked() as on:
        on.begin()
        assert down(900) == 900
        with np.errstate(all="raise"):
            try:
                np.array([1.0]) / np.array([0.0])
            except FloatingPointError:
                seen.append("raised")
        running = numbers()
        next(running)
        running.close()
        try:
            (lambda f: f(f))(lambda f: f(f))
        except RecursionError:
            seen.append("deep")
        on.end()
    assert seen == ["raised", "closed", "deep"]


def test_only_one_may_hook():
    with hooked():
        try:
            hooks.Hooks().on()
        except RuntimeError as error:
            assert "already" in str(error)
        else:
            raise AssertionError
