"""The magics in ipykernel, whose threads, channels and signals are not ours."""

import ast
import os
import stat
import subprocess
from pathlib import Path

import pytest

from support import door
from support.compiler import shared_library
from support.report_cells import CELLS, PREPARE, RUST
from support.text import plain

FACTS = """
import ctypes, json
libc = ctypes.CDLL(None)
libc.dlsym.restype, libc.dlsym.argtypes = ctypes.c_size_t, [ctypes.c_size_t, ctypes.c_char_p]
shell = get_ipython()
facts = lambda: json.dumps([
    [libc.dlsym(0, name) for name in (b"pthread_create", b"sigaction")],
    [sorted(kind) for kind in shell.magics_manager.magics.values()],
    [len(functions) for functions in shell.events.callbacks.values()],
    [len(shell.ast_transformers), len(shell.Completer.custom_matchers)],
    sorted(shell.__dict__.keys() - {"_last_traceback"}), sorted(shell.compile.__dict__),
])
"""


@pytest.fixture(scope="module")
def prepared(ipykernel):
    client = ipykernel.connect()
    client.run(PREPARE)
    ipykernel.clients.remove(client)
    client.close()


@pytest.mark.parametrize("name", [name for name in CELLS if name not in RUST])
def test_every_magic_answers(host, prepared, name):
    done = host.run(CELLS[name])
    shown = done.all("execute_result") + done.all("display_data")
    assert any("text/html" in one["data"] for one in shown)


def test_all_is_put_back(host):
    host.run("%unload_ext diaphane")
    host.run(FACTS)
    before = host.value("facts()")
    host.run("%load_ext diaphane")
    host.run("%load_ext diaphane")
    inside = host.value("facts()")
    host.run("%unload_ext diaphane")
    assert host.value("facts()") == before
    assert inside != before
    host.run("%reload_ext diaphane")
    assert host.value("facts()") == inside


def test_a_cell_has_its_number(host):
    started = host.run(
        "import threading; go = threading.Event()\nt = threading.Thread(target=go.wait); t.start()"
    )
    created = host.run(
        "{row['tid']: row['created_in'] for row in get_ipython().run_line_magic('threads', '')}[t.native_id]"
    )
    host.run("go.set()")
    assert created.result == str(started.content["execution_count"])


def test_a_report_is_shown_wherever_it_stands(host):
    done = host.run("for _ in range(2):\n    %threads\nprint('behind')\nkept = %threads\n%threads;")
    assert len(done.all("display_data")) == 2
    assert not done.all("execute_result")


def test_names_are_filled_in(host):
    host.run("import numpy as np\narray, name = np.ones(10), 'array'")
    assert "(10,)" in host.run("%buffer_addr {name}").result


def test_options_are_completed(host):
    found = host.request("complete_request", {"code": "%loaded_libs --n", "cursor_pos": 16}).content
    assert "--new" in found["matches"]
    assert (found["cursor_start"], found["cursor_end"]) == (13, 16)
    found = host.request("complete_request", {"code": "import js", "cursor_pos": 9}).content
    assert "json" in found["matches"]


def test_a_library_that_cannot_be_loaded_is_explained(host, tmp_path):
    inner = shared_library(tmp_path / "libinner.so", "int inner(void) { return 1; }")
    outer = shared_library(
        tmp_path / "libouter.so", "int inner(void); int outer(void) { return inner(); }", str(inner)
    )
    inner.unlink()
    done = host.execute(f"import ctypes; ctypes.CDLL({str(outer)!r})")
    assert "Why:" in plain("\n".join(done.one("error")["traceback"]))


def test_a_cell_magic_in_the_middle_says_where_it_belongs(host):
    shown = host.execute("1\n%%native_calls\n2")
    assert "must stand on the first line" in shown.text("stderr") + shown.text()


@pytest.mark.slow
def test_recordings_beside_a_busy_host(ipykernel, host):
    """A thread of pyzmq's sends and prints, a client asks on control, and recordings of all kinds come and go."""
    host.run(
        "import threading, time, zmq, numpy as np\n"
        "context, stop = zmq.Context(), threading.Event()\n"
        "left, right = context.socket(zmq.PAIR), context.socket(zmq.PAIR)\n"
        "left.bind('inproc://a'); right.connect('inproc://a')\n"
        "def talk():\n"
        "    while not stop.is_set():\n"
        "        left.send(b'x' * 1000); right.recv(); time.sleep(0.001)\n"
        "talker = threading.Thread(target=talk); talker.start()"
    )
    kinds = ["native_calls --deep", "native_prof", "native_calls", "syscalls", "trace_loads"]
    for _ in range(5):
        for kind in kinds:
            cell = host.start(f"%%{kind}\nnp.sort(np.random.rand(200_000)).sum()")
            while not cell.answered:
                host.request("kernel_info_request", {}, "control")
            assert host.finish(cell).content["status"] == "ok"
    host.run("stop.set(); talker.join(); left.close(); right.close(); context.term()")
    assert ipykernel.alive


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    command = [*door.command(), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_answers_from_outside_when_it_is_told_to(ipykernel, host):
    pid = str(ipykernel.pid)
    assert "no guest listens there" in ask("ask", "-k", pid, "threads").stderr
    assert pid in host.run("%diaphane listen").text()
    assert f"guest  process {pid}" in ask("list").stdout
    host.run("import numpy as np; array_of_mine = np.ones(9)")
    assert "array_of_mine" in ask("ask", "-k", pid, "buffer_addr").stdout
    # Also while a cell holds the GIL, of which its host can tell nobody meanwhile.
    cell = host.start("import ctypes; ctypes.PyDLL(None).sleep(6)")
    while "Python runs something else" not in ask("ask", "-k", pid, "threads").stdout:
        assert not cell.answered
    assert "no magic" in ask("ask", "-k", pid, "thread").stderr
    host.finish(cell)
    host.run("%diaphane listen off")
    assert ask("ask", "-k", pid, "threads").returncode == 1
    assert f"guest  process {pid}" not in ask("list").stdout


def test_nobody_else_can_ask(ipykernel, host):
    host.run("%diaphane listen")
    environment = host.value(
        "[os.environ.get(n) for n in ('XDG_RUNTIME_DIR', 'TMPDIR')]".replace(
            "os", "__import__('os')"
        )
    )
    runtime, temporary = ast.literal_eval(environment)
    folder = (
        Path(runtime, "diaphane")
        if runtime
        else Path(temporary or "/tmp", f"diaphane-{os.getuid()}")
    )
    assert (folder / f"{ipykernel.pid}.sock").is_socket()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    host.run("%diaphane listen off")
