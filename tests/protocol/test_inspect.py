"""inspect_request: what Shift-Tab shows."""

import re

from support.client import Client


def inspect(client: Client, code: str, cursor: int | None = None, level: int = 0):
    content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor}
    done = client.request("inspect_request", content | {"detail_level": level})
    assert done.trace == ["busy", "idle"]
    assert done.content["status"] == "ok"
    return done.content


def plain(answer) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", answer["data"]["text/plain"])


def test_builtin(client: Client):
    answer = inspect(client, "zip")
    assert answer["found"] is True
    assert "zip" in plain(answer)
    assert "Docstring" in plain(answer)


def test_own_function_with_source(client: Client):
    client.run('def documented(a, *, b=2):\n    """What it does."""\n    return a + b')
    brief = plain(inspect(client, "documented"))
    assert "documented(a, *, b=2)" in brief
    assert "What it does." in brief
    assert "return a + b" not in brief
    assert "return a + b" in plain(inspect(client, "documented", level=1))


def test_callee_of_an_open_call(client: Client):
    answer = inspect(client, "print('x', ", cursor=11)
    assert answer["found"] is True
    assert "print" in plain(answer)


def test_magic(client: Client):
    answer = inspect(client, "%timeit")
    assert answer["found"] is True
    assert "Time execution" in plain(answer)


def test_cursor_counts_code_points(client: Client):
    answer = inspect(client, "'🎈🎈🎈'; zip; 1", cursor=9)
    assert "zip" in plain(answer)


def test_not_found(client: Client):
    answer = inspect(client, "no_such_name")
    assert answer == {"status": "ok", "found": False, "data": {}, "metadata": {}}


def test_object_whose_repr_raises(client: Client):
    client.run("class Bad:\n    def __repr__(self): raise RuntimeError('no')\nbad_repr = Bad()")
    assert inspect(client, "bad_repr")["status"] == "ok"
    assert client.run("1 + 1").result == "2"
