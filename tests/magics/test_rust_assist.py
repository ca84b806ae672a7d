"""Completion and inspection inside %%rust cells, as a front end asks for them."""

import pytest

from support.client import Client
from support.rust import fine

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]

# Each question waits for a moment, and the sources of dependencies are read within that many of them.
TRIES = 120


def asked(client: Client, kind: str, code: str) -> dict:
    """The reply for a place that `|` marks."""
    content = {"code": code.replace("|", "", 1), "cursor_pos": code.index("|")}
    if kind == "inspect_request":
        content["detail_level"] = 0
    return client.request(kind, content).content


def completed(client: Client, code: str) -> list[str]:
    reply = asked(client, "complete_request", code)
    assert reply["status"] == "ok"
    return reply["matches"]


def completed_until(client: Client, code: str, wanted: str) -> list[str]:
    for _ in range(TRIES):
        matches = completed(client, code)
        if wanted in matches:
            return matches
    raise AssertionError(f"{wanted} is not among {matches}")


def explained(client: Client, code: str, wanted: str) -> dict:
    for _ in range(TRIES):
        reply = asked(client, "inspect_request", code)
        if wanted in reply["data"].get("text/plain", ""):
            return reply
    raise AssertionError(f"{wanted} is not in {reply}")


def test_the_line_of_the_magic_is_completed(client: Client):
    client.run("import numpy as np\narr, apple, aa, é = np.zeros(3), 1, [], 'x'")
    assert completed(client, "%%rust --sl|") == ["--slices"]
    assert {"-i", "-m", "--def", "--native"} <= set(completed(client, "%%rust -|\n1"))
    # Lists cannot be borrowed, and only arrays can be changed in place.
    assert completed(client, "%%rust -i a|") == ["apple", "arr"]
    assert completed(client, "%%rust -m a|") == ["arr"]
    reply = asked(client, "complete_request", "%%rust -i é,a|pp\n1")
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == (
        ["apple", "arr"],
        12,
        13,
    )
    assert completed(client, "%%rust -o su|\nlet mut sum = 1;") == ["sum"]


def test_the_rust_of_a_cell_is_completed_with_types(client: Client):
    client.run("import numpy as np\ngrid = np.zeros((2, 3))")
    fine(
        client,
        "%%rust\nstruct Élan { width: i64 }\n/// Twice as much.\nfn doubled(x: i64) -> i64 { 2 * x }",
    )
    assert "doubled" in completed_until(client, "%%rust\nlet é = 1; dou|", "doubled")
    assert completed_until(client, "%%rust\nlet p = Élan { width: 1 };\np.w|", "width") == ["width"]
    methods = completed_until(client, "%%rust -m grid\ngrid.|", "mapv_inplace")
    assert {"sum", "row_mut", "into_dyn"} <= set(methods)
    assert not [name for name in methods if name.startswith("__")]
    assert "nrows" in completed_until(client, "%%rust -i grid\nlet broken = (;\ngrid.nro|", "nrows")


def test_rust_is_explained(client: Client):
    client.run("import numpy as np\ngrid = np.zeros((2, 3), 'i4')")
    fine(client, "%%rust\n/// Twice as much.\nfn doubled(x: i64) -> i64 { 2 * x }")
    for code in ["%%rust\ndoub|led(1)", "%%rust\nlet y = doubled(|"]:
        reply = explained(client, code, "fn doubled(x: i64) -> i64")
        assert "Twice as much." in reply["data"]["text/markdown"]
        assert "cell" not in reply["data"]["text/plain"]
    assert "i32" in explained(client, "%%rust -i grid\ngri|d;", "let grid")["data"]["text/plain"]
    assert asked(client, "inspect_request", "%%rust\n   |")["found"] is False


def test_without_rust_nothing_is_known_and_nothing_fails(launch, tmp_path):
    client = launch(env={"PATH": str(tmp_path)}).connect()
    assert completed(client, "%%rust\nab|") == []
    assert asked(client, "inspect_request", "%%rust\nab|c")["found"] is False
    # Python is completed as ever, with a magic of another name too.
    assert "import" in completed(client, "impo|")
    assert completed(client, "%%rusty\nimpo|") == ["import"]


def test_a_tab_does_not_disturb_what_is_compiled(client: Client):
    """The answers of both come from one process, in any order."""
    for number in range(3):
        code = f"%%rust\nlet élan{number} = {number};\n"
        asked(client, "complete_request", code + "él|")
        done = fine(client, code + f"élan{number}")
        assert done.one("display_data")["data"]["text/plain"] == str(number)
