"""monitor_request: what a live view asks every second, answered in silence whoever holds the GIL."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from jupyter_client.session import Session

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.feature("diaphane monitor")
HOLD_GIL = "import ctypes\nprint('ready', flush=True)\nctypes.PyDLL(None).sleep(600)"
THREAD = """
import threading
lock = threading.Lock()
lock.acquire()
worker = threading.Thread(target=lock.acquire, name="a worker of mine", daemon=True)
worker.start()
"""

NATIVE = r"""
#include <pthread.h>
volatile int stop;
int spins(void) { while (!stop); return stop; }
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
int take(void) { return pthread_mutex_lock(&lock); }
int give(void) { return pthread_mutex_unlock(&lock); }
"""


@pytest.fixture
def subshell(client: Client):
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    yield {"header": {"subshell_id": name}}
    client.request("delete_subshell_request", {"subshell_id": name}, "control")


def ask(client: Client, channel: str = "control", **content) -> dict:
    """One question, of which nobody else hears."""
    asked = client.send("monitor_request", content, channel)
    client.until(lambda: asked.replies, "the answer")
    # What is published has one order, so nothing of it can come any more.
    client.request("kernel_info_request", {}, "control")
    assert asked.iopub == []
    return asked.content


def seen(client: Client, **content) -> dict:
    answer = ask(client, **content)
    assert answer["status"] == "ok", answer
    return answer


def holding_the_gil(client: Client):
    client.run("pass")
    cell = client.start(HOLD_GIL)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    return cell


def interrupt(client: Client, *cells) -> None:
    client.request("interrupt_request", {}, "control")
    for cell in cells:
        client.finish(cell)


def test_what_is_told_is_what_linux_tells(client: Client, kernel):
    client.run("import numpy")
    settled(client)
    page, before = os.sysconf("SC_PAGE_SIZE"), time.monotonic_ns()
    answer = seen(client)
    assert before < answer["at_ns"] < time.monotonic_ns()
    rows = {row[0]: row for row in answer["threads"]}
    assert set(rows) == set(kernel.threads)
    resident = int(Path(f"/proc/{kernel.pid}/statm").read_text().split()[1]) * page
    assert abs(answer["rss"] - resident) < 64e6
    assert answer["usable_cpus"] == len(os.sched_getaffinity(kernel.pid))
    for tid, (_, state, cpu, wait) in rows.items():
        task = Path(f"/proc/{kernel.pid}/task/{tid}")
        ran, _, times = map(int, (task / "schedstat").read_text().split())
        assert state in "RSD"
        # It ran before it was asked, and no less since.
        assert 0 < cpu <= ran or times == 0
        assert wait is None or wait == "GIL" or wait.isidentifier()
    assert rows[kernel.pid][1] == "S"
    assert rows[kernel.pid][3] == "epoll_wait"
    assert sum(row[2] for row in rows.values()) <= answer["cpu_ns"] * 1.1


def test_an_idle_kernel_has_no_cell_and_no_holder(client: Client):
    client.run("pass")
    answer = seen(client)
    assert answer["cell"] is None
    assert "cells" not in answer
    # The thread that asks Python for its names has the GIL for a moment.
    client.until(lambda: seen(client)["gil"] is None, "nobody has the GIL")


def test_a_cell_that_holds_the_gil(client: Client, kernel):
    begun_at = time.monotonic_ns()
    cell = holding_the_gil(client)
    number = cell.one("execute_input")["execution_count"]
    answer = seen(client)
    assert answer["gil"] == kernel.pid
    assert answer["cell"]["count"] == number
    assert begun_at < answer["cell"]["since_ns"] < answer["at_ns"]
    first = seen(client, epoch=answer["epoch"])
    assert "names" not in first
    assert first["cell"] == answer["cell"]
    told = seen(client, stack=True, why=True)
    assert [call["place"] for call in told["stack"]] == [None, f"In[{number}]:3"] or told["stack"][
        -1
    ] == {"function": "<module>", "library": None, "kind": "python", "place": f"In[{number}]:3"}
    assert f"at In[{number}]:3" in told["why"]
    interrupt(client, cell)


def test_names_come_with_a_new_epoch_only(client: Client, kernel, tmp_path: Path):
    client.run("import ctypes")
    named = settled(client)
    assert named["names"][str(kernel.pid)]["kind"] == "main"
    assert {one["kind"] for one in named["names"].values()} >= {"main", "kernel"}
    epoch = named["epoch"]
    assert "names" not in seen(client, epoch=epoch)

    client.run(THREAD)
    tid = client.value("worker.native_id")
    answers = []

    def knows():
        answers.append(seen(client, epoch=epoch))
        return answers[-1].get("names", {}).get(tid, {}).get("name") == "a worker of mine"

    client.until(knows, "the name of the thread")
    assert answers[-1]["epoch"] > epoch
    assert answers[-1]["names"][tid]["kind"] == "user"
    epoch = settled(client)["epoch"]

    # Where the GIL is held, what was known stays known.
    cell = holding_the_gil(client)
    assert seen(client)["names"][tid]["name"] == "a worker of mine"
    interrupt(client, cell)

    epoch = settled(client)["epoch"]
    library = shared_library(tmp_path / "libmine.so", "int mine(void) { return 7; }")
    client.run(f"library = ctypes.CDLL({str(library)!r})")
    assert seen(client, epoch=epoch)["epoch"] > epoch
    client.run("lock.release()")


def settled(client: Client) -> dict:
    """An answer with names, when no new ones come."""
    answers = [seen(client)]

    def same():
        answers.append(seen(client))
        return answers[-1]["epoch"] == answers[-2]["epoch"]

    client.until(same, "no new names")
    return answers[-1]


def test_a_sentence_says_whose_code_computes(client: Client, subshell: dict, tmp_path: Path):
    library = shared_library(tmp_path / "libnative.so", NATIVE)
    client.run(
        f"import ctypes\nlibrary = ctypes.CDLL({str(library)!r})\ndef work():\n    library.spins()"
    )
    cell = client.start("work()")
    whys = []

    def computes():
        whys.append(seen(client, why=True)["why"])
        return "computes" in whys[-1]

    client.until(computes, "it computes", cell)
    assert "The main thread computes in spins of libnative.so" in whys[-1]
    assert "an interrupt takes effect when that call returns" in whys[-1]
    client.run("ctypes.c_int.in_dll(library, 'stop').value = 1", **subshell)
    client.finish(cell)


def test_a_sentence_names_who_has_the_lock(client: Client, subshell: dict, tmp_path: Path):
    library = shared_library(tmp_path / "libnative.so", NATIVE)
    client.run(f"""
import ctypes, threading
library = ctypes.CDLL({str(library)!r})
taken, give = threading.Event(), threading.Event()
def holds():
    library.take(), taken.set(), give.wait(), library.give()
worker = threading.Thread(target=holds, name="worker-2", daemon=True)
worker.start()
taken.wait()
""")
    settled(client)
    cell = client.start("library.take(), library.give()")
    client.until(
        lambda: "a lock that thread" in seen(client, why=True)["why"], "the owner of the lock", cell
    )
    why = seen(client, why=True)["why"]
    tid = client.run("worker.native_id", **subshell).result
    assert f"for a lock that thread {tid} worker-2 has" in why
    client.run("give.set()", **subshell)
    client.finish(cell)


def test_two_cells_at_once(client: Client, subshell: dict):
    first = client.start("print('main', flush=True)\ninput()", allow_stdin=True)
    client.until(lambda: first.stdin, "the first cell", first)
    beside = client.start(
        "import threading\nstop = threading.Event()\nprint('beside', flush=True)\nstop.wait()",
        **subshell,
    )
    client.until(lambda: "beside" in beside.text(), "the second cell", beside)
    numbers = [one.one("execute_input")["execution_count"] for one in (first, beside)]
    answer = seen(client)
    assert answer["cell"]["count"] == numbers[0]
    assert [one["count"] for one in answer["cells"]] == numbers
    client.answer(first, "")
    client.finish(first)
    assert seen(client)["cell"]["count"] == numbers[1]
    client.run("stop.set()")
    client.finish(beside)


@pytest.mark.parametrize(
    "content", [{"epoch": "x"}, {"epoch": -1}, {"stack": 1}, {"why": {}}, {"epoch": 1.5}]
)
def test_a_malformed_question_is_refused_in_silence(client: Client, content: dict):
    answer = ask(client, **content)
    assert (answer["status"], answer["ename"]) == ("error", "InvalidMessage")
    assert answer["traceback"]
    assert seen(client, field_of_the_future=[])["status"] == "ok"


def test_a_wrong_signature_does_nothing(client: Client):
    forger = Session(key=b"another key")
    frames = forger.serialize(forger.msg("monitor_request", {}))
    client.strays.clear()
    client.sockets["control"].send_multipart(frames)
    client.request("kernel_info_request", {}, "control")
    assert client.strays == []


def test_on_the_shell_it_is_refused(client: Client):
    refused = client.request("monitor_request", {}, "shell")
    assert refused.content["ename"] == "WrongChannel"


def test_who_asks_faster_than_answers_come_is_told_so(client: Client, kernel):
    cell = holding_the_gil(client)
    other = kernel.connect(channel="control")
    asked = [client.send("monitor_request", {"stack": i % 2 == 0}, "control") for i in range(1000)]
    beside = other.send("monitor_request", {}, "control")
    client.until(lambda: all(one.replies for one in asked), "all answers")
    client.request("interrupt_request", {}, "control")
    client.finish(cell)
    other.until(lambda: beside.replies, "the other client's answer")
    # Those of another client are not in its way.
    assert beside.content["status"] == "ok"
    answers = [one.content for one in asked]
    assert {"ok"} <= {one["status"] for one in answers}
    refused = [one for one in answers if one["status"] == "error"]
    assert {one["ename"] for one in refused} == {"MonitorBusy"}
    assert all("not answered yet" in one["evalue"] for one in refused)
    assert [one.iopub for one in asked] == [[]] * 1000
    assert seen(client)["status"] == "ok"
    kernel.clients.remove(other)
    other.close()


def test_after_a_fork_it_answers_for_the_parent(client: Client, kernel):
    settled(client)
    client.run("import os\nchild = os.fork()\nif not child:\n    os._exit(0)\nos.waitpid(child, 0)")
    rows = seen(client)["threads"]
    assert {row[0] for row in rows} == set(kernel.threads)


def test_it_says_nothing_of_its_own_in_cells(client: Client):
    """What Python prints without a cell belongs to the latest request on control: not to a silent one."""
    told = client.request("usage_request", {}, "control")
    asked = client.send("monitor_request", {}, "control")
    client.until(lambda: asked.replies, "the answer")
    assert told.trace == ["busy", "idle"]
    assert asked.iopub == []


def test_the_stack_of_another_thread(client: Client, kernel):
    client.run(THREAD)
    tid = int(client.run("worker.native_id").one("execute_result")["data"]["text/plain"])
    told = seen(client, thread=tid, stack=True, why=True)
    assert told["thread"] == tid
    assert told["why"].startswith(f"Thread {tid} ")
    assert "Thread.run" in [call["function"] for call in told["stack"]]
    # Of the main thread it is not said whose the stack is.
    assert "thread" not in seen(client, stack=True)
    assert "stack" not in seen(client, thread=2**30, stack=True)
