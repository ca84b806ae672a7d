"""%%buffer_trace as a user of a notebook sees it: the cell behaves as if the magic were not there."""

import json

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.buffer_trace+json"


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np")
    return client


def report(done) -> dict:
    return done.report("buffer_trace")


def handler(client: Client) -> str:
    return client.value("np._core.multiarray.get_handler_name()")


def test_lines_are_those_of_the_notebook(numpy: Client):
    numpy.run("a = np.ones(1_000_000)")
    done = numpy.run(
        "%%buffer_trace\nb = a[::2]\n\nc = (a * 2 +\n     b.sum())\nd = {'k': [np.zeros(1000)]}"
    )
    cell = done.content["execution_count"]
    kept = {row["kept_by"]: row for row in report(done)["rows"] if row["kept_by"]}
    assert set(kept) == {"c", "d['k'][0]"}
    assert kept["c"]["place"] == f"In[{cell}]:4"
    assert kept["c"]["source"] == "c = (a * 2 +"
    assert kept["d['k'][0]"]["place"] == f"In[{cell}]:6"
    assert kept["c"]["addr"] == hex(int(numpy.value("c.ctypes.data")))
    again = numpy.run("%buffer_addr c").one("execute_result")["data"]
    row = again["application/vnd.diaphane.buffer_addr+json"]["rows"][0]
    assert row["allocated_at"] == f"In[{cell}]:4"


def test_output_and_value_pass_through(numpy: Client):
    done = numpy.run("%%buffer_trace\nprint('hello')\nx = np.ones(10)\nx.size + 1")
    assert done.text() == "hello\n"
    results = [m["data"] for m in done.all("execute_result")]
    assert results[0]["text/plain"] == "11"
    assert MIME in results[1]
    assert handler(numpy) == "'default_allocator'"


def test_an_error_fails_the_cell_and_is_shown_once(numpy: Client):
    done = numpy.execute("%%buffer_trace\nx = np.ones(1000)\n1 / 0\ny = 2")
    assert done.content["status"] == "error"
    assert done.content["ename"] == "ZeroDivisionError"
    errors = done.all("error")
    assert len(errors) == 1
    traceback = "\n".join(errors[0]["traceback"])
    assert "line 3" in traceback.replace("\x1b[32m", "")
    assert "run_cell_magic" not in traceback
    assert [row["kept_by"] for row in report(done)["rows"]] == ["x"]
    assert handler(numpy) == "'default_allocator'"
    plain = numpy.execute("x = (").content["ename"]
    assert numpy.execute("%%buffer_trace\nx = (").content["ename"] == plain
    assert numpy.run("1").content["status"] == "ok"


def test_an_interrupt_ends_the_cell_and_restores_the_handler(numpy: Client):
    done = numpy.interrupt_at(
        "on", "%%buffer_trace\nx = np.ones(1000)\nprint('on', flush=True)\nwhile True: pass"
    )
    assert done.content["ename"] == "KeyboardInterrupt"
    assert [row["kept_by"] for row in report(done)["rows"]] == ["x"]
    assert handler(numpy) == "'default_allocator'"


def test_the_next_cell_counts_on_as_ever(numpy: Client):
    first = numpy.run("%%buffer_trace\nx = 1").content["execution_count"]
    assert numpy.run("x").content["execution_count"] == first + 1
    assert numpy.value("In[-1]") == "'x'"


def test_await_and_missing_numpy_are_one_line(client: Client, launch):
    client.run("import numpy")
    said = client.execute("%%buffer_trace\nimport asyncio\nawait asyncio.sleep(0)")
    assert "await" in said.text("stderr")
    assert "\n" not in said.text("stderr").strip()
    fresh = launch().connect()
    said = fresh.execute("%%buffer_trace\nx = 1").text("stderr").strip()
    assert "NumPy is not imported yet" in said
    assert "\n" not in said


def test_text_fits_and_rows_can_be_bound(numpy: Client):
    done = numpy.run("%%buffer_trace\nx = [np.ones(n) for n in range(100, 110)]")
    text = done.all("execute_result")[-1]["data"]["text/plain"]
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "10 buffers allocated" in text
    numpy.run("%%buffer_trace --as rows\nx = np.ones(100)")
    assert json.loads(numpy.run("import json; print(json.dumps(len(rows)))").text()) == 1


def test_what_was_not_copied_is_said(numpy: Client):
    numpy.run(
        "import pandas as pd\ndf = pd.DataFrame({'x': np.arange(1000.0), 'k': np.arange(1000)})"
    )
    done = numpy.run("%%buffer_trace\na = df['x'].to_numpy()\nb = a[10:20]\nc = a.copy()\nd = 5")
    views = {row["name"]: row["shares_with"] for row in report(done)["views"]}
    assert views["a"] == ["df[x]"]
    assert "c" not in views
    assert "d" not in views
    assert (
        "a is no copy: its memory is that of df[x]"
        in done.one("execute_result")["data"]["text/plain"]
    )
    again = numpy.run("%%buffer_trace\ndf2 = df\na[0] if len(a) else 0;\ne = np.ones(1000)")
    views = {row["name"]: row["shares_with"] for row in report(again)["views"]}
    assert set(views) == {"df2"}


def test_what_arrow_allocates_is_told_beside_it(numpy: Client):
    """NumPy's handler sees nothing of it."""
    numpy.run(
        "import pyarrow as pa, pyarrow.compute as pc\ntext = pa.array(['some words'] * 100_000)"
    )
    done = numpy.run("before = pa.total_allocated_bytes()\nprint(before)")
    before = int(done.text())
    done = numpy.run("%%buffer_trace\nupper = pc.utf8_upper(text)")
    came = int(numpy.run("print(pa.total_allocated_bytes())").text()) - before
    said = " ".join(done.one("execute_result")["data"]["text/plain"].split())
    assert "no buffer of NumPy's was allocated" in said
    assert came > 1_000_000
    assert f"(+{came / 1e6:.1f} MB by this cell)" in said
