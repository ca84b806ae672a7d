"""Children that are forked while clients ask questions: none waits for a lock that a thread of its parent held."""

import threading

import pytest

from support.client import Client

pytestmark = [pytest.mark.diaphane, pytest.mark.slow, pytest.mark.timeout(600)]

QUESTIONS = [
    "threads",
    "loaded_libs",
    "addr_map",
    "native_delta",
    "stack",
    "process_tree",
    "native_doctor",
]
# Each child does something else at once. One that waits for ever is ended by its alarm, and its status says so.
MANY = """
import os, signal, subprocess, sys, threading
shell = get_ipython()
def quits(): pass
def prints(): print('child', end=' '); print('of', os.getppid(), flush=True)
def asks(): shell.run_line_magic('threads', '')
def lists(): shell.run_line_magic('loaded_libs', '--top 1')
def shows(): display('shown')
def questions():
    try:
        input('nobody answers a child')
    except Exception:
        pass
def differs(): shell.run_line_magic('native_delta', '')
def runs(): subprocess.run(['true'], check=True)
def starts():
    thread = threading.Thread(target=prints)
    thread.start()
    thread.join()
cheap = [quits, prints, shows, questions]
large = [asks, lists, differs, runs, starts]
def fork(deed):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    try:
        signal.alarm(60)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        deed()
        sys.stdout.flush()
        os._exit(0)
    finally:
        os._exit(1)
failed = {}
for n in range(1000):
    deed = cheap[n % 4] if n % 5 else large[n // 5 % 5]
    status = fork(deed)
    if status:
        failed.setdefault((deed.__name__, status), []).append(n)
failed
"""
FALL_OUT = """
import os, signal
pid = os.fork()
if pid:
    status = os.waitpid(pid, 0)[1]
else:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)
"""

# The number that Python gives to a new thread: one more than that of the newest state.
NEWEST = """
import ctypes, threading
def newest():
    api, found = ctypes.PyDLL(None), []
    api.PyThreadState_Get.restype = ctypes.c_void_p
    api.PyThreadState_GetID.argtypes, api.PyThreadState_GetID.restype = [ctypes.c_void_p], ctypes.c_uint64
    thread = threading.Thread(target=lambda: found.append(api.PyThreadState_GetID(api.PyThreadState_Get())))
    thread.start()
    thread.join()
    return found[0]
"""


@pytest.fixture
def asked(kernel):
    """Another front end, which asks and asks while the test runs. How often it got an answer."""
    asking, over, answers = kernel.connect(channel="control"), threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            sent = [asking.send("magic_request", {"name": n}, "control") for n in QUESTIONS]
            for one in sent:
                answers.append(asking.finish(one).content["status"])
            asking.exchanges.clear()
            asking.record.clear()
            asking.strays.clear()

    thread = threading.Thread(target=ask)
    thread.start()
    yield answers
    over.set()
    thread.join()


def test_a_thousand_forks(client: Client, asked: list[str]):
    client.run("pass")
    cell = client.start(MANY)
    client.until(lambda: cell.answered, "a thousand children", cell, patience=500)
    assert cell.content["status"] == "ok", cell.content
    assert cell.result == "{}"
    assert asked.count("ok") > 100


def test_children_that_fall_out_of_their_cells(client: Client, asked: list[str]):
    for _ in range(100):
        assert client.run(FALL_OUT).content["status"] == "ok"
        assert client.value("status") == "0"
    assert asked.count("ok") > 10


def test_questions_make_no_thread_states(client: Client):
    # A state that is in the making while a cell forks is what a child of CPython 3.11 waits for.
    question = {"name": "threads", "line": ""}
    client.run(NEWEST)
    client.request("magic_request", question, "control")
    before = int(client.value("newest()"))
    for _ in range(20):
        client.request("magic_request", question, "control")
    assert int(client.value("newest()")) == before + 1
