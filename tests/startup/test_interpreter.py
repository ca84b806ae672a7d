"""The Python inside: the chosen environment, UTF-8, and a sound interpreter."""

import subprocess
import sys

import pytest

from support import door
from support.client import Client


def test_it_is_the_chosen_environment(client: Client):
    client.run("import sys")
    for fact in ("executable", "prefix", "base_prefix", "version"):
        command = [door.python(), "-c", f"import sys; print(repr(sys.{fact}))"]
        itself = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert client.value(f"sys.{fact}") == itself.strip()


def test_its_packages_are_importable(client: Client):
    assert client.run("import numpy; numpy.__file__").result.startswith(f"'{sys.prefix}")


def test_the_path_begins_with_the_working_directory(client: Client, kernel):
    client.run("import os, sys")
    assert client.value("os.getcwd()") == repr(str(kernel.directory))
    assert client.value("'' in sys.path or os.getcwd() in sys.path") == "True"
    (kernel.directory / "beside_the_notebook.py").write_text("here = True\n")
    assert client.run("import beside_the_notebook as b; b.here").result == "True"


@pytest.mark.diaphane
def test_utf8_whatever_the_locale(launch):
    for locale in ("C", "POSIX", "en_US.ISO-8859-1"):
        client = launch(env={"LC_ALL": locale, "LANG": locale}).connect()
        client.run("import locale, sys\nopen('ż.txt', 'w').write('żółć')")
        assert client.value("sys.getfilesystemencoding()") == "'utf-8'"
        assert client.value("open('ż.txt', 'rb').read().decode()") == "'żółć'"
        assert client.run("print('żółć')").text() == "żółć\n"


def test_python_run_from_a_cell_is_python(client: Client):
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(6*7)'], capture_output=True, text=True).stdout"
    assert client.run(code).result == "'42\\n'"


def test_signals_are_python_s(client: Client):
    client.run("import signal")
    assert client.value("signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN") == "True"
    assert client.value("callable(signal.getsignal(signal.SIGINT))") == "True"


def test_threads_and_gc_work(client: Client):
    assert (
        client.run("import gc, threading\nthreading.active_count() >= 1, gc.isenabled()").result
        == "(True, True)"
    )


def test_main_module(client: Client):
    client.run("import sys\nclass C: pass")
    assert client.value("C.__module__") == "'__main__'"
    assert client.value("sys.modules['__main__'].C is C") == "True"
    assert (
        client.run("import pickle\nisinstance(pickle.loads(pickle.dumps(C())), C)").result == "True"
    )


@pytest.mark.diaphane
def test_the_native_module_has_one_name(client: Client):
    """By the door of the program it is built in, and called otherwise."""
    code = "import sys, diaphane._diaphane as d; d is sys.modules['diaphane._diaphane'] and hasattr(d, 'run_magic')"
    assert client.run(code).result == "True"


def test_recursion_is_an_error_not_a_crash(client: Client):
    assert client.execute("def f(): f()\nf()").content["ename"] == "RecursionError"
    assert client.run("1 + 1").result == "2"


def test_get_ipython(client: Client):
    client.run("ip = get_ipython()")
    assert client.value("ip.kernel.shell is ip") == "True"
    assert client.value("hasattr(ip.kernel, 'comm_manager')") == "True"
    assert client.value("ip.display_pub is not None") == "True"
