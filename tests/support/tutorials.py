"""The tutorials as files: which there are, what their cells promise, and where their exercises are solved.

What a cell claims stands in its metadata: `diaphane.expects` has patterns that its output must have, `diaphane.check`
Python statements that run after it, unseen. A solution is a folded block of Markdown in front of the reader's own,
empty cell, whose id ends with `-yours`.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from support.text import plain

FOLDER = Path(__file__).parents[2] / "notebooks"
LANGUAGES = ("en", "fr")
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>", re.DOTALL)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def notebooks(language: str) -> dict[str, Path]:
    """The files of a language by their number."""
    return {path.name[:2]: path for path in sorted((FOLDER / language).glob("*.ipynb"))}


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def solutions(cell: NotebookNode) -> list[str]:
    """The code of the solutions that a cell of Markdown folds away, block by block."""
    if cell.cell_type != "markdown":
        return []
    return [code for fold in SOLUTION.findall(cell.source) for code in PYTHON_BLOCK.findall(fold)]


def solved(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the solutions at the places where a reader writes his own."""
    cells, pending = [], []
    for cell in notebook.cells:
        pending += solutions(cell)
        if cell.cell_type == "code" and cell.id.endswith("-yours"):
            cells += [nbformat.v4.new_code_cell(code.strip()) for code in pending]
            pending = []
        cells.append(cell)
    assert not pending, f"a solution has no cell of the reader's behind it: {pending}"
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def shown(cell: NotebookNode) -> str:
    """What a cell's outputs say, as text without colours."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            # One line of a cell's may come in two pieces.
            goes_on = bool(parts) and parts[-1][0] == output.name
            parts.append((output.name, parts.pop()[1] + output.text if goes_on else output.text))
        elif output.output_type == "error":
            parts.append(("", "\n".join(output.traceback)))
        else:
            parts.append(("", output.data.get("text/plain", "")))
    return plain("\n".join(text for _, text in parts))
