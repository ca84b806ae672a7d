"""%process_tree against psutil: the same processes, and forks and programs called what they are."""

import os

import psutil
import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.process_tree+json"


def tree(client: Client) -> dict:
    return client.run("%process_tree").one("execute_result")["data"][MIME]


def test_one_process_is_one_process(client: Client):
    pid = int(client.value("__import__('os').getpid()"))
    first = tree(client)["rows"][0]
    assert (first["pid"], first["kind"]) == (pid, "own")
    assert first["threads"] == psutil.Process(pid).num_threads()
    assert first["private"] + first["shared"] == first["rss"]


def test_children_are_called_what_they_are(launch):
    client = launch().connect()
    assert len(tree(client)["rows"]) == 1
    client.run(
        "import os, signal, subprocess\n"
        "forked = os.fork()\n"
        "if forked == 0:\n    signal.pause()\n    os._exit(0)\n"
        "program = subprocess.Popen(['sleep', '1000'])\n"
        "ended = os.fork()\n"
        "if ended == 0:\n    os._exit(0)\n"
        "os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)"
    )
    forked, program, ended = (
        int(client.value(name)) for name in ("forked", "program.pid", "ended")
    )
    report = tree(client)
    rows = {row["pid"]: row for row in report["rows"]}
    kinds = {pid: rows[pid]["kind"] for pid in (forked, program, ended)}
    assert kinds == {forked: "fork", program: "program", ended: "zombie"}
    assert all(rows[pid]["change"] == "new" for pid in kinds)
    assert rows[program]["command"] == ["sleep", "1000"]
    assert rows[forked]["shared"] > rows[forked]["private"]
    own = report["rows"][0]["pid"]
    children = {child.pid for child in psutil.Process(own).children(recursive=True)}
    assert children == set(rows) - {own}
    assert os.getpgid(own)
    client.run("os.kill(forked, 9); program.kill(); program.wait(); os.wait(); os.wait()")
    report = tree(client)
    assert len(report["rows"]) == 1
    assert report["gone"] == 3


def test_it_answers_while_python_is_busy(launch):
    client = launch().connect()
    begun = client.start("import time\nprint('on', flush=True)\ntime.sleep(1000)")
    client.until(lambda: "on" in begun.text(), "the cell's output", begun)
    content = {"name": "process_tree", "line": ""}
    reply = client.request("magic_request", content, "control")
    assert reply.content["status"] == "ok"
    client.request("interrupt_request", {}, "control")
    client.finish(begun)


def test_what_was_started_here_and_lost_is_listed(launch):
    """Each way of getting lost: in the session, in a session of its own, and without the mark too."""
    client = launch().connect()
    client.run("%%bash\nnohup sleep 300 >/dev/null 2>&1 &")
    client.run("import subprocess; subprocess.Popen('sleep 301 & exit 0', shell=True).wait()")
    client.run("subprocess.Popen('setsid sleep 302 & exit 0', shell=True).wait()")
    client.run("subprocess.Popen(['env', '-i', 'sh', '-c', 'sleep 303 & exit 0']).wait()")
    client.run("child = subprocess.Popen(['sleep', '304'])")

    def sleepers() -> dict[str, dict]:
        rows = tree(client)["rows"]
        return {row["command"][1]: row for row in rows if row["command"][:1] == ["sleep"]}

    # Between fork and exec they have the command of their parents.
    client.until(lambda: len(sleepers()) == 5, "all of them")
    found = sleepers()
    try:
        assert {key: row["lost_by"] for key, row in found.items()} == {
            "300": "session",
            "301": "session",
            "302": "environment",
            "303": "session",
            "304": None,
        }
        assert found["301"]["end"] == f"!kill {found['301']['pid']}"
        assert found["304"]["end"] is None
        data = client.run("%process_tree").one("execute_result")["data"]
        assert data[MIME]["lost"] == 4
        assert "have lost their parents" in data["text/plain"]
        client.run(found["301"]["end"])
        client.until(lambda: "301" not in sleepers(), "its end")
    finally:
        for row in sleepers().values():
            os.kill(row["pid"], 9)


def test_a_fork_that_left_is_listed(launch):
    """The way of a daemon: a second fork in a session of its own; it has the kernel's first environment."""
    client = launch().connect()
    client.run(
        "import os, signal\nread, write = os.pipe()\n"
        "if not (child := os.fork()):\n"
        "    os.setsid()\n"
        "    if not os.fork():\n"
        "        os.write(write, str(os.getpid()).encode()); signal.pause()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0); daemon = int(os.read(read, 20))"
    )
    daemon = int(client.value("daemon"))
    try:
        rows = {row["pid"]: row for row in tree(client)["rows"]}
        assert (rows[daemon]["lost_by"], rows[daemon]["kind"]) == ("arguments", "fork")
    finally:
        os.kill(daemon, 9)


def test_another_kernels_children_are_not_ours(launch):
    """A kernel that a cell starts has children of its own."""
    first, second = launch().connect(), launch().connect()
    second.run(
        "import subprocess; subprocess.Popen('setsid sleep 305 & exit 0', shell=True).wait()"
    )
    rows = tree(first)["rows"]
    assert [row["pid"] for row in rows if row["lost_by"]] == []
    client_mark = first.value("__import__('os').environ['DIAPHANE_KERNEL']")
    assert client_mark != second.value("__import__('os').environ['DIAPHANE_KERNEL']")
    lost = [row["pid"] for row in tree(second)["rows"] if row["lost_by"]]
    assert len(lost) == 1
    os.kill(lost[0], 9)


def test_workers_of_joblib_are_called_so(launch):
    client = launch().connect()
    client.run(
        "from joblib import Parallel, delayed\nParallel(n_jobs=2)(delayed(abs)(i) for i in range(4))"
    )
    children = [row["what"] for row in tree(client)["rows"] if row["depth"] > 0]
    assert len([what for what in children if what.startswith("a worker of joblib")]) == 2
    assert "another program" not in children
