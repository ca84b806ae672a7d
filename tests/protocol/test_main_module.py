"""`__main__`, and what libraries ask of a kernel by ipykernel's names."""

import json

import pytest

from support.client import Client
from support.process import Kernel


def test_main_is_the_real_module(client: Client):
    client.run("import sys, types\nmain = sys.modules['__main__']")
    assert (
        client.value("type(main) is types.ModuleType, main.__dict__ is globals()") == "(True, True)"
    )
    assert (
        client.value("get_ipython().user_module is main, get_ipython().user_ns is globals()")
        == "(True, True)"
    )
    names = "('__name__', '__package__', '__spec__', '__loader__')"
    assert (
        client.value(f"[get_ipython().user_ns[name] for name in {names}]")
        == "['__main__', None, None, None]"
    )
    assert "IPython" in client.value("__doc__")


def test_c_code_finds_the_variables_of_the_notebook(client: Client):
    client.run("import ctypes\nfrom_python = 1")
    client.run("assert ctypes.pythonapi.PyRun_SimpleString(b'from_c = from_python + 41') == 0")
    assert client.value("from_c, sys.modules['__main__'].from_c") == "(42, 42)"


def test_what_is_pickled_is_found_again(client: Client):
    client.run("import pickle\nclass Own: pass")
    assert client.value("type(pickle.loads(pickle.dumps(Own()))) is Own") == "True"


def test_the_connection_file(client: Client, kernel: Kernel):
    client.run("import ipykernel, ipykernel.connect")
    path = client.value("ipykernel.get_connection_file()")
    info = json.loads(
        client.value("ipykernel.connect.get_connection_info()").strip("'").replace("\\n", "")
    )
    assert info["shell_port"] == kernel.info["shell_port"]
    assert client.value("ipykernel.connect.get_connection_info(unpack=True)['key']") == repr(
        info["key"].encode()
    )
    assert client.value("get_ipython().config['IPKernelApp']['connection_file']") == path


def test_the_application(client: Client):
    client.run("from ipykernel.kernelapp import IPKernelApp\napp = IPKernelApp.instance()")
    assert client.value("IPKernelApp.initialized(), isinstance(app, IPKernelApp)") == "(True, True)"
    assert (
        client.value("app.kernel is get_ipython().kernel, app.shell is get_ipython()")
        == "(True, True)"
    )


def test_comms_stay_the_kernels_own(client: Client):
    """ipykernel takes `comm` over when its kernel is imported."""
    opened = client.run(
        "import comm, ipykernel.ipkernel\none = comm.create_comm('after')\n"
        "one.on_msg(lambda message: print(message['content']['data']))"
    )
    assert client.value("comm.get_comm_manager() is get_ipython().kernel.comm_manager") == "True"
    comm_id = opened.one("comm_open")["comm_id"]
    message = client.send("comm_msg", {"comm_id": comm_id, "data": {"word": 1}})
    client.until(lambda: message.state == "idle", "the comm's answer", message)
    assert message.text() == "{'word': 1}\n"


def test_streams_are_known_by_the_name_of_their_module(client: Client):
    """click looks at it, to know whether colours are shown."""
    assert client.value("type(sys.stdout).__module__.startswith('ipykernel.')") == "True"
    assert (
        client.value("isinstance(sys.stdout, __import__('ipykernel.iostream').iostream.OutStream)")
        == "True"
    )


@pytest.mark.diaphane
def test_parents_by_the_names_of_ipykernel(client: Client):
    done = client.run(
        "k = get_ipython().kernel\nk.get_parent('shell')['header']['msg_id'], k.get_parent()['msg_id']"
    )
    assert done.result.count(done.id) == 2
