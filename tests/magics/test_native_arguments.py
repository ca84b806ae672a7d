"""`%%native_calls --args`: what was handed to native functions, against the arrays' own addresses and shapes."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_calls+json"


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np\nimport scipy.linalg.blas as blas")
    client.run("a = np.ones((20, 30)); b = np.ones((30, 40)); v = np.arange(300.)")
    return client


def report(client: Client, code: str, options: str = "") -> dict:
    done = client.run(f"%%native_calls --args {options}\n{code}")
    found = [m["data"] for m in done.all("execute_result") if MIME in m["data"]]
    assert len(found) == 1, done.trace
    return client.whole() | {"text": found[0]["text/plain"]}


def told(answer: dict, func: str) -> dict:
    """The first row of a function, with its arguments by their names."""
    row = next(row for row in answer["rows"] if func in row["func"] and row["arguments"])
    return row | {"named": {one["name"]: one for one in row["arguments"]}}


def address(client: Client, name: str) -> str:
    return client.value(f"hex({name}.ctypes.data)").strip("'")


def size(client: Client, text: str) -> int:
    return int(client.value(text))


def test_a_product_reads_and_writes_the_arrays_themselves(numpy: Client):
    answer = report(numpy, "c = a @ b")
    row = told(answer, "dgemm")
    sizes = {name: row["named"][name]["value"] for name in "mnk"}
    assert sizes == {"m": 20, "n": 40, "k": 30}
    for argument, name in zip("abc", "abc", strict=True):
        memory = row["named"][argument]
        assert memory["addr"] == address(numpy, name)
        assert memory["buffer"] == name
        assert memory["bytes"] == size(numpy, f"{name}.nbytes")
    assert row["named"]["c"]["state"] == "new"
    assert row["flop"] == 2 * 20 * 40 * 30
    assert row["bytes"] == size(numpy, "a.nbytes + b.nbytes + c.nbytes")
    assert row["args"] == "m=20, n=40, k=30, A=a, B=b, C=c (new)"
    assert "No byte was copied for BLAS" in answer["text"]


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_other_dtypes_are_told_apart(numpy: Client, dtype: str):
    numpy.run(f"x = a.astype('{dtype}'); y = b.astype('{dtype}')")
    row = told(report(numpy, "z = x @ y"), "gemm")
    assert row["named"]["a"]["addr"] == address(numpy, "x")
    assert row["named"]["c"]["bytes"] == size(numpy, "z.nbytes")


def test_a_copy_is_a_copy(numpy: Client):
    numpy.run("wide = np.ones((20, 60))[:, ::2]")
    answer = report(numpy, "c = wide @ b")
    row = told(answer, "dgemm")
    assert row["named"]["a"]["addr"] != address(numpy, "wide")
    assert row["named"]["b"]["addr"] == address(numpy, "b")
    assert [one["code"] for one in answer["diagnoses"] if one["code"] == "C002"] == ["C002"]
    assert "No byte was copied" not in answer["text"]


def test_fortran_gets_addresses(numpy: Client):
    numpy.run("f = np.asfortranarray(a)")
    row = told(report(numpy, "g = blas.dgemm(2.0, f, f, trans_b=True)"), "dgemm")
    assert row["named"]["a"]["addr"] == address(numpy, "f")
    assert row["named"]["c"]["addr"] == address(numpy, "g")
    assert row["named"]["alpha"]["value"] == 2.0
    assert row["named"]["transb"]["value"] == "T"


def test_lapack_works_on_copies(numpy: Client):
    numpy.run("s = np.eye(7) + 1; r = np.ones((7, 2))")
    row = told(report(numpy, "x = np.linalg.solve(s, r)"), "dgesv")
    assert row["named"]["n"]["value"] == 7
    assert row["named"]["nrhs"]["value"] == 2
    assert row["named"]["a"]["copy_of"] == "s"
    assert row["named"]["b"]["copy_of"] == "r"


def test_a_loop_tells_its_operands(numpy: Client):
    numpy.run("w = np.arange(600.)[::2]")
    row = told(report(numpy, "y = v + w"), "DOUBLE_add")
    operands = [one for one in row["arguments"] if one["name"] != "n"]
    assert [one["addr"] for one in operands] == [address(numpy, name) for name in "vwy"]
    assert [one["step"] for one in operands] == [8, 16, 8]
    assert row["named"]["n"]["value"] == 300


def test_an_address_that_is_used_again_has_another_name(numpy: Client):
    code = "for _ in range(3):\n    t = a @ b\n    a = t @ b.T\nd = a @ b"
    answer = report(numpy, code)
    row = told(answer, "dgemm")
    assert row["named"]["a"]["state"] == "before"
    calls = [row["calls"] for row in answer["rows"] if "dgemm64_" in row["func"]]
    assert sum(calls) == 7


def test_the_handler_is_put_back(numpy: Client):
    before = numpy.value("np._core.multiarray.get_handler_name()")
    numpy.execute("%%native_calls --args\nc = a @ b\n1 / 0")
    assert numpy.value("np._core.multiarray.get_handler_name()") == before


def calls(answer: dict, func: str) -> int:
    return sum(row["calls"] for row in answer["rows"] if row["func"].startswith(func))


def test_deep_tells_the_same(numpy: Client):
    answer = report(numpy, "c = a @ b\ny = v + v", "--deep")
    row = told(answer, "scipy_cblas_dgemm")
    assert {name: row["named"][name]["value"] for name in "mnk"} == {"m": 20, "n": 40, "k": 30}
    for argument in "abc":
        assert row["named"][argument]["addr"] == address(numpy, argument)
    loop = told(answer, "DOUBLE_add")
    operands = [one for one in loop["arguments"] if one["name"] != "n"]
    assert [one["addr"] for one in operands] == [address(numpy, name) for name in "vvy"]
    # The hooks in the table and at the entry see the same call.
    assert [row["calls"] for row in answer["rows"] if "DOUBLE_add" in row["func"]] == [1]


def test_deep_tells_of_calls_inside_a_library(numpy: Client):
    numpy.run("m = np.arange(900.).reshape(30, 30) + np.eye(30) * 500")
    code = "x = np.linalg.svd(m)"
    answer = report(numpy, code, "--deep")
    way = told(answer, "dgesdd")
    assert way["named"]["a"]["copy_of"] == "m"
    assert way["named"]["n"]["value"] == 30
    assert told(answer, "dlange")["named"]["a"]["addr"] == way["named"]["a"]["addr"]
    numpy.run(f"%%native_calls --deep --as plain\n{code}")
    plain = numpy.whole("plain")
    names = {row["func"] for row in answer["rows"] if row["func"].startswith("scipy_")}
    assert len(names) > 10
    assert {name: calls(answer, name) for name in names} == {
        name: calls(plain, name) for name in names
    }


@pytest.mark.parametrize("options", ["", "--deep"])
@pytest.mark.parametrize(
    "code", ["np.linalg.lstsq(np.eye(3), np.ones(3), rcond=None)[0]", "np.polyfit(x, x, 1)"]
)
def test_what_a_question_leaves_unset_is_not_followed(numpy: Client, code: str, options: str):
    """LAPACK is asked for the size of its room before all arguments are set: one is no address then."""
    numpy.run("x = np.arange(5.)")
    answer = report(numpy, code, options)
    solved = told(answer, "gelsd")
    assert solved["args"].endswith("; and 1 other")
    assert 0 < solved["named"]["rcond"]["value"] < 1e-10
    assert numpy.value("1 + 1") == "2"
