"""%native_doctor: all diagnoses of the other magics, and no others, the worst first."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.native_doctor+json"
RANK = {"error": 0, "warn": 1, "info": 2}


def report(client: Client) -> dict:
    return client.run("%native_doctor").one("execute_result")["data"]


def test_a_healthy_process(launch):
    data = report(launch().connect())
    assert data[MIME]["rows"] == []
    assert "nothing remarkable" in data["text/plain"]


def test_it_finds_what_the_others_find(client: Client):
    client.run(
        "import numpy as np, scipy.linalg\n"
        "small = np.zeros(10_000_000)[:3]\n"
        "frozen = np.zeros(3); frozen.flags.writeable = False"
    )
    data = report(client)
    rows = data[MIME]["rows"]
    ranks = [RANK[row["severity"]] for row in rows]
    assert ranks == sorted(ranks)
    assert {"L002", "B003", "B006"} <= {row["code"] for row in rows}
    for name in {row["found_by"] for row in rows}:
        mime = f"application/vnd.diaphane.{name[1:]}+json"
        line = f"{name} --all --pages" if name == "%buffer_addr" else name
        own = client.run(line).one("execute_result")["data"][mime]["diagnoses"]
        theirs = {(one["code"], one["title"]) for one in own}
        assert theirs == {(row["code"], row["title"]) for row in rows if row["found_by"] == name}


def test_the_text_says_everything_in_80_columns(client: Client):
    client.run("import numpy as np, scipy.linalg")
    lines = report(client)["text/plain"].splitlines()
    # A path is not torn.
    assert max(len(line) for line in lines if len(line.split()) > 2) <= 80
    assert any(line.startswith("info L002: ") for line in lines)
    assert any(line.startswith("  - OpenBLAS 0.") for line in lines)


def test_without_python_it_does_what_it_can(launch):
    client = launch().connect()
    client.run("import scipy.linalg")
    cell = client.start("import ctypes; print('ready'); ctypes.PyDLL(None).sleep(600)")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    data = client.request("magic_request", {"name": "native_doctor"}, "control").content["data"]
    assert "L002" in {row["code"] for row in data[MIME]["rows"]}
    assert any("%buffer_addr" in limit for limit in data[MIME]["limits"])
