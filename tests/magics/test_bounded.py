"""What recordings of ordinary cells leave behind, and what they say first: of the cell's time, and of what they cover."""

from __future__ import annotations

import json
import platform
import re

import nbformat
import pytest
from nbclient import NotebookClient

from support.client import Client
from support.exchange import Exchange

pytestmark = pytest.mark.diaphane
MOST = 256_000
# What comes before, and an ordinary cell.
JSON = (
    "import json as J; data = [{'a': i, 'b': str(i)} for i in range(3000)]",
    "z = J.loads(J.dumps(data))",
)
FRAME = (
    "import numpy as np, pandas as pd\ndf = pd.DataFrame({'g': np.arange(3000) % 7, 'x': np.arange(3000.0)})",
    "df.describe()",
)
PLOT = (
    "import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as plt",
    "figure, axes = plt.subplots(); axes.plot([1, 2]); figure.canvas.draw(); plt.close(figure)",
)
FILES = ("import os", "for n in range(3000): open('/proc/self/stat').close()")
ARRAYS = ("import numpy as np", "kept = [np.ones(n) for n in range(3000)]")
CELLS = [
    ("%%native_calls", *FRAME),
    ("%%native_calls --deep", *FRAME),
    ("%%native_calls --deep", *JSON),
    ("%%native_prof", *PLOT),
    ("%%native_calls --sample", *PLOT),
    ("%%syscalls", *FILES),
    ("%%syscalls --list --top 0", *FILES),
    ("%%syscalls --strace --top 0", *FILES),
    ("%%syscalls --list --json", *FILES),
    ("%%buffer_trace", *ARRAYS),
    ("%%trace_loads --files", "", "import sqlite3, decimal, xml.dom.minidom"),
]


def shown(done: Exchange) -> dict:
    """The views of the report by MIME type; a cell may show a value of its own besides."""
    data = [
        one["data"]
        for one in done.all("execute_result")
        if any("diaphane" in kind for kind in one["data"])
    ]
    assert len(data) == 1, done.trace
    return data[0]


def stored(data: dict) -> tuple[dict, int]:
    """The report as JSON, and how many bytes all of its views have."""
    (kind,) = [kind for kind in data if "diaphane" in kind]
    texts = [
        text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
        for text in data.values()
    ]
    return data[kind], sum(len(text.encode()) for text in texts)


@pytest.mark.parametrize(("magic", "before", "cell"), CELLS)
def test_a_report_takes_little_room_in_a_notebook_and_the_value_has_all(
    client: Client, magic: str, before: str, cell: str
):
    client.run(before)
    data = shown(client.run(f"{magic}\n{cell}"))
    report, size = stored(data)
    assert 0 < size < MOST
    whole = client.whole()
    missing = report.get("left_out", {}).get("rows", 0)
    assert len(report["rows"]) + missing == len(whole["rows"])
    if missing and "text/html" in data:
        assert f"{len(report['rows'])} of {len(whole['rows'])} rows are stored" in data["text/html"]
    assert len(client.value("Out[max(Out)].to_html()")) > 100


def test_a_notebook_of_twenty_reports_can_be_opened(tmp_path):
    cells = [FRAME[0], JSON[0]]
    cells += [f"%%native_calls --deep\n{cell}" for cell in (FRAME[1], JSON[1]) for n in range(10)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    NotebookClient(notebook, kernel_name="diaphane", timeout=300).execute()
    assert sum(len(cell.outputs) for cell in notebook.cells) >= 20
    path = tmp_path / "twenty.ipynb"
    nbformat.write(notebook, path)
    assert path.stat().st_size < 5_000_000


RECORDINGS = ["%%native_calls", "%%native_prof", "%%syscalls", "%%buffer_trace", "%%trace_loads"]


@pytest.mark.parametrize("magic", RECORDINGS)
def test_what_the_recording_cost_is_said_first(client: Client, magic: str):
    client.run("import numpy as np\na = np.ones((50, 50))")
    data = shown(client.run(f"{magic}\nfor n in range(300): b = a @ a; c = b.sum()"))
    report, _ = stored(data)
    assert 0 < report["plain_ns"] < report["took_ns"]
    said = r"This took \S+ \S+, with all that it took to record and to report; without, it takes about \S+ \S+ "
    assert re.match(said, data["text/plain"].replace("\n", " "))
    assert re.search(r"</style><p>" + said, data["text/html"])


def test_an_import_is_one_row_unless_it_is_asked_for(launch):
    client = launch().connect()
    cell = "import decimal, xml.dom.minidom\nfrom decimal import Decimal\nx = Decimal(2).sqrt()"
    data = shown(client.run(f"%%native_calls\n{cell}"))
    report, _ = stored(data)
    imports = [row for row in report["rows"] if row["func"] == "imports"]
    assert sum(row["calls"] for row in imports) == 2
    assert not [row for row in report["rows"] if row["parent"] in {one["id"] for one in imports}]
    assert report["overhead"]["muted"] == 0 or report["overhead"]["reports"] > 100
    assert "Imports took" in " ".join(data["text/plain"].splitlines()[:6])
    # What comes behind is recorded.
    assert any("sqrt" in row["func"] for row in report["rows"])
    client.run("import sys\nfor name in ('xml.dom.minidom', 'xml.dom'): sys.modules.pop(name)")
    client.run("%%native_calls --imports\nimport xml.dom.minidom")
    functions = {row["func"] for row in client.whole()["rows"]}
    assert "imports" not in functions
    assert {"_find_and_load", "_find_and_load_unlocked"} <= functions


def test_imports_that_fail_and_imports_of_threads_are_rows_too(client: Client):
    cell = """
import threading, importlib
def other():
    import colorsys
    return abs(-1)
one = threading.Thread(target=other); one.start(); one.join()
try: import no_such_module
except ImportError: pass
y = abs(-2)
"""
    client.run("import sys; sys.modules.pop('colorsys', None)")
    client.run(f"%%native_calls\n{cell}")
    tree = client.whole()["rows"]
    assert len({row["thread"] for row in tree if row["func"] == "imports"}) == 2
    assert sum(row["calls"] for row in tree if row["func"].endswith("abs")) == 2


def test_a_long_recording_ends_before_its_cell_and_says_so_above_the_tree(client: Client):
    cell = "def f(): pass\nfor n in range(700_000): f()\nlast = 'the cell ran to its end'"
    data = shown(client.run(f"%%native_calls\n{cell}"))
    report, _ = stored(data)
    overhead = report["overhead"]
    assert overhead["events"] < 6_000_000
    assert 0 < overhead["covered_ns"] < overhead["elapsed_ns"]
    top = " ".join(data["text/plain"].splitlines()[:8])
    assert re.search(r"The tree covers the first \S+ \S+ of \S+ \S+ \(\d+ %\)", top)
    assert client.value("last") == "'the cell ran to its end'"
    # All is as it was, and the next recording is whole.
    assert client.value("__import__('sys').getprofile()") == "None"
    client.run("%%native_calls\nfor n in range(1000): f()")
    again = client.whole()
    assert sum(row["calls"] for row in again["rows"] if row["func"] == "f") == 1000
    assert again["overhead"]["covered_ns"] == again["overhead"]["elapsed_ns"]
    # Who asks for a number gets it.
    client.run(f"%%native_calls --limit 4_000_000\n{cell}".replace("4_000_000", "4000000"))
    asked = client.whole()
    assert sum(row["calls"] for row in asked["rows"] if row["func"] == "f") == 700_000


UNITS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def test_the_bar_divides_what_it_says_and_showing_the_value_is_apart(client: Client):
    client.run("import time\nclass Slow:\n    def __repr__(self): time.sleep(0.2); return 'slow'")
    data = shown(client.run("%%native_calls\nx = sorted(range(1000))\nSlow()"))
    report, _ = stored(data)
    roots = {row["func"]: row["total_ns"] for row in report["rows"] if row["parent"] is None}
    assert roots["show the last value"] > 190e6
    assert roots["the cell"] < 190e6
    number, unit = re.search(
        r">([0-9.]+) (ns|us|ms|s) of all threads, in their own code", data["text/html"]
    ).groups()
    others = sum(total for func, total in roots.items() if func != "show the last value")
    assert float(number) * UNITS[unit] == pytest.approx(others, rel=0.1)


COPIED = """
def copied():
    total, counts = 0, False
    for line in open('/proc/self/smaps'):
        words = line.split()
        if '-' in words[0] and len(words) >= 5:
            counts = 'x' in words[1] and words[4] != '0'
        elif counts and words[0] == 'Private_Dirty:':
            total += int(words[1])
    return total * 1024
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="--deep is for x86-64")
def test_code_that_was_hooked_is_given_back_where_it_is_much(launch):
    client = launch().connect()
    client.run(f"{FRAME[0]}\n{COPIED}")
    for _ in range(2):
        client.run(f"%%native_calls --deep --as found\nbusy = copied()\n{FRAME[1]}")
        assert client.value("found.facts['overhead']['hooks'] > 20_000") == "True"
    busy, after = int(client.value("busy")), int(client.value("copied()"))
    assert after < min(busy, 40_000_000)
    assert client.value("df.x.sum()") == client.value("np.float64(4498500.0)")
