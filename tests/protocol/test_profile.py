"""profile_request: the rest of a cell that runs is sampled, whoever holds the GIL, and nothing of that is left behind it."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library
from support.patience import wait_until

pytestmark = pytest.mark.feature("diaphane profile")

# It spins until the first byte of a file is another one.
NATIVE = r"""
#include <fcntl.h>
#include <sys/mman.h>
int spins(const char *path) {
    volatile char *flag = mmap(0, 1, PROT_READ, MAP_SHARED, open(path, O_RDONLY), 0);
    while (!*flag);
    return 7;
}
"""
HELPERS = {"diaphane-sampl", "diaphane-child"}
PYTHON = "def work():\n    while not flag():\n        sum(range(1000))\nwork()"


class Flag:
    """A byte that the test sets and the cell sees, without a message."""

    def __init__(self, path: Path):
        self.path = path
        path.write_bytes(b"\0")

    def set(self) -> None:
        with open(self.path, "r+b") as file, mmap.mmap(file.fileno(), 1) as seen:
            seen[0] = 1


@pytest.fixture
def flag(client: Client, tmp_path: Path):
    """The byte, and in the kernel `spins` without the GIL, `holds` with it, and `flag()`."""
    flag = Flag(tmp_path / "flag")
    library = shared_library(tmp_path / "libspins.so", NATIVE)
    client.run(f"""
import ctypes
path = {str(flag.path)!r}
spins, holds = [kind({str(library)!r}).spins for kind in (ctypes.CDLL, ctypes.PyDLL)]
flag = lambda: open(path, "rb").read() != b"\\0"
""")
    yield flag
    flag.set()


def ask(client: Client, action: str) -> dict:
    """One question, of which nobody else hears."""
    asked = client.send("profile_request", {"action": action}, "control")
    client.until(lambda: asked.replies, "the answer")
    client.request("kernel_info_request", {}, "control")
    assert asked.iopub == []
    return asked.content


def state(client: Client) -> dict | None:
    asked = client.send("monitor_request", {}, "control")
    client.until(lambda: asked.replies, "the answer")
    return asked.content["profile"]


def begun(client: Client) -> dict:
    answer = ask(client, "begin")
    assert answer["status"] == "ok", answer
    return answer["profile"]


def report(client: Client) -> dict:
    answer = ask(client, "read")
    assert answer["status"] == "ok", answer
    assert len(json.dumps(answer)) < 256_000
    assert "<svg" in answer["data"]["text/html"]
    return answer["data"]["application/vnd.diaphane.native_prof+json"]


def running(client: Client, kernel, code: str, **options):
    """A cell that is in its midst: it uses a CPU, or waits."""
    cell = client.start(f"print('begun', flush=True)\n{code}", **options)
    client.until(lambda: "begun" in cell.text(), "the cell", cell)
    return cell


def works(kernel, seconds: float = 0.5) -> None:
    """Wait until the kernel has used so much CPU time more."""

    def used() -> int:
        return sum(map(int, kernel.proc("stat").rsplit(")", 1)[1].split()[11:13]))

    enough = used() + 100 * seconds
    wait_until(lambda: used() >= enough, "it works")


def helpers(kernel) -> set[str]:
    return HELPERS & set(kernel.threads.values())


def test_native_code_that_holds_the_gil(client: Client, kernel, flag: Flag):
    cell = running(client, kernel, "holds(path.encode())")
    number = cell.one("execute_input")["execution_count"]
    first = begun(client)
    assert (first["cell"], first["until_ns"]) == (number, None)
    wait_until(lambda: helpers(kernel) == HELPERS, "the threads that sample are there")
    assert state(client) == first
    works(kernel)
    ended = ask(client, "end")["profile"]
    assert first["since_ns"] < ended["until_ns"]
    assert helpers(kernel) == set()

    # Without Python everything is known but the text of the line.
    said = report(client)
    top = said["rows"][0]
    assert (top["function"], top["library"]) == ("spins", "libspins.so")
    assert top["self_pct"] > 90
    assert said["cell_lines"][0]["place"] == "line 2"
    assert any("text of the lines is missing" in limit for limit in said["limits"])
    assert not cell.answered
    flag.set()
    client.finish(cell)
    assert cell.content["status"] == "ok"
    assert report(client)["cell_lines"][0]["source"] == "holds(path.encode())"


def test_it_ends_with_its_cell(client: Client, kernel, flag: Flag):
    cell = running(client, kernel, PYTHON)
    begun(client)
    works(kernel)
    flag.set()
    client.finish(cell)
    assert helpers(kernel) == set()
    assert state(client)["until_ns"]
    said = report(client)
    shares = {line["source"]: line["total_pct"] for line in said["cell_lines"]}
    assert shares["sum(range(1000))"] > 5
    # The same as a value, and as a question.
    client.run("last = %native_prof --last")
    assert client.value("last.facts['samples']") == str(said["samples"])
    shown = client.run("%native_prof --last").one("execute_result")["data"]
    number = cell.one("execute_input")["execution_count"]
    assert f"This is In[{number}] from" in shown["text/plain"]
    assert "to its end" in shown["text/plain"]
    asked = client.request("magic_request", {"name": "native_prof", "line": "--last"}, "control")
    assert asked.content["status"] == "ok"
    # The next recording finds nothing of it.
    done = client.run("%%native_prof\nsum(range(10))")
    assert done.all("execute_result") or done.all("display_data")


def test_an_interrupt_ends_it(client: Client, kernel, flag: Flag):
    cell = running(client, kernel, "while True:\n    pass")
    begun(client)
    works(kernel, 0.2)
    client.request("interrupt_request", {}, "control")
    client.finish(cell)
    assert cell.content["ename"] == "KeyboardInterrupt"
    assert helpers(kernel) == set()
    assert report(client)["samples"] > 0


def test_the_second_one_is_told(client: Client, kernel, flag: Flag):
    cell = running(client, kernel, "spins(path.encode())")
    number = cell.one("execute_input")["execution_count"]
    first = begun(client)
    other = kernel.connect(channel="control")
    refused = ask(other, "begin")
    assert refused["ename"] == "ProfileBusy"
    assert refused["evalue"].startswith(f"In[{number}] is being profiled already")
    assert state(other) == first
    assert "not done yet" in ask(other, "read")["evalue"]
    # Who has not begun it may end it.
    assert ask(other, "end")["profile"]["until_ns"]
    assert begun(client)["number"] == first["number"] + 1
    flag.set()
    client.finish(cell)
    kernel.clients.remove(other)
    other.close()


def test_without_a_cell_there_is_nothing_to_profile(client: Client):
    client.run("pass")
    refused = ask(client, "begin")
    assert refused["ename"] == "NoCell"
    assert "%%native_prof" in refused["evalue"]


def test_beside_another_recording(client: Client, kernel, flag: Flag):
    cell = client.start("%%native_prof\nprint('begun', flush=True)\nspins(path.encode())")
    client.until(lambda: "begun" in cell.text(), "the cell", cell)
    refused = ask(client, "begin")
    assert "samples are being taken already" in refused["evalue"]
    works(kernel)
    flag.set()
    client.finish(cell)
    assert client.whole()["rows"][0]["function"] == "spins"


def test_the_cell_of_a_subshell(client: Client, kernel, flag: Flag):
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    header = {"subshell_id": name}
    cell = running(client, kernel, "spins(path.encode())", header=header)
    begun(client)
    works(kernel)
    flag.set()
    client.finish(cell)
    said = report(client)
    assert said["rows"][0]["function"] == "spins"
    assert said["cell_lines"][0]["source"] == "spins(path.encode())"
    client.request("delete_subshell_request", {"subshell_id": name}, "control")


def test_a_fork_in_the_midst(client: Client, kernel, flag: Flag):
    code = """
import os, time
while not flag():
    pass
child = os.fork()
if not child:
    os._exit(len(os.listdir("/proc/self/task")))
print("threads of the child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    cell = running(client, kernel, code)
    begun(client)
    works(kernel)
    flag.set()
    client.finish(cell)
    assert "threads of the child: 1\n" in cell.text()
    assert helpers(kernel) == set()
    assert report(client)["samples"] > 50


def test_a_restart_leaves_nothing(client: Client, kernel, flag: Flag):
    running(client, kernel, "spins(path.encode())")
    begun(client)
    kernel.restart()
    fresh = kernel.connect(channel="control")
    fresh.run("pass")
    assert state(fresh) is None
    assert "the rest of no cell" in ask(fresh, "read")["evalue"]
    assert ask(fresh, "end")["profile"] is None


@pytest.mark.parametrize("content", [{}, {"action": "burn"}, {"action": 1}])
def test_a_malformed_question_is_refused_in_silence(client: Client, content: dict):
    asked = client.send("profile_request", content, "control")
    client.until(lambda: asked.replies, "the answer")
    assert asked.content["ename"] == "InvalidMessage"
    assert asked.iopub == []


def test_on_the_shell_it_is_refused(client: Client):
    refused = client.request("profile_request", {"action": "begin"}, "shell")
    assert refused.content["ename"] == "WrongChannel"


def test_the_line_says_what_it_needs(client: Client):
    wrong = client.execute("%native_prof")
    assert "needs a statement behind it" in wrong.content["evalue"]
    wrong = client.execute("%%native_prof --last\npass")
    assert "--last shows what was profiled already" in wrong.content["evalue"]
    wrong = client.execute("%native_prof --last --hz 10")
    assert "--last cannot stand beside --hz" in wrong.content["evalue"]
