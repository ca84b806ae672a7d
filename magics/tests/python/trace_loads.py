"""What a cell loads, against /proc/self/maps, the linker's own list and libraries made for this."""

import contextlib
import ctypes
import io
import os
import re
import subprocess
import tempfile
from pathlib import Path

from diaphane_native import run_magic

FOLDER = Path(tempfile.mkdtemp(prefix="diaphane-loads-"))


def trace(cell, line="", **variables):
    return run_magic("trace_loads", line, cell, variables)


def compiled(name, code, *more):
    file = FOLDER / f"{name}.c"
    file.write_text(code)
    command = ["gcc", "-shared", "-fPIC", "-o", f"lib{name}.so", file.name, *more]
    subprocess.run(command, cwd=FOLDER, check=True)
    return str(FOLDER / f"lib{name}.so")


def mapped():
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {match[0] for line in lines if ".so" in line and (match := re.search(r"/.*", line))}


def linker_code():
    process = ctypes.CDLL(None)
    root = ctypes.addressof(ctypes.c_char.in_dll(process, "_r_debug"))
    brk = ctypes.c_size_t.from_address(root + 16).value
    return ctypes.string_at(brk, 32)


def test_an_import_is_told_with_its_libraries():
    before, code = mapped(), linker_code()
    found = trace("import numpy.linalg")
    assert linker_code() == code
    loaded = {row["path"] for row in found.rows}
    assert loaded == mapped() - before and len(loaded) == len(found.rows), found
    assert found.facts["source"] == "hook"
    rows = {row["name"]: row for row in found.rows}
    first = next(row for name, row in rows.items() if name.startswith("_multiarray_umath"))
    assert first["requester"] == "import numpy._core._multiarray_umath"
    assert first["needed_by"] is None and first["why"] == "path"
    assert first["chain"][0] == "numpy" and first["package"] == "numpy"
    assert first["total_ns"] >= first["search_ns"] + first["map_ns"] + first["bind_ns"] > 0
    blas = next(row for name, row in rows.items() if name.startswith("libscipy_openblas"))
    assert blas["needed_by"] == first["name"] and blas["why"] == "RPATH of _multiarray_umath"
    assert blas["init_ns"] > 0 and blas["total_ns"] is None
    times = [row["t_ns"] for row in found.rows]
    assert times == sorted(times) and times[-1] < found.facts["elapsed_ns"]
    assert found.facts["counts"]["bytes"] == sum(row["bytes"] for row in found.rows)
    assert trace("import numpy").rows == []


SLOW = """#include <time.h>
__attribute__((constructor)) static void wait(void) {
  struct timespec pause = {0, 30000000};
  nanosleep(&pause, 0);
}
int slow(void) { return 1; }
"""


def test_initialisers_are_timed_one_by_one():
    compiled("slow", SLOW)
    user = compiled("user", "int slow(void); int user(void) { return slow(); }", "-L.", "-lslow", "-Wl,-rpath,$ORIGIN")
    found = trace("import ctypes\nlibrary = ctypes.CDLL(path)", path=user)
    rows = {row["name"]: row for row in found.rows}
    assert list(rows) == ["libuser.so", "libslow.so"]
    assert rows["libslow.so"]["init_ns"] >= 30_000_000 > rows["libuser.so"]["init_ns"]
    assert rows["libuser.so"]["total_ns"] >= rows["libslow.so"]["init_ns"]
    assert rows["libuser.so"]["requester"] == "ctypes"
    assert rows["libslow.so"]["requester"] == "needed by libuser"
    assert rows["libslow.so"]["why"] == "RUNPATH of libuser"


OPENER = """#include <dlfcn.h>
void *opener(const char *path) { return dlopen(path, RTLD_NOW); }
int closer(void *handle) { return dlclose(handle); }
"""


def test_native_callers_are_named():
    opener = ctypes.CDLL(compiled("opener", OPENER))
    opener.opener.restype = ctypes.c_void_p
    opener.closer.argtypes = [ctypes.c_void_p]
    other = compiled("other", "int other = 1;")
    cell = "handle = opener.opener(other.encode())\nopener.closer(handle)\nopener.opener(b'libnowhere.so')"
    found = trace(cell, opener=opener, other=other)
    rows = [(row["name"], row["requester"], row["result"]) for row in found.rows]
    by = "dlopen by opener of libopener"
    assert rows == [("libother.so", by, "unloaded"), ("libnowhere.so", by, "not loaded")], found
    found = trace("opener.opener(other.encode())", "--tree", opener=opener, other=other)
    (above, below) = found.rows
    assert (above["name"], below["name"], below["parent"]) == (by, "libother.so", above["id"])
    assert above["took_ns"] == below["took_ns"] >= below["init_ns"]


def test_what_fails_halfway_is_told():
    missing = compiled("missing", "int missing(void) { return 1; }")
    user = compiled("needs", "int missing(void); int f(void) { return missing(); }", "-L.", "-lmissing")
    os.unlink(missing)
    code = linker_code()
    cell = "import ctypes\ntry:\n    ctypes.CDLL(user)\nexcept OSError as error:\n    said = str(error)"
    found = trace(cell, user=user)
    assert [(row["name"], row["result"]) for row in found.rows] == [("libneeds.so", "failed")], found
    assert found.facts["counts"]["calls_failed"] == 1
    # An error of the cell is the caller's, and leaves nothing behind.
    with contextlib.suppress(ZeroDivisionError):
        trace("1 / 0")
        raise AssertionError("the error was lost")
    assert linker_code() == code
    assert trace("x = 1").rows == []


def test_nested_use_is_refused_in_one_line():
    cell = "try:\n    run('trace_loads', '', 'x = 1', {})\nexcept ValueError as error:\n    print(error)"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        trace(cell, run=run_magic)
    assert "being traced" in out.getvalue() and out.getvalue().count("\n") == 1


def test_a_child_is_as_without():
    cell = """
import os, ctypes
child = os.fork()
if child == 0:
    ctypes.CDLL("libm.so.6")
    os._exit(0 if ctypes.string_at(brk, 32) == code else 1)
status = os.waitpid(child, 0)[1]
"""
    process = ctypes.CDLL(None)
    root = ctypes.addressof(ctypes.c_char.in_dll(process, "_r_debug"))
    brk = ctypes.c_size_t.from_address(root + 16).value
    variables = {"brk": brk, "code": linker_code()}
    run_magic("trace_loads", "", cell, variables)
    assert variables["status"] == 0


def test_a_debugger_comes_first():
    process = ctypes.CDLL(None)
    root = ctypes.addressof(ctypes.c_char.in_dll(process, "_r_debug"))
    brk = ctypes.c_size_t.from_address(root + 16).value

    def poke(byte):
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(brk)
            memory.write(byte)

    # A breakpoint as a debugger sets it; it must be gone when the linker comes there.
    code = linker_code()
    poke(b"\xcc")
    found = trace("poke(code[:1])\nimport _lsprof", poke=poke, code=code)
    assert linker_code() == code
    assert found.facts["source"] == "list" and "breakpoint" in found.limits[0], found
    (row,) = found.rows
    assert row["name"].startswith("_lsprof") and row["requester"] == "import _lsprof"
    assert row["t_ns"] is None and row["init_ns"] is None and row["source"] == "list"


def test_files_are_written_as_strace_does():
    other = compiled("written", "int other = 1;")
    found = trace(f"import ctypes; ctypes.CDLL({other!r})", "--strace")
    lines = [line for line in repr(found).splitlines() if "libwritten" in line]
    form = rf'openat\(AT_FDCWD, "{re.escape(other)}", O_RDONLY\|O_CLOEXEC\) = (\d+|\?)'
    assert any(re.fullmatch(form, line) for line in lines), found
