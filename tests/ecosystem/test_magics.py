"""The magics of IPython that notebooks use every day."""

import re
import sys

import pytest

from support.client import Client


def test_timeit(client: Client):
    assert re.search(r"ns ± .* per loop", client.run("%timeit -n 100 -r 2 pass").text())
    assert "per loop" in client.run("%%timeit -n 10 -r 2\nx = 1").text()


def test_time(client: Client):
    assert "Wall time" in client.run("%time 1 + 1").text()
    done = client.run("%%time\nprint('x')\n5")
    assert done.text().startswith("x\n")
    assert done.result == "5"


def test_bash(client: Client):
    done = client.run("%%bash\necho one\necho two >&2")
    assert (done.text(), done.text("stderr")) == ("one\n", "two\n")


def test_bash_that_fails(client: Client):
    assert client.execute("%%bash\nexit 3").content["ename"] == "CalledProcessError"


def test_shell_assignment(client: Client):
    assert client.run("x = !printf 'a\\nb\\n'\nlist(x)").result == "['a', 'b']"


def test_shell(client: Client, kernel):
    (kernel.directory / "seen.txt").write_text("")
    assert "seen.txt" in client.run("!ls").text()
    done = client.run("name = 'world'\n!echo hello $name {name.upper()}")
    assert done.text().replace("\r\n", "\n") == "hello world WORLD\n"


def test_exit_code_of_the_shell(client: Client):
    client.run("!exit 3")
    assert client.value("_exit_code") == "3"


def test_pip(client: Client):
    done = client.run("%pip list --disable-pip-version-check")
    assert "ipython" in done.text()
    assert "numpy" in done.text()


def test_writefile_and_run(client: Client, kernel):
    client.run("%%writefile made.py\nmade = 5\nprint('ran', __name__)")
    assert client.run("%run made.py").text() == "ran __main__\n"
    assert client.value("made") == "5"


def test_autoreload(client: Client, kernel):
    module = kernel.directory / "changing.py"
    module.write_text("def f(): return 1\n")
    client.run("%load_ext autoreload\n%autoreload 2\nimport changing")
    assert client.run("changing.f()").result == "1"
    module.write_text("def f(): return 'changed'\n")
    assert client.run("changing.f()").result == "'changed'"
    client.run("%autoreload 0")


def test_who_and_reset(client: Client):
    client.run("%reset -f")
    client.run("only_one = 1")
    assert client.run("%who").text().split() == ["only_one"]
    client.run("%reset -f")
    assert client.execute("only_one").content["ename"] == "NameError"


def test_history(client: Client):
    client.run("'a line of history'")
    assert "'a line of history'" in client.run("%history -l 2").text()


def test_env(client: Client):
    client.run("%env DIAPHANE_TEST_VALUE=5")
    assert client.run("import os; os.environ['DIAPHANE_TEST_VALUE']").result == "'5'"


def test_cd_and_pwd(client: Client, kernel):
    (kernel.directory / "below").mkdir(exist_ok=True)
    client.run("%cd below")
    assert client.run("%pwd").result == repr(str(kernel.directory / "below"))
    client.run("%cd ..")


def test_prun(client: Client):
    done = client.run("%prun sum(range(10))")
    assert "function calls" in done.content["payload"][0]["data"]["text/plain"]


def test_script_magics(client: Client):
    assert client.run(f"%%script {sys.executable}\nprint(6 * 7)").text() == "42\n"
    assert client.run("%%html\n<b>x</b>").one("display_data")["data"]["text/html"] == "<b>x</b>\n"
    assert "$x$" in client.run("%%latex\n$x$").one("display_data")["data"]["text/latex"]


def test_own_magics(client: Client):
    client.run(
        "from IPython.core.magic import register_line_magic, register_cell_magic\n"
        "@register_line_magic\ndef double(line): return line * 2\n"
        "@register_cell_magic\ndef upper(line, cell): print(cell.upper())"
    )
    assert client.run("%double ab").result == "'abab'"
    assert client.run("%%upper\nabc").text() == "ABC\n\n"


def test_unknown_magic(client: Client):
    done = client.execute("%no_such_magic")
    assert "UsageError: Line magic function `%no_such_magic` not found." in done.text("stderr")


@pytest.mark.parametrize("magic", ["%connect_info", "%lsmagic", "%config", "%xmode Plain"])
def test_others_work(client: Client, magic: str):
    assert client.run(magic).content["status"] == "ok"


def test_xmode(client: Client):
    client.run("%xmode Minimal")
    done = client.execute("1/0")
    client.run("%xmode Context")
    assert len(done.content["traceback"]) == 1


def test_tb(client: Client):
    client.execute("1/0")
    done = client.execute("%tb")
    assert "ZeroDivisionError" in str(done.iopub)
