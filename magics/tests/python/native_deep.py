"""Hooks at the entries of functions, against the processor's own single steps, other tools and NumPy's answers."""

import ctypes
import gc
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

import hooks
import numpy as np
from symbol_tables import functions, is_stripped

HOOKS = hooks.Hooks()
TURNS = int(os.environ.get("DIAPHANE_TURNS", "250"))  # how often hooks come and go below threads that work
FOLDER = tempfile.TemporaryDirectory()


def memory(address, length):
    return ctypes.string_at(address, length)


def code(*names):
    """The bytes of all code that may be changed."""
    return [memory(start, length) for _, _, start, length, _ in hooks.code(*names)]


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
    for name, every, taken, reasons, _ in rows:
        assert every == taken + sum(count for _, count in reasons), name


def test_the_functions_are_those_of_readelf():
    skipped = {address for _, address, _ in hooks.skipped()}
    for path, bias in {(path, bias) for path, bias, *_ in hooks.code()}:
        name = pathlib.Path(path).name
        if name.startswith(("libpython", "_multiarray_umath", "_ctypes")):
            found = next(row[1] for row in hooks.prepared() if row[0] == name)
            listed = len(functions(path, bias))
            # Of a library that was stripped, call frame information tells more than its exports do.
            assert found >= listed if is_stripped(path) else abs(found - listed) <= 0.01 * found, name
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
    # Of an interpreter that was stripped, only the exported functions are known here.
    assert len(stepped) > 100
    names = [name for _, name in hooks.names(recorded)]
    # What a library that was stripped does not list was not waited for.
    recorded = [address for address in recorded if address in starts]
    wrong = next(((one, other) for one, other in zip(recorded, stepped, strict=False) if one != other), ())
    assert recorded == stepped, (len(recorded), len(stepped), hooks.names(list(wrong)))
    for name in ["array_arange", "LONG_fill", "ufunc_reduce", "PyUFunc_GenericReduction"]:
        assert name in names, names


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
    for turn in range(TURNS):
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
    assert refused < TURNS / 10
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


def library(name, *flags):
    """The library of functions that are hard to hook, compiled anew."""
    path = pathlib.Path(FOLDER.name) / f"{name}.so"
    source = path.with_suffix(".c")
    source.write_text(hooks.NASTY)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-Wl,-Bsymbolic", *flags, "-o", path, source], check=True)
    return path


def answers(nasty):
    """What the functions say; addresses as distances from the function that is asked."""

    def distance(name, *arguments):
        function = getattr(nasty, name)
        function.restype = ctypes.c_void_p
        return function(*arguments) - ctypes.cast(function, ctypes.c_void_p).value

    numbers = [nasty.padded(), nasty.crowded(), nasty.crowding(), nasty.entered(5), nasty.switched(4)]
    numbers += [distance(name) for name in ["own", "pushed", "calls", "calls_later", "calls_through"]]
    numbers += [distance("calls_register", nasty.returns)]
    numbers += [nasty.short_branch(one) for one in (0, 1)]
    numbers += [nasty.short_count(ctypes.c_size_t(one)) for one in (0, 1)]
    numbers += [nasty.goes_away(1), nasty.marked(), nasty.loops(4), nasty.carry(), nasty.keeps(), nasty.jumps(50)]
    return numbers


NUMBERS = [0, 0, 3, 5, 0, 0, 0, 5, 9, 6, 3, 2, 1, 2, 1, 1, 5, 10, 1, 511 + 256 + 128, 7]


def test_hard_beginnings_are_moved_or_left():
    path = library("libnasty")
    nasty = ctypes.CDLL(path)
    assert answers(nasty) == NUMBERS
    before = code("libnasty")
    HOOKS.on("libnasty")
    HOOKS.begin()
    assert answers(nasty) == NUMBERS
    logs = HOOKS.end()
    HOOKS.off()
    assert answers(nasty) == NUMBERS
    assert code("libnasty") == before
    skipped = hooks.skipped("libnasty")
    names = [name for _, name in hooks.names([address for _, address, _ in skipped])]
    left = {name: reason for name, (_, _, reason) in zip(names, skipped, strict=True)}
    assert left == {
        "crowded": "Short",
        "entered": "Entered",
        "switched": "Entered",
        "calls_register": "Calls",
        "looping": "Loops",
    }
    seen = ["padded", "crowding", "own", "pushed", "calls", "returns", "short_count", "marked", "carries", "nothing"]
    for name in seen:
        assert count(logs, name) >= 1, name
    assert count(logs, "down") == 51
    assert count(logs, "returns") == 4


def test_a_stripped_library_is_hooked_too():
    nasty = ctypes.CDLL(library("libbare", "-s"))
    # One is known by name: the linker finds it.
    (row,) = hooks.prepared("libbare")
    assert row[1] >= 25, row
    HOOKS.on("libbare")
    HOOKS.begin()
    assert answers(nasty) == NUMBERS
    logs = HOOKS.end()
    HOOKS.off()
    assert answers(nasty) == NUMBERS
    # `down` has no name any more, and is seen.
    assert max(sum(address == one for _, log in logs for address in log) for _, log in logs for one in log) == 51


def test_a_library_stays_while_it_is_hooked():
    import _ctypes

    def is_mapped():
        return "libgone" in pathlib.Path("/proc/self/maps").read_text()

    nasty = ctypes.CDLL(library("libgone"))
    HOOKS.on("libgone")
    handle = nasty._handle
    _ctypes.dlclose(handle)
    assert is_mapped() and answers(nasty) == NUMBERS
    HOOKS.off()
    assert not is_mapped()
    # Another one in its place gets hooks of its own.
    nasty = ctypes.CDLL(library("libgone", "-DOTHER"))
    HOOKS.on("libgone")
    assert answers(nasty) == NUMBERS
    HOOKS.off()
    assert answers(nasty) == NUMBERS


def test_code_that_somebody_else_changed_is_left_alone():
    nasty = ctypes.CDLL(library("libchanged"))
    address = ctypes.cast(nasty.marked, ctypes.c_void_p).value
    # The constant of `mov eax, 5` behind the mark.
    with open("/proc/self/mem", "r+b", buffering=0) as file:
        file.seek(address + 5)
        file.write(bytes([6]))
    assert nasty.marked() == 6
    HOOKS.on("libchanged")
    assert nasty.marked() == 6
    HOOKS.off()
    assert nasty.marked() == 6
    skipped = hooks.skipped("libchanged")
    assert (address, "Changed") in [(at, reason) for _, at, reason in skipped]


def test_threads_that_cannot_be_stopped():
    # It sleeps in the C library, below nothing that is hooked: it is left alone.
    sleeper = hooks.Sleeper()
    try:
        with hooked() as on:
            assert on is HOOKS
    finally:
        sleeper.wake()
    # This one runs Python, which is not hooked then.
    ready, stop = threading.Event(), threading.Event()

    def sleep():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ready.set()
        stop.wait()

    thread = threading.Thread(target=sleep)
    thread.start()
    ready.wait()
    about = HOOKS.on()
    HOOKS.off()
    stop.set()
    thread.join()
    assert [name for name, tid in about["left_out"] if tid == thread.native_id and "libpython" in name], about
    assert about["hooked"] > 1000


def test_exceptions_of_cpp_pass():
    # It is C++, and refuses an axis that is not there by an exception; SciPy 1.18 has another library for it.
    import scipy.fft

    fft = sys.modules.get("scipy.fft._duccfft.pyduccfft") or sys.modules["scipy.fft._pocketfft.pypocketfft"]
    for _ in range(2):
        with hooked("pypocketfft", "pyduccfft", "libscipy_openblas", "_multiarray_umath") as on:
            on.begin()
            for _ in range(100):
                try:
                    fft.c2c(np.ones((2, 2)), axes=(5,))
                except ValueError as error:
                    assert "axes" in str(error)
                else:
                    raise AssertionError
            assert scipy.fft.fft(np.ones((2, 2)))[0, 0] == 2
            on.end()


def test_only_one_may_hook():
    with hooked():
        try:
            hooks.Hooks().on()
        except RuntimeError as error:
            assert "already" in str(error)
        else:
            raise AssertionError
