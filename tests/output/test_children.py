"""Child processes made by Python: they print under the cell, and they leave the kernel alone."""

import pytest

from support.client import Client
from support.patience import wait_until

WORK = "def work(n):\n    print('child', n)\n    return n * n\n"


@pytest.fixture
def module(kernel):
    """A module that spawned children can import."""
    (kernel.directory / "child_work.py").write_text(WORK)
    return "child_work"


@pytest.mark.diaphane
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_pool(client: Client, module: str, method: str):
    code = f"""
import multiprocessing, {module}
with multiprocessing.get_context('{method}').Pool(2) as pool:
    print(pool.map({module}.work, range(5), chunksize=1))
    pool.close(); pool.join()
"""
    done = client.run(code)
    lines = done.text().splitlines()
    assert "[0, 1, 4, 9, 16]" in lines
    assert sorted(x for x in lines if x.startswith("child")) == [f"child {n}" for n in range(5)]


def test_a_function_of_the_notebook_in_a_forked_child(client: Client):
    code = (
        WORK
        + "import multiprocessing as m\np = m.get_context('fork').Process(target=work, args=(7,))\np.start(); p.join(); p.exitcode"
    )
    done = client.run(code)
    assert (done.text(), done.result) == ("child 7\n", "0")


def test_process_pool_executor(client: Client, module: str):
    code = f"""
import concurrent.futures, {module}
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    total = sum(pool.map({module}.work, range(4)))
total
"""
    assert client.run(code).result == "14"


@pytest.mark.diaphane
def test_exit_of_a_forked_child_does_not_end_the_kernel(client: Client):
    code = """
import os, sys
pid = os.fork()
if pid == 0:
    print('in the child')
    sys.exit(3)
os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
    done = client.run(code)
    assert done.result == "3"
    assert done.text() == "in the child\n"
    assert client.run("1 + 1").result == "2"


@pytest.mark.diaphane
def test_a_child_that_falls_out_of_the_cell_ends(client: Client, kernel):
    """It must not go on as a second kernel on the same sockets."""
    code = "import os\npid = os.fork()\nif pid: status = os.waitpid(pid, 0)[1]"
    assert client.run(code).content["status"] == "ok"
    assert client.value("os.getpid()") == str(kernel.pid)
    assert client.run("os.WIFEXITED(status)").result == "True"


def test_a_crash_of_a_child_does_not_end_the_kernel(client: Client):
    code = """
import multiprocessing as m, os, signal
p = m.get_context('fork').Process(target=lambda: os.kill(os.getpid(), signal.SIGKILL))
p.start(); p.join(); p.exitcode
"""
    assert client.run(code).result == "-9"


def test_running_python_runs_python(client: Client):
    """sys.executable is an interpreter, never the kernel."""
    code = """
import subprocess, sys
print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.prefix)'], capture_output=True, text=True).stdout, end='')
print(sys.prefix)
"""
    inside, outside = client.run(code).text().splitlines()
    assert inside == outside


@pytest.mark.diaphane
def test_no_socket_is_inherited(client: Client):
    """A child that outlives the kernel must not keep its ports."""
    code = """
import os, subprocess
subprocess.run(['sh', '-c', 'ls -l /proc/self/fd'], stdout=subprocess.PIPE, text=True, close_fds=False).stdout
"""
    listing = client.run(code).result
    assert "socket:" not in listing


@pytest.mark.diaphane
def test_no_descriptor_is_inherited(client: Client):
    code = """
import os, subprocess
p = subprocess.run(['sh', '-c', 'for f in /proc/self/fd/*; do readlink $f; done'], stdout=subprocess.PIPE, text=True, close_fds=False)
[x for x in p.stdout.splitlines() if x.startswith(('anon_inode', 'socket'))]
"""
    assert client.run(code).result == "[]"


def test_subprocess_input(client: Client):
    code = "import subprocess\nsubprocess.run(['cat'], input='through', capture_output=True, text=True).stdout"
    assert client.run(code).result == "'through'"


def test_asyncio_subprocess(client: Client):
    code = """
import asyncio
p = await asyncio.create_subprocess_exec('echo', 'async child', stdout=asyncio.subprocess.PIPE)
(await p.communicate())[0]
"""
    assert client.run(code).result == "b'async child\\n'"


FORK = """
import os, sys
from IPython.display import HTML
pid = os.fork()
if pid == 0:
{}
_ = os.waitpid(pid, 0)
print('parent')
"""


def forked(client: Client, code: str, **options):
    """Run code in a forked child, whose parent waits for it; the cell."""
    return client.run(
        FORK.format("".join(f"    {line}\n" for line in code.splitlines())), **options
    )


@pytest.mark.diaphane
@pytest.mark.parametrize(
    "leave",
    [
        "os._exit(0)",
        "sys.exit()",
        "raise ValueError",
        "sys.stdout.flush(); os.kill(os.getpid(), 9)",
    ],
)
def test_displays_of_a_forked_child_stand_in_their_order(client: Client, leave: str):
    code = f"print('before')\ndisplay(HTML('<b>one</b>'))\nprint('between')\ndisplay('two')\nprint('tail', end='')\n{leave}"
    done = forked(client, code)
    assert [shown["data"]["text/plain"] for shown in done.all("display_data")][1] == "'two'"
    assert done.all("display_data")[0]["data"]["text/html"] == "<b>one</b>"
    words = [word for word in done.trace if word != "stderr"]
    assert words[:6] == [
        "busy",
        "execute_input",
        "stdout",
        "display_data",
        "stdout",
        "display_data",
    ]
    assert done.text() == "before\nbetween\ntailparent\n"


@pytest.mark.diaphane
def test_a_forked_child_that_falls_out_of_the_cell_leaves_its_tail_and_its_error(client: Client):
    # From 3.12 on Python warns of forks in a process that has threads.
    client.run("import warnings; warnings.simplefilter('ignore')")
    code = "import os\npid = os.fork()\nif pid == 0: print('tail', end='')\nelse: _ = os.waitpid(pid, 0)\npid"
    done = client.run(code)
    assert done.text() == "tail"
    assert done.result != "0"
    failed = client.run("pid = os.fork()\nif pid == 0: 1 / 0\n_ = os.waitpid(pid, 0)")
    assert failed.one("error")["ename"] == "ZeroDivisionError"
    left = client.run(
        "pid = os.fork()\nif pid == 0: raise SystemExit(3)\nos.waitpid(pid, 0)[1] >> 8"
    )
    assert (left.result, left.all("error"), left.text("stderr")) == ("3", [], "")


@pytest.mark.diaphane
def test_large_displays_of_many_children_arrive_whole(client: Client):
    code = """
import multiprocessing
def show(n):
    for _ in range(5):
        display({'text/plain': str(n) * 300_000}, raw=True)
with multiprocessing.get_context('fork').Pool(4) as pool:
    pool.map(show, range(8))
"""
    texts = [shown["data"]["text/plain"] for shown in client.run(code).all("display_data")]
    assert sorted(texts) == sorted(str(n) * 300_000 for n in range(8) for _ in range(5))


@pytest.mark.diaphane
def test_widgets_of_a_forked_child(client: Client):
    code = "import tqdm.notebook\nfor _ in tqdm.notebook.tqdm(range(3)): pass\nos._exit(0)"
    done = forked(client, code)
    assert len(done.all("comm_open")) > 3
    assert len(done.all("display_data")) == 1
    assert any(data["data"].get("state", {}).get("value") == 3 for data in done.all("comm_msg"))


@pytest.mark.diaphane
def test_buffers_of_a_forked_child(client: Client):
    code = "import comm\ncomm.create_comm('t', data={'a': 1}, buffers=[b'one', bytes(10)])\nos._exit(0)"
    done = forked(client, code)
    [opened] = [message for message in done.iopub if message["msg_type"] == "comm_open"]
    assert [bytes(buffer) for buffer in opened["buffers"]] == [b"one", bytes(10)]


@pytest.mark.diaphane
def test_the_child_of_a_subshell_shows_under_its_cell(client: Client):
    subshell = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    main = client.run("'main'")
    done = forked(client, "display('child')\nos._exit(0)", header={"subshell_id": subshell})
    client.request("delete_subshell_request", {"subshell_id": subshell}, "control")
    assert len(done.all("display_data")) == 1
    assert main.all("display_data") == []


@pytest.mark.diaphane
def test_the_display_of_a_child_can_be_pinned(client: Client):
    first = client.run("parent = get_ipython().get_parent()")
    second = forked(client, "get_ipython().set_parent(parent)\ndisplay('child')\nos._exit(0)")
    client.drain()
    assert (len(first.all("display_data")), second.all("display_data")) == (1, [])


@pytest.mark.diaphane
def test_a_child_that_outlives_its_kernel_ends(launch, tmp_path):
    """It waits for nobody who could publish what it shows."""
    kernel = launch()
    client = kernel.connect()
    code = f"""
import os, time
gate, end = os.pipe(), {str(tmp_path / "end")!r}
if os.fork() == 0:
    os.close(gate[1])
    os.read(gate[0], 1)
    try:
        display('nobody')
    except OSError:
        pass
    open(end, 'w').close()
    os._exit(0)
"""
    client.run(code)
    client.request("shutdown_request", {"restart": False}, "control")
    kernel.process.wait(60)
    wait_until((tmp_path / "end").exists, "the child ends")
