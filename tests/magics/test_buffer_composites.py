"""%buffer_addr on objects that are made of several buffers: those of the real libraries, each at its real address."""

from __future__ import annotations

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.buffer_addr+json"


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np")
    return client


def bundle(client: Client, line: str) -> dict:
    return client.run(f"%buffer_addr {line}").one("execute_result")["data"]


def rows(client: Client, line: str) -> dict[str, dict]:
    return {row["name"]: row for row in bundle(client, line)[MIME]["rows"]}


def address(client: Client, expression: str) -> str:
    return hex(int(client.value(expression)))


def test_errors_stand_beside_full_rows(numpy: Client):
    numpy.run(
        "import polars as pl\nx = np.arange(1000.)\nnumber = 5\ns = pl.Series('s', [1, 2, 3])"
    )
    data = bundle(numpy, "x s number")
    found = {row["name"]: row for row in data[MIME]["rows"]}
    assert found["number"]["error"].startswith("int exports no memory")
    assert found["number"]["type"] == "int"
    assert found["x"]["error"] is None
    lines = data["text/plain"].splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("name "))
    heading, first = lines[at].split(), lines[at + 1].split()
    assert {"name", "dtype", "addr", "size"} <= set(heading)
    assert first[0] == "x"
    assert "8.0" in first
    assert found["x"]["addr"] in first
    assert any(line.startswith("number: int exports no memory") for line in lines)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_array", "bsr_array", "dia_array"])
def test_sparse_matrices_of_scipy(numpy: Client, kind: str):
    numpy.run(f"import scipy.sparse as sp\nm = sp.{kind}(np.eye(50))")
    found = rows(numpy, "m")
    parts = {"coo_array": ["data", "coords[0]", "coords[1]"], "dia_array": ["data", "offsets"]}
    for part in parts.get(kind, ["data", "indices", "indptr"]):
        assert found[f"m.{part}"]["addr"] == address(numpy, f"m.{part}.ctypes.data")
        assert found[f"m.{part}"]["nbytes"] == int(numpy.value(f"m.{part}.nbytes"))


def test_polars(numpy: Client):
    numpy.run(
        "import polars as pl\n"
        "s = pl.Series('s', np.arange(1000.))\n"
        "d = pl.DataFrame({'n': [1, None, 3], 't': ['a', 'b' * 30, 'c'], 'l': [[1], [2, 3], []],\n"
        "  'c': pl.Series(['u', 'v', 'u'], dtype=pl.Categorical)})\n"
        "part = d['n']\nview = s.to_numpy(allow_copy=False)"
    )
    found = rows(numpy, "s d part view")
    assert found["s.data"]["addr"] == address(numpy, "view.ctypes.data") == found["view"]["addr"]
    assert (found["s.data"]["dtype"], found["s.data"]["nbytes"]) == ("float64", 8000)
    assert found["view"]["shares_with"] == ["s.data"]
    assert found["d[n].data"]["addr"] == found["part.data"]["addr"]
    assert found["d[n].validity"]["nbytes"] == 1
    assert found["d[t].views"]["nbytes"] == 48
    assert found["d[t].data"]["nbytes"] == 30
    assert found["d[l].items.data"]["nbytes"] == 24
    # Nothing says where these are: what is exported is a copy.
    assert "form of its own" in found["d[c].dictionary.views"]["error"]
    assert {"s.data", "d[n].data"} <= set(rows(numpy, "--all"))


def test_the_memory_of_polars_is_where_it_says(numpy: Client, kernel):
    numpy.run("import polars as pl\nsecret = pl.Series('s', ['the very bytes of the text'])")
    row = rows(numpy, "secret")["secret.data"]
    assert kernel.memory(int(row["addr"], 16), row["nbytes"]) == b"the very bytes of the text"


def test_xarray_and_awkward(numpy: Client):
    numpy.run(
        "import xarray as xr, awkward as ak\n"
        "t = xr.DataArray(np.zeros((3, 4)), dims=('x', 'y'), coords={'x': [1, 2, 3]})\n"
        "ds = xr.Dataset({'t': t, 'u': ('x', np.ones(3))})\n"
        "k = ak.Array([[1, 2], [3], []])"
    )
    found = rows(numpy, "t ds k")
    addresses = {name.split(".")[0]: set() for name in found}
    for name, row in found.items():
        addresses[name.split(".")[0]].add(row["addr"])
    assert address(numpy, "t.values.ctypes.data") in addresses["t"]
    assert address(numpy, "ds['u'].values.ctypes.data") in addresses["ds"]
    assert {
        address(numpy, "k.layout.offsets.data.ctypes.data"),
        address(numpy, "k.layout.content.data.ctypes.data"),
    } == addresses["k"]
    # The names lead there.
    first = next(name for name in found if name.startswith("k."))
    assert numpy.value(f"hex({first}.ctypes.data)") == repr(found[first]["addr"])


def test_arrays_of_pandas(numpy: Client):
    numpy.run(
        "import pandas as pd\n"
        "c = pd.Categorical([10, 20, 10]); s = pd.Series(c)\n"
        "few = pd.arrays.SparseArray([0, 0, 1, 0])"
    )
    found = rows(numpy, "c s few")
    assert found["c"]["dtype"] == "int8"
    assert found["c"]["addr"] == address(numpy, "c.codes.ctypes.data")
    categories = address(numpy, "c.categories.values.ctypes.data")
    assert found["c.categories"]["addr"] == found["s.categories"]["addr"] == categories
    assert found["few.values"]["nbytes"] == 8
    assert found["few.indices"]["addr"] == address(numpy, "few.sp_index.indices.ctypes.data")


def test_tables_of_arrow_and_what_holds_them(numpy: Client):
    numpy.run(
        "import pyarrow as pa\n"
        "table = pa.table({'n': [1, 2, 3], 'w': ['a', 'b', 'c']})\n"
        "class Store: pass\n"
        "store = Store(); store.parts = {'t': table}"
    )
    data = address(numpy, "table['n'].chunks[0].buffers()[1].address")
    assert rows(numpy, "table")["table[n].data"]["addr"] == data
    assert rows(numpy, "store")["store.parts['t'][n].data"]["addr"] == data


def test_held_bytes_and_folded_rows(numpy: Client):
    numpy.run("lst = [np.random.rand(500_000)[:10] for _ in range(100)]\nother = np.zeros(10)")
    data = bundle(numpy, "--all")
    report = data[MIME]
    found = {row["name"]: row for row in report["rows"]}
    assert set(found) == {"lst[0..99]", "other"}
    folded = found["lst[0..99]"]
    assert (folded["count"], folded["nbytes"], folded["total_bytes"]) == (100, 80, 8000)
    assert folded["owner_nbytes"] == 4_000_000
    assert found["other"]["count"] is None
    assert (report["distinct_bytes"], report["held_bytes"]) == (8080, 400_000_080)
    assert "8.1 kB distinct, 400.0 MB held" in data["text/plain"]
    pinned = [one for one in report["diagnoses"] if one["code"] == "B003"]
    assert [one["title"] for one in pinned] == [
        "lst[0..99] (8.0 kB) keep 400.0 MB alive that no variable names."
    ]
    assert len(pinned[0]["evidence"]) == 100
    each = rows(numpy, "--all --each")
    assert len(each) == 101
    assert each["lst[7]"]["addr"] == address(numpy, "lst[7].ctypes.data")


def test_a_folded_row_shares_with_what_its_buffers_share(numpy: Client):
    numpy.run("a = np.zeros(1000)\nwindows = [a[i:i + 10] for i in range(0, 1000, 10)]")
    found = rows(numpy, "a windows")
    assert set(found) == {"a", "windows[0..99]"}
    assert found["windows[0..99]"]["shares_with"] == ["a"]
    assert found["a"]["shares_with"] == ["windows[0..99]"]
    assert found["windows[0..99]"]["owner"] == "a"
    found = bundle(numpy, "a windows")[MIME]["diagnoses"]
    assert [one["title"] for one in found if one["code"] == "B001"] == [
        "windows[0..99] are views of a."
    ]
