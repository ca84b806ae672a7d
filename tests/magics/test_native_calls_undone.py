"""After %%native_calls all tables and all code are what they were; --deep sees local functions, and harms nothing."""

import platform

import pytest

from support.client import Client
from support.patches import changed_code, libraries, slots

from .test_native_calls import MAGIC, above, rows

pytestmark = pytest.mark.diaphane
WORDS = ["_multiarray_umath", "openblas"]
# Entries are changed on this processor only.
x86_64 = platform.machine() == "x86_64"


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import sys, threading\nimport numpy as np")
    client.run("a = np.ones((200, 200)); b = a + 1; x = np.arange(5)")
    return client


@pytest.mark.parametrize("option", ["", " --deep"])
def test_tables_and_code_are_as_before(kernel, numpy: Client, option: str):
    before = [slots(kernel, word) for word in WORDS]
    assert all(before)
    for code in ["c = a @ b\nnp.sum(x)", "1 / 0"]:
        numpy.execute(f"{MAGIC}{option}\n{code}")
        assert [slots(kernel, word) for word in WORDS] == before
        for word in WORDS:
            assert libraries(kernel, word)
            assert changed_code(kernel, word) == []


def test_tables_are_changed_while_the_cell_runs(kernel, numpy: Client):
    before = slots(kernel, "_multiarray_umath")
    begun = numpy.start(f"{MAGIC}\nx[0] = int(input())", allow_stdin=True)
    numpy.until(lambda: begun.stdin, "the cell's question", begun)
    assert slots(kernel, "_multiarray_umath") != before
    numpy.answer(begun, "7")
    numpy.finish(begun)
    assert numpy.value("int(x[0])") == "7"
    assert slots(kernel, "_multiarray_umath") == before


# Interrupts at each of the calls by which Python is asked to report, and by which it is told that it need not.
INTERRUPTED = """
import sys, threading
if sys.version_info >= (3, 12):
    owner, names = sys.monitoring, ["get_tool", "use_tool_id", "register_callback", "set_events", "free_tool_id"]
else:
    owner, names = threading, ["getprofile", "setprofile"]
real = {name: getattr(owner, name) for name in names}
def interrupted(at):
    count = 0
    def wrap(name):
        def call(*arguments):
            nonlocal count
            count += 1
            if count == at:
                raise KeyboardInterrupt
            return real[name](*arguments)
        return call
    for name in names:
        setattr(owner, name, wrap(name))
def restore():
    for name in names:
        setattr(owner, name, real[name])
def left():
    if sys.version_info >= (3, 12):
        return [sys.monitoring.get_tool(tool) for tool in range(6)]
    return [threading.getprofile(), sys.getprofile()]
before = left()
"""


@pytest.mark.parametrize("option", ["", " --args", " --deep"] if x86_64 else [""])
def test_interrupted_at_any_of_its_steps_it_is_undone(kernel, numpy: Client, option: str):
    """Whatever ends the beginning; and where the end is interrupted, the interrupt comes when all is undone."""
    numpy.run(INTERRUPTED)
    numpy.run(f"{MAGIC}{option}\nnp.sum(x)")
    before = [slots(kernel, word) for word in WORDS]
    ended = []
    for at in range(1, 40):
        numpy.run(f"interrupted({at})")
        done = numpy.execute(f"{MAGIC}{option}\nc = a @ b")
        numpy.execute("restore()")
        ended.append(done.content["status"])
        assert [slots(kernel, word) for word in WORDS] == before, at
        assert numpy.value("left() == before") == "True", at
        assert numpy.value("np._core.multiarray.get_handler_name()") == "'default_allocator'"
        if ended[-3:] == ["ok"] * 3:
            break
    assert "error" in ended
    assert ended[-1] == "ok"
    assert rows(numpy.run(f"{MAGIC}{option}\nnp.sum(x)"))


if x86_64:

    def test_deep_reaches_the_loop_of_a_sum(numpy: Client):
        tree = rows(numpy.run(f"{MAGIC} --deep\nnp.sum(x)"))
        loop = next(row for row in tree if row["func"].startswith("LONG_add"))
        # Some compilers put the one into the other; a wheel that was stripped has no names, but places.
        names = above(tree, loop)
        nameless = [name for name in names if name.startswith("+0x")]
        assert {"reduce_loop", "PyUFunc_GenericReduction"} & set(names) or len(nameless) >= 2, names

    def test_deep_sees_the_threads_of_the_blas(launch):
        client = launch(env={"OPENBLAS_NUM_THREADS": "2"}).connect()
        client.run("import numpy as np\na = np.ones((600, 600)); a @ a")
        tree = rows(client.run(f"{MAGIC} --deep\nc = a @ a"))
        kernels = {row["thread"] for row in tree if row["func"].startswith("dgemm_")}
        assert len(kernels) == 2, kernels

    def test_deep_often_and_with_errors(numpy: Client):
        numpy.run("import scipy.fft")
        for _ in range(20):
            assert rows(numpy.run(f"{MAGIC} --deep\ny = np.add(x, 1)"))
        cell = (
            "try:\n    scipy.fft.fft(np.ones(4), workers=1, norm='bad')\n"
            "except ValueError as error:\n    kept = str(error)"
        )
        numpy.run(f"{MAGIC} --deep\n{cell}")
        assert "bad" in numpy.value("kept")
        # SciPy 1.18 has another library for it, with the same functions.
        numpy.run(
            "try: from scipy.fft._pocketfft import pypocketfft\n"
            "except ImportError: from scipy.fft._duccfft import pyduccfft as pypocketfft"
        )
        # The function throws in C++, and pybind11 catches it.
        cell = (
            "try:\n    pypocketfft.c2c(np.ones((2, 2), complex), axes=[7])\n"
            "except ValueError as error:\n    kept = str(error)"
        )
        tree = rows(numpy.run(f"{MAGIC} --deep\n{cell}"))
        assert "axes" in numpy.value("kept")
        assert any("translate_exception" in row["func"] for row in tree)
        done = numpy.execute(f"{MAGIC} --deep\n1 / 0")
        assert done.content["ename"] == "ZeroDivisionError"
        assert rows(done)
