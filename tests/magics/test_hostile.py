"""Every magic in a process that is strange on purpose: names that are HTML or no text at all, objects that lie, and
libraries, threads and arrays that come and go while they are looked at."""

import json

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
EVIL = "<img src=x onerror=alert(1)>"

NAMES = f"""
import ctypes, os, shutil, threading
evil = {EVIL!r}
for path in (os.fsencode(evil + ".so"), b"new\\nline \\xff.so"):
    shutil.copy("library.so", path)
    ctypes.CDLL(os.path.abspath(os.fsdecode(path)))
gate = threading.Event()
threading.Thread(target=gate.wait, name=evil, daemon=True).start()
def rename():
    with open(f"/proc/self/task/{{threading.get_native_id()}}/comm", "wb") as f: f.write(b"<b>\\xff\\n\\x1b[2J")
    gate.wait()
threading.Thread(target=rename, daemon=True).start()
globals()[evil] = bytearray(5)
globals()["\\ud800"] = bytearray(6)
class Liar(bytearray):
    def __repr__(self): raise SystemExit("repr was called")
    __str__ = __repr__
Liar.__name__ = Liar.__qualname__ = evil
liar = Liar(7)
class Raises:
    @property
    def __array_interface__(self): raise RuntimeError(evil)
class Lies:
    __array_interface__ = dict(version=3, typestr="<f8", shape=(10**15,), data=(8, False))
class Trap:
    def __getattr__(self, name): os._exit(9)
    def __eq__(self, other): os._exit(9)
    def __hash__(self): return 1
raises, lies, trap = Raises(), Lies(), Trap()
"""

CHURN = """
import ctypes, _ctypes, numpy as np, threading, time
stop = False
array = np.zeros(1000)
def load():
    while not stop:
        _ctypes.dlclose(ctypes.CDLL("./library.so")._handle)
def start():
    while not stop:
        one = threading.Thread(target=time.sleep, args=(0,)); one.start(); one.join()
def resize():
    size = 1
    while not stop:
        size = size * 7 % 100_003
        array.resize(size, refcheck=False)
def rebind():
    n = 0
    while not stop:
        n += 1
        globals()[f"name_{n % 50}"] = np.zeros(n % 1000)
        globals().pop(f"name_{(n + 25) % 50}", None)
churn = [threading.Thread(target=one) for one in (load, start, resize, rebind)]
for one in churn: one.start()
"""

MAGICS = "import json; from diaphane import _diaphane\nprint(json.dumps([n for n, kind, _ in _diaphane.magic_list() if kind == 'line']))"
# What a magic is asked for where it needs to be told.
LINES = {
    "buffer_addr": ["", "liar raises lies trap"],
    "loaded_libs": ["", "--rss", "--all"],
    "where": ["len", "trap", "liar", "d[0]", "numpy.add --dtype f8", "l*!strange", "0x1000"],
    "disasm": ["len", "trap", "liar", "numpy.sum", "l*!strange", "0x1000"],
    "addr_map": ["", "--group lib", "--diff", "--at 0x1000"],
}


@pytest.fixture
def strange(launch, tmp_path) -> Client:
    shared_library(tmp_path / "library.so", "int strange(void) { return 1; }")
    return launch(cwd=tmp_path).connect()


def magics(client: Client) -> list[str]:
    return json.loads(client.run(MAGICS).text())


def lines(client: Client) -> list[tuple[str, str]]:
    return [(name, line) for name in magics(client) for line in LINES.get(name, [""])]


def test_strange_names_stay_text(strange: Client):
    strange.run(NAMES)
    for name, line in lines(strange):
        done = strange.execute(f"%{name} {line}")
        for data in done.all("execute_result"):
            html = data["data"].get("text/html", "")
            assert "<img src=x" not in html, (name, line)
            assert "<b>\N{REPLACEMENT CHARACTER}" not in html, (name, line)
            text = data["data"]["text/plain"]
            assert "\x1b" not in text, (name, line)
            assert max(map(len, text.splitlines()), default=0) <= 100, (name, line)
        assert "SystemExit" not in str(done.content), (name, line)
        assert "diaphane bug" not in str(done.content), (name, line)
    assert strange.run("1 + 1").result == "2"


def test_strange_names_are_shown(strange: Client):
    strange.run(NAMES)
    libs = strange.run("%loaded_libs --sort path").one("execute_result")["data"]
    paths = [row["path"] or "" for row in libs["application/vnd.diaphane.loaded_libs+json"]["rows"]]
    assert any(path.endswith(f"{EVIL}.so") for path in paths)
    threads = strange.run("%threads").one("execute_result")["data"]
    rows = threads["application/vnd.diaphane.threads+json"]["rows"]
    assert EVIL in [row["name"] for row in rows]


def test_things_that_come_and_go(strange: Client):
    strange.run(CHURN)
    asked = lines(strange)
    for _ in range(5):
        for name, line in asked:
            done = strange.execute(f"%{name} {line}")
            assert "diaphane bug" not in str(done.content), (name, line)
    strange.run("stop = True\nfor one in churn: one.join()")
    assert strange.run("1 + 1").result == "2"


def test_a_name_that_no_file_can_have(client: Client):
    client.run(
        "def f(): return abs(-1)\nf.__code__ = f.__code__.replace(co_name='\\ud800n', co_qualname='\\ud800n')"
    )
    assert client.run("%%native_calls\nf()").report("native_calls")["rows"]
