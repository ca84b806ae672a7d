"""Faults that end the process: under the cell stands why, before the front end restarts the kernel."""

from __future__ import annotations

import json
import platform
import signal
import sys
from pathlib import Path

import pytest

from support.crash import die, die_when_all_is_sent, kept, library, plus_library, restarted, told

pytestmark = pytest.mark.diaphane

REPORT = "application/vnd.diaphane.crash_report+json"


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ways")
    return f"import ctypes\nways = ctypes.CDLL({str(library(folder))!r})"


@pytest.fixture
def dying(launch, ways):
    """Runs code that ends a new kernel; what stands under the cell, the exit code, and the whole report."""

    def dying(code: str, *before: str, **options):
        kernel = launch(**options)
        client = kernel.connect()
        client.run(ways)
        for cell in before:
            client.run(cell)
        exchange = die(kernel, client, code)
        report = (
            exchange.one("display_data")["data"][REPORT] if exchange.all("display_data") else None
        )
        return told(exchange), kernel.wait(), report, kernel

    return dying


@pytest.mark.core
def test_a_null_read_is_told_and_found_again(dying):
    text, code, report, kernel = dying("print('before')\nctypes.string_at(0)")
    assert code == -signal.SIGSEGV
    lines = text.splitlines()
    assert lines[0] == "KernelCrash: segmentation fault reading address 0x0 (not mapped)"
    assert any(line.startswith("  string_at") and "ctypes/__init__.py:" in line for line in lines)
    assert any(
        line.startswith("> ctypes.string_at(0)") and line.endswith("In[2]:2") for line in lines
    )
    assert "The address is near 0: a null pointer was followed." in lines
    assert any("libc, called by" in line or "libc." in line for line in lines)
    assert lines[-1] == "Saved: %crash_report shows it all after the restart."
    assert report["signal"] == "SIGSEGV"
    assert report["place"] == "null"
    assert report["cell"] == 2
    client = restarted(kernel)
    shown = client.run("%crash_report")
    assert not shown.all("display_data"), "what was told is not told again"
    data = shown.one("execute_result")["data"]
    assert "reading address 0x0" in data["text/plain"]
    assert "string_at" in data["text/html"]
    assert data[REPORT]["address"] == "0x0"
    refused = client.execute("%crash_report --last 2").content
    assert refused["ename"] == "UsageError"


def test_the_line_is_the_one_that_python_counts(dying):
    """IPython takes empty lines away at the beginning of a cell."""
    text, *_ = dying("\n  \nprint('before')\nctypes.string_at(0)\nprint('behind')")
    lines = [line for line in text.splitlines() if line.startswith("> ")]
    assert [line.split()[1] for line in lines] == ["ctypes.string_at(0)"]
    assert lines[0].endswith("In[2]:2")


def test_what_was_written_before_stands_before(launch, ways):
    kernel = launch()
    client = kernel.connect()
    client.run(ways)
    exchange = die(
        kernel, client, "import os\nprint('one')\nos.write(1, b'two\\n')\nctypes.string_at(0)"
    )
    told(exchange)
    assert exchange.text() == "one\ntwo\n"
    kinds = [kind for kind in exchange.trace if kind != "stdout"]
    assert kinds == ["busy", "execute_input", "error", "display_data", "idle"]


@pytest.mark.parametrize(
    ("code", "headline", "sentence", "exit_signal"),
    [
        ("ways.write_to_text()", "writing address", "may not be written", signal.SIGSEGV),
        ("ways.jump_to_data()", "jumping to address", "no code", signal.SIGSEGV),
        ("ways.recurse(0)", "guard page", "The stack of the thread is used up", signal.SIGSEGV),
        (
            "ways.overflow_on_thread()",
            "guard page",
            "The stack of the thread is used up",
            signal.SIGSEGV,
        ),
        ("ways.illegal()", "illegal instruction `ud2`", "there to stop a program", signal.SIGILL),
        ("ways.divide(1, 0)", "integer division by zero `idiv", "", signal.SIGFPE),
        ("ways.on_thread()", "writing address 0x10", "null pointer", signal.SIGSEGV),
        ("ways.two_at_once()", "writing address 0x18", "null pointer", signal.SIGSEGV),
    ],
)
def test_a_fault_is_named_and_explained(dying, code, headline, sentence, exit_signal):
    text, status, *_ = dying(code)
    first, *rest = text.splitlines()
    assert headline in first
    assert sentence in "\n".join(rest)
    assert status == -exit_signal
    assert "ways." in text


def test_the_stack_that_is_used_up_names_the_function(dying):
    text, *_ = dying("ways.recurse(0)")
    assert "recurse" in text
    assert "more of recurse" in text
    assert "calls deep" in text


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="later versions count C's recursion by themselves"
)
def test_python_without_its_limit_uses_up_the_stack(dying):
    recursion = "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __getattr__(self, name): return getattr(self, name + 'x')\n"
    text, status, *_ = dying(recursion + "A().x")
    assert "The stack of the thread is used up" in text
    assert "__getattr__" in text
    assert status == -signal.SIGSEGV


@pytest.mark.parametrize(
    ("before", "code", "sentence"),
    [
        (
            "import numpy as np, ctypes\na = np.zeros(1 << 20)\nplace = a.ctypes.data",
            "del a\nctypes.string_at(place + 800)",
            "byte 800 of what was the array `a` (8.4 MB) when the cell began: it was freed",
        ),
        (
            "import numpy as np, ctypes, mmap\nmemory = mmap.mmap(-1, 1 << 20)\n"
            "a = np.frombuffer(memory, dtype=np.uint8)\nplace = a.ctypes.data",
            "libc = ctypes.CDLL(None)\nlibc.mprotect(ctypes.c_void_p(place + (1 << 19)), 1 << 19, 0)\n"
            "a[(1 << 19) + 5]",
            "of the array `a` (1.0 MB), whose memory is reserved",
        ),
        (
            "import numpy as np, ctypes, mmap\nmemory = mmap.mmap(-1, 1 << 20)\n"
            "a = np.frombuffer(memory, dtype=np.uint8, count=(1 << 19) - 16)\nplace = a.ctypes.data",
            "libc = ctypes.CDLL(None)\nlibc.munmap(ctypes.c_void_p(place + (1 << 19)), 1 << 19)\n"
            "ctypes.string_at(place + (1 << 19), 1)",
            "16 bytes behind the end of the array `a`",
        ),
        (
            "import mmap\nopen('short', 'wb').write(b'x' * 8192)\nfile = open('short', 'r+b')\n"
            "mapped = mmap.mmap(file.fileno(), 8192)",
            "file.truncate(100)\nmapped[5000]",
            "byte 5000 of",
        ),
        (
            "import _ctypes, shutil\nshutil.copy(ways._name, 'gone.so')\ngone = ctypes.CDLL('./gone.so')",
            "function = gone.divide\n_ctypes.dlclose(gone._handle)\nfunction(4, 2)",
            "gone.so, which was unloaded",
        ),
    ],
    ids=["freed array", "protected array", "behind an array", "truncated file", "unloaded library"],
)
def test_the_address_is_explained(dying, before, code, sentence):
    text, *_ = dying(code, before)
    assert sentence in text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ways.free_twice()", "double free detected"),
        ("ctypes.pythonapi.Py_FatalError(b'the ship sinks')", "the ship sinks"),
        ("import os\nos.abort()", "aborted"),
    ],
)
def test_an_abort_says_its_message(dying, code, message):
    text, status, *_ = dying(code)
    first = text.splitlines()[0]
    assert first.startswith("KernelCrash: aborted")
    assert message in first
    assert status == -signal.SIGABRT


def test_what_of_cpp_is_told(dying, tmp_path):
    text, status, *_ = dying(f"ctypes.CDLL({str(plus_library(tmp_path))!r}).throw_out()")
    assert "aborted: the tank is empty" in text
    assert "throw_out" in text
    assert status == -signal.SIGABRT


def test_a_fault_on_a_thread_of_python(dying):
    text, *_ = dying(
        "import threading\nt = threading.Thread(target=ctypes.string_at, args=(8,))\nt.start()\nt.join()"
    )
    assert "reading address 0x8" in text
    assert "string_at" in text


def test_a_fault_in_a_subshell_is_told_there(launch, ways):
    kernel = launch()
    client = kernel.connect()
    client.run(ways)
    waiting = client.start("import time\nprint('waits', flush=True)\ntime.sleep(600)")
    client.until(lambda: waiting.text(), "the other cell")
    subshell = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    exchange = die(kernel, client, "ctypes.string_at(0)", header={"subshell_id": subshell})
    assert "reading address 0x0" in told(exchange)
    assert "(in another cell)" in told(waiting)


@pytest.mark.parametrize("magic", ["%%native_calls --deep", "%%syscalls", "%%native_prof"])
def test_a_fault_under_a_recording(dying, magic):
    text, status, *_ = dying(f"{magic}\nctypes.string_at(0)")
    assert "reading address 0x0" in text
    assert status == -signal.SIGSEGV


@pytest.mark.parametrize(
    ("code", "headline", "status"),
    [
        ("ways.overrun()", "KernelCrash: aborted: ", signal.SIGABRT),
        ("ways.ruin()", "KernelCrash: segmentation fault writing address 0x8", signal.SIGSEGV),
    ],
    ids=["malloc's lock is held", "the heap is ruined"],
)
def test_the_heap_is_ruined(launch, ways, code, headline, status):
    kernel = launch()
    client = kernel.connect()
    client.run(ways)
    exchange = die_when_all_is_sent(kernel, client, code)
    # libzmq's thread frees what it has sent, and may not come to the end of it.
    text = "\n".join(exchange.one("error")["traceback"])
    assert text.startswith(headline)
    assert "ways." in text
    # A newer C library finds a ruined heap by itself, and aborts meanwhile.
    assert kernel.wait() in (-status, -signal.SIGABRT)


def test_another_thread_holds_the_gil(dying):
    """`PyDLL` keeps the GIL for the call, which waits for the thread that dies."""
    text, *_ = dying("ctypes.PyDLL(ways._name).on_thread()")
    assert "writing address 0x10" in text


def test_all_descriptors_are_used_up(dying):
    text, *_ = dying(
        "import os\ntry:\n    while True: os.open('/dev/null', os.O_RDONLY)\nexcept OSError: pass\nctypes.string_at(0)"
    )
    assert "string_at" in text


def test_memory_is_used_up(dying):
    limit = (
        "import resource\nkept = []\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))\n"
    )
    fill = "try:\n    while True: kept.append(bytearray(1 << 16))\nexcept MemoryError: pass\nctypes.string_at(0)"
    text, *_ = dying(limit + fill)
    assert "reading address 0x0" in text


def test_faulthandler_of_the_user_writes_too(launch, ways):
    """Its own text reaches the cell, and the report knows the fault although the signal comes from it."""
    kernel = launch()
    client = kernel.connect()
    client.run(ways)
    client.run("import faulthandler\nfaulthandler.disable()\nfaulthandler.enable()")
    exchange = die(kernel, client, "ctypes.string_at(0)")
    assert "reading address 0x0" in told(exchange)
    assert "Fatal Python error: Segmentation fault" in exchange.text("stderr")
    assert kernel.wait() == -signal.SIGSEGV


def test_faulthandler_of_the_kernel_writes_to_the_log(dying):
    *_, kernel = dying("ctypes.string_at(0)")
    assert "Fatal Python error: Segmentation fault" in kernel.log


def test_faulthandlers_watchdog_is_heard(launch):
    kernel = launch()
    client = kernel.connect()
    code = "import faulthandler, time\nfaulthandler.dump_traceback_later(0.2, exit=True)\ntime.sleep(60)"
    exchange = die(kernel, client, code)
    assert "Timeout" in exchange.text("stderr")
    assert "time.sleep" in exchange.text("stderr") or "File" in exchange.text("stderr")
    assert "exit(1)" in told(exchange, "KernelExit")
    assert kernel.wait() == 1


def test_a_foreign_handler_handles_its_own_and_hands_on_the_rest(dying):
    text, status, *_ = dying("assert ways.with_foreign_handler() == 3\nctypes.string_at(0)")
    assert "reading address 0x0" in text
    assert status == -signal.SIGSEGV


def test_a_child_that_crashes_is_no_crash_of_the_kernel(client):
    code = "import os, ctypes\npid = os.fork()\nif pid == 0: ctypes.string_at(0)\nos.waitpid(pid, 0)[1]"
    assert client.run(code).result == str(int(signal.SIGSEGV))


@pytest.mark.slow
def test_a_hundred_crashes_leave_nothing_behind(launch):
    kernel = launch()
    for _ in range(100):
        client = kernel.connect()
        told(die(kernel, client, "import ctypes\nctypes.string_at(0)"))
        restarted(kernel)
    files = kept(kernel)
    assert len([name for name in files if name.endswith(".json")]) == 5
    assert len(files) == 6, files


def test_the_report_is_json_with_all_threads(dying):
    *_, report, kernel = dying("ctypes.string_at(0)")
    [name] = [name for name in kept(kernel) if name.endswith(".json")]
    stored = json.loads((kernel.directory / name).read_text())
    assert stored["name"] == report["name"] == "crash_report"
    crashed = {row["tid"] for row in stored["rows"] if row["crashed"]}
    assert crashed == {stored["tid"]}
    assert len({row["tid"] for row in stored["rows"]}) > 1


def test_two_crashes_are_compared(launch, ways):
    kernel = launch()
    for code in ("ways.divide(1, 0)", "ways.illegal()"):
        client = kernel.connect()
        client.run(ways)
        told(die(kernel, client, code))
        client = restarted(kernel)
    shown = client.run("%crash_report --against 2").result
    assert "This: illegal instruction" in shown
    assert "Other: integer division by zero" in shown
    assert "divide" in shown
    assert "illegal" in shown


@pytest.mark.skipif(platform.machine() != "x86_64", reason="an instruction of x86-64")
def test_an_instruction_that_the_processor_lacks(dying):
    """`tdpbssd` of AMX, which few processors have."""
    if "amx_int8" in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has it")
    text, status, *_ = dying("ways.multiply_tiles()")
    assert "illegal instruction `tdpbssd" in text
    assert "amx_int8, which this processor lacks" in text
    assert status == -signal.SIGILL
