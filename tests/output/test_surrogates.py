"""Lone surrogates, which Python's strings may hold and UTF-8 cannot: whatever leaves the kernel shows a replacement."""

import pytest

from support.client import Client

BAD = r"'a\udcc3b'"
CELLS = {
    "print": f"print({BAD})",
    "error stream": f"import sys\nprint({BAD}, file=sys.stderr)",
    "value": "class Odd:\n    def __repr__(self): return " + BAD + "\nOdd()",
    "display": f"display({{'text/plain': {BAD}, 'application/json': {{{BAD}: [{BAD}]}}}}, raw=True, metadata={{{BAD}: 1}})",
    "array in a display": f"import numpy as np\ndisplay({{'application/json': {{'a': np.array([{BAD}])}}}}, raw=True)",
    "error": f"raise ValueError({BAD})",
    "page": f"from IPython.core import page\npage.page({BAD})",
    "next input": f"get_ipython().set_next_input({BAD})",
    "comm": f"import comm\n_ = comm.create_comm({BAD}, data={{'a': {BAD}}}, metadata={{'b': {BAD}}})",
    "message": f"get_ipython().kernel.send_response(None, 'display_data', {{'data': {{'text/plain': {BAD}}}, 'metadata': {{}}, 'transient': {{}}}});",
    "file": "import sys, os\nos.write(1, b'a\\xc3b'); sys.stdout.buffer.write(b'a\\xc3b');",
    "warning": f"import warnings\nwarnings.warn({BAD})",
    "forked child": f"import os\nif os.fork() == 0:\n    print({BAD}); display({BAD})\n    os._exit(0)\n_ = os.wait()",
}


@pytest.mark.parametrize("name", CELLS)
def test_it_is_shown_with_a_replacement(client: Client, name: str):
    done = client.execute(CELLS[name])
    assert done.content["status"] == ("error" if "raise" in CELLS[name] else "ok"), done.content
    texts = str(
        [message["content"] for message in done.iopub if message["msg_type"] != "execute_input"]
    )
    texts += str(done.content)
    assert "a?b" in texts or "a\ufffdb" in texts or "a\ufffd" in texts
    assert "UnicodeEncodeError" not in texts
    assert r"\udcc3" not in texts.replace(r"\\udcc3", "")


@pytest.mark.parametrize("ask", ["input", "__import__('getpass').getpass"])
def test_questions(client: Client, ask: str):
    cell = client.start(f"{ask}({BAD})", allow_stdin=True)
    assert client.answer(cell, "yes")["content"]["prompt"] == "a?b"
    assert client.finish(cell).result == "'yes'"


def test_completion_inspection_and_history(client: Client):
    client.run(f"words = {{{BAD}: 1}}\ndef odd(): pass\nodd.__doc__ = {BAD}")
    code = "words["
    completed = client.request("complete_request", {"code": code, "cursor_pos": len(code)}).content
    assert completed["status"] == "ok"
    inspected = client.request(
        "inspect_request", {"code": "odd", "cursor_pos": 3, "detail_level": 0}
    ).content
    assert "a?b" in inspected["data"]["text/plain"]
    history = {"hist_access_type": "tail", "n": 3, "output": True, "raw": True}
    assert client.request("history_request", history).content["status"] == "ok"
    asked = client.run("", user_expressions={"bad": BAD}).content["user_expressions"]["bad"]
    assert asked["data"]["text/plain"] == r"'a\udcc3b'"


@pytest.mark.diaphane
@pytest.mark.parametrize(
    "magic",
    [
        f"get_ipython().run_line_magic('threads', {BAD})",
        f"get_ipython().run_cell_magic('native_prof', {BAD}, {BAD})",
    ],
)
def test_lines_of_magics(client: Client, magic: str):
    assert "UnicodeEncodeError" not in str(client.execute(magic).content)


@pytest.mark.diaphane
def test_names_in_reports(client: Client):
    client.run(
        f"import threading, tracemalloc, numpy as np\nname = {BAD}\ngate = threading.Event()\n"
        "thread = threading.Thread(target=gate.wait, name=name); thread.start()\n"
        "code = compile('def odd(): return np.ones(10**6)', name, 'exec')\n"
        "tracemalloc.start(); exec(code); odd.__name__ = odd.__qualname__ = name\n"
        "kept = odd(); table = {name: kept}"
    )
    for magic in (
        "%threads",
        "%where odd",
        "%buffer_addr kept table",
        "%buffer_addr --all",
        "%addr_map",
    ):
        done = client.execute(magic)
        assert done.content["status"] == "ok", (magic, done.content)
        assert "UnicodeEncodeError" not in str(done.iopub), magic
    client.run("gate.set(); thread.join(); tracemalloc.stop()")
