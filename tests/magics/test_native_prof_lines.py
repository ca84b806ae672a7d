"""%%native_prof answers why a cell is slow: by the cell's own lines, with the cause where it is sure, and without itself."""

from __future__ import annotations

import re

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_prof+json"

SETUP = """
import numpy as np, pandas as pd, subprocess, time
values = np.random.default_rng(0).random(100_000)
series = pd.Series(values)
frame = pd.DataFrame({"a": range(3000), "b": range(3000)})
groups = pd.DataFrame({"g": np.arange(200_000) % 100, "x": np.random.default_rng(1).random(200_000)})
small = [np.ones((4, 4)) for _ in range(3000)]
"""


@pytest.fixture
def client(launch):
    client = launch().connect()
    client.run(SETUP)
    return client


def displayed(done) -> list[dict]:
    return [content["data"] for content in done.all("execute_result") + done.all("display_data")]


def bundle(done) -> dict:
    found = [data for data in displayed(done) if MIME in data]
    assert len(found) == 1, done.trace
    return found[0]


def report(done) -> dict:
    return bundle(done)[MIME]


def after_the_cost(done) -> list[str]:
    """The lines behind the first sentence, which says what the recording cost, and where the machine is busy the next one."""
    text = bundle(done)["text/plain"]
    assert text.startswith("This took "), text[:200]
    rest = text.split(".\n", 1)[1]
    if re.match(r"The thread( of the cell|s) waited", rest):
        rest = rest.split(".\n", 1)[1]
    return rest.splitlines()


def codes(found: dict) -> list[str]:
    return [one["code"] for one in found["diagnoses"]]


def line(found: dict, number: int) -> dict:
    return next(row for row in found["cell_lines"] if (row["line"], row["cell"]) == (number, None))


SLOW = [
    (
        "P006",
        "total = 0.0\nfor value in series:\n    total += value * 2",
        "series (Series of 100,000)",
    ),
    (
        "P006",
        "total = 0.0\nfor value in values:\n    total += value * 2",
        "values (array of 100,000)",
    ),
    ("P006", "for place in range(3000):\n    series.iloc[place] * 2", "looks each value up"),
    ("P006", "for place in range(3000):\n    frame['a'][place] * 2", "looks each value up"),
    (
        "P007",
        "objects = values.astype(object)\nfor step in range(9):\n    objects + objects",
        "dtype object",
    ),
    (
        "P008",
        "out = frame.apply(lambda row: row['a'] + row['b'], axis=1)",
        "calls Python for each row",
    ),
    (
        "P009",
        "total = 0\nfor index, row in frame.iterrows():\n    total += 1",
        "makes a Series of each row",
    ),
    (
        "P010",
        "out = np.empty(0)\nfor step in range(900):\n    out = np.append(out, values[:500])",
        "all of out",
    ),
    (
        "P010",
        "out = frame[:1]\nfor step in range(60):\n    out = pd.concat([out, frame[:5]])",
        "collect in a list",
    ),
    ("C004", "for one in small:\n    one @ one", "more time around BLAS"),
]


@pytest.mark.parametrize(("code", "cell", "says"), SLOW)
def test_a_common_cause_is_named_at_its_line(client: Client, code: str, cell: str, says: str):
    done = client.run(f"%%native_prof --repeat\n{cell}")
    found = report(done)
    assert found["samples"] >= 50
    assert code in codes(found), (found["cell_lines"], found["diagnoses"], found["stacks"][:3])
    assert any(says in row["did"] for row in found["cell_lines"]), found["cell_lines"]
    title = found["diagnoses"][0]["title"]
    assert title.startswith(after_the_cost(done)[0]), after_the_cost(done)


GOOD = [
    "total = (series * 2).sum()\nother = np.sqrt(values).cumsum()",
    "total = 0.0\nfor value in values.tolist():\n    total += value * 2",
    "out = groups.groupby('g').x.mean()\nout = groups.merge(out, on='g')",
    "for column in groups.columns:\n    groups[column].sort_values()",
    "parts = []\nfor step in range(50):\n    parts.append(values)\nout = np.concatenate(parts)",
    "out = pd.concat([groups] * 10)",
    "out = frame.apply(lambda column: sum(column.tolist()))",
    "matrix = values[:90_000].reshape(300, 300)\nfor step in range(5):\n    matrix @ matrix",
    "text = ''.join(str(number) for number in range(30_000))",
    "names = sorted(str(number) for number in range(30_000))",
]


@pytest.mark.parametrize("cell", GOOD)
def test_code_as_it_should_be_has_no_such_cause(client: Client, cell: str):
    found = report(client.run(f"%%native_prof --repeat\n{cell}"))
    wrong = {"P006", "P007", "P008", "P009", "P010", "P011", "C004"} & set(codes(found))
    assert not wrong, (found["cell_lines"], found["diagnoses"])


def test_the_lines_of_the_cell_share_the_samples(client: Client):
    found = report(
        client.run(
            "%%native_prof --repeat\ndef work(times):\n    return sum(range(times))\n\nwork(3_000_000)\nNone"
        )
    )
    assert line(found, 3)["self_pct"] > 80, found["cell_lines"]
    assert line(found, 3)["source"] == "return sum(range(times))"
    shares = sum(row["self_pct"] for row in found["cell_lines"])
    assert shares == pytest.approx(100, abs=1.5)
    kinds = sum(found["kinds"].values())
    assert kinds == found["samples"]


def test_a_function_of_an_earlier_cell_is_told_with_that_cell(client: Client):
    client.run("def earlier(times):\n    return sum(range(times))")
    count = int(client.value("len(In) - 1"))
    found = report(client.run("%%native_prof --repeat\nearlier(2_000_000)\nNone"))
    top = found["cell_lines"][0]
    assert (top["cell"], top["line"]) == (f"In[{count}]", 2)


def test_too_short_is_said_and_repeating_helps(client: Client):
    done = client.run("%%native_prof\nvalues.sum()\nNone")
    assert after_the_cost(done)[0].startswith("Too short to tell"), after_the_cost(done)
    text = bundle(done)["text/plain"]
    assert "--repeat" in text
    # What nobody should believe is shown as numbers of samples, and never as shares.
    assert "%" not in text.replace("%%native_prof", "")
    assert "text-anchor" not in bundle(done)["text/html"]
    shares = [row[key] for row in report(done)["rows"] for key in ("self_pct", "total_pct")]
    shares += [row["self_pct"] for row in report(done)["cell_lines"]]
    assert set(shares) <= {None}
    done = client.run("%%native_prof --repeat\nvalues.sum()")
    found = report(done)
    assert found["samples"] >= 50
    assert found["runs"] > 10
    # What the cell takes is that of one run.
    assert 0 < found["plain_ns"] * found["runs"] < found["took_ns"]
    # The value was displayed once.
    assert len(displayed(done)) == 2


def test_a_statement_on_one_line_is_repeated(client: Client):
    done = client.run('%native_prof --hz 999 sum(len("a b") for _ in range(100))')
    found = report(done)
    assert (found["hz"], found["samples"] >= 50) == (999, True)
    assert found["runs"] > 10
    done = client.execute("%native_prof")
    assert "needs a statement" in done.text("stderr")


KERNELS = (
    "diaphane_",
    "getrusage",
    "InteractiveShell.",
    "VerboseTB",
    "DisplayHook",
    "ZMQ",
    "pyo3::",
)


@pytest.mark.parametrize(
    "cell",
    [
        "1/0",
        "%%time\nsum(range(10**6))",
        "values.sum()",
        "frame",
        "for step in range(2000): print(step)",
        "!true",
    ],
)
def test_the_kernel_is_not_in_the_profile_of_the_cell(client: Client, cell: str):
    found = report(client.execute(f"%%native_prof --hz 1999\n{cell}"))
    names = [frame for stack in found["stacks"] for frame in stack["frames"]]
    names += [row["function"] for row in found["rows"]]
    assert not [name for name in names if any(own in name for own in KERNELS)]


def test_what_stands_around_the_cell_is_counted_beside_it(client: Client):
    client.run(
        "class Slow:\n    def __repr__(self):\n        return str(sum(range(20_000_000)))[:3]"
    )
    found = report(client.run("%%native_prof\nSlow()"))
    assert found["display"] > 20
    assert found["samples"] < found["display"]


def test_lines_show_their_number_and_their_file(client: Client):
    count = int(client.value("len(In)"))
    done = client.run(
        "%%native_prof --lines --repeat\ndef slow():\n    return sum(range(900_000))\nslow()\nNone"
    )
    rows = [row for row in report(done)["rows"] if row["function"] == "slow"]
    assert [row["place"] for row in rows] == [f"In[{count}]:3"]
    assert f"In[{count}]:3" in bundle(done)["text/html"]


def test_code_that_has_ended_keeps_its_lines(client: Client):
    """Samples are read some milliseconds after they were taken, when other code lies where this one was."""
    client.run(
        "sources = ['x = 1\\n' * above + 's = sum(range(9_000))' for above in range(9)]\n"
        "def once(above): exec(compile(sources[above], f'/nowhere/{above}.py', 'exec'), {})"
    )
    found = report(
        client.run("%%native_prof --lines\nfor turn in range(4_000): once(turn * 5 % 9)")
    )
    rows = [row for row in found["rows"] if (row["file"] or "").startswith("/nowhere/")]
    assert len(rows) > 3, found["rows"]
    last = {f"/nowhere/{above}.py": above + 1 for above in range(9)}
    assert not [row for row in rows if row["line"] > last[row["file"]]], rows
    # A thread may be anywhere when it loses its CPU, but hardly ever in the lines above.
    above = sum(row["total_pct"] for row in rows if row["line"] < last[row["file"]])
    assert above < 5, rows


def test_the_cell_that_waits_says_for_whom(client: Client):
    found = report(client.run("%%native_prof\nsubprocess.run(['sleep', '0.5'])\nNone"))
    assert "P011" in codes(found)
    assert "child" in line(found, 2)["did"]
    found = report(client.run("%%native_prof\ntime.sleep(0.5)"))
    assert "P011" not in codes(found)
    assert line(found, 2)["did"] == "sleeps"
    code = "import socket\nleft, right = socket.socketpair()\nleft.settimeout(0.5)\ntry: left.recv(1)\nexcept TimeoutError: pass"
    assert "P011" in codes(report(client.run(f"%%native_prof\n{code}")))


def test_a_slow_fit_begins_with_its_spinning_threads(launch):
    client = launch(env={"OMP_NUM_THREADS": "4", "OMP_WAIT_POLICY": "active"}).connect()
    client.run(
        "import os, numpy as np\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from sklearn.ensemble import HistGradientBoostingClassifier\n"
        "X = np.random.default_rng(0).random((2000, 6)); y = (X[:, 0] > .5).astype(int)\n"
        "fit = HistGradientBoostingClassifier(max_iter=20).fit"
    )
    client.run("fit(X, y); None")
    cell = "fit(X, y)\nNone"
    done = client.run(f"%%native_prof --repeat\n{cell}")
    found = report(done)
    assert codes(found)[0] == "P002", (found["diagnoses"], found["rows"][:5])
    assert after_the_cost(done)[0].endswith("compute nothing.") or "spinning" in "\n".join(
        after_the_cost(done)[:3]
    )
    functions = {row["function"] for row in found["rows"]}
    assert "libgomp (no symbols)" in functions
    assert not [name for name in functions if name.startswith("+0x")]
    assert "GNU OpenMP pool" in {stack["thread"] for stack in found["stacks"]}


def test_threads_that_work_for_a_line_that_waits_are_the_answer(client: Client):
    client.run(
        "import hashlib\nfrom concurrent.futures import ThreadPoolExecutor\ndata = bytes(200_000_000)"
    )
    done = client.run(
        "%%native_prof\nwith ThreadPoolExecutor(2) as pool:\n    list(pool.map(hashlib.sha512, [data] * 4))\nNone"
    )
    first = " ".join(after_the_cost(done)[:2])
    assert "waited while other threads worked" in first, first
    assert "sha512" in first or "libcrypto" in first or "_hashlib" in first, first


def test_names_of_cython_are_readable_and_the_symbol_is_kept(client: Client):
    client.run("from pandas._libs import lib\nwords = np.array(['a', 'b'] * 500_000, dtype=object)")
    found = report(client.run("%%native_prof --repeat\nlib.infer_dtype(words, skipna=False)\nNone"))
    rows = [row for row in found["rows"] if row["function"].startswith("pandas._libs.lib.")]
    names = [row["function"] for row in found["rows"]]
    assert not [name for name in names if name.startswith("__pyx_p")]
    for row in rows:
        assert row["symbol"].startswith("__pyx_")


def test_a_line_that_waits_for_the_gil_says_so(client: Client):
    """And not by which function of the C library it waits."""
    client.run(
        "import threading\nstop = False\ndef spin():\n    while not stop: pass\n"
        "spinner = threading.Thread(target=spin); spinner.start()"
    )
    done = client.run("%%native_prof\nt = 0\nfor i in range(3_000_000): t += i")
    client.run("stop = True; spinner.join()")
    text = " ".join(bundle(done)["text/plain"].split())
    assert "waits for the GIL" in text.partition("what it did")[2].partition("warn")[0], text[:600]
    assert "pthread_cond" not in text.partition("what it did")[2].partition("function")[0]


def test_a_text_that_grows_by_being_copied(client: Client):
    """Where the interpreter's functions are seen: a build may have them inside of its loop."""
    found = report(
        client.run(
            "%%native_prof --repeat\ntext = ''\nfor step in range(20_000):\n    text = text + 'row %d\\n' % step"
        )
    )
    if {"PyUnicode_Concat", "PyUnicode_Append"} & {row["function"] for row in found["rows"]}:
        assert "P010" in codes(found), found["diagnoses"]
