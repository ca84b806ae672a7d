"""Child processes made by Python: they print under the cell, and they leave the kernel alone."""

import pytest

from support.client import Client

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
