"""%native_doctor: all diagnoses of the other magics, and no others, the worst first."""

import re
import subprocess

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_doctor+json"
RANK = {"error": 0, "warn": 1, "info": 2}


def report(client: Client) -> dict:
    return client.run("%native_doctor").one("execute_result")["data"]


def test_a_healthy_process(launch):
    data = report(launch().connect())
    assert data[MIME]["rows"] == []
    assert "nothing remarkable" in data["text/plain"]


def test_it_finds_what_the_others_find(client: Client):
    client.run(
        "import numpy as np, scipy.linalg\n"
        "small = np.zeros(10_000_000)[:3]\n"
        "frozen = np.zeros(3); frozen.flags.writeable = False"
    )
    data = report(client)
    rows = data[MIME]["rows"]
    ranks = [RANK[row["severity"]] for row in rows]
    assert ranks == sorted(ranks)
    assert {"L002", "B003", "B006"} <= {row["code"] for row in rows}
    for name in {row["found_by"] for row in rows}:
        mime = f"application/vnd.diaphane.{name[1:]}+json"
        line = f"{name} --all --pages" if name == "%buffer_addr" else name
        own = client.run(line).one("execute_result")["data"][mime]["diagnoses"]
        theirs = {(one["code"], one["title"]) for one in own}
        assert theirs == {(row["code"], row["title"]) for row in rows if row["found_by"] == name}


def test_the_text_says_everything_in_80_columns(client: Client):
    client.run("import numpy as np, scipy.linalg")
    lines = (
        client.run("%native_doctor --all").one("execute_result")["data"]["text/plain"].splitlines()
    )
    # A path is not torn.
    assert max(len(line) for line in lines if len(line.split()) > 2) <= 80
    assert any(line.startswith("info L002: ") for line in lines)
    assert any(line.startswith("  - OpenBLAS 0.") for line in lines)


def test_what_calls_for_nothing_is_one_line(launch):
    """What calls for action comes first and in full."""
    client = launch().connect()
    client.run(
        "import numpy as np, scipy.linalg\nfrozen = np.zeros(3); frozen.flags.writeable = False"
    )
    data = report(client)
    text = " ".join(data["text/plain"].split())
    assert re.search(
        r"\d findings are good to know and call for nothing: B006, L002(, \w+)*; --all shows them",
        text,
    )
    assert "info L002" not in text
    assert "nothing was found that calls for action" in text
    assert data["text/html"].count("<details") > 2
    assert {row["code"] for row in data[MIME]["rows"]} >= {"B006", "L002"}
    client.run("small = np.zeros(10_000_000)[:3]")
    text = report(client)["text/plain"]
    assert text.index("warn B003") < text.index("good to know")
    assert "found: 1 warn; %diaphane CODE shows" in text


def test_without_python_it_does_what_it_can(launch):
    client = launch().connect()
    client.run("import scipy.linalg")
    cell = client.start("import ctypes; print('ready'); ctypes.PyDLL(None).sleep(600)")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    data = client.request("magic_request", {"name": "native_doctor"}, "control").content["data"]
    assert "L002" in {row["code"] for row in data[MIME]["rows"]}
    assert any("%buffer_addr" in limit for limit in data[MIME]["limits"])


THREADS = """
import ctypes, threading
loaded, look, done = threading.Event(), threading.Event(), threading.Event()
def load():
    global child
    fast = ctypes.CDLL({path!r})
    child = threading.Thread(target=done.wait, name='heir'); child.start()
    loaded.set(); look.wait()
    fast.twice; looked.set(); done.wait()
looked = threading.Event()
worker = threading.Thread(target=load, name='loader'); worker.start(); loaded.wait()
"""


def test_a_thread_that_a_library_changed_is_named(launch, tmp_path):
    """The bits are those of one thread and its heirs; this one computes as ever."""
    crt = subprocess.run(
        ["gcc", "-print-file-name=crtfastmath.o"], check=True, capture_output=True, text=True
    )
    source = "double twice(double x) { return 2 * x; }\n"
    path = shared_library(tmp_path / "libfast.so", source, "-ffast-math", crt.stdout.strip())
    client = launch().connect()
    cell = client.run(THREADS.format(path=str(path))).content["execution_count"]
    worker, child = (client.value(f"{name}.native_id") for name in ("worker", "child"))

    def found() -> list[dict]:
        return [row for row in report(client)[MIME]["rows"] if row["code"] == "L008"]

    # Before the thread was asked, by what it loaded; after, by its register.
    for ask in ("", "look.set(); looked.wait()"):
        client.run(ask)
        (one,) = found()
        assert one["title"].startswith("The arithmetic of thread ")
        assert "since libfast.so was loaded, which was linked with -ffast-math" in one["title"]
        assert sorted(one["evidence"]) == sorted(
            f"thread {tid} ({name}): {path}, loaded in In[{cell}], was linked with -ffast-math"
            for tid, name in ((worker, "loader"), (child, "heir"))
        )
        assert client.value("5e-324 + 0.0 > 0") == "True"
    client.run("done.set(); worker.join(); child.join()")
    assert found() == []
