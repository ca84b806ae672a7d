"""%%rust --keep: variables of Rust that outlive their cell."""

import pytest

from support.client import Client
from support.rust import failed, fine, rust, shown

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]

COUNT = (
    "%%rust --keep counts,n\nuse std::collections::BTreeMap;\n"
    "let counts: BTreeMap<String, i64> = BTreeMap::new();\nlet n: i64 = 5;"
)


def rows(client: Client) -> set[tuple[str, str, int]]:
    data = client.run("%rust_status").one("execute_result")["data"]
    found = data["application/vnd.diaphane.rust_status+json"]["rows"]
    return {(row["kind"], row["name"], row["cell"]) for row in found}


def test_variables_stay_where_they_are(client: Client):
    cell = fine(client, COUNT).content["execution_count"]
    add = '%%rust -o place\ncounts.insert(format!("é{n}"), *n);\n*n += 1;\nlet place = n as *const i64 as usize;'
    fine(client, add)
    first = client.value("place")
    fine(client, add)
    assert client.value("place") == first
    assert shown(fine(client, "%%rust\n(&*counts, *n)")) == '({"é5": 5, "é6": 6}, 7)'
    assert ("kept", "n: i64", cell) in rows(client)
    # The cell that keeps makes them anew, without a build.
    again = fine(client, COUNT.replace("%%rust", "%%rust --time"))
    table = again.one("execute_result")["data"]["application/vnd.diaphane.rust+json"]["rows"]
    assert table[0]["cached"] is True
    assert shown(fine(client, "%%rust\n(counts.len(), *n)")) == "(0, 5)"


def test_a_panic_takes_nothing_away(client: Client):
    fine(client, COUNT)
    assert failed(client, '%%rust\n*n = 8;\npanic!("no")')["ename"] == "RustPanic"
    assert failed(client, '%%rust --keep later\nlet later: u8 = 1;\nlet x: i64 = "x".parse()?;')
    assert shown(fine(client, "%%rust\n*n")) == "8"
    assert not [name for kind, name, _ in rows(client) if name.startswith("later")]


def test_values_are_dropped_once(client: Client):
    drops = (
        '%%rust --keep d\nstruct D(i64);\nimpl Drop for D { fn drop(&mut self) { println!("drop {}", self.0); } }\n'
        "let d: Vec<D> = vec![D(1)];"
    )
    fine(client, drops)
    assert fine(client, drops).text() == "drop 1\n"
    assert fine(client, "%%rust\nd.push(D(2));").text() == ""
    assert client.run("%rust_reset").text().count("drop ") == 2
    assert "no longer" not in client.run("%rust_status").text()
    assert failed(client, "%%rust\nd.len()")["ename"] == "RustCompileError"


def test_a_type_that_changed_is_refused_before_memory_is_taken_for_it(client: Client):
    fine(client, "%%rust --keep p\nstruct P { x: i64 }\nlet p: P = P { x: 3 };")
    assert shown(fine(client, "%%rust\np.x")) == "3"
    fine(client, "%%rust\nstruct P { name: String, x: i64 }")
    content = failed(client, "%%rust\nlet q = 1;\np.x")
    assert "`p` was kept as `P`" in content["evalue"]
    assert ":3)" in content["evalue"]
    fine(client, "%%rust --keep p\nlet p: P = P { name: String::new(), x: 4 };")
    assert shown(fine(client, "%%rust\np.x")) == "4"


@pytest.mark.parametrize(
    ("line", "source", "why"),
    [
        ("--keep v", "let v = 1;", "write all of it"),
        ("--keep v", "let v: Vec<_> = vec![1];", "write all of it"),
        ("--keep v", "{ let v: u8 = 1; }", "no `let v` outside of blocks"),
        ("--keep v", "let v: std::rc::Rc<u8> = std::rc::Rc::new(1);", "sent between threads"),
    ],
)
def test_what_cannot_be_kept_is_an_error(client: Client, line: str, source: str, why: str):
    assert why in failed(client, f"%%rust {line}\n{source}")["evalue"]


@pytest.mark.parametrize("line", ["--keep v --isolated", "--keep v -o v", "--keep 1v"])
def test_options_that_do_not_go_together_are_refused(client: Client, line: str):
    done = rust(client, f"%%rust {line}\nlet v: u8 = 1;")
    assert done.content["status"] == "error"
    assert "\n" not in done.text("stderr").strip()
