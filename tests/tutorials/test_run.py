"""Every tutorial runs from top to bottom, its solutions too, and shows what its text claims.

The code of a notebook is the same in all languages (see test_languages.py), so it runs once here, in English;
the French ones run in the browser.
"""

from __future__ import annotations

import re

import pytest
from jupyter_client.utils import run_sync
from nbclient import NotebookClient
from nbformat import NotebookNode

from support import process, tutorials

# Names that a check binds are its own, and what it imports stays out of the reader's sight.
SILENT = "exec(compile({!r}, {!r}, 'exec'), dict(globals()))"

pytestmark = [pytest.mark.slow, pytest.mark.diaphane, pytest.mark.timeout(600)]


@pytest.mark.parametrize("number", tutorials.notebooks("en"))
def test_a_tutorial_runs_and_is_true(number: str, tmp_path):
    notebook = tutorials.solved(tutorials.read(tutorials.notebooks("en")[number]))
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name=process.NAME,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    complaints = []
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
            complaints += broken_promises(client, cell)
    assert not complaints, "\n\n".join(complaints)


def broken_promises(client: NotebookClient, cell: NotebookNode) -> list[str]:
    """What the metadata of a cell says of it and is not so."""
    promises = cell.metadata.get("diaphane", {})
    shown = tutorials.shown(cell) if cell.cell_type == "code" else ""
    broken = [
        f"cell {cell.id} should show {pattern!r}, and shows:\n{shown}"
        for pattern in promises.get("expects", ())
        if not re.search(pattern, shown, re.MULTILINE)
    ]
    if "check" in promises and (error := failure(client, promises["check"], cell.id)):
        broken.append(f"the check of cell {cell.id} fails: {error}\n{shown}")
    return broken


def failure(client: NotebookClient, check: str, name: str) -> str | None:
    """Run statements in the kernel unseen; what they raise."""
    code = SILENT.format(check, f"<check of {name}>")

    async def ask() -> dict:
        return await client.kc.execute(
            code, silent=True, store_history=False, reply=True, timeout=120
        )

    reply = run_sync(ask)()
    if reply["content"]["status"] == "ok":
        return None
    return "\n".join(reply["content"]["traceback"])
