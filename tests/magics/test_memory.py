"""%memory against Linux, sys.getsizeof and nbytes: who has the memory, and that it adds up."""

import json

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MB = 1_000_000


def ask(client: Client, cell: str) -> dict:
    """The report of a cell that binds it to `m`, and what Linux says at the same time."""
    client.run(cell)
    return json.loads(
        client.run(
            "import json; print(json.dumps({'rows': m.rows, **m.facts, 'limits': m.limits}))"
        ).text()
    )


def rss(client: Client) -> int:
    text = client.run("print(open('/proc/self/smaps_rollup').read())").text()
    return next(
        int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Rss:")
    )


def by_name(report: dict) -> dict[str, dict]:
    return {row["what"]: row for row in report["rows"] if row["kind"] == "variable"}


def test_the_rows_add_up_to_what_linux_says(client: Client):
    client.run("import numpy as np\nblock = np.ones(3_000_000)")
    report = ask(client, "m = %memory")
    assert sum(row["rss"] for row in report["rows"]) == report["rss"]
    assert sum(report["kinds"].values()) == report["rss"]
    assert abs(rss(client) - report["rss"]) < 12 * MB
    assert report["complete"]
    assert {"libraries", "variable", "Python code", "stacks"} <= set(report["kinds"])


def test_variables_have_what_they_hold(launch):
    client = launch().connect()
    client.run(
        "import numpy as np, sys\ntext = 'a' * 50_000_000\nnumbers = [i * 1.5 for i in range(100_000)]\n"
        "arrays = [np.ones(125_000) for _ in range(20)]\ntable = {str(i): i for i in range(50_000)}\n"
        "size_of_numbers = sys.getsizeof(numbers) + sum(map(sys.getsizeof, numbers))\n"
        "untouched = np.zeros(20_000_000)\nview = arrays[3][10:20]"
    )
    report = ask(client, "m = %memory --all")
    found = by_name(report)
    assert abs(found["text"]["size"] - 50_000_000) < 1000
    assert abs(found["numbers"]["size"] - int(client.value("size_of_numbers"))) < 10_000
    assert found["arrays"]["buffers"] == 20 * MB
    assert abs(found["arrays"]["rss"] - 20 * MB) < MB
    assert found["table"]["objects"] > 90_000
    assert found["untouched"]["size"] >= 160 * MB
    assert found["untouched"]["rss"] < MB
    # What two hold is counted once.
    assert found["view"]["rss"] < 10_000
    assert found["text"]["give_back"] == "del text"
    assert report["rows"][0]["what"] == "text" or report["rows"][0]["kind"] != "variable"


def test_what_a_cell_has_shown_is_history(client: Client):
    client.run("import numpy as np\n_own = np.ones(1_000_000)")
    client.run("np.ones(2_000_000) + 1")
    report = ask(client, "m = %memory")
    assert abs(by_name(report)["_own"]["rss"] - 8 * MB) < MB
    history = [row for row in report["rows"] if row["kind"] == "history"]
    assert sum(row["rss"] for row in history) >= 15 * MB
    assert all(row["what"] != "Out" for row in report["rows"] if row["kind"] == "variable")


def test_frames_have_their_columns_and_their_strings(launch):
    client = launch().connect()
    client.run(
        "import numpy as np, pandas as pd\n"
        "df = pd.DataFrame({'x': np.ones(100_000), 'o': pd.Series([f'text {i}' for i in range(100_000)], dtype=object)})"
    )
    found = by_name(ask(client, "m = %memory"))["df"]
    assert found["buffers"] >= 1.6 * MB
    deep = int(client.value("int(df.memory_usage(deep=True).sum())"))
    assert abs(found["size"] - deep) < 0.1 * deep


def test_sizes_of_the_users_own_are_not_asked(client: Client):
    client.run(
        "asked = []\nclass Odd:\n    def __sizeof__(self): asked.append(1); return 10**9\nodd = [Odd()]"
    )
    assert by_name(ask(client, "m = %memory --all"))["odd"]["size"] < 10_000
    assert client.value("asked") == "[]"


def test_views_of_objects_have_what_they_hold(launch):
    client = launch().connect()
    client.run(
        "import numpy as np\nbase = np.empty((2, 50_000), dtype=object)\nbase[:] = [[str(i) * 20 for i in range(50_000)]] * 2\n"
        "table = base.T\nstrided = base.T[::2]\ndel base"
    )
    found = {row["what"]: row for row in client.run("%memory --all").report("memory")["rows"]}
    held = int(client.value("sum(map(__import__('sys').getsizeof, table[:, 0]))"))
    assert found["table"]["size"] + found["strided"]["size"] >= held


def test_what_is_reserved_and_what_came_and_went_is_told(launch):
    client = launch().connect()
    client.run("import numpy as np")
    done = client.run("%%memory\nzeros = np.zeros(20_000_000)")
    text = done.all("execute_result")[-1]["data"]["text/plain"]
    assert "zeros: 160.0 MB are reserved and were never written" in text, text
    done = client.run("%%memory\ngone = np.ones(40_000_000); del gone")
    found = done.report("memory")
    assert found["peak"] > found["rss"] + 300_000_000
    text = done.all("execute_result")[-1]["data"]["text/plain"]
    assert "meanwhile it was" in text, text


def test_what_it_took_to_look_is_given_back(launch):
    client = launch().connect()
    client.run("things = {str(i): [i] for i in range(300_000)}")
    client.run("%memory;")
    rss = "int(open('/proc/self/statm').read().split()[1]) * 4096"
    before = int(client.value(rss))
    client.run("%memory;")
    assert int(client.value(rss)) - before < 4_000_000


def test_what_a_cell_changes(client: Client):
    client.run("import numpy as np\ngoes = np.ones(2_000_000)")
    report = ask(client, "%%memory --as m\ncomes = np.ones(4_000_000)\ndel goes")
    change = {row["what"]: row["change"] for row in report["rows"]}
    assert abs(change["comes"] - 32 * MB) < MB
    assert abs(change["goes"] + 16 * MB) < MB
    assert all(row["rss"] - row["rss_before"] == row["change"] for row in report["rows"])


def test_the_cell_below_it_is_as_it_was(client: Client):
    done = client.run("%%memory\n1 + 1\nprint('x')\n2 + 3")
    assert done.text() == "x\n"
    results = [content["data"]["text/plain"] for content in done.all("execute_result")]
    assert results[0] == "5"
    assert "physical memory went from" in results[1]
    assert client.execute("%%memory\n1 / 0").content["ename"] == "ZeroDivisionError"


def test_a_deep_list_is_no_danger(client: Client):
    client.run("deep = []\nfor _ in range(100_000): deep = [deep]")
    assert by_name(ask(client, "m = %memory"))["deep"]["objects"] >= 100_000
    client.run("while deep: deep = deep[0]")


def test_what_others_hold_too_is_not_promised(launch):
    client = launch().connect()
    client.run(
        "import numpy as np, pandas as pd\n"
        "df = pd.DataFrame({'key': np.arange(500_000) % 7, 'x': np.ones(500_000)})\n"
        "merged = df.merge(pd.DataFrame({'key': range(7), 'y': 1.0}), on='key')\n"
        "alone = np.ones(1_000_000)\nfirst = np.ones(2_000_000)\nsecond = [first]\n"
        "text = 'a' * 5_000_000\nsame_text = {'key': text}"
    )
    found = by_name(ask(client, "m = %memory --all"))
    shared = client.value("np.shares_memory(df['x'].to_numpy(), merged['x'].to_numpy())") == "True"
    one, other = sorted(("df", "merged"), key=lambda name: -found[name]["rss"])
    assert found[one]["also"] == ([other] if shared else [])
    assert found[one]["give_back"] == (f"del {one}, {other}" if shared else f"del {one}")
    assert found["alone"]["also"] == []
    assert found["alone"]["give_back"] == "del alone"
    assert found["first"]["give_back"] == "del first, second"
    assert found["text"]["give_back"] == "del text, same_text"


def test_a_value_that_a_cell_has_shown_is_held_by_out_too(launch):
    client = launch().connect()
    client.run("import numpy as np\nbig = np.ones(2_000_000)")
    client.run("big")
    row = by_name(ask(client, "m = %memory"))["big"]
    assert row["also"] == ["Out"]
    assert row["give_back"] == "del big, and then %reset -f out"


def test_what_is_to_be_copied_is_shown_whole(client: Client):
    """At 80 columns, as in a terminal."""
    client.run("import numpy as np\nblocks = [bytes(70_000) for _ in range(500)]; del blocks")
    text = client.run("m = %memory\nprint(m)").text()
    lines = [line for line in text.splitlines() if "CDLL" in line]
    assert lines, text
    assert all("ctypes.CDLL(None).malloc_trim(0)" in line for line in lines), lines


HELD = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def native(size):
    place = libc.malloc(size)
    ctypes.memset(place, 1, size)
    return place
"""


def test_memory_of_no_object_is_told_first(client: Client):
    """As that of a fitted model, which extension modules take by themselves."""
    client.run(
        HELD + "def rss():\n    return int(open('/proc/self/statm').read().split()[1]) * 4096"
    )
    report = ask(
        client,
        "%%memory --as m\nbefore = rss(); place = native(200_000_000); came = rss() - before",
    )
    changes = {row["what"]: row["change"] for row in report["rows"]}
    assert abs(changes["the rest"] - int(client.value("came"))) < 4 * MB
    said = client.value("str(m)")
    assert said.index("the rest +") < said.index("in memory"), (
        "the largest change is not told first"
    )
    said = client.run("%memory").one("execute_result")["data"]["text/plain"]
    assert "native memory that no Python object tells the size of" in " ".join(said.split())


def test_what_looking_takes_is_no_cells(client: Client):
    client.run(
        "import numpy as np\nmany = [str(i) for i in range(300_000)]\n%memory\n%threads --stack;\n"
        "def rss():\n    return int(open('/proc/self/statm').read().split()[1]) * 4096"
    )
    report = ask(
        client,
        "%%memory --as m --all\nbefore = rss()\nfilled = np.ones(1_000_000)\ncame = rss() - before",
    )
    changes = {row["what"]: row["change"] for row in report["rows"]}
    assert abs(changes["filled"] - 8 * MB) < MB
    came = report["rss"] - report["rss_before"]
    assert abs(came - int(client.value("came"))) < 3 * MB, changes


def test_what_the_kernel_keeps_is_its_own(client: Client):
    before = ask(client, "m = %memory --all")
    client.run("%%native_prof\nfor i in range(300_000): i * i")
    after = ask(client, "m = %memory --all")

    def of(report: dict, what: str) -> int:
        return sum(row["rss"] for row in report["rows"] if what in (row["what"], row["kind"]))

    came = of(after, "diaphane's own data") - of(before, "diaphane's own data")
    assert came > 2 * MB
    assert of(after, "not told apart") - of(before, "not told apart") < 4 * MB


def test_what_was_shown_goes_with_reset(client: Client):
    """IPython's own names for the last values hold them, too, and are not seen."""
    client.run(
        "import numpy as np, weakref, gc\nclass Frame(np.ndarray): pass\nframe = np.ones(1000).view(Frame)\nw = weakref.ref(frame)"
    )
    client.run("frame")
    client.run("1")
    client.run("del frame\n%reset -f out\ngc.collect()")
    assert client.value("w() is None") == "True"
