"""inspect_request: what Shift-Tab shows."""

from pathlib import Path

import pytest

from support.client import Client
from support.text import plain


def inspect(client: Client, code: str, cursor: int | None = None, level: int = 0):
    content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor}
    done = client.request("inspect_request", content | {"detail_level": level})
    assert done.trace == ["busy", "idle"]
    assert done.content["status"] == "ok"
    return done.content


def shown(answer) -> str:
    return plain(answer["data"]["text/plain"])


def test_builtin(client: Client):
    answer = inspect(client, "zip")
    assert answer["found"] is True
    assert "zip" in shown(answer)
    assert "Docstring" in shown(answer)


def test_own_function_with_source(client: Client):
    client.run('def documented(a, *, b=2):\n    """What it does."""\n    return a + b')
    brief = shown(inspect(client, "documented"))
    assert "documented(a, *, b=2)" in brief
    assert "What it does." in brief
    assert "return a + b" not in brief
    assert "return a + b" in shown(inspect(client, "documented", level=1))


def test_callee_of_an_open_call(client: Client):
    answer = inspect(client, "print('x', ", cursor=11)
    assert answer["found"] is True
    assert "print" in shown(answer)


def test_magic(client: Client):
    answer = inspect(client, "%timeit")
    assert answer["found"] is True
    assert "Time execution" in shown(answer)


@pytest.mark.parametrize("name", ["%threads", "%%native_calls", "get_ipython", "%edit"])
def test_a_file_that_is_named_is_there(client: Client, name: str):
    lines = shown(inspect(client, name)).splitlines()
    files = [line.split(None, 1)[1] for line in lines if line.startswith("File:")]
    assert all(Path(file).expanduser().is_file() for file in files), files


def test_cursor_counts_code_points(client: Client):
    answer = inspect(client, "'🎈🎈🎈'; zip; 1", cursor=9)
    assert "zip" in shown(answer)


def test_not_found(client: Client):
    answer = inspect(client, "no_such_name")
    assert answer == {"status": "ok", "found": False, "data": {}, "metadata": {}}


def test_object_whose_repr_raises(client: Client):
    client.run("class Bad:\n    def __repr__(self): raise RuntimeError('no')\nbad_repr = Bad()")
    assert inspect(client, "bad_repr")["status"] == "ok"
    assert client.run("1 + 1").result == "2"


@pytest.mark.diaphane
@pytest.mark.parametrize("filling", ["x = 1\n" * 1_700_000, "a" * 10_000_000, "a." * 5_000_000])
def test_a_giant_cell_is_answered(client: Client, filling: str):
    code = filling + "\nzip\n" + filling
    answer = inspect(client, code, len(filling) + 4)
    assert answer["found"] is True
    assert "zip" in shown(answer)
    for position in (0, len(filling) // 2, len(code)):
        inspect(client, code, position)
