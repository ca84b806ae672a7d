"""complete_request and is_complete_request."""

import pytest

from support.client import Client


def complete(client: Client, code: str, cursor: int | None = None):
    content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor}
    done = client.request("complete_request", content)
    assert done.trace == ["busy", "idle"]
    assert done.content["status"] == "ok"
    return done.content


def test_names_of_the_user(client: Client):
    client.run("alpha_one = alpha_two = 1")
    answer = complete(client, "x = alpha_")
    assert answer["matches"] == ["alpha_one", "alpha_two"]
    assert (answer["cursor_start"], answer["cursor_end"]) == (4, 10)


def test_attributes(client: Client):
    client.run("import os")
    answer = complete(client, "os.path.joi")
    assert any(match.endswith("join") for match in answer["matches"])
    assert answer["cursor_end"] == 11


def test_modules(client: Client):
    assert "collections" in complete(client, "import collectio")["matches"]


def test_magics(client: Client):
    assert "%timeit" in complete(client, "%timei")["matches"]


def test_typed_completions(client: Client):
    """JupyterLab draws its badges from these."""
    client.run("def beta_function(): pass")
    answer = complete(client, "beta_func")
    typed = answer["metadata"]["_jupyter_types_experimental"]
    entry = next(t for t in typed if t["text"] == "beta_function")
    assert entry["type"] == "function"
    assert (entry["start"], entry["end"]) == (0, 9)
    assert "signature" in entry


def test_cursor_counts_code_points(client: Client):
    client.run("gamma_one = 1")
    code = "'🎈🎈'; gamma_"
    answer = complete(client, code)
    assert answer["matches"] == ["gamma_one"]
    assert (answer["cursor_start"], answer["cursor_end"]) == (6, 12)


def test_cursor_within_the_text(client: Client):
    client.run("delta_one = 1")
    answer = complete(client, "delta_\nother = 2", cursor=6)
    assert answer["matches"] == ["delta_one"]


def test_on_another_line(client: Client):
    client.run("eps_one = 1")
    answer = complete(client, "import os\nprint(eps_", None)
    assert answer["matches"] == ["eps_one"]
    assert (answer["cursor_start"], answer["cursor_end"]) == (16, 20)


def test_nothing_found(client: Client):
    assert complete(client, "no_such_name_anywhere_")["matches"] == []


def test_completion_that_raises_does_no_harm(client: Client):
    client.run("class Bad:\n    def __dir__(self): raise RuntimeError('no')\nbad = Bad()")
    complete(client, "bad.")
    assert client.run("1 + 1").result == "2"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("1 + 1", "complete"),
        ("def f():\n    return 1\n\n", "complete"),
        ("%timeit 1", "complete"),
        ("await x", "complete"),
        ("for i in range(3):", "incomplete"),
        ("'''open", "incomplete"),
        ("f(1,", "incomplete"),
        ("1 ++", "invalid"),
        ("def", "invalid"),
    ],
)
def test_is_complete(client: Client, code: str, status: str):
    done = client.request("is_complete_request", {"code": code})
    assert done.trace == ["busy", "idle"]
    assert done.content["status"] == status


def test_is_complete_says_how_to_indent(client: Client):
    done = client.request("is_complete_request", {"code": "for i in range(3):\n    if i:"})
    assert done.content == {"status": "incomplete", "indent": "        "}


GIANTS = {
    "lines": "x = 1\n" * 1_700_000,
    "one line": "a" * 10_000_000,
    "dots": "a." * 5_000_000,
    "calls": "f(x, y=1, " * 1_000_000,
}


@pytest.mark.diaphane
@pytest.mark.parametrize("name", GIANTS)
def test_a_giant_cell_is_answered(client: Client, name: str):
    """IPython looks at it for a time that grows with the square of its length: it gets what is around the cursor."""
    client.run("alpha_one = alpha_two = 1")
    code = GIANTS[name] + "\nalpha_\n" + GIANTS[name]
    cursor = len(GIANTS[name]) + 7
    answer = complete(client, code, cursor)
    if name == "lines":
        assert answer["matches"] == ["alpha_one", "alpha_two"]
        assert (answer["cursor_start"], answer["cursor_end"]) == (cursor - 6, cursor)
    for position in (0, len(GIANTS[name]) // 2, len(code)):
        complete(client, code, position)
