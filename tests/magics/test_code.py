"""%where, %disasm and %addr_map in a kernel: as cells show them, and asked by message while a cell holds the GIL."""

import re
from pathlib import Path

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
HOLD_GIL = "import ctypes\nprint('ready')\nctypes.PyDLL(None).sleep(600)"


def data(client: Client, name: str, line: str) -> dict:
    return client.run(f"%{name} {line}").one("execute_result")["data"]


def rows(client: Client, name: str, line: str) -> list[dict]:
    return data(client, name, line)[f"application/vnd.diaphane.{name}+json"]["rows"]


def test_each_fits_the_terminal(client: Client):
    client.run("import numpy as np; a = np.ones(1_000_000)")
    for name, line in [
        ("where", "np.add"),
        ("where", "np.sum --dtype f4"),
        ("addr_map", ""),
        ("addr_map", "--group lib"),
    ]:
        text = data(client, name, line)["text/plain"]
        assert max(map(len, text.splitlines())) <= 80, text


def test_a_variable_is_followed_and_found(client: Client):
    client.run(
        "import numpy as np, functools; f = functools.partial(np.add.reduce); a = np.ones(1_000_000)"
    )
    assert rows(client, "where", "f --dtype f8")[-1]["symbol"].startswith("DOUBLE_add")
    code = rows(client, "disasm", "f --dtype f8")[0]
    assert code["types"] == "dd->d"
    assert code["count"] == len(code["insns"]) > 50
    address = client.value("hex(a.ctypes.data + 800)").strip("'")
    (row,) = rows(client, "addr_map", f"--at {address}")
    assert (row["kind"], row["owner"], row["offset"]) == ("array", "a", 800)


def test_a_mistake_is_one_line(client: Client):
    for line in [
        "%where nothing.at.all",
        "%disasm 0x10",
        "%where libc!nothing_like_this",
        "%addr_map --at x",
    ]:
        done = client.execute(line)
        shown = done.text() + str(done.content)
        assert "UsageError" in shown, shown
        assert "Traceback" not in shown, shown


def test_what_needs_no_python_is_answered_while_a_cell_holds_the_gil(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import numpy")
    cell = client.start(HOLD_GIL)
    client.until(lambda: "ready" in cell.text(), "ready", cell)

    def ask(name: str, line: str) -> dict:
        return client.request("magic_request", {"name": name, "line": line}, "control").content

    def answer(name: str, line: str) -> dict:
        content = ask(name, line)
        assert content["status"] == "ok", content
        return content["data"][f"application/vnd.diaphane.{name}+json"]

    symbol = answer("where", "_multiarray_umath*!DOUBLE_add")["rows"][0]
    assert symbol["symbol"] == "DOUBLE_add"
    assert answer("disasm", "_multiarray_umath*!DOUBLE_add")["rows"][0]["addr"] == symbol["addr"]
    assert answer("addr_map", f"--at {symbol['addr']}")["rows"][0]["symbol"] == "DOUBLE_add"
    found = answer("addr_map", "")
    regions = re.findall(r"^[0-9a-f]+-", Path(f"/proc/{kernel.pid}/maps").read_text(), re.M)
    assert abs(len(found["rows"]) - len(regions)) < 5
    assert any("Python" in limit for limit in found["limits"])
    assert ask("where", "numpy.add")["status"] == "error"


def test_the_busiest_loop_of_a_long_function_comes_first(client: Client):
    client.run("import numpy as np")
    shown = data(client, "disasm", "np.add --dtype float64")["text/plain"]
    about = re.search(
        r"first the innermost loop .*?, \+(0x\w+) to \+(0x\w+)", shown.replace("\n", " ")
    )
    addresses = re.findall(r"^ *\+(0x\w+) ", shown, re.MULTILINE)
    assert about is not None
    end = addresses.index("0x0")
    assert (addresses[0], addresses[end - 1]) == about.groups()
    assert int(addresses[end - 1], 16) < int(addresses[-1], 16)


def test_of_a_class_it_is_said_what_is_shown(client: Client):
    client.run("class Empty: pass")
    assert "Empty is a class: this is its tp_new" in data(client, "disasm", "Empty")["text/plain"]


def test_sums_have_no_map_and_changes_have_units(client: Client):
    client.run("import numpy as np")
    assert "<svg" in data(client, "addr_map", "")["text/html"]
    sums = data(client, "addr_map", "--group kind")
    assert "<svg" not in sums["text/html"]
    assert "thread -1" not in data(client, "addr_map", "--group lib")["text/plain"]
    client.run("more = np.ones(5_000_000)")
    changes = data(client, "addr_map", "--diff")
    assert re.search(r"\+40\.0 MB", changes["text/plain"]), changes["text/plain"]


def test_behind_a_decorator_the_function_is_found(client: Client):
    client.run(
        "import functools\ndef plain(x):\n    return x\n@functools.wraps(plain)\ndef around(x):\n    return plain(x)"
    )
    found = rows(client, "where", "around")
    assert [row["role"] for row in found] == ["Python function", "decorated function"]
    assert [row["object"] for row in found] == ["around", "plain"]
