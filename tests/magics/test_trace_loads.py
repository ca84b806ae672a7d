"""%%trace_loads against strace, which watches the same process, and as a user of a notebook sees it."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library
from support.strace import Strace

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.trace_loads+json"
OPENER = """#include <dlfcn.h>
void *opener(const char *path) {
  dlopen("libnowhere.so.7", RTLD_NOW);
  return dlopen(path, RTLD_NOW);
}
"""


def report(done) -> dict:
    return done.report("trace_loads")


def lines(client: Client) -> list[str]:
    """The last report as text: a notebook gets no more than some of it."""
    text = ast.literal_eval(client.value("repr(Out[max(Out)])"))
    return [line for line in text.splitlines() if line.startswith("open")]


def fixture(folder: Path) -> str:
    shared_library(folder / "libopener.so", OPENER)
    shared_library(folder / "libother.so", "int other = 1;")
    return f"import ctypes\nctypes.CDLL('{folder}/libopener.so').opener(b'{folder}/libother.so')"


CELLS = [
    "import numpy",
    "import scipy.linalg",
    "import matplotlib.pyplot",
    "import pandas",
    "dlopen",
]


@pytest.mark.parametrize("cell", CELLS)
def test_opens_and_loads_are_those_of_strace(cell: str, launch, tmp_path: Path):
    if cell == "dlopen":
        cell = fixture(tmp_path)
    if "matplotlib" in cell:
        # Who asks first makes the cache of fonts, by a child process that strace sees too.
        launch().connect().run(cell)
    kernel = launch()
    client = kernel.connect()
    pid = int(client.value("__import__('os').getpid()"))
    client.run(
        "from pathlib import Path\ndef mark(name):\n    try: open(name)\n    except OSError: pass"
    )
    strace = Strace(pid, tmp_path / "strace.log", "open,openat")
    begin, end = f"{tmp_path}/begin", f"{tmp_path}/end"
    body = f"mark({begin!r})\n{cell}\nmark({end!r})"
    done = client.run(f"%%trace_loads --strace\n{body}")
    calls = strace.between(begin, end)
    truth = [
        (f"{call.name}({call.arguments}) = {call.result}{call.error}", call.path, call.result)
        for call in calls
    ]
    assert report(done)["opens_source"] == "syscall"
    own = lines(client)
    found = own[next(i for i, line in enumerate(own) if begin in line) + 1 : -1]
    assert end in own[-1]
    assert found == [line for line, _, _ in truth]
    failed = [path for _, path, result in truth if result.startswith("-")]
    assert report(done)["counts"]["opens_failed"] == len(failed) + 2
    # What was opened and is mapped is what was loaded.
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    mapped = {line.split(maxsplit=5)[5] for line in maps if "/" in line}
    opened = [os.path.realpath(path) for _, path, result in truth if not result.startswith("-")]
    libraries = {path for path in opened if ".so" in Path(path).name and path in mapped}
    assert report(done)["counts"]["libraries"] == len(libraries)
    rows = report(client.run("%%trace_loads\nimport numpy, sys"))["rows"]
    assert not [row for row in rows if row["path"] in libraries]


def test_an_import_that_fails_halfway_is_told_and_fails_the_cell(client: Client, tmp_path: Path):
    suffix = client.value("__import__('sysconfig').get_config_var('EXT_SUFFIX')").strip("'")
    shared_library(tmp_path / f"broken{suffix}", "int broken = 1;")
    client.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})")
    done = client.execute("%%trace_loads\nimport broken")
    assert done.content["ename"] == "ImportError"
    assert len(done.all("error")) == 1
    # What the traceback needs may be loaded, too.
    rows = [row for row in report(done)["rows"] if "broken" in row["name"]]
    assert [(row["name"], row["requester"]) for row in rows] == [
        (f"broken{suffix}", "import broken")
    ]
    cell = done.content["execution_count"]
    assert rows[0]["line"] == f"In[{cell}]:2"


def test_an_interrupt_ends_the_cell_and_the_trace(client: Client):
    done = client.interrupt_at(
        "on", "%%trace_loads\nimport _lsprof\nprint('on', flush=True)\nwhile True: pass"
    )
    assert done.content["ename"] == "KeyboardInterrupt"
    assert [row["requester"] for row in report(done)["rows"]] in (["import _lsprof"], [])
    assert client.run("%%trace_loads\nx = 1").content["status"] == "ok"


def test_threads_that_libraries_start_are_counted(launch):
    client = launch().connect()
    pid = int(client.value("__import__('os').getpid()"))
    before = len(os.listdir(f"/proc/{pid}/task"))
    counts = report(client.run("%%trace_loads\nimport numpy"))["counts"]
    started = len(os.listdir(f"/proc/{pid}/task")) - before
    assert (counts["processes"], counts["threads"]) == (0, started)


def test_children_are_counted(client: Client):
    done = client.run("%%trace_loads\nimport subprocess\nout = subprocess.run(['true']).returncode")
    assert client.value("out") == "0"
    assert report(done)["counts"]["processes"] == 1
    done = client.run("%%trace_loads\nx = 1 + 1")
    shown = [m["data"]["text/plain"] for m in done.all("execute_result")]
    assert "no library was loaded" in shown[0]
    assert "no process was started" in shown[0]


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports came with Python 3.15")
@pytest.mark.parametrize("use", ["_lsprof.Profiler", "profiler()"])
def test_a_lazy_import_is_told_beside_the_line_that_loads_its_module(use: str, launch):
    client = launch().connect()
    client.run(
        "x = 1\nlazy import _lsprof\nlazy import _zoneinfo\ndef profiler():\n    return _lsprof.Profiler"
    )
    done = client.run(f"%%trace_loads\ny = 2\n{use}")
    (row,) = (row for row in report(done)["rows"] if row["name"].startswith("_lsprof"))
    # The magic's own line counts.
    loads = "In[2]:3" if use.startswith("_") else "In[1]:5"
    assert (row["lazy"], row["line"]) == ("In[1]:2", loads)
    why = client.run("%loaded_libs --why _lsprof").all("execute_result")[0]["data"]["text/plain"]
    assert "In[1]:2 imports it lazily; loaded when its name was first used:" in why
    # What is imported at once is not lazy.
    (other,) = report(client.run("%%trace_loads\nimport _xxtestfuzz"))["rows"]
    assert other["lazy"] is None


def test_the_first_sentence_says_whether_the_linker_took_the_time(launch):
    client = launch().connect()
    done = client.run("%%trace_loads\nimport _lsprof, time\ntime.sleep(0.2)")
    said = " ".join(done.all("execute_result")[-1]["data"]["text/plain"].split())
    assert "The dynamic linker took" in said, said
    assert "the rest is code that ran" in said, said
