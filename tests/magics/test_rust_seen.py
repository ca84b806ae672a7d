"""The other magics know Rust cells: their libraries, threads, functions and calls."""

import pytest

from support.client import Client
from support.exchange import Exchange
from support.rust import fine

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]

FUNCTIONS = (
    "%%rust --def\n#[inline(never)]\nfn helper(a: &[f64]) -> f64 { a.iter().map(|x| x.sqrt()).sum() }\n"
    "/// Adds.\npub fn add_up(a: &[f64]) -> f64 { helper(a) + helper(a) }"
)


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("import numpy as np\na = np.ones(1000)")
    # A cell that was compiled before has the number that it had then.
    fine(client, "%rust_reset")
    return client


def report(done: Exchange, magic: str) -> dict:
    kind = f"application/vnd.diaphane.{magic}+json"
    for message in done.all("execute_result") + done.all("display_data"):
        if kind in message["data"]:
            return message["data"][kind]
    raise AssertionError(done.trace)


def test_libraries_have_their_cell(numpy: Client):
    fine(numpy, FUNCTIONS)
    cell = int(numpy.value("len(In) - 1"))
    rows = report(numpy.run("%loaded_libs rust_cell"), "loaded_libs")["rows"]
    [own] = [row for row in rows if row["name"].startswith(f"rust_cell_{cell}.")]
    assert (own["kind"], own["first_cell"]) == ("Rust cell", cell)


def test_threads_have_the_cell_that_started_them(numpy: Client):
    # A thread that has not run yet has nothing on its stack that tells whose it is.
    fine(
        numpy,
        "%%rust\nlet both = std::sync::Arc::new(std::sync::Barrier::new(3));\n"
        "let (one, other) = (both.clone(), both.clone());\n"
        'std::thread::Builder::new().name("named".into()).spawn(move || { one.wait(); loop { std::thread::park() } })?;\n'
        "std::thread::spawn(move || { other.wait(); loop { std::thread::park() } });\nboth.wait();",
    )
    cell = int(numpy.value("len(In) - 1"))
    rows = report(numpy.run("%threads"), "threads")["rows"]
    own = [row for row in rows if row["kind"] == "rust" and row["created_in"] == cell]
    assert len(own) == 2, rows
    assert "named" in [row["name"] for row in own]
    assert all(row["owner"].startswith(f"rust_cell_{cell}.") for row in own)


def test_the_code_of_a_function_is_found(numpy: Client):
    fine(numpy, FUNCTIONS)
    cell = int(numpy.value("len(In) - 1"))
    steps = report(numpy.run("%where add_up"), "where")["rows"]
    assert [step["role"] for step in steps] == ["entry of the Rust cell", "Rust function"]
    assert all(step["lib"].startswith(f"rust_cell_{cell}.") for step in steps)
    done = numpy.run("%disasm add_up --top 0")
    assert "helper" in done.one("execute_result")["data"]["text/plain"]


@pytest.mark.parametrize(("line", "seen"), [("", []), ("--deep", ["helper"])])
def test_calls_of_a_function_are_seen(numpy: Client, line: str, seen: list[str]):
    fine(numpy, FUNCTIONS)
    for _ in range(2):
        found = report(numpy.run(f"%%native_calls {line}\nadd_up(a)"), "native_calls")
        functions = [row["func"] for row in found["rows"]]
        for name in ["diaphane_def_add_up", *seen]:
            assert functions.count(name) == 1, functions
        [own] = [row for row in found["rows"] if row["func"] == "diaphane_def_add_up"]
        assert own["calls"] == 1
        assert own["lib"].startswith("rust_cell_")


@pytest.mark.parametrize("line", ["", "--deep"])
def test_a_rust_cell_is_recorded_below_another_magic(numpy: Client, line: str):
    code = f"%%native_calls {line}\n%%rust -i a -o total\nlet total = a.sum();"
    for _ in range(2):
        found = report(fine(numpy, code), "native_calls")
        functions = [row["func"] for row in found["rows"]]
        assert any("diaphane_main" in function for function in functions), functions
        assert numpy.value("total") == "1000.0"


def test_samples_and_stacks_name_the_functions(numpy: Client):
    fine(numpy, FUNCTIONS)
    numpy.run("b = np.ones(200_000)")
    found = report(numpy.run("%%native_prof\nfor _ in range(300): add_up(b)"), "native_prof")
    own = [
        row for row in found["rows"] if row["library"] and row["library"].startswith("rust_cell_")
    ]
    assert any(row["function"] == "helper" for row in own), found["rows"]
