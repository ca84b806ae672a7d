"""`diaphane top` in a pseudo terminal, looked at and typed at as a person would."""

import json
import re
import signal
import subprocess

import pytest

from support import door
from support.patience import wait_until
from support.terminal import Terminal, descendant

pytestmark = pytest.mark.diaphane
HOLD_GIL = "import ctypes\nprint('ready', flush=True)\nctypes.PyDLL(None).sleep(600)"
PR_SET_NAME = 15

PLAIN = f"""
import ctypes, threading, time
named, hold = threading.Event(), threading.Lock()
hold.acquire()
def work():
    ctypes.CDLL(None).prctl({PR_SET_NAME}, b"\\x1b]0;x\\x07")
    named.set()
    hold.acquire()
threading.Thread(target=work, daemon=True).start()
named.wait()
def linger():
    print("ready", flush=True)
    time.sleep(600)
try:
    linger()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def top(tmp_path):
    """Starts `diaphane top` in a terminal."""
    terminals = []

    def top(*words, under=(), **options) -> Terminal:
        command = [*under, *door.command(), "top", *map(str, words)]
        terminals.append(Terminal(command, tmp_path, **options))
        return terminals[-1]

    yield top
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def plain():
    """A Python that is no kernel."""
    command = [door.python(), "-c", PLAIN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def holding(launch):
    """A kernel whose cell runs native code that holds the GIL."""
    kernel = launch()
    client = kernel.connect()
    client.run("pass")
    cell = client.start(HOLD_GIL)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    return kernel, client, cell


def run(*words) -> subprocess.CompletedProcess:
    command = [*door.command(), "top", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_cell_that_holds_the_gil_is_seen_and_interrupted(top, holding):
    kernel, client, cell = holding
    number = cell.one("execute_input")["execution_count"]
    terminal = top(kernel.pid)
    shown = terminal.until(
        f"In[{number}] runs", "The main thread", f"In[{number}]:3", "CPU", "Memory"
    )
    assert re.match(r" GIL   MainThread ", shown[1])
    assert any(re.search(r"MainThread +GIL +main thread", line) for line in shown)
    terminal.press("i")
    terminal.until(f"interrupt cell In[{number}]? y/n")
    terminal.press("n")
    terminal.until("q quit")
    assert not cell.replies
    terminal.press("iy")
    client.finish(cell)
    assert cell.content["ename"] == "KeyboardInterrupt"
    terminal.until("No cell runs", "free")
    terminal.press("q")
    assert terminal.finish() == 0


def test_its_pages(top, client, kernel):
    client.run("import threading, ctypes\nlock = threading.Lock()\nlock.acquire()")
    client.run("def wait_here():\n    lock.acquire()")
    client.run("threading.Thread(target=wait_here, name='mine', daemon=True).start()")
    terminal = top(kernel.pid, rows=40, columns=120)
    terminal.until("mine", "The kernel's own")
    terminal.press("t")
    terminal.until("diaphane-io", "the kernel")
    terminal.press("j" * 30 + "k" * 30)
    terminal.press("t")
    while "▸ mine" not in "\n".join(terminal.lines):
        terminal.press("j")
        terminal.until("▸")
    terminal.press("s")
    terminal.until("Stack of mine", "wait_here", "In[")
    terminal.press("\x1b")
    terminal.until("No cell runs")
    terminal.press("l")
    terminal.until("libraries", "_ctypes", "libffi")
    terminal.press("?")
    terminal.until("the stack of the selected thread")
    terminal.press("\x1b")
    terminal.until("No cell runs")
    terminal.press("\x1b")
    assert terminal.finish() == 0


def test_a_pause_asks_nothing(top, client, kernel):
    terminal = top(kernel.pid, "--interval", "0.2")
    terminal.until("every 0.2 s", "No cell runs")
    terminal.press("+")
    terminal.until("every 0.5 s")
    terminal.press("p")
    terminal.until("paused")
    client.run("import threading\nthreading.Thread(target=input, name='later', daemon=True)")
    # The question that was on its way has been answered by then.
    client.request("kernel_info_request", {}, "control")
    before = terminal.until("paused")
    client.run("1")
    assert terminal.lines == before
    terminal.press("p")
    terminal.until("every 0.5 s")


def test_a_kernel_that_is_stopped_and_goes_on(top, holding):
    kernel, *_ = holding
    terminal = top(kernel.pid)
    terminal.until("runs")
    kernel.process.send_signal(signal.SIGSTOP)
    terminal.until("does not answer", "This is seen from outside.", "stopped")
    kernel.process.send_signal(signal.SIGCONT)
    shown = terminal.until("every 1 s")
    assert "outside" not in "\n".join(shown)


def test_a_kernel_that_is_killed_and_one_that_is_started_anew(top, launch):
    kernel = launch()
    kernel.connect().run("pass")
    terminal = top(kernel.pid)
    terminal.until("No cell runs")
    kernel.process.kill()
    terminal.until(f"The kernel has ended (process {kernel.pid}).", "from before")
    kernel.restart()
    terminal.until(f"process {kernel.pid}", "every 1 s", "No cell runs")
    terminal.press("q")
    assert terminal.finish() == 0


def test_it_fits_every_size(top, kernel, client):
    client.run("pass")
    terminal = top(kernel.pid)
    for rows, columns in [(20, 60), (50, 200), (3, 10), (24, 80)]:
        terminal.resize(rows, columns)
        # What is left of the keys; the window's size reaches the program some time later.
        wait_until(lambda: "q quit" in terminal.lines[-1] or len(terminal.lines) == 3, "the keys")
    terminal.until("No cell runs")
    assert terminal.child.isalive()


SHELL = 'stty -g > before; "$@"; echo "code $?"; stty -g > after; echo done'


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "q", "\x03"])
def test_the_terminal_is_as_it_was(top, kernel, tmp_path, name):
    terminal = top(kernel.pid, under=["bash", "-c", SHELL, "-"])
    terminal.until("No cell runs")
    if name.startswith("SIG"):
        subprocess.run(["kill", f"-{name}", str(descendant(terminal.child.pid, "top"))], check=True)
    else:
        terminal.press(name)
    terminal.until("done")
    number = 0 if name in ("SIGINT", "q", "\x03") else 128 + getattr(signal, name)
    terminal.until(f"code {number}")
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()
    left = terminal.raw.rindex(b"\x1b[?1049l")
    assert left > terminal.raw.rindex(b"\x1b[?1049h")
    assert terminal.raw.rindex(b"\x1b[?25h") > left


def test_ctrl_z_and_back(top, kernel, tmp_path):
    command = [*door.command(), "top", str(kernel.pid)]
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], tmp_path)
    try:
        terminal.press(" ".join(command) + "\r")
        terminal.until("No cell runs")
        terminal.press("\x1a")
        terminal.until("Stopped")
        terminal.press("stty -a | grep -c ' icanon'; fg\r")
        terminal.until("No cell runs", "q quit")
        terminal.press("q")
        terminal.press("echo $((40 + 2)) end\r")
        terminal.until("42 end")
    finally:
        terminal.close()


def test_a_plain_python(top, plain):
    terminal = top(plain.pid)
    shown = terminal.until("Main thread", "linger", "time.sleep", "Python 3.")
    assert f"process {plain.pid}" in shown[0]
    # Its name is a command to the terminal, which it never reaches.
    terminal.until("\\u{1b}]0;x")
    assert b"\x1b]0;" not in terminal.raw
    terminal.press("l")
    terminal.until("libraries", "libc")
    terminal.press("\x1bi")
    terminal.until(f"send SIGINT to process {plain.pid}? y/n")
    terminal.press("y")
    assert plain.stdout.readline() == "interrupted\n"
    terminal.until("has ended")


def test_no_colour_where_none_is_wanted(top, kernel):
    coloured = re.compile(rb"\x1b\[[0-9;]*[34]8;5;\d+")
    terminal = top(kernel.pid)
    terminal.until("No cell runs", "free")
    assert coloured.search(terminal.raw)
    terminal = top(kernel.pid, env={"NO_COLOR": "1"})
    terminal.until("No cell runs", "free")
    assert not coloured.search(terminal.raw)


def test_one_of_several_is_chosen(top, launch):
    launch()
    newest = launch()
    newest.connect()
    terminal = top(rows=50)
    shown = terminal.until("kernels run here. Which one?", f"process {newest.pid}")
    # Others may run on the machine: two lines each.
    line = next(at for at, line in enumerate(shown) if f"process {newest.pid}" in line)
    terminal.press("j" * ((line - 4) // 2) + "\r")
    terminal.until(f"process {newest.pid}", "GIL")


def test_one_frame_as_text(holding, plain):
    kernel, _, cell = holding
    number = cell.one("execute_input")["execution_count"]
    done = run(kernel.pid, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(" GIL   MainThread ")
    assert any(line.startswith(f" In[{number}] runs") for line in lines)
    done = run(plain.pid, "--once")
    assert "linger" in done.stdout
    assert "\x1b" not in done.stdout


def test_one_answer_as_json(holding, plain):
    kernel, _, cell = holding
    answer = json.loads(run(kernel.pid, "--once", "--json").stdout)
    assert answer["gil"] == kernel.pid
    assert answer["cell"]["count"] == cell.one("execute_input")["execution_count"]
    assert answer["names"][str(kernel.pid)]["kind"] == "main"
    answer = json.loads(run(plain.pid, "--once", "--json").stdout)
    assert plain.pid in [row[0] for row in answer["threads"]]
    assert "linger" in [call["function"] for call in answer["stack"]]
    assert "\x1b]0;x\x07" in [one["name"] for one in answer["names"].values()]


def test_what_cannot_be_shown_is_said(kernel):
    done = run(kernel.pid)
    assert (done.returncode, done.stdout) == (1, "")
    assert "`diaphane top --once`" in done.stderr
    assert "no kernel that runs is called" in run("no-such-notebook", "--once").stderr
    assert "there is no process 999999999" in run(999999999, "--once").stderr
    assert "from 0.2 to 60" in run(kernel.pid, "--interval", "0").stderr
