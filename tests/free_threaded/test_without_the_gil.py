"""The kernel in a free-threaded Python: what works, and what is said where something does not."""

import subprocess

import pytest

from support.free_threaded import debian_root
from support.report_cells import CELLS, PREPARE, RUST

SPAM = """
#include <Python.h>
static struct PyModuleDef spam = {PyModuleDef_HEAD_INIT, "spam", NULL, 0, NULL};
PyMODINIT_FUNC PyInit_spam(void) { return PyModule_Create(&spam); }
"""


def test_the_gil_stays_off(client, gil):
    assert not gil()
    client.run("%threads")
    client.run("%%native_prof\nsum(range(1_000_000))")
    client.run("import numpy as np")
    client.run("%%native_calls --deep\nnp.ones(9).sum()")
    assert not gil()


def test_threads_run_at_once_and_nobody_holds_the_gil(client):
    client.run(
        "import threading, time\n"
        "stop = threading.Event()\n"
        "def spin():\n"
        "    while not stop.is_set(): pass\n"
        "spinning = [threading.Thread(target=spin) for _ in range(2)]\n"
        "for thread in spinning: thread.start()"
    )
    done = client.run("%threads")
    client.run("stop.set()")
    rows = done.report("threads")["rows"]
    assert {row["gil"] for row in rows} == {"none"}


@pytest.mark.parametrize("name", [name for name in CELLS if name not in RUST])
def test_every_magic_answers(client, name):
    client.run(PREPARE)
    done = client.run(CELLS[name])
    shown = done.all("execute_result") + done.all("display_data")
    assert any("text/html" in one["data"] for one in shown)


def test_questions_beside_busy_threads(client, kernel):
    """Questions by message while several threads run Python at once."""
    client.run(
        "import threading\n"
        "stop = threading.Event()\n"
        "def churn():\n"
        "    while not stop.is_set(): {n: [n] for n in range(1000)}\n"
        "churning = [threading.Thread(target=churn) for _ in range(3)]\n"
        "for thread in churning: thread.start()"
    )
    for magic in ("threads", "stack", "memory", "buffer_addr", "loaded_libs") * 4:
        content = client.request("magic_request", {"name": magic, "line": ""}, "control").content
        assert content["status"] == "ok", content
    client.run("stop.set()")


def test_the_module_that_switches_the_gil_on_is_named(launch, tmp_path):
    source = tmp_path / "spam.c"
    source.write_text(SPAM)
    headers = debian_root() / "usr/include"
    client = launch().connect()
    version = client.run(
        "import sys; f'python{sys.version_info[0]}.{sys.version_info[1]}'"
    ).result.strip("'")
    folders = [f"-I{headers / version}", f"-I{headers}", f"-I{headers / 'x86_64-linux-gnu'}"]
    built = ["gcc", "-shared", "-fPIC", "-DPy_GIL_DISABLED=1", *folders]
    subprocess.run([*built, "-o", tmp_path / "spam.so", source], check=True)
    client.run(f"sys.path.insert(0, {str(tmp_path)!r})")
    assert "L007" not in client.run("%native_doctor").result
    client.execute("import spam")
    assert client.value("sys._is_gil_enabled()") == "True"
    shown = client.run("%loaded_libs spam").result
    assert "L007" in shown
    assert "spam" in shown
    assert "L007" in client.run("%native_doctor").result
