"""The magics in ipykernel, whose threads, channels and signals are not ours."""

import ast
import json
import os
import socket
import stat
import subprocess
from contextlib import ExitStack
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
    sorted(vars(shell.kernel)), sorted(shell.kernel.control_handlers), sorted(shell.kernel.shell_handlers),
    shell.kernel.shell_handlers["kernel_info_request"].__qualname__,
    [line for line in open("/proc/self/status") if line.startswith("SigCgt")],
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


def socket_of(host, pid: int) -> Path:
    environment = host.value(
        "[__import__('os').environ.get(n) for n in ('XDG_RUNTIME_DIR', 'TMPDIR')]"
    )
    runtime, temporary = ast.literal_eval(environment)
    temporary = Path(temporary or "/tmp", f"diaphane-{os.getuid()}")
    return (Path(runtime, "diaphane") if runtime else temporary) / f"{pid}.sock"


def test_nobody_else_can_ask(ipykernel, host):
    host.run("%diaphane listen")
    path = socket_of(host, ipykernel.pid)
    assert path.is_socket()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    host.run("%diaphane listen off")


def call(path: Path, question: bytes = b"") -> socket.socket:
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(path))
    caller.sendall(question)
    return caller


def answer(caller: socket.socket) -> dict:
    parts = iter(lambda: caller.recv(1 << 16), b"")
    return json.loads(b"".join(parts))


def is_open(caller: socket.socket) -> bool:
    try:
        return caller.recv(1, socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True


THREADS = b'{"name": "threads", "line": ""}\n'


def test_who_asks_nothing_keeps_nobody_waiting(ipykernel, host):
    host.run("%diaphane listen")
    path = socket_of(host, ipykernel.pid)

    def is_answered_beside() -> bool:
        with call(path) as silent, call(path, b'{"name": ') as slow, call(path, THREADS) as asking:
            assert answer(asking)["status"] == "ok"
            # They are let go in the end, which a busy machine may come to first.
            return is_open(silent) and is_open(slow)

    assert any(is_answered_beside() for _ in range(5))
    with ExitStack() as stack:
        many = [stack.enter_context(call(path)) for _ in range(40)]
        assert answer(stack.enter_context(call(path, THREADS)))["status"] == "ok"
        assert not is_open(many[0]), "who came first gives way"
    host.run("%diaphane listen off")


def test_who_reads_nothing_keeps_nobody_waiting(ipykernel, host):
    host.run("%diaphane listen")
    path = socket_of(host, ipykernel.pid)
    host.run("import numpy, pandas, scipy.linalg")
    with ExitStack() as stack:
        for _ in range(8):
            # More than a socket holds.
            deaf = stack.enter_context(call(path, b'{"name": "addr_map", "line": ""}\n'))
            assert deaf.recv(14) == b'{"status":"ok"'
        limits = answer(stack.enter_context(call(path, THREADS)))["data"]["text/plain"]
        assert "Python runs something else" not in limits
    host.run("%diaphane listen off")


def test_what_is_no_question_is_refused(ipykernel, host):
    host.run("%diaphane listen")
    path = socket_of(host, ipykernel.pid)
    for question in (b"threads\n", b"x" * 66_000):
        with call(path, question) as caller:
            assert "no question" in answer(caller)["evalue"]
    host.run("%diaphane listen off")


def test_a_forked_child_leaves_the_socket_to_its_parent(ipykernel, host):
    host.run("%diaphane listen")
    path = socket_of(host, ipykernel.pid)
    child = (
        "import os\npid = os.fork()\nif pid == 0:\n    {}\n    os._exit(0)\nos.waitpid(pid, 0)[1]"
    )
    unload = "get_ipython().extension_manager.unload_extension('diaphane')"
    assert host.run(child.format(unload)).result == "0"
    assert path.is_socket()
    listen = (
        "get_ipython().run_line_magic('diaphane', 'listen'); import socket; "
        "socket.socket(socket.AF_UNIX).connect("
        f"{str(path.parent)!r} + f'/{{os.getpid()}}.sock')"
    )
    assert host.run(child.format(listen)).result == "0"
    with call(path, THREADS) as caller:
        assert answer(caller)["status"] == "ok"
    host.run("%diaphane listen off")
    assert not path.exists()


def limits(host, magic: str) -> str:
    return host.value(f"get_ipython().run_line_magic({magic!r}, '').limits")


def test_reports_say_what_a_guest_cannot_do(host):
    assert "older than %load_ext diaphane" in limits(host, "threads")
    assert "before %load_ext diaphane" in limits(host, "loaded_libs")
    assert "leaves no word" in limits(host, "crash_report")
    for magic in ("stack", "native_doctor"):
        assert "after %diaphane listen" in limits(host, magic)
    host.run("%diaphane listen")
    assert "%diaphane listen" not in limits(host, "stack")
    host.run("%diaphane listen off")


def test_the_host_shows_a_live_picture_when_the_gil_is_free(host):
    done = host.run("%%monitor --every 0.25\nimport time\ntime.sleep(1.5)")
    shown = done.all("display_data") + done.all("update_display_data")
    assert len({one["transient"]["display_id"] for one in shown}) == 1
    pages = [one["data"]["text/html"] for one in shown]
    assert len(pages) >= 3
    assert all("dph-live" in page for page in pages[:-1])
    assert pages[-1] == ""
    found = done.report("monitor")
    assert any("when the GIL was free" in limit for limit in found["limits"])
