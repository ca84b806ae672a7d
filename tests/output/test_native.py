"""Output that does not go through Python: written to descriptors 1 and 2 by C or by children.

ipykernel shows it as well, but some time later and under whatever cell then runs.
"""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
WAYS = {
    "os.write": "os.write(1, b'native\\n')",
    "puts": "libc.puts(b'native')",
    "printf": "libc.printf(b'%s\\n', b'native')",
    "system": "os.system('echo native')",
    "subprocess": "subprocess.run(['echo', 'native'])",
    "popen": "subprocess.Popen(['echo', 'native']).wait()",
    "shell": "get_ipython().system('echo native')",
    "fork": "os.waitpid(child(), 0)",
    "libc write": "libc.write(1, b'native\\n', 7)",
}
SETUP = """
import ctypes, os, subprocess
libc = ctypes.CDLL(None)

def child():
    pid = os.fork()
    if pid == 0:
        os.write(1, b'native\\n')
        os._exit(0)
    return pid
"""


@pytest.mark.parametrize("way", WAYS)
def test_shown_under_the_cell_that_caused_it(client: Client, way: str):
    client.run(SETUP)
    done = client.run(f"_ = {WAYS[way]}")
    # `!command` runs in a pseudo-terminal, which ends lines in its own way.
    assert done.text().replace("\r\n", "\n") == "native\n"
    assert done.trace[-1] == "idle"


def test_standard_error(client: Client):
    client.run(SETUP)
    done = client.run("os.write(2, b'bad\\n'); _ = os.system('echo worse >&2')")
    assert done.text("stderr") == "bad\nworse\n"
    assert done.text() == ""


@pytest.mark.parametrize("way", ["os.write", "puts", "system", "subprocess"])
def test_order_with_prints(client: Client, way: str):
    """A print, then native output, then a print: shown in the order in which they were made."""
    client.run(SETUP)
    done = client.run(f"print('before')\n_ = {WAYS[way]}\nprint('after')")
    assert done.text() == "before\nnative\nafter\n"


def test_order_holds_in_a_loop(client: Client):
    client.run(SETUP)
    done = client.run(
        "for i in range(300):\n    print('p', i)\n    os.write(1, b'n %d\\n' % i)\nNone"
    )
    assert done.text() == "".join(f"p {i}\nn {i}\n" for i in range(300))


def test_native_output_of_one_cell_is_not_that_of_the_next(client: Client):
    client.run(SETUP)
    for i in range(30):
        first = client.run(f"_ = libc.puts(b'first {i}')")
        second = client.run("pass")
        assert (first.text(), second.text()) == (f"first {i}\n", "")


def test_much_native_output(client: Client):
    done = client.run("import os\nfor i in range(20000): os.write(1, b'%d\\n' % i)\nNone")
    assert done.text() == "".join(f"{i}\n" for i in range(20000))


def test_more_than_a_pipe_holds_while_the_gil_is_held(client: Client):
    """The reader of the pipe must not need the GIL that the writer holds."""
    code = "import ctypes\nctypes.PyDLL(None).write(1, b'x' * 3_000_000, 3_000_000)"
    if (written := int(client.run(code).result)) < 3_000_000:
        pytest.fail(f"only {written} bytes were taken")


def test_characters_cut_in_two_are_put_together(client: Client):
    code = """
import os
text = ('ż🎈' * 5000 + '\\n').encode()
for i in range(0, len(text), 7): os.write(1, text[i:i + 7])
None
"""
    assert client.run(code).text() == "ż🎈" * 5000 + "\n"


def test_bytes_that_are_no_text_do_no_harm(client: Client):
    done = client.run("import os\nos.write(1, b'a\\xff\\xfeb\\n')\nNone")
    text = done.text()
    assert text.startswith("a")
    assert text.endswith("b\n")


def test_a_background_child_is_heard_later(client: Client):
    """What a child says after its cell has ended is not lost."""
    code = "import subprocess\nchild = subprocess.Popen('read x; echo late', shell=True, stdin=subprocess.PIPE)"
    client.run(code)
    client.run("child.stdin.close(); child.wait()")
    client.until(
        lambda: any(m["content"].get("text") == "late\n" for m in client.record), "the late line"
    )


def test_the_terminal_of_the_kernel_stays_clean(client: Client, kernel):
    """fds 1 and 2 are inherited from the front end, which may be a terminal: nothing is echoed."""
    client.run(
        "import os\nprint('python'); os.write(1, b'native output\\n'); os.system('echo child')"
    )
    assert "native output" not in kernel.log


def test_starting_says_nothing(kernel, client: Client):
    client.run("pass")
    assert kernel.log == ""


def test_a_stream_that_another_thread_reads_is_not_waited_for(client: Client):
    """The reader has the stream's lock until the next cell writes, and that comes only if this one ends."""
    client.run(
        """
import ctypes, os, threading
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
ours, theirs = os.pipe()
stream = ctypes.c_void_p(libc.fdopen(ours, b"r"))
line = ctypes.create_string_buffer(16)
reader = threading.Thread(target=libc.fgets, args=(line, 16, stream))
reader.start()
while libc.ftrylockfile(stream) == 0:
    libc.funlockfile(stream)
"""
    )
    done = client.run("_ = libc.printf(b'meanwhile')\nos.write(theirs, b'x\\n')\nreader.join()")
    assert done.text() == "meanwhile"
    assert client.value("line.value") == r"b'x\n'"


def test_a_file_of_the_users_is_left_to_its_owner(client: Client, tmp_path):
    """What C holds back for a file is written when the program says so, as without a kernel."""
    path = tmp_path / "file"
    client.run(
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.fopen.restype = ctypes.c_void_p\n"
        f"file = ctypes.c_void_p(libc.fopen({str(path).encode()!r}, b'w'))\n"
        "_ = libc.fputs(b'text', file)"
    )
    assert path.read_text() == ""
    client.run("_ = libc.fclose(file)")
    assert path.read_text() == "text"
