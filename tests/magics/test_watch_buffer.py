"""%%watch_buffer: who writes to an element. The witnesses are C functions with known names, and the values themselves."""

import subprocess

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane

WRITER = """
#include <pthread.h>
void write_here(double *where, double value) { *(volatile double *)where = value; }
struct job { double *where; double value; };
static void *write_there(void *job) { struct job *j = job; write_here(j->where, j->value); return 0; }
void write_on_a_thread(double *where, double value) {
    struct job job = {where, value};
    pthread_t thread;
    pthread_create(&thread, 0, write_there, &job);
    pthread_join(thread, 0);
}
"""


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> str:
    """A library whose functions write where they are told."""
    folder = tmp_path_factory.mktemp("writer")
    (folder / "writer.c").write_text(WRITER)
    library = folder / "libwriter.so"
    command = [
        "gcc",
        "-O1",
        "-fno-optimize-sibling-calls",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(folder / "writer.c"),
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    return str(library)


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np, threading, os, signal\na = np.zeros(100)")
    return client


def report(done) -> dict:
    return done.report("watch_buffer")


def rows(done) -> list[dict]:
    return report(done)["rows"]


def watched(client: Client) -> str:
    """How many watchpoints are left in the process."""
    count = "sum('perf_event' in os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}') or os.path.islink(f'/proc/self/fd/{fd}'))"
    return client.value(count)


def test_each_write_has_its_line_its_values_and_its_function(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[10]\na[10] = 1.5\na[11] = 9\nnp.add(a, 1, out=a)\n\na[:20] *= 2"
    )
    cell = done.content["execution_count"]
    found = [(row["place"], row["old"], row["new"]) for row in rows(done)]
    assert found == [
        (f"In[{cell}]:2", "0.0", "1.5"),
        (f"In[{cell}]:4", "1.5", "2.5"),
        (f"In[{cell}]:6", "2.5", "5.0"),
    ]
    assert [row["source"] for row in rows(done)] == [
        "a[10] = 1.5",
        "np.add(a, 1, out=a)",
        "a[:20] *= 2",
    ]
    functions = [row["function"] for row in rows(done)]
    assert "add" in functions[1]
    assert "multiply" in functions[2]
    assert all(row["thread"] == "MainThread" for row in rows(done))
    assert all("_multiarray_umath" in row["library"] for row in rows(done))
    address = numpy.value("hex(a.ctypes.data + 80)").strip("'")
    assert report(done)["watched"] == [
        {
            "name": "a[10]",
            "addr": address,
            "length": 8,
            "dtype": "float64",
            "value": "5.0",
            "elsewhere": None,
        }
    ]
    assert report(done)["limits"] == []
    assert watched(numpy) == "0"


def test_native_code_is_named_on_every_thread(numpy: Client, writer: str):
    numpy.run(
        f"import ctypes\nlib = ctypes.CDLL({writer!r})\n"
        "for f in (lib.write_here, lib.write_on_a_thread):\n"
        "    f.argtypes = [ctypes.c_void_p, ctypes.c_double]\n"
        "there = a.ctypes.data + 8 * 7"
    )
    done = numpy.run(
        "%%watch_buffer a[7]\nlib.write_here(there, 3)\nlib.write_on_a_thread(there, 4)"
    )
    cell = done.content["execution_count"]
    main, other = rows(done)
    assert (main["function"], main["library"]) == ("write_here", "libwriter.so")
    assert (main["place"], main["old"], main["new"]) == (f"In[{cell}]:2", "0.0", "3.0")
    assert (other["function"], other["library"]) == ("write_here", "libwriter.so")
    assert (other["place"], other["old"], other["new"]) == (None, "3.0", "4.0")
    assert other["tid"] != main["tid"]
    functions = [call["function"] for call in other["stack"]]
    assert functions[:2] == ["write_here", "write_there"]


def test_threads_of_python_have_their_lines(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[0] a[1]\ndef work():\n    a[1] = 2\n    done.set(); end.wait()\n"
        "done, end = threading.Event(), threading.Event()\nthreading.Thread(target=work, name='worker').start()\n"
        "done.wait()\na[0] = 1"
    )
    numpy.run("end.set()")
    cell = done.content["execution_count"]
    found = [(row["element"], row["place"], row["thread"], row["new"]) for row in rows(done)]
    assert found == [
        ("a[1]", f"In[{cell}]:3", "worker", "2.0"),
        ("a[0]", f"In[{cell}]:8", "MainThread", "1.0"),
    ]


def test_threads_of_a_pool_are_watched(numpy: Client):
    numpy.run("m = np.random.rand(400, 400)\nout = np.zeros((400, 400))\nm @ m")
    done = numpy.run("%%watch_buffer out[399,399] out[0,0]\nnp.matmul(m, m, out=out)")
    blas = [row for row in rows(done) if "openblas" in (row["library"] or "")]
    assert blas, rows(done)
    assert float(blas[-1]["new"]) == pytest.approx(
        float(numpy.value("float((m @ m)[399, 399])")), rel=0.9
    )
    ends = {one["name"]: float(one["value"]) for one in report(done)["watched"]}
    assert ends["out[399,399]"] == pytest.approx(float(numpy.value("float(out[399,399])")))


def test_writes_of_a_loop_are_one_row(numpy: Client):
    code = "a[3] = 0\nfor i in range(50):\n    a[3] = i"
    done = numpy.run(f"%%watch_buffer a[3]\n{code}")
    assert [(row["count"], row["old"], row["new"]) for row in rows(done)] == [
        (1, "0.0", "0.0"),
        (50, "0.0", "49.0"),
    ]
    numpy.run(f"%%watch_buffer a[3] --each --as each\n{code}")
    assert (
        numpy.value("[row['new'] for row in each][1:] == [f'{i}.0' for i in range(50)]") == "True"
    )
    assert numpy.value("[row['number'] for row in each] == list(range(51))") == "True"


def test_a_watch_ends_after_as_many_as_wanted(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[3] --most 10 --each\nfor i in range(1, 100_000):\n    a[3] = i\na[3]"
    )
    assert [row["new"] for row in rows(done)] == [f"{i}.0" for i in range(1, 11)]
    assert report(done)["ended_early"] is True
    assert "--most" in report(done)["limits"][0]
    assert "99999" in done.all("execute_result")[0]["data"]["text/plain"]


def test_nobody_writes(numpy: Client):
    done = numpy.run("%%watch_buffer a[3]\na[2] = 1\na[4] = 1\nb = a.copy()\nb[3] = 7")
    assert rows(done) == []
    assert "No code wrote to a[3], which is 0.0" in done.one("execute_result")["data"]["text/plain"]


def test_reads_count_on_request(numpy: Client):
    done = numpy.run("%%watch_buffer a[3] --read\nx = float(a[3])\na[3] = 5")
    assert rows(done)[0]["what"] == "touch"
    assert rows(done)[-1]["what"] == "write"
    assert rows(done)[-1]["new"] == "5.0"


def test_stop_raises_where_it_is_written(numpy: Client):
    done = numpy.execute("%%watch_buffer a[10] --stop\nfor i in range(100):\n    a[i] = 1")
    assert done.content["ename"] == "BufferWritten"
    assert done.content["evalue"] == "a[10] was written: 0.0 became 1.0; the report has the line"
    assert "line 3" in "\n".join(done.content["traceback"]).replace("\x1b[32m", "")
    assert len(rows(done)) == 1
    assert rows(done)[0]["new"] == "1.0"
    assert numpy.value("bool(a[9] == 1 and a[20] == 0)") == "True"
    assert numpy.value("signal.getsignal(signal.SIGTRAP)") in ("<Handlers.SIG_DFL: 0>", "None")
    assert watched(numpy) == "0"
    assert numpy.run("%%watch_buffer a[10] --stop\na[1] = 2").content["status"] == "ok"


def test_a_watch_that_is_refused_leaves_no_handler(numpy: Client):
    done = numpy.execute("%%watch_buffer a[0]\n%%watch_buffer a[1] --stop\na[1] = 1")
    assert "a watch is on already" in str([m["content"] for m in done.iopub])
    assert numpy.value("signal.getsignal(signal.SIGTRAP)") in ("<Handlers.SIG_DFL: 0>", "None")
    assert watched(numpy) == "0"


def test_a_handler_of_the_users_is_called_as_before(numpy: Client):
    numpy.run("seen = []\nsignal.signal(signal.SIGTRAP, lambda *_: seen.append(1))")
    numpy.run("%%watch_buffer a[0]\na[0] = 1")
    numpy.execute("%%watch_buffer a[0] --stop\na[0] = 2\nfor _ in range(1000): pass")
    numpy.run("signal.raise_signal(signal.SIGTRAP)")
    assert numpy.value("seen") == "[1]"
    numpy.run("signal.signal(signal.SIGTRAP, signal.SIG_DFL)")


def test_a_handler_that_the_cell_sets_is_told(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[0]\na[0] = 1\nsignal.signal(signal.SIGTRAP, lambda *_: None)\na[0] = 2"
    )
    assert any("SIGTRAP" in limit for limit in report(done)["limits"])
    numpy.run("signal.signal(signal.SIGTRAP, signal.SIG_DFL)")
    assert [row["new"] for row in rows(numpy.run("%%watch_buffer a[0]\na[0] = 5"))] == ["5.0"]


def test_what_linux_writes_is_told(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[0]\nwith open('/dev/urandom', 'rb', buffering=0) as file:\n    file.readinto(memoryview(a).cast('B'))"
    )
    assert rows(done) == []
    assert "Linux writes by itself" in report(done)["limits"][0]


def test_memory_that_is_freed_ends_the_watch(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[0]\na[0] = 1\na = None\nfor _ in range(100):\n    np.ones(100)"
    )
    assert [row["new"] for row in rows(done)] == ["1.0"]
    assert any("freed" in limit for limit in report(done)["limits"])


@pytest.mark.parametrize("write", ["a += 1", "a.fill(9)", "a[:] = 5", "np.copyto(a, np.ones(100))"])
def test_neighbours_that_one_instruction_writes_are_both_seen(numpy: Client, write: str):
    done = numpy.run(f"%%watch_buffer a[8] a[9] a[10] a[11]\n{write}")
    assert {row["element"] for row in rows(done)} == {"a[8]", "a[9]", "a[10]", "a[11]"}
    assert report(done)["limits"] == []


def test_a_name_that_is_bound_to_something_else_is_told(numpy: Client):
    done = numpy.run("%%watch_buffer a[10]\nkeep = a\na = a + 1")
    assert rows(done) == []
    assert report(done)["watched"][0]["elsewhere"] == "1.0"
    said = done.one("execute_result")["data"]["text/plain"].replace("\n", " ")
    assert (
        "No code wrote to a[10], which is 0.0. By now a[10] is other memory, with 1.0 in it" in said
    )
    done = numpy.run("%%watch_buffer a[10]\nkeep = None\na = a * 2")
    assert "before its memory was freed" in done.one("execute_result")["data"]["text/plain"]


def test_a_thread_that_has_ended_has_its_number(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[0]\ntids = []\ndef work():\n    tids.append(threading.get_native_id())\n    a[0] = 2\n"
        "one = threading.Thread(target=work); one.start(); one.join()"
    )
    [row] = rows(done)
    assert row["tid"] == int(numpy.value("tids[0]"))
    assert row["thread"]


def test_a_function_of_a_module_is_named(numpy: Client, tmp_path):
    (tmp_path / "helping.py").write_text("def clip(x):\n\n    x[x > 3] = 3\n")
    numpy.run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport helping\na[:] = 5")
    done = numpy.run("%%watch_buffer a[10]\nhelping.clip(a)")
    [row] = rows(done)
    assert row["place"] == f"In[{done.content['execution_count']}]:2"
    assert row["through"] == "clip (helping.py:3)"


def test_an_error_and_an_interrupt_end_the_watch(numpy: Client):
    done = numpy.execute("%%watch_buffer a[0]\na[0] = 1\n1 / 0")
    assert done.content["ename"] == "ZeroDivisionError"
    assert [row["new"] for row in rows(done)] == ["1.0"]
    assert watched(numpy) == "0"
    done = numpy.interrupt_at(
        "on", "%%watch_buffer a[0]\na[0] = 2\nprint('on', flush=True)\nwhile True: pass"
    )
    assert done.content["ename"] == "KeyboardInterrupt"
    assert [row["new"] for row in rows(done)] == ["2.0"]
    assert watched(numpy) == "0"


def test_a_child_is_not_watched_and_not_harmed(numpy: Client):
    done = numpy.run(
        "%%watch_buffer a[0]\nchild = os.fork()\nif child == 0:\n    a[0] = 7\n    os._exit(int(a[0]))\n"
        "status = os.waitpid(child, 0)[1]\na[0] = 3"
    )
    assert [row["new"] for row in rows(done)] == ["3.0"]
    assert numpy.value("os.waitstatus_to_exitcode(status)") == "7"


def test_with_other_recordings_around_it(numpy: Client):
    done = numpy.run(
        "%%native_prof\n%%watch_buffer a[0]\na[0] = 3\nfor _ in range(20):\n    np.sort(np.random.rand(100_000))"
    )
    assert [row["new"] for row in rows(done)] == ["3.0"]
    done = numpy.run("%%syscalls\n%%watch_buffer a[0]\na[0] = 4\nos.getppid()")
    assert [row["new"] for row in rows(done)] == ["4.0"]


def test_in_a_program(numpy: Client):
    done = numpy.run(
        "import diaphane\nwith diaphane.watch_buffer('a[0]') as watch:\n    a[0] = 8\n"
        "print([(row['old'], row['new']) for row in watch])"
    )
    assert done.text().startswith("[('0.0', '8.0')]")


@pytest.mark.parametrize(
    "reset",
    [
        "signal.signal(signal.SIGTRAP, signal.SIG_DFL)",
        "import ctypes; ctypes.CDLL(None).signal(5, 0)",
        "import faulthandler; faulthandler.register(5, chain=True); faulthandler.unregister(5)",
    ],
)
def test_a_cell_that_wants_no_handler_lives(numpy: Client, reset: str):
    numpy.run("import signal")
    done = numpy.run(f"%%watch_buffer a[3]\n{reset}\na[3] = 1")
    assert [row["new"] for row in rows(done)] == ["1.0"]
