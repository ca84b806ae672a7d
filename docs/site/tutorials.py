"""A tutorial as a page: its text, its code, and the outputs that are stored in the notebook."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

LANGUAGES = {"en": "English", "fr": "Français"}
INTRODUCTION = """# Tutorials

Each takes 10 to 20 minutes, and runs on your own machine: open `notebooks` in JupyterLab and run the cells.
Here they can be read, with what they showed on one machine.

"""


def title(path: Path) -> str:
    """The first heading."""
    cells = nbformat.read(path, as_version=4).cells
    heading = next(line for line in cells[0].source.splitlines() if line.startswith("# "))
    return heading.removeprefix("# ").strip()


def page(path: Path, place: Path) -> str:
    """The notebook as Markdown; pictures that cells drew are written beside the page."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source.replace("<details>", '<details markdown="1">'))
        elif cell.source:
            parts.append(fenced(cell.source, "rust" if cell.source.startswith("%%rust") else "python"))
            parts += [shown(output, place, f"{cell.id}-{n}") for n, output in enumerate(cell.outputs)]
    return "\n\n".join(parts) + "\n"


def shown(output: NotebookNode, place: Path, name: str) -> str:
    """One output, in the richest form that a page can show."""
    if output.output_type == "stream":
        return printed(output.text)
    if output.output_type == "error":
        return printed("\n".join(output.traceback))
    if "image/png" in output.data:
        picture = place.with_name(f"{place.stem}-{name}.png")
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(base64.b64decode(output.data["image/png"]))
        # Not by Markdown's form, since this is no link of the repository.
        return f'<p><img src="../{picture.name}" alt=""></p>'
    if "text/html" in output.data:
        # A blank line would end the block.
        html = re.sub(r"\n\s*\n", "\n", output.data["text/html"])
        return f'<div class="report">{html}</div>'
    return printed(output.data.get("text/plain", ""))


def printed(text: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip()
    return fenced(plain, "{ .text .printed }") if plain else ""


def fenced(text: str, language: str) -> str:
    """A block of code whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
