"""What a guest tells of a host that dies: on its standard error, and to the next kernel."""

import signal

import pexpect
import pytest

from support import door, process
from support.crash import die, library, restarted
from support.patience import PATIENCE


@pytest.fixture
def dying(start_host, tmp_path):
    """A new ipykernel with a guest that is loaded after some code; what it said when it had died, and the kernel."""

    def dying(code: str, before: str = "1", behind: str = "1"):
        kernel = start_host()
        client = kernel.connect()
        client.run(f"import ctypes\nways = ctypes.CDLL({str(library(tmp_path))!r})")
        client.run(before)
        client.run("%load_ext diaphane")
        client.run(behind)
        die(kernel, client, code)
        return kernel.log, kernel

    return dying


def test_a_fault_is_told_on_stderr_and_to_the_next_kernel(dying):
    log, kernel = dying("print('before')\nctypes.string_at(0)")
    assert kernel.wait() == -signal.SIGSEGV
    lines = log.splitlines()
    assert "KernelCrash: segmentation fault reading address 0x0 (not mapped)" in lines
    assert any(
        line.startswith("> ctypes.string_at(0)") and line.endswith("In[5]:2") for line in lines
    )
    assert "The address is near 0: a null pointer was followed." in lines
    client = restarted(kernel)
    client.run("%load_ext diaphane")
    shown = client.run("%crash_report").one("execute_result")["data"]
    assert "reading address 0x0" in shown["text/plain"]
    assert "leaves no word" in shown["text/plain"]


@pytest.mark.parametrize("enabled", ["before", "behind"])
def test_faulthandler_of_the_host_tells_too(dying, enabled):
    log, kernel = dying(
        "ways.on_thread()", **{enabled: "import faulthandler; faulthandler.enable()"}
    )
    assert kernel.wait() == -signal.SIGSEGV
    assert "KernelCrash: segmentation fault writing address 0x10" in log
    assert "Fatal Python error: Segmentation fault" in log


@pytest.mark.parametrize("before", ["1", "import faulthandler; faulthandler.enable()"])
def test_an_abort_is_told(dying, before):
    log, kernel = dying("ways.free_twice()", before)
    assert kernel.wait() == -signal.SIGABRT
    assert "double free" in log
    assert ("Fatal Python error: Aborted" in log) == (before != "1")


def test_signals_of_the_host_are_left_to_it(dying):
    log, kernel = dying(
        "print(get_ipython().run_line_magic('crash_report', '').limits, file=__import__('sys').__stderr__, flush=True)\n"
        "assert ways.with_foreign_handler() == 6\n"
        "ways.divide(1, 0)",
        "assert ways.with_foreign_handler() == 3",
    )
    assert kernel.wait() == -signal.SIGFPE
    assert "SIGSEGV is handled by libways, so such a fault is told by that alone" in log
    assert "KernelCrash: integer division by zero" in log


def test_who_installs_a_handler_later_gets_its_own_faults(dying):
    log, kernel = dying(
        "assert ways.with_foreign_handler() == 3\nways.write_at(ctypes.c_void_p(16))"
    )
    assert kernel.wait() == -signal.SIGSEGV
    assert log.count("KernelCrash") == 1
    assert "writing address 0x10" in log


def test_nothing_is_told_after_it_was_unloaded(dying):
    log, kernel = dying("ctypes.string_at(0)", behind="%unload_ext diaphane")
    assert kernel.wait() == -signal.SIGSEGV
    assert "KernelCrash" not in log


def test_a_child_dies_by_itself(dying):
    log, kernel = dying(
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0: ctypes.string_at(0)\n"
        "assert os.waitpid(pid, 0)[1] & 127 == 11\n"
        "ways.illegal()"
    )
    assert kernel.wait() == -signal.SIGILL
    assert log.count("KernelCrash") == 1
    assert "illegal instruction" in log


def test_in_the_terminal(tmp_path):
    options = ["-m", "IPython", "--simple-prompt", "--colors=nocolor", "--no-banner"]

    def terminal():
        child = pexpect.spawn(
            door.python(),
            options,
            env=process.environment(tmp_path) | {"TERM": "dumb"},
            cwd=str(tmp_path),
            encoding="utf-8",
            dimensions=(40, 100),
            timeout=PATIENCE,
        )
        child.expect(r"In \[1\]: ")
        child.sendline("%load_ext diaphane")
        child.expect(r"In \[2\]: ")
        return child

    child = terminal()
    child.sendline("import ctypes; ctypes.string_at(0)")
    child.expect("KernelCrash: segmentation fault reading address 0x0")
    child.expect(r"> import ctypes; ctypes.string_at\(0\) +In\[2\]:1")
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGSEGV
    child = terminal()
    child.sendline("%crash_report")
    child.expect("reading address 0x0")
    child.close(force=True)
