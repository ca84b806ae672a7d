"""Each page in docs/diagnoses shows how to bring its diagnosis about: the blocks are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.diaphane
FOLDER = Path(__file__).parents[2] / "docs" / "diagnoses"
PAGES = sorted(page.stem for page in FOLDER.glob("[A-Z][0-9][0-9][0-9].md"))
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.M | re.S)


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """The blocks of a page in some languages, each with the name behind its language."""
    found = BLOCK.findall((FOLDER / f"{page}.md").read_text())
    return [(name, text) for language, name, text in found if language in languages]


def prepared(page: str, folder: Path) -> dict[str, str]:
    """Write the page's sources and run its shell; what that exports."""
    for name, source in blocks(page, "c", "cpp"):
        (folder / name).write_text(source)
    script = "set -e\n" + "".join(text for _, text in blocks(page, "sh")) + "\nenv -0"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-c", script]
    done = subprocess.run(
        command, check=False, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    after = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if "=" in entry)
    return {
        key: value
        for key, value in after.items()
        if os.environ.get(key) != value and key not in ("PWD", "_")
    }


def marked(page: str):
    """A page about Rust cells needs their compiler."""
    return pytest.param(page, marks=pytest.mark.slow) if page.startswith("R") else page


@pytest.mark.parametrize("page", map(marked, PAGES))
def test_a_page_shows_its_diagnosis(page: str, launch, tmp_path: Path):
    kernel = launch(env=prepared(page, tmp_path), cwd=tmp_path)
    client = kernel.connect()
    cells = [text for _, text in blocks(page, "python")]
    for cell in cells:
        done = client.execute(cell)
        may_fail = cell == cells[-1] or cell.startswith("%%rust")
        assert "error" not in done.trace or may_fail, done.trace
    shown = "".join(str(m["content"]) for m in done.iopub)
    assert (page in shown) == can_be_shown(page), shown
    for diagnosis in diagnoses(done):
        assert diagnosis["title"].endswith("."), diagnosis
        assert diagnosis["fix"].endswith("."), diagnosis


def diagnoses(done) -> list[dict]:
    """What the reports of a cell find remarkable."""
    bundles = [message["content"].get("data", {}) for message in done.iopub]
    reports = [
        value for bundle in bundles for kind, value in bundle.items() if kind.endswith("+json")
    ]
    return [one for report in reports for one in report.get("diagnoses", [])]


def can_be_shown(page: str) -> bool:
    """Whether this Python has what the page is about; without it, nothing must be reported."""
    marks = [mark for mark, _ in blocks(page, "python")]
    return "free-threaded" not in marks or bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
