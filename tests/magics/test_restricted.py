"""The magics where the operating system denies what they would use: an old Linux, a container with a strict sandbox.

They say what is missing and show the rest; what they show is what they show without the sandbox.
"""

import subprocess
from pathlib import Path

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
SOURCE = Path(__file__).parents[1] / "support" / "deny.c"
SETUP = "import numpy as np; a = np.ones(1_000_000); b = a[10:]; import threading"
LINES = {
    "loaded_libs": ["", "--rss", "--all"],
    "threads": ["", "--stack"],
    "buffer_addr": ["a b", "a b --pages"],
    "where": ["len", "np.sin", "np.add --dtype d"],
    "disasm": ["len", "np.add --dtype f4"],
    "native_doctor": [""],
}
CASES = {
    "strict container": [
        "ptrace",
        "process_vm_readv",
        "move_pages",
        "perf_event_open",
        "pidfd_open",
    ],
    "old Linux": ["PAGEMAP_SCAN", "PROCMAP_QUERY"],
}


@pytest.fixture(scope="module")
def deny(tmp_path_factory) -> str:
    program = tmp_path_factory.mktemp("deny") / "deny"
    subprocess.run(["gcc", "-o", program, SOURCE], check=True)
    return str(program)


def reports(client: Client) -> dict[str, list[dict]]:
    client.run(SETUP)
    found = {}
    for name, lines in LINES.items():
        for line in lines:
            done = client.run(f"%{name} {line}")
            data = done.one("execute_result")["data"][f"application/vnd.diaphane.{name}+json"]
            found[f"{name} {line}"] = data["rows"]
    return found


@pytest.mark.parametrize("case", CASES)
def test_what_is_denied_is_missing_and_nothing_else(case: str, launch, deny: str):
    free = reports(launch().connect())
    denied = reports(launch(under=[deny, *CASES[case], "--"]).connect())
    assert free.keys() == denied.keys()
    for asked, rows in free.items():
        key = (
            "tid"
            if asked.startswith("threads")
            else "path"
            if asked.startswith("loaded")
            else "name"
        )
        assert len(rows) == len(denied[asked]), asked
        if key != "tid":
            assert [row.get(key) for row in rows] == [row.get(key) for row in denied[asked]]


def test_elf_facts_survive_a_sandbox(launch, deny: str):
    client = launch(under=[deny, "process_vm_readv", "--"]).connect()
    client.run("import numpy")
    report = client.run("%loaded_libs umath").one("execute_result")["data"]
    [row] = [
        row
        for row in report["application/vnd.diaphane.loaded_libs+json"]["rows"]
        if "_multiarray_umath" in row["name"]
    ]
    assert row["kind"] == "extension module"
    assert any("openblas" in name for name in row["needed"])
