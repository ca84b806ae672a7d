"""%loaded_libs against /proc/PID/maps, read from outside of the process."""

import json
import re

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.loaded_libs+json"


def mapped(kernel) -> set[str]:
    """The shared objects among the files that the process has mapped as code."""
    paths = set()
    for line in kernel.proc("maps").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/"):
            paths.add(fields[5])
    return paths


def rows(client: Client, line: str) -> list[dict]:
    done = client.run(f"r = {line}\nimport json\nprint(json.dumps(r.rows))")
    return json.loads(done.text())


def test_every_mapped_library_and_no_other(client: Client, kernel):
    client.run("import numpy, json, ssl")
    found = rows(client, "%loaded_libs --all")
    paths = {row["path"] for row in found if row["path"]}
    assert paths & mapped(kernel) == mapped(kernel)
    for row in found:
        if row["path"] and row["path"].startswith("/"):
            assert row["path"] in kernel.proc("maps")


def test_addresses_are_those_of_the_mapping(client: Client, kernel):
    client.run("import numpy")
    maps = kernel.proc("maps")
    for row in rows(client, "%loaded_libs numpy"):
        first = next(line for line in maps.splitlines() if line.endswith(row["path"]))
        assert int(first.split("-")[0], 16) == int(row["base"], 16)
        pieces = [(int(x["start"], 16), int(x["end"], 16)) for x in row["segments"]]
        assert (pieces[0][0], pieces[-1][1]) == (int(row["base"], 16), int(row["end"], 16))
        assert sum(end - start for start, end in pieces) == row["size"]


def test_import_brings_libraries_and_new_shows_them(launch):
    client = launch().connect()
    assert rows(client, "%loaded_libs numpy") == []
    rows(client, "%loaded_libs --new")
    client.run("import numpy")
    new = rows(client, "%loaded_libs --new")
    assert any("_multiarray_umath" in row["name"] for row in new)
    assert {row["package"] for row in new if "numpy" in row["path"]} == {"numpy"}


def test_what_the_latest_cells_brought_stands_first(launch):
    client = launch().connect()
    for module in ("numpy", "_lsprof"):
        client.run(f"import {module}")
    found = rows(client, "%loaded_libs")
    assert [row["first_cell"] for row in found][:2] == [2, 1]
    assert found[0]["module"] == "_lsprof"
    kinds = [row["kind"] for row in found]
    assert kinds.index("program") > max(
        i for i, row in enumerate(found) if row["package"] == "numpy"
    )


def test_package_and_version_are_those_of_the_distribution(client: Client):
    client.run("import numpy, importlib.metadata")
    version = client.value("importlib.metadata.version('numpy')").strip("'")
    for row in rows(client, "%loaded_libs _multiarray_umath"):
        assert (row["package"], row["package_version"]) == ("numpy", version)


def test_the_regular_expression_filters(client: Client):
    names = [row["name"] for row in rows(client, "%loaded_libs ^libc\\.so")]
    assert names == ["libc.so.6"]


def test_all_views(client: Client):
    client.run("import numpy")
    result = client.run("%loaded_libs numpy").one("execute_result")
    assert set(result["data"]) == {"text/plain", "text/html", MIME}
    text = result["data"]["text/plain"]
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\x1b" not in text
    assert "<script" not in result["data"]["text/html"]
    report = result["data"][MIME]
    assert report["schema_version"] == 1
    assert report["name"] == "loaded_libs"
    assert {"kernel", "glibc", "python", "cpu"} <= set(report["host"])
    assert report["rows"]


def test_the_names_of_files_are_escaped(client: Client, kernel):
    """A library may have any name."""
    client.run("import _ctypes, shutil, ctypes")
    client.run("shutil.copy(_ctypes.__file__, '<b>&evil.so')\nh = ctypes.CDLL('./<b>&evil.so')")
    data = client.run("%loaded_libs evil").one("execute_result")["data"]
    assert "<b>&evil.so" in data["text/plain"]
    assert "<b>&evil" not in data["text/html"]
    assert "&lt;b&gt;&amp;evil.so" in data["text/html"]


def test_the_report_is_a_python_value(client: Client):
    assert client.run("r = %loaded_libs\nlen(list(r)) == len(r) > 0").result == "True"
    assert (
        client.run("[row['name'] for row in r if row['name'] == 'libc.so.6']").result
        == "['libc.so.6']"
    )
    client.run("%loaded_libs --as kept libc")
    assert client.value("kept[0] is kept.rows[0], [*kept] == kept.rows") == "(True, True)"
    assert client.value("kept.name, 'totals' in kept.facts") == "('loaded_libs', True)"


@pytest.mark.parametrize("line", ["--no-such-flag", "(", "--top", "--sort nonsense"])
def test_a_mistake_is_one_line(client: Client, line: str):
    done = client.execute(f"%loaded_libs {line}")
    said = done.text("stderr").strip()
    assert "\n" not in said
    assert said.startswith("UsageError: %loaded_libs")
    assert line.rsplit(maxsplit=1)[-1] in said


def test_help(client: Client):
    (payload,) = client.run("%loaded_libs?").content["payload"]
    assert re.search(r"%loaded_libs", payload["data"]["text/plain"])


def test_completion_knows_the_magics(client: Client):
    for name in ("%loaded_libs", "%threads", "%buffer_addr"):
        content = {"code": name[:-2], "cursor_pos": len(name) - 2}
        assert name in client.request("complete_request", content).content["matches"]
