"""%buffer_addr against `ctypes.data`, np.shares_memory and the union of the intervals."""

import json

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.buffer_addr+json"


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np, json")
    return client


def rows(client: Client, names: str) -> dict[str, dict]:
    done = client.run(f"r = %buffer_addr {names}\nimport json\nprint(json.dumps(r.rows))")
    return {row["name"]: row for row in json.loads(done.text())}


def test_address_size_and_shape_are_numpys(numpy: Client):
    numpy.run(
        "a = np.arange(24, dtype='<i2').reshape(2, 3, 4)\nb = a[:, ::2, ::-1]\nc = a.T.copy()"
    )
    for name, row in rows(numpy, "a b c").items():
        assert numpy.value(f"{name}.ctypes.data") == str(int(row["addr"], 16))
        assert numpy.value(f"{name}.nbytes") == str(row["nbytes"])
        assert numpy.value(f"list({name}.shape)") == str(row["shape"])
        assert numpy.value(f"list({name}.strides)") == str(row["strides"])
        assert numpy.value(f"str({name}.dtype)") == repr(row["dtype"])


def test_sharing_is_np_shares_memory(numpy: Client):
    numpy.run("a = np.arange(100.)\nb = a[::2]\nc = a[1::2]\nd = a[50:]\ne = a.copy()")
    found = rows(numpy, "a b c d e")
    for x in "abcde":
        for y in "abcde":
            if x != y:
                shared = numpy.value(f"np.shares_memory({x}, {y})") == "True"
                assert (y in found[x]["shares_with"]) is shared, (x, y)


def test_random_views(numpy: Client):
    """Fifty random views of one array: each pair as np.shares_memory says."""
    setup = """
import random
random.seed(7)
base = np.zeros((20, 20), 'u1')
for n in range(50):
    i, j = sorted(random.sample(range(21), 2)); k, l = sorted(random.sample(range(21), 2))
    globals()[f'v{n}'] = base[i:j:random.choice([1, 2, 3]), k:l:random.choice([1, 2, 5])]
names = [f'v{n}' for n in range(50)]
truth = sorted((x, y) for x in names for y in names if x < y and np.shares_memory(globals()[x], globals()[y]))
"""
    numpy.run(setup)
    found = rows(numpy, " ".join(f"v{n}" for n in range(50)))
    pairs = sorted((x, y) for x, row in found.items() for y in row["shares_with"] if x < y)
    assert pairs == [tuple(p) for p in json.loads(numpy.run("print(json.dumps(truth))").text())]


def test_distinct_bytes_are_the_union(numpy: Client):
    numpy.run("a = np.zeros(1000, 'u1')\nb = a[100:300]\nc = a[200:400]\nd = np.zeros(50, 'u1')")
    data = numpy.run("%buffer_addr a b c d").one("execute_result")["data"][MIME]
    assert (data["listed_bytes"], data["distinct_bytes"]) == (1450, 1050)
    data = numpy.run("%buffer_addr b c").one("execute_result")["data"][MIME]
    assert (data["listed_bytes"], data["distinct_bytes"]) == (400, 300)


def test_owner_and_offset(numpy: Client):
    numpy.run("a = np.arange(100.)\nb = a[10:]\nc = b[5:]")
    found = rows(numpy, "a b c")
    assert [found[n]["owner"] for n in "abc"] == ["a", "a", "a"]
    assert [found[n]["offset"] for n in "abc"] == [0, 80, 120]


def test_the_memory_is_where_it_says(numpy: Client, kernel):
    """Read from outside: the bytes at the address are the bytes of the array."""
    numpy.run("secret = np.frombuffer(b'the very bytes of the array', 'u1').copy()")
    row = rows(numpy, "secret")["secret"]
    assert kernel.memory(int(row["addr"], 16), row["nbytes"]) == b"the very bytes of the array"


def test_other_buffers(numpy: Client):
    numpy.run(
        "import array, mmap\nx = bytearray(b'12345'); y = memoryview(x)[1:]; z = b'abc'\n"
        "w = array.array('d', [1, 2]); m = mmap.mmap(-1, 4096)"
    )
    found = rows(numpy, "x y z w m")
    assert found["x"]["nbytes"] == 5
    assert int(found["y"]["addr"], 16) == int(found["x"]["addr"], 16) + 1
    assert found["y"]["shares_with"] == ["x"]
    assert found["w"]["nbytes"] == 16
    assert found["m"]["nbytes"] == 4096


def test_read_only_is_said(numpy: Client):
    numpy.run("a = np.arange(3); a.flags.writeable = False; b = np.arange(3)")
    found = rows(numpy, "a b")
    assert "W" not in found["a"]["flags"]
    assert "W" in found["b"]["flags"]


def test_a_view_is_diagnosed(numpy: Client):
    numpy.run("a = np.arange(100.)\nb = a[10:20]")
    data = numpy.run("%buffer_addr a b").one("execute_result")["data"]
    codes = [d["code"] for d in data[MIME]["diagnoses"]]
    assert "B001" in codes
    assert "b is a view of a" in data["text/plain"]


def test_without_names_everything_is_listed(numpy: Client):
    numpy.run("one = np.zeros(3); two = np.zeros(4)")
    assert {"one", "two"} <= set(rows(numpy, ""))


def test_all_views_of_the_report(numpy: Client):
    numpy.run("a = np.arange(5)")
    data = numpy.run("%buffer_addr a").one("execute_result")["data"]
    assert set(data) == {"text/plain", "text/html", MIME}
    assert all(len(line) <= 80 for line in data["text/plain"].splitlines())


def test_names_and_errors_are_escaped(numpy: Client):
    numpy.run(
        "class Bad:\n    @property\n    def __array_interface__(self): raise RuntimeError('<b>no</b>')\nbad = Bad()"
    )
    data = numpy.run("%buffer_addr bad").one("execute_result")["data"]
    assert "<b>no" not in data["text/html"]


def test_looking_never_calls_repr(numpy: Client):
    numpy.run(
        "called = []\nclass Loud(bytearray):\n    def __repr__(self): called.append(1); return 'loud'\nloud = Loud(3)"
    )
    rows(numpy, "loud")
    assert numpy.value("called") == "[]"


def test_an_unknown_name_is_one_helpful_line(numpy: Client):
    numpy.run("temperature = np.zeros(3)")
    done = numpy.execute("%buffer_addr temprature")
    said = done.text("stderr").strip()
    assert "\n" not in said
    assert "temprature" in said
    assert "temperature" in said
    assert done.content["status"] == "error"


def test_an_unknown_flag_is_one_line(numpy: Client):
    said = numpy.execute("%buffer_addr --no-such").text("stderr").strip()
    assert "\n" not in said
    assert "--no-such" in said


def test_tracemalloc_tells_cell_and_line(numpy: Client):
    numpy.run("import tracemalloc; tracemalloc.start()")
    try:
        cell = numpy.run("x = 1\na = np.zeros(1000)").content["execution_count"]
        assert rows(numpy, "a")["a"]["allocated_at"] == f"In[{cell}]:2"
    finally:
        numpy.run("tracemalloc.stop()")


def test_all_finds_what_objects_hold(numpy: Client):
    numpy.run(
        "class Model: pass\nm = Model(); m.layers = [{'w': np.zeros(3)}]; t = (np.zeros(2),)\nm.layers"
    )
    found = rows(numpy, "--all")
    assert {"m.layers[0]['w']", "t[0]"} <= set(found)
    assert not any(name.startswith(("In", "get_ipython", "exit")) for name in found)


def test_huge_pages_are_those_of_smaps(numpy: Client, kernel):
    numpy.run(
        "import mmap\nm = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "m.madvise(mmap.MADV_HUGEPAGE)\na = np.frombuffer(m, 'u1')\na[: 16 << 20] = 1"
    )
    row = rows(numpy, "a --pages")["a"]
    start = int(row["addr"], 16)
    with open(f"/proc/{kernel.pid}/smaps") as smaps:
        region = smaps.read().split(f"{start:x}-", 1)[1]
    truth = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in region.splitlines()[1:24]
        if line.endswith(" kB")
    }
    assert row["present"] == truth["Rss"]
    assert row["huge"] == truth["AnonHugePages"]


def test_the_graph_and_the_ruler(numpy: Client):
    numpy.run("a = np.zeros(1000); b = a[500:]; c = a[::2]")
    data = numpy.run("%buffer_addr a b c --graph").one("execute_result")["data"]
    lines = data["text/plain"].splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert f"  b                {'·' * 16}{'█' * 16}  ndarray of ndarray a" in lines
    assert any(line.startswith("  c ") and "▒" * 32 in line for line in lines)
    html = data["text/html"]
    assert all(f">{name}</text>" in html for name in "abc")
    assert (html.count("<title>a: "), html.count("<title>b: ")) == (1, 1)
    assert html.count("<title>c: ") > 20, "what skips items is not one bar"
    assert "<script" not in html
    assert "<pre" not in html, "the same is drawn once"


def test_names_lead_on(numpy: Client):
    numpy.run("d = {'x': [np.zeros(5)]}")
    found = rows(numpy, "d['x'][0] d['x'][0][2:]")
    assert found["d['x'][0][2:]"]["offset"] == 16
    said = numpy.execute("%buffer_addr d['y'][0]").text("stderr").strip()
    assert "KeyError" in said
    assert "\n" not in said


def test_numpys_scalars_export_nothing(client: Client):
    """A sum leaves one in each notebook; what it would export is a copy."""
    client.run(
        "%reset -f\nimport numpy as np\na = np.ones(10)\ntotal = a.sum()\nnumber = np.int64(3)"
    )
    rows = client.run("%buffer_addr --all").report("buffer_addr")["rows"]
    assert [row["name"] for row in rows] == ["a"]


def test_a_name_that_is_unknown_takes_nobody_elses_answer(client: Client):
    client.run("%reset -f\nimport numpy as np\na = np.ones(10)")
    found = client.run("%buffer_addr a nope a").report("buffer_addr")
    assert [row["name"] for row in found["rows"]] == ["a"]
    assert "nope" in " ".join(found["limits"])
    assert "nope" in client.execute("%buffer_addr nope").content["evalue"]
