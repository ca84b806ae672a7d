"""%%native_calls as a user of a notebook sees it: the tree is that of the cell, and the counts are exact."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_calls+json"
MAGIC = "%%native_calls"
# CPython 3.11 reports calls of C functions only; a ufunc that is called is known there by its place in the text.
REPORTS_ALL_CALLS = sys.version_info >= (3, 12)


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import sys, threading\nimport numpy as np")
    client.run("a = np.ones((200, 200)); b = a + 1; x = np.arange(5.0)")
    return client


def report(done) -> dict:
    return done.report("native_calls")


def rows(done) -> list[dict]:
    """The rows, of which every parent comes before its children."""
    rows = report(done)["rows"]
    seen: dict[int, dict] = {}
    for row in rows:
        assert row["id"] not in seen
        parent = row["parent"]
        assert row["depth"] == (0 if parent is None else seen[parent]["depth"] + 1)
        seen[row["id"]] = row
    return rows


def above(rows: list[dict], row: dict) -> list[str]:
    """The names on the way from the root to a row."""
    by_id = {one["id"]: one for one in rows}
    names = [row["func"]]
    while row["parent"] is not None:
        row = by_id[row["parent"]]
        names.append(row["func"])
    return names[::-1]


def below(rows: list[dict], row: dict) -> list[str]:
    """The names of a row and of all that its tree has under it."""
    children = [one for one in rows if one["parent"] == row["id"]]
    return [row["func"], *(name for child in children for name in below(rows, child))]


def calls(rows: list[dict], word: str, via: str) -> int:
    return sum(row["calls"] for row in rows if word in row["func"] and row["via"] == via)


def is_undone(client: Client) -> None:
    assert client.value("sys.getprofile(), threading.getprofile()") == "(None, None)"
    assert rows(client.run(f"{MAGIC}\nnp.add(x, 1)"))


def test_the_way_of_a_sum(numpy: Client):
    done = numpy.run(f"{MAGIC}\nnp.sum(np.array([1, 2, 3, 4]))")
    cell = done.content["execution_count"]
    tree = rows(done)
    assert any(row["func"] == "numpy.array" for row in tree)
    loop = next(row for row in tree if row["via"] == "ufunc loop" and "_add" in row["func"])
    way = iter(above(tree, loop))
    call = "numpy.sum" if REPORTS_ALL_CALLS else "np.sum(np.array([1, 2, 3, 4]))"
    for name in [
        "the cell",
        call,
        "dispatcher_vectorcall",
        "sum",
        "_wrapreduction",
        "numpy.add.reduce",
    ]:
        assert name in way, above(tree, loop)
    row = next(row for row in tree if row["func"] == call)
    known = ("c call", 1, None) if REPORTS_ALL_CALLS else ("operator", None, f"In[{cell}]:2")
    assert (row["via"], row["calls"], row["place"]) == known


def test_operators_and_subscripts_have_their_text_and_line(numpy: Client):
    done = numpy.run(f"{MAGIC}\na @ b\na[1:3]\na + 1\na < 5")
    cell = done.content["execution_count"]
    tree = rows(done)
    texts = ["a @ b", "a[1:3]", "a + 1", "a < 5"]
    for line, text in enumerate(texts, 2):
        found = [row for row in tree if row["func"] == text and row["via"] == "operator"]
        assert found, text
        assert {row["place"] for row in found} == {f"In[{cell}]:{line}"}
    gemm = next(row for row in tree if "gemm" in row["func"] and row["via"] == "call")
    assert "a @ b" in above(tree, gemm)
    assert "openblas" in gemm["lib"]


def test_counts_are_those_of_the_loop(numpy: Client):
    done = numpy.run(f"{MAGIC}\nfor _ in range(200): c = a @ b")
    assert calls(rows(done), "gemm", "call") == 200
    done = numpy.run(f"{MAGIC}\nfor _ in range(1000): y = np.add(x, 1)")
    assert calls(rows(done), "_add", "ufunc loop") == 1000


def test_libraries_deeper_down(numpy: Client):
    tree = rows(numpy.run(f"{MAGIC}\ns = np.linalg.svd(a[:20, :20])"))
    assert any("gesdd" in row["func"] for row in tree)
    numpy.run("import json, pandas as pd\nf = pd.DataFrame({'k': [1, 2, 1], 'v': [1., 2., 3.]})")
    tree = rows(numpy.run(f"{MAGIC}\nt = json.dumps([1, 2, {{'a': None}}])"))
    assert any(row["func"] == "JSONEncoder.encode" for row in tree)
    tree = rows(numpy.run(f"{MAGIC}\ng = f.groupby('k').v.sum()"))
    assert any(row["via"] == "c call" for row in tree)
    assert numpy.value("g.tolist()") == "[4.0, 2.0]"


def test_the_functions_that_watch_are_not_shown(numpy: Client):
    code = "def size(v): return abs(v)\ns = sum(map(size, range(9)))"
    numpy.run(f"{MAGIC} --deep\n{code}")
    names = {row["func"] for row in numpy.whole()["rows"]}
    # A function that the compiler has built into `abs`, as Debian's does, is none that is called.
    assert any(name.startswith("size") for name in names)
    # This one of 3.15 makes the call itself, so what it calls stands below it.
    names.discard("_Py_VectorCallInstrumentation_StackRefSteal")
    assert not {name for name in names if "nstrument" in name or "call_trace" in name}


def test_methods_of_types_have_their_library(numpy: Client):
    tree = rows(numpy.run(f"{MAGIC}\nt = ','.join(['a', 'b'])\nfor _ in range(9): x.sum()"))
    join = next(row for row in tree if row["func"] == "str.join")
    assert (join["via"], join["calls"]) == ("c call", 1)
    assert "python" in join["lib"]
    total = next(row for row in tree if row["func"] == "ndarray.sum")
    assert (total["calls"], total["lib"]) == (9, "_multiarray_umath")


def test_output_and_value_pass_through(numpy: Client):
    done = numpy.run(f"{MAGIC}\nprint('hello')\nx.size + 1")
    assert done.text() == "hello\n"
    results = [m["data"] for m in done.all("execute_result")]
    assert results[0]["text/plain"] == "6"
    assert MIME in results[1]


def test_the_next_cell_counts_on_as_ever(numpy: Client):
    first = numpy.run(f"{MAGIC}\n41 + 1").content["execution_count"]
    assert numpy.value("__") == "42"
    assert numpy.run("x.size").content["execution_count"] == first + 1
    assert numpy.value("In[-1]") == "'x.size'"


def test_an_error_fails_the_cell_and_is_shown_once(numpy: Client):
    done = numpy.execute(f"{MAGIC}\ny = np.add(x, 1)\n1 / 0\nz = 2")
    assert done.content["ename"] == "ZeroDivisionError"
    assert len(done.all("error")) == 1
    traceback = "\n".join(done.one("error")["traceback"]).replace("\x1b[32m", "")
    assert "line 3" in traceback
    assert "run_cell_magic" not in traceback
    assert calls(rows(done), "_add", "ufunc loop") == 1
    plain = numpy.execute("x = (").content["ename"]
    assert numpy.execute(f"{MAGIC}\nx = (").content["ename"] == plain
    is_undone(numpy)


@pytest.mark.parametrize("option", ["", " --deep"])
def test_an_interrupt_leaves_nothing_behind(numpy: Client, option: str):
    done = numpy.interrupt_at(
        "on", f"{MAGIC}{option}\ny = np.add(x, 1)\nprint('on', flush=True)\nwhile 1: pass"
    )
    assert done.content["ename"] == "KeyboardInterrupt"
    assert rows(done)
    is_undone(numpy)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (f"{MAGIC}\n{MAGIC}\nx", "another recording is running"),
        (f"{MAGIC}\n", "empty"),
        (f"{MAGIC} --libs ((\nx", "is no regular expression"),
        (f"{MAGIC} --deep --libs no_such_library\nx", "matches none of the"),
        (f"{MAGIC} --nope\nx", 'unknown argument "--nope"'),
    ],
)
def test_what_cannot_be_is_one_line(numpy: Client, cell: str, said: str):
    words = numpy.execute(cell).text("stderr").strip()
    assert said in words
    assert "\n" not in words
    is_undone(numpy)


def test_a_pattern_that_matches_nothing_is_said(numpy: Client):
    limits = report(numpy.run(f"{MAGIC} --libs no_such_library\nnp.add(x, 1)"))["limits"]
    assert any("no_such_library" in limit for limit in limits)


def test_options_of_the_report(numpy: Client):
    done = numpy.run(f"{MAGIC} --limit 10\nfor _ in range(5): y = np.add(x, 1)")
    lost = report(done)["overhead"]["lost"]
    assert lost > 0
    assert any(f"{lost} events were only counted" in limit for limit in report(done)["limits"])
    assert max(row["depth"] for row in rows(numpy.run(f"{MAGIC} --depth 2\nnp.sum(x)"))) == 1
    few = rows(numpy.run(f"{MAGIC}\nnp.sum(x)"))
    many = rows(numpy.run(f"{MAGIC} --all\nnp.sum(x)"))
    assert len(many) > len(few)
    assert all(row["helpers"] is None for row in many)
    few = rows(numpy.run(f"{MAGIC} --filter _add\ny = np.add(x, 1)"))
    assert all(any("_add" in name for name in below(few, row)) for row in few)
    numpy.run(f"{MAGIC} --as tree\nnp.sum(x)")
    assert numpy.value("tree.name, len(tree) > 5") == "('native_calls', True)"
    printed = numpy.run(f"{MAGIC} --json\ny = np.sum(x)").result
    assert json.loads(printed)["name"] == "native_calls"


def test_a_thread_has_a_tree_of_its_own(numpy: Client):
    tree = rows(
        numpy.run(
            f"{MAGIC}\nt = threading.Thread(target=lambda: np.add(x, 1))\nt.start()\nt.join()"
        )
    )
    threads = [row for row in tree if row["via"] == "thread"]
    loop = next(row for row in tree if row["via"] == "ufunc loop")
    assert loop["thread"] in {row["thread"] for row in threads}
    assert loop["thread"] != tree[0]["thread"]


FORK = """
import os
child = os.fork()
if child == 0:
    os._exit(int(np.add(x, 1).sum() + (a @ b).sum() > 0) + 40)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("option", ["", " --deep"])
def test_a_fork_in_the_cell(numpy: Client, option: str):
    assert rows(numpy.run(f"{MAGIC}{option}{FORK}"))
    assert numpy.value("status") == "41"
    is_undone(numpy)


def test_a_program_that_the_cell_starts(numpy: Client):
    code = "import subprocess\nout = subprocess.run(['echo', 'hi'], capture_output=True).stdout"
    numpy.run(f"{MAGIC}\n{code}")
    assert numpy.value("out") == r"b'hi\n'"


def test_what_the_cell_loads_is_hooked(launch):
    client = launch().connect()
    client.run("import numpy as np")
    loop = "for _ in range(10): s = np.add(1.5, 2.5)"
    # An extension module, and a library by another function, come before the one that is looked at.
    first = "import syslog, ctypes\nctypes.CDLL(None)"
    code = f"{first}\nimport scipy.linalg\ny = scipy.linalg.lu_factor(np.eye(3))\n{loop}"
    tree = rows(client.run(f"{MAGIC}\n{code}"))
    assert any("getrf" in row["func"] and row["via"] == "call" for row in tree)
    # No loop was hooked twice; and in the next cell, none was left out.
    assert added(tree) == 10
    assert added(rows(client.run(f"{MAGIC}\n{loop}"))) == 10


def added(tree: list[dict]) -> int:
    """How many inner loops ran under the call in the loop above, and not in the imports."""
    call = "numpy.add" if REPORTS_ALL_CALLS else "np.add(1.5, 2.5)"
    loops = [row for row in tree if row["via"] == "ufunc loop"]
    return sum(row["calls"] for row in loops if above(tree, row)[1:2] == [call])


def test_a_profiler_of_the_user_stays(numpy: Client):
    numpy.run("def mine(*event): pass\nsys.setprofile(mine)")
    limits = report(numpy.run(f"{MAGIC}\nnp.add(x, 1)"))["limits"]
    assert any("sys.setprofile" in limit for limit in limits) or sys_monitoring(numpy)
    assert numpy.value("sys.getprofile() is mine") == "True"
    numpy.run("sys.setprofile(None)")
    is_undone(numpy)


def sys_monitoring(client: Client) -> bool:
    """Whether Python has a way to report to more than one, since 3.12."""
    return client.value("hasattr(sys, 'monitoring')") == "True"


def test_the_limit_counts_from_the_cell(numpy: Client):
    """IPython compiles each statement before it runs, which took many times this room."""
    code = "\n".join(["y = np.add(x, 1)"] * 20)
    found = report(numpy.run(f"{MAGIC} --deep --limit 20000\n{code}"))
    assert not [limit for limit in found["limits"] if "only counted" in limit]
    tree = numpy.whole()["rows"]
    assert sum(row["calls"] for row in tree if "DOUBLE_add" in row["func"]) == 20


def test_where_the_room_ended_is_said(numpy: Client):
    found = report(numpy.run(f"{MAGIC} --limit 50\nfor _ in range(100): np.add(x, 1)"))
    limit = next(limit for limit in found["limits"] if "only counted" in limit)
    assert "--limit gives room for 50" in limit
    assert found["overhead"]["lost"] > 100


def test_names_of_methods_with_a_class(client: Client):
    """Some built-in methods are objects of a type of their own, since they know their class."""
    client.run("import re; pattern = re.compile('a.c')")
    tree = rows(client.run(f"{MAGIC}\npattern.match('abc')"))
    assert [row["func"] for row in tree if row["via"] == "c call"] == ["Pattern.match"]


def test_a_loop_below_its_best(launch):
    client = launch(env={"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"}).connect()
    client.run("import numpy as np; x = np.arange(5.0)")
    found = report(client.run(f"{MAGIC}\ny = np.add(x, x)"))
    told = [one for one in found["diagnoses"] if one["code"] == "C001"]
    assert ["DOUBLE_add" in one["title"] for one in told] == [True]


HOLD = """
#include <time.h>
void hold(double seconds) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) + (now.tv_nsec - start.tv_nsec) * 1e-9 < seconds);
}
"""


def test_who_keeps_the_gil(client: Client, tmp_path: Path):
    (tmp_path / "hold.c").write_text(HOLD)
    path = tmp_path / "libhold.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, tmp_path / "hold.c"], check=True)
    client.run(f"import ctypes, threading\nkeeps = ctypes.PyDLL({str(path)!r}).hold")
    client.run(f"gives = ctypes.CDLL({str(path)!r}).hold; second = ctypes.c_double(1.0)")
    client.run("def wait():\n    while not stop: pass")
    start = "stop = False; other = threading.Thread(target=wait); other.start()"

    def told(code: str) -> list[str]:
        found = report(client.run(f"{MAGIC}\n{code}\nstop = True; other.join(); 1"))
        return [one["title"] for one in found["diagnoses"] if one["code"] == "C007"]

    titles = told(f"{start}\nkeeps(second)")
    assert len(titles) == 1
    assert titles[0].startswith("hold of libhold.so held the GIL for at least ")
    assert "another Python thread waited" in titles[0]
    # Who gives it away, or computes in Python, or has nobody who waits, is not reported.
    assert not told(f"{start}\ngives(second)")
    assert not told(f"{start}\nfor _ in range(1_000_000): pass")
    assert not told("keeps(second)")


GREENLETS = """
from greenlet import greenlet
def add(times):
    for _ in range(times):
        np.add(x, 1)
        other.switch()
def multiply():
    while True:
        np.multiply(x, 2)
        main.switch()
main = greenlet(add)
other = greenlet(multiply)
main.switch(50)
"""


@pytest.mark.parametrize("option", ["", " --deep"])
def test_greenlets(numpy: Client, option: str):
    numpy.run(f"{MAGIC}{option}{GREENLETS}")
    tree = numpy.whole()["rows"]
    for name in ("DOUBLE_add", "DOUBLE_multiply"):
        assert sum(row["calls"] for row in tree if name in row["func"]) == 50
    assert max(row["depth"] for row in tree) < 60
    is_undone(numpy)


def test_calls_in_a_loop_do_not_nest(client: Client):
    """What frees an object jumps to an address that its code does not tell, and the next one is freed by the same call."""
    code = "import json as j\nx = j.loads(j.dumps([{'a': i, 'b': str(i)} for i in range(3000)]))"
    found = report(client.run(f"{MAGIC} --deep\n{code}"))
    assert max(row["depth"] for row in found["rows"]) < 100
    assert client.value("len(x)") == "3000"


@pytest.mark.parametrize("options", ["", " --all", " --depth 20000"])
def test_deep_recursion(client: Client, options: str):
    client.run("import sys\nlimit = sys.getrecursionlimit(); sys.setrecursionlimit(30000)")
    client.run("def down(n):\n    return n and down(n - 1)")
    client.run(f"{MAGIC}{options} --as found\ndown(10_000)")
    found = client.whole("found")
    client.run("sys.setrecursionlimit(limit)")
    calls = sum(row["calls"] or 0 for row in found["rows"] if row["func"] == "down")
    if "--depth" in options:
        assert calls == 10_001
    else:
        assert 900 < calls < 1000
        assert "nested deeper than 1000 levels" in str(found["limits"])
