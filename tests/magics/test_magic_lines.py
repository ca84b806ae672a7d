"""The lines of magics as people write them: wherever they stand, with variables, comments and semicolons."""

import pytest

from support.client import Client
from support.text import plain

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.threads+json"


def shown(done, kind: str) -> list[dict]:
    """The reports of a cell that came as messages of this kind."""
    return [content["data"][MIME] for content in done.all(kind) if MIME in content["data"]]


@pytest.mark.parametrize(
    ("cell", "elsewhere", "last"),
    [
        ("%threads", 0, 1),
        ("%threads\nprint('done')", 1, 0),
        ("%threads\n%threads", 1, 1),
        ("for i in range(2):\n    %threads", 2, 0),
        ("if True:\n    %threads", 1, 0),
        ("def f():\n    %threads\n    return 1\nfor i in range(3): f()", 3, 0),
        ("try:\n    %threads\nfinally:\n    %threads", 2, 0),
        ("with open('/dev/null'):\n    %threads\n1", 1, 0),
        ("class A:\n    %threads", 1, 0),
        ("match 1:\n    case 1:\n        %threads", 1, 0),
        ("async def f():\n    %threads\nawait f()", 1, 0),
        ("%%time\n%threads\n%threads", 1, 1),
        ("%time %threads", 0, 1),
        ("x = %threads", 0, 0),
        ("x = %threads\nx", 0, 1),
        ("%threads;", 0, 0),
        ("%threads --top 3;\nprint('done')", 0, 0),
        ("%threads --as y\n1", 0, 0),
        ("%threads  # comment", 0, 1),
        ("%threads# comment\n1", 1, 0),
        ("%threads;  # comment", 0, 0),
        (
            "import threading\ndef f():\n    %threads\nt = threading.Thread(target=f); t.start(); t.join()",
            1,
            0,
        ),
    ],
)
def test_a_report_is_shown_once_unless_it_is_assigned(client: Client, cell, elsewhere, last):
    done = client.run(cell)
    assert len(shown(done, "display_data")) == elsewhere
    assert len(shown(done, "execute_result")) == last


def test_what_stands_last_is_the_cells_value(client: Client):
    client.run("before = 1\n%threads\n%threads --top 2")
    assert client.value("type(_).__name__, len(_)") == "('Report', 2)"


def test_a_semicolon_keeps_the_value(client: Client):
    client.run("x = %threads --top 2;")
    assert client.value("len(x)") == "2"


@pytest.mark.parametrize("interactivity", ["all", "none", "last", "last_expr_or_assign"])
def test_it_is_shown_once_whatever_ipython_shows(client: Client, interactivity: str):
    client.run(f"get_ipython().ast_node_interactivity = {interactivity!r}")
    try:
        for cell in ("%threads\n%threads", "for i in range(2):\n    %threads"):
            done = client.run(cell)
            assert len(shown(done, "display_data") + shown(done, "execute_result")) == 2, cell
    finally:
        client.run("get_ipython().ast_node_interactivity = 'last_expr'")


def test_below_a_recording(client: Client):
    done = client.run("%%native_prof\n%threads\nfor i in range(2):\n    %threads\n%threads")
    assert len(shown(done, "display_data")) == 3
    assert len(shown(done, "execute_result")) == 1


def test_in_a_subshell(client: Client):
    shell = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    try:
        done = client.execute("%threads\nprint('done')", header={"subshell_id": shell})
        assert len(shown(done, "display_data")) == 1
    finally:
        client.request("delete_subshell_request", {"subshell_id": shell}, "control")


@pytest.mark.feature("kernel subshells")
def test_in_a_callback_of_a_widget(client: Client):
    """A comm's message runs code of the user's that no cell has begun."""
    client.run(
        "from comm import create_comm\nmine = create_comm(target_name='w', comm_id='w')\n"
        "def on_message(message):\n    %threads\nmine.on_msg(on_message)"
    )
    done = client.send("comm_msg", {"comm_id": "w", "data": {}})
    client.until(lambda: done.state == "idle", "the callback's end", done)
    assert len(shown(done, "display_data")) == 1


def test_names_are_filled_in(client: Client):
    client.run("n, word = 2, 'MainThread'")
    for line in ("--top {n}", "--top $n", "--top {n - 0}", "--top {n}  # a comment {n"):
        assert client.run(f"x = %threads {line}").content["status"] == "ok"
        assert client.value("len(x)") == "2", line
    client.run(
        "x = %threads --filter {word}\ny = %threads --filter MainT.{{2,30}}d\nz = %threads --filter MainT.{2,30}d"
    )
    assert client.value("[r['name'] for r in x], [r['name'] for r in y], len(z)") == (
        "(['MainThread'], ['MainThread'], 1)"
    )


def test_names_of_a_function_count_there(client: Client):
    done = client.run(
        "import numpy as np\nn = 5\ndef h(n):\n    loc = np.ones(1000)\n    x = %buffer_addr loc\n"
        "    y = %threads --top {n}\n    w = %where loc.sum\n    return x[0]['nbytes'], x[0]['name'], x[0]['refs'], len(y)\n"
        "print(h(1))"
    )
    assert done.text() == "(8000, 'loc', 1, 1)\n"
    done = client.run(
        "def h():\n    hidden = np.ones(300)\n    x = %buffer_addr\n    return [r['name'] for r in x]\nprint(h())"
    )
    assert "hidden" in done.text()
    assert "no variable" in said(client, "%buffer_addr hidden")


def said(client: Client, cell: str) -> str:
    done = client.execute(cell)
    texts = [done.text("stderr")] + [
        line for error in done.all("error") for line in error["traceback"]
    ]
    return " ".join(plain("\n".join(texts)).split())


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1\n%%native_prof\n2", ["%%native_prof must stand on the first line of its cell"]),
        ("1\n%%time\n2", ["%%time must stand on the first line of its cell"]),
        ("y = %%native_prof\n2", ["`%%native_prof --as y`"]),
        ("len(%threads)", ["`result = %threads`"]),
        ("for i in range(2): %threads", ["line of its own"]),
        ("%threads; x = 1", ["line of its own"]),
        ("%threads --top '3", ["quote ' is not closed"]),
    ],
)
def test_where_a_magic_cannot_stand_it_says_where_it_can(
    client: Client, cell: str, words: list[str]
):
    answer = said(client, cell)
    assert all(word in answer for word in words), answer


@pytest.mark.parametrize("code", ["%native_prof?", "%%native_prof?", "%threads?", "%%threads?"])
def test_help_with_either_number_of_signs(client: Client, code: str):
    (page,) = client.run(code).content["payload"]
    assert "Usage: %" in plain(page["data"]["text/plain"])


def completed(client: Client, code: str) -> list[str]:
    content = client.request("complete_request", {"code": code, "cursor_pos": len(code)}).content
    assert content["cursor_end"] == len(code)
    return [code[: content["cursor_start"]] + match for match in content["matches"]]


def test_tab_offers_what_may_stand_there(client: Client):
    client.run(
        "import numpy as np\narray_one = np.ones(3); array_two = {'k': array_one}\ndef array_maker(): pass"
    )

    def offered(code: str) -> list[str]:
        return [one.removeprefix(code.rpartition(" ")[0] + " ") for one in completed(client, code)]

    assert offered("%threads --s") == ["--stack", "--sample", "--sort"]
    assert offered("x = %threads --sta") == ["--stack"]
    assert {"--new", "--why", "--tree"} <= set(offered("%loaded_libs --"))
    assert all(one.startswith("--") for one in offered("%loaded_libs --"))
    assert offered("%addr_map --group ") == ["lib", "kind"]
    assert "tid" in offered("%threads --sort t")
    assert offered("%buffer_addr array_") == ["array_one", "array_two"]
    assert offered("%buffer_addr --all array_o") == ["array_one"]
    assert "array_maker" in offered("%where array_")
    assert "np.linalg" in offered("%where np.lin")
    assert "_multiarray_umath" in offered("%loaded_libs --why _multi")
    assert offered("%threads --as ") == []
    assert "--hz" in offered("%%native_prof --h")


def test_tab_elsewhere_is_ipythons(client: Client):
    assert "%threads" in completed(client, "%thr")
    assert any(one.endswith("array") or "array" in one for one in completed(client, "import arr"))


@pytest.mark.parametrize("words", ["--sort nope", "--as 1x", "--filter ("])
@pytest.mark.parametrize("name", ["native_prof", "threads", "syscalls", "memory"])
def test_what_cannot_be_done_with_a_report_is_said_before_the_cell_runs(
    client: Client, name: str, words: str
):
    client.run("ran = False")
    said = client.execute(f"%%{name} {words}\nran = True").text("stderr")
    assert said.startswith(f"UsageError: %%{name}: {words.split(maxsplit=1)[0]}"), said
    assert client.value("ran") == "False"
