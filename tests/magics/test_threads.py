"""%threads against /proc/PID/task, read from outside of the process."""

import json

import pytest

from support.client import Client
from support.patience import wait_until

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.threads+json"


def rows(client: Client) -> dict[int, dict]:
    done = client.run("r = %threads\nimport json\nprint(json.dumps(r.rows))")
    return {row["tid"]: row for row in json.loads(done.text())}


def test_every_thread_and_no_other(client: Client, kernel):
    found = rows(client)
    assert set(found) == set(kernel.threads)
    for tid, name in kernel.threads.items():
        assert found[tid]["comm"] == name


def test_the_main_thread(client: Client, kernel):
    row = rows(client)[kernel.pid]
    assert row["kind"] == "main"
    assert row["name"] == "MainThread"
    assert row["cpu_ns"] > 0


def test_python_threads_have_their_names(client: Client):
    client.run(
        "import threading\ngate = threading.Event()\n"
        "t = threading.Thread(target=gate.wait, name='my worker'); t.start()"
    )
    native = int(client.value("t.native_id"))
    row = rows(client)[native]
    client.run("gate.set(); t.join()")
    assert row["name"] == "my worker"
    assert row["kind"] == "python"
    assert row["state"] == "S"
    assert native not in rows(client)


def test_our_own_threads_are_called_so(client: Client, kernel):
    found = rows(client)
    ours = [tid for tid, name in kernel.threads.items() if name.startswith("diaphane-")]
    assert ours
    assert {found[tid]["kind"] for tid in ours} == {"kernel"}


def test_pool_threads_belong_to_their_library(launch):
    kernel = launch(env={"OPENBLAS_NUM_THREADS": "2"})
    client = kernel.connect()
    client.run("pass")
    before = set(kernel.threads)
    client.run("import numpy")
    made = set(kernel.threads) - before
    assert made
    # Where a thread waits is known once it does; a new one of the pool spins for a moment.
    wait_until(lambda: {rows(client)[tid]["state"] for tid in made} == {"S"}, "the pool sleeps")
    for row in (rows(client)[tid] for tid in made):
        assert row["kind"] == "blas"
        assert "openblas" in row["owner"]
        assert row["owner_package"] == "numpy"


def test_all_views(client: Client):
    data = client.run("%threads").one("execute_result")["data"]
    assert set(data) == {"text/plain", "text/html", MIME}
    assert all(len(line) <= 80 for line in data["text/plain"].splitlines())
    assert data[MIME]["name"] == "threads"
    assert data[MIME]["cpus"]["online"] > 0


def test_names_of_threads_are_escaped(client: Client):
    client.run(
        "import threading\ngate = threading.Event()\n"
        "t = threading.Thread(target=gate.wait, name='<i>&x'); t.start()"
    )
    data = client.run("%threads").one("execute_result")["data"]
    client.run("gate.set(); t.join()")
    assert "<i>&x" in data["text/plain"]
    assert "<i>" not in data["text/html"]
    assert "&lt;i&gt;&amp;x" in data["text/html"]


@pytest.mark.parametrize("line", ["--no-such-flag", "extra"])
def test_a_mistake_is_one_line(client: Client, line: str):
    said = client.execute(f"%threads {line}").text("stderr").strip()
    assert "\n" not in said
    assert said.startswith("UsageError: %threads")
    assert line in said
