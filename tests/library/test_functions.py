"""Each magic as a function."""

import ast
from pathlib import Path

import pytest

from support import door
from support.programs import start

ROOT = Path(__file__).resolve().parents[2]


def test_an_import_changes_nothing_until_something_is_asked(run):
    said = run("""
import ctypes, sys
libc = ctypes.CDLL(None)
libc.dlsym.restype, libc.dlsym.argtypes = ctypes.c_size_t, [ctypes.c_size_t, ctypes.c_char_p]
facts = lambda: [libc.dlsym(0, name) for name in (b"pthread_create", b"sigaction", b"_exit")]
modules, before = set(sys.modules), facts()
import diaphane
said["modules"] = sorted(set(sys.modules) - modules)
said["same"] = facts() == before
heard = []
sys.addaudithook(lambda event, args: heard.append(event) if event == "sys.addaudithook" else None)
said["libraries"] = len(diaphane.loaded_libs())
said["after"] = [facts() == before, list(heard), "IPython" in sys.modules]
undo = diaphane.watch_threads()
said["watching"] = facts() == before
undo.undo()
said["undone"] = facts() == before
diaphane.watch_imports()
said["hooks"] = heard
""")
    assert said["modules"] == ["diaphane"]
    assert said["same"]
    assert said["libraries"] > 3
    assert said["after"] == [True, [], False]
    assert not said["watching"]
    assert said["undone"]
    assert said["hooks"] == ["sys.addaudithook"]


def test_every_magic_is_a_function_and_no_module_has_its_name(run):
    said = run("""
import diaphane
from diaphane import _diaphane
said["magics"] = sorted({name for name, *_ in _diaphane.magic_list()})
said["functions"] = [name for name in said["magics"] if callable(getattr(diaphane, name)) and getattr(diaphane, name).__doc__]
said["listed"] = set(said["magics"]) <= set(dir(diaphane))
""")
    assert said["functions"] == said["magics"]
    assert said["listed"]
    modules = {path.stem for path in ROOT.glob("kernel/python/diaphane/*.py")}
    assert not modules & set(said["magics"])


def test_options_are_keywords(run):
    said = run("""
import diaphane, numpy, threading
said["libraries"] = sorted(row["name"] for row in diaphane.loaded_libs("numpy"))
said["by_module"] = sorted(row["name"] for row in diaphane.loaded_libs(numpy))
import _decimal
said["new"] = [row["name"] for row in diaphane.loaded_libs(new=True)]
said["stacks"] = str(diaphane.threads(stack=True))
said["two"] = str(diaphane.threads(stack=1, top=1, no_diag=True))
said["loop"] = diaphane.where(numpy.add, dtype="float64")[1]["types"]
said["text"] = diaphane.where("numpy.add", dtype="float64")[1]["types"]
report = diaphane.threads()
said["table"] = list(report.to_pandas()["tid"]) == [row["tid"] for row in report]
said["maps"] = sorted({line.split()[-1].rsplit("/")[-1] for line in open("/proc/self/maps") if "numpy" in line and ".so" in line})
""")
    assert said["libraries"] == said["by_module"]
    # The linker's own list is what Linux says.
    assert {name for name in said["maps"] if "multiarray_umath" in name} <= set(said["libraries"])
    assert any("decimal" in name for name in said["new"])
    assert "program.py" in said["stacks"]
    assert "diaphane/library.py" not in said["stacks"]
    assert said["loop"] == said["text"] == "dd->d"
    assert said["table"]


def test_objects_are_named_as_the_caller_names_them(run):
    said = run("""
import sys, diaphane, numpy as np
a = np.ones(1000)
b = a[10:]
report = diaphane.buffer_addr(a, b, np.zeros(10))
said["names"] = [row["name"] for row in report]
said["addresses"] = [row["addr"] for row in report][:2]
said["witness"] = [hex(a.ctypes.data), hex(b.ctypes.data)]
said["refs"] = [report[0]["refs"], sys.getrefcount(a) - 1]
def inside():
    own = np.ones(100)
    return [[row["name"], row["refs"]] for row in diaphane.buffer_addr(own)], [row["name"] for row in diaphane.buffer_addr()]
said["inside"] = inside()
said["left"] = [name for name in globals() if name.startswith("arg")]
said["words"] = [row["name"] for row in diaphane.buffer_addr("a", each=True, min=10)]
""")
    assert said["names"] == ["a", "b", "arg2"]
    assert [str(one) for one in said["addresses"]] in (
        said["witness"],
        [str(int(one, 16)) for one in said["witness"]],
    )
    assert said["refs"][0] == said["refs"][1]
    assert said["inside"][0] == [["own", 1]]
    assert "own" in said["inside"][1]
    assert said["left"] == []
    assert said["words"] == ["a"]


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (
            "threads(stak=True)",
            "TypeError",
            "threads() has no keyword 'stak'; did you mean 'stack'?",
        ),
        ("threads(5)", "TypeError", "threads() takes fewer than 1 arguments"),
        ("threads(python=3)", "TypeError", "python is True or False, not 3"),
        (
            "loaded_libs('a', pattern='b')",
            "TypeError",
            "loaded_libs() has two values for 'pattern'",
        ),
        ("loaded_libs('a', 'b')", "TypeError", "loaded_libs() takes fewer than 2 arguments"),
        ("native_prof(hz=None)(3)", "TypeError", "native_prof records a function, not 3"),
        (
            "thread()",
            "AttributeError",
            "module 'diaphane' has no attribute 'thread'; did you mean 'threads'?",
        ),
        ("threads(sample='x')", "ValueError", '%threads: "x" is no value for --sample <MS>'),
    ],
)
def test_what_is_wrong_is_named(run, call, kind, sentence):
    said = run(f"""
import diaphane
try:
    diaphane.{call}
except Exception as error:
    said["error"] = [type(error).__name__, str(error)]
""")
    assert said["error"] == [kind, sentence]


def test_threads_and_children_ask_too(run):
    said = run("""
import os, threading, diaphane
asked = {}
workers = [threading.Thread(target=lambda n=n: asked.setdefault(n, len(diaphane.threads()))) for n in range(4)]
for worker in workers: worker.start()
for worker in workers: worker.join()
said["asked"] = len(asked)
pipe, end = os.pipe()
if os.fork() == 0:
    os.write(end, str([row["tid"] for row in diaphane.threads()] == [os.getpid()]).encode())
    os._exit(0)
os.wait()
said["child"] = os.read(pipe, 100).decode()
""")
    assert said["asked"] == 4
    assert said["child"] == "True"


def test_the_types_are_what_the_magics_say():
    done = start(door.python(), str(ROOT / "docs/site/stubs.py"), "--check")
    assert done.returncode == 0, done.stderr


def test_the_types_are_python_and_name_every_function(run):
    tree = ast.parse((ROOT / "kernel/python/diaphane/__init__.pyi").read_text())
    named = {
        getattr(node, "name", None) or getattr(getattr(node, "target", None), "id", None)
        for node in tree.body
    }
    said = run(
        "import diaphane\nsaid['names'] = [name for name in dir(diaphane) if not name.startswith('_')]"
    )
    missing = set(said["names"]) - named
    assert missing <= {"load_ipython_extension", "unload_ipython_extension", "library"}
