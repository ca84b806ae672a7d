"""`diaphane ask stack`: what a hanging cell waits for, in a sentence with the user's own line, and deadlocks by name."""

from __future__ import annotations

import subprocess

import pytest

from support import door
from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.stack+json"

DEADLOCK = """
import threading
first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(2)
def other():
    with second:
        both.wait()
        with first:
            pass
worker = threading.Thread(target=other, name="other side", daemon=True)
worker.start()
with first:
    both.wait()
    with second:
        pass
""".strip()

HANGS = [
    ("import time\ntime.sleep(600)", "sleeps in time.sleep at In[{n}]:2"),
    ("import queue\nqueue.Queue().get()", "waits in Queue.get (lock.acquire) at In[{n}]:2"),
    (
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        "waits in lock.acquire at In[{n}]:4",
    ),
    (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\nserver.accept()",
        "for the other end of a connection",
    ),
    (
        "import os\nreading, writing = os.pipe()\nos.read(reading, 1)",
        "read at In[{n}]:3 for a file or a pipe",
    ),
    ("import subprocess\nsubprocess.run(['sleep', '600'])", "for a child process"),
]


def asked(client: Client, name: str = "stack", line: str = "") -> dict:
    answer = client.request("magic_request", {"name": name, "line": line}, "control").content
    assert answer["status"] == "ok", answer
    return answer["data"]


def text(client: Client) -> str:
    return " ".join(asked(client)["text/plain"].split())


@pytest.mark.parametrize(("cell", "says"), HANGS)
def test_a_sentence_says_what_is_waited_for(client: Client, cell: str, says: str):
    number = int(client.value("len(In)"))
    begun = client.start(cell)
    says = says.format(n=number)
    client.until(lambda: says in text(client), says, begun)
    whole = asked(client)["text/plain"]
    assert f"In[{number}]:" in whole
    assert "which run the cell (--native shows them)" in " ".join(whole.split())
    assert "run_ast_nodes" not in whole
    client.request("interrupt_request", {}, "control")
    client.finish(begun)


def test_two_threads_that_wait_for_each_other_are_named(client: Client):
    number = int(client.value("len(In)"))
    begun = client.start(DEADLOCK)
    client.until(lambda: "T007" in text(client), "the deadlock", begun)
    found = next(one for one in asked(client)[MIME]["diagnoses"] if one["code"] == "T007")
    lines = DEADLOCK.splitlines()
    main, worker = lines.index("    with second:", 11) + 1, lines.index("        with first:") + 1
    title = found["title"]
    assert (
        f"the main thread waits at In[{number}]:{main} for second, which thread other side has taken"
        in title
    )
    assert (
        f"thread other side waits at In[{number}]:{worker} for first, which the main thread has taken"
        in title
    )
    client.request("interrupt_request", {}, "control")
    client.finish(begun)


def test_an_idle_kernel_says_so(client: Client):
    client.run("pass")
    client.until(lambda: text(client).startswith("No cell runs"), "it is idle")


def test_the_list_names_notebooks_and_a_question_can_name_one(launch, tmp_path):
    kernel = launch(env={"JPY_SESSION_NAME": str(tmp_path / "sales report.ipynb")})
    other = launch(env={"JPY_SESSION_NAME": str(tmp_path / "weather.ipynb")})
    client = kernel.connect()
    client.run("import time")
    other.connect().run("pass")
    begun = client.start("time.sleep(600)")
    client.until(lambda: "sleeps in" in text(client), "it sleeps", begun)

    def run(*words: str) -> str:
        done = subprocess.run(
            [*door.command(), *words], check=False, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    listed = run("list")
    assert "sales report.ipynb" in listed
    assert "weather.ipynb" in listed
    assert f"process {kernel.pid}" in listed
    assert "sleeps in time.sleep at In[" in listed
    for name in ("sales report.ipynb", "sales report", str(kernel.pid)):
        assert "sleeps in time.sleep" in run("ask", "-k", name, "stack"), name
    assert "No cell runs" in run("ask", "-k", "weather", "stack")
    assert "diaphane list" in run("ask", "-k", "nothing of this name", "stack")
    # Without a name the last one of this user is asked, wherever its connection file lies.
    assert "no kernel runs" not in run("ask", "process_tree")
    client.request("interrupt_request", {}, "control")
    client.finish(begun)


def test_the_command_is_found_from_a_cell(client: Client):
    assert "diaphane" in client.run("!diaphane --version").text()
