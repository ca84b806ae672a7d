"""Magics asked by message: on the control channel they are answered while a cell runs, whoever holds the GIL."""

import subprocess
from pathlib import Path

import pytest

from support import door
from support.client import Client

pytestmark = pytest.mark.diaphane
HOLD_GIL = "import ctypes\nprint('ready')\nctypes.PyDLL(None).sleep(600)"
LOOP = "print('ready')\nwhile True: pass"


def ask(client: Client, name: str, line: str = "", channel: str = "control") -> dict:
    return client.request("magic_request", {"name": name, "line": line}, channel).content


def rows(content: dict, name: str) -> list[dict]:
    assert content["status"] == "ok", content
    return content["data"][f"application/vnd.diaphane.{name}+json"]["rows"]


@pytest.fixture(
    params=[HOLD_GIL, LOOP, None], ids=["native code holds the GIL", "Python loops", "idle"]
)
def busy(request, launch):
    """A kernel in which a cell runs, or none."""
    kernel = launch()
    client = kernel.connect()
    client.run("import numpy; a = numpy.zeros(1000)")
    if request.param:
        cell = client.start(request.param)
        client.until(lambda: "ready" in cell.text(), "ready", cell)
    return kernel, client, request.param


def test_libraries_and_threads(busy):
    kernel, client, _ = busy
    libs = rows(ask(client, "loaded_libs"), "loaded_libs")
    mapped = Path(f"/proc/{kernel.pid}/maps").read_text()
    assert {row["path"] for row in libs if row["kind"] != "vdso"} <= {
        line.split(maxsplit=5)[-1] for line in mapped.splitlines()
    }
    threads = rows(ask(client, "threads"), "threads")
    assert kernel.pid in {row["tid"] for row in threads}
    main = next(row for row in threads if row["tid"] == kernel.pid)
    assert main["kind"] == "main"


def test_buffers_need_python(busy):
    _, client, code = busy
    # A loop gives the GIL away every 5 ms, and a busy machine may need more of them.
    answers = (ask(client, "buffer_addr", "a") for _ in range(100))
    answer = next((one for one in answers if code == HOLD_GIL or one["status"] == "ok"), None)
    if code == HOLD_GIL:
        assert (answer["status"], answer["ename"]) == ("error", "GilHeld")
        assert "Python" in answer["evalue"]
    else:
        assert [row["nbytes"] for row in rows(answer, "buffer_addr")] == [8000]


def test_the_report_comes_in_every_form(client: Client):
    data = ask(client, "loaded_libs", "libc --top 1")["data"]
    assert set(data) == {"text/plain", "text/html", "application/vnd.diaphane.loaded_libs+json"}
    assert "1 more" not in data["text/plain"]
    assert max(map(len, data["text/plain"].splitlines())) <= 80


def test_a_bad_question_is_answered(client: Client):
    answer = ask(client, "loaded_lib")
    assert answer["ename"] == "UsageError"
    assert "did you mean loaded_libs?" in answer["evalue"]
    assert "--bogus" in ask(client, "threads", "--bogus")["evalue"]
    assert "only a cell" in ask(client, "threads", "--as x")["evalue"]
    assert client.request("magic_request", {}, "control").content["status"] == "error"


def test_on_the_shell_it_waits_for_its_turn(client: Client):
    cell = client.start("import time; time.sleep(0.05); mine = bytearray(7)")
    answer = ask(client, "buffer_addr", "mine", "shell")
    assert client.finish(cell).content["status"] == "ok"
    assert [row["nbytes"] for row in rows(answer, "buffer_addr")] == [7]


def test_busy_reply_idle(client: Client):
    assert client.request("magic_request", {"name": "threads"}, "control").trace == ["busy", "idle"]


def command_line(kernel, *words: str) -> subprocess.CompletedProcess:
    """`diaphane ask`, run by the program of the kernel."""
    command = [*door.command(), "ask", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("encryption", ["disabled", "required"])
def test_the_command_line_asks_a_kernel_that_hangs(launch, encryption: str):
    kernel = launch(encryption=encryption)
    client = kernel.connect()
    cell = client.start(HOLD_GIL)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    file = str(kernel.directory / "connection.json")
    done = command_line(kernel, "-f", file, "threads", "--sort", "tid")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(kernel.pid) in done.stdout
    wrong = command_line(kernel, "-f", file, "threads", "--bogus")
    assert wrong.returncode == 1
    assert "unknown argument" in wrong.stderr
    missing = command_line(kernel, "-f", "/nowhere.json", "threads")
    assert "/nowhere.json" in missing.stderr
