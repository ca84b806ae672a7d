"""sys.stdout and sys.stderr as objects: programs and libraries ask them many things."""

import pytest

from support.client import Client


@pytest.mark.parametrize("name", ["stdout", "stderr"])
class TestBoth:
    def test_attributes(self, client: Client, name: str):
        client.run(f"import sys\ns = sys.{name}")
        assert client.value("s.encoding") == "'UTF-8'" or client.value("s.encoding") == "'utf-8'"
        assert client.value("isinstance(s.errors, (str, type(None)))") == "True"
        assert client.value("s.isatty()") == "False"
        assert client.value("s.writable(), s.readable(), s.seekable()") == "(True, False, False)"
        assert client.value("s.closed") == "False"

    @pytest.mark.diaphane
    def test_file_descriptor(self, client: Client, name: str):
        """faulthandler and subprocess write to it."""
        number = {"stdout": 1, "stderr": 2}[name]
        done = client.run(f"import os, sys\nos.write(sys.{name}.fileno(), b'by the descriptor\\n')")
        assert done.text(name) == "by the descriptor\n", number

    def test_write_returns_the_length(self, client: Client, name: str):
        done = client.run(f"import sys\nsys.{name}.write('żółć')")
        assert done.result == "4"
        assert done.text(name) == "żółć"

    @pytest.mark.parametrize("thing", ["b'bytes'", "1", "None", "['x']"])
    def test_writing_what_is_not_text(self, client: Client, name: str, thing: str):
        done = client.execute(f"import sys\nsys.{name}.write({thing})")
        assert done.content["ename"] == "TypeError"

    def test_writelines(self, client: Client, name: str):
        assert client.run(f"import sys\nsys.{name}.writelines(['a', 'b'])").text(name) == "ab"

    def test_flush(self, client: Client, name: str):
        cell = client.start(
            f"import sys\nprint('now', file=sys.{name}, flush=True)\ninput()", allow_stdin=True
        )
        client.until(lambda: cell.text(name) == "now\n", "flushed text", cell)
        client.answer(cell, "")
        client.finish(cell)

    def test_reading_is_refused(self, client: Client, name: str):
        assert client.execute(f"import sys\nsys.{name}.read()").content["status"] == "error"


@pytest.mark.diaphane
def test_binary_buffer(client: Client):
    """ipykernel has no `buffer`; programs that print bytes need it."""
    code = "import sys\nprint('a')\nsys.stdout.buffer.write('ż\\n'.encode())\nsys.stdout.flush()\nprint('b')"
    assert client.run(code).text() == "a\nż\nb\n"


def test_redirection(client: Client):
    code = """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as f:
    print('kept')
print('shown', f.getvalue())
"""
    assert client.run(code).text() == "shown kept\n\n"


def test_replaced_and_restored(client: Client):
    code = "import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\nprint('lost')\nsys.stdout = old\nprint('back')"
    assert client.run(code).text() == "back\n"


@pytest.mark.diaphane
def test_sys_dunder_stdout_is_shown(client: Client):
    """`sys.__stdout__` is the file behind descriptor 1."""
    done = client.run("import sys\nprint('raw', file=sys.__stdout__, flush=True)")
    assert done.text() == "raw\n"


def test_capture_magic(client: Client):
    done = client.run(
        "%%capture out\nimport sys\nprint('o'); print('e', file=sys.stderr); display(1)"
    )
    assert done.trace == ["busy", "execute_input", "idle"]
    assert client.value("out.stdout, out.stderr, len(out.outputs)") == "('o\\n', 'e\\n', 1)"


def test_logging(client: Client):
    done = client.run("import logging\nlogging.warning('careful')")
    assert done.text("stderr") == "WARNING:root:careful\n"


def test_warnings(client: Client):
    done = client.run("import warnings\nwarnings.warn('careful')")
    assert "UserWarning: careful" in done.text("stderr")


def test_attributes_may_be_set(client: Client):
    """IPython and wrappers such as colorama and tqdm put their own `write` there."""
    code = """
import sys
said = []
old = sys.stdout.write
sys.stdout.write = lambda text: (said.append(text), old(text))[1]
print('heard')
sys.stdout.write = old
said
"""
    done = client.run(code)
    assert done.result == "['heard', '\\n']"
    assert done.text() == "heard\n"


@pytest.mark.diaphane
def test_faulthandler(client: Client):
    done = client.run("import faulthandler\nfaulthandler.dump_traceback()")
    assert "most recent call first" in done.text("stderr")


@pytest.mark.diaphane
def test_print_to_a_text_wrapper_over_the_descriptor(client: Client):
    done = client.run("import os\nwith os.fdopen(os.dup(1), 'w') as f: print('wrapped', file=f)")
    assert done.text() == "wrapped\n"


def test_carriage_returns_and_escapes_pass_unchanged(client: Client):
    done = client.run(r"print('50%\r100%\x1b[31mred\x1b[0m\x08\x00end')")
    assert done.text() == "50%\r100%\x1b[31mred\x1b[0m\x08\x00end\n"
