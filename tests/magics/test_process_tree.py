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
