"""The tutorials of all languages are one: the same cells and code, the same exercises, links and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from support import tutorials

EN, FR = (tutorials.notebooks(language) for language in tutorials.LANGUAGES)
BOTH = sorted(EN.keys() & FR.keys())
ALL = [numbered[number] for number in BOTH for numbered in (EN, FR)]
DOCS = Path(__file__).resolve().parents[2] / "docs"
LINK = re.compile(r"\]\(([^)\s]+)\)")
LAST = {"en": "what you now know", "fr": "ce que vous savez maintenant"}
# What may be in outputs: the folders of the neutral place and of the system, and IPython's names for cells.
PRIVATE_PATH = re.compile(r"/(?:work|root|home(?!/you/))\b[/\w.-]*|/tmp/(?!ipykernel_)[\w.-]+")


def test_each_tutorial_is_there_in_each_language():
    numbers = [f"{number:02}" for number in range(len(EN))]
    assert list(EN) == list(FR) == numbers


def source(cell) -> str | None:
    """What must be the same in all languages of a cell."""
    return cell.source if cell.cell_type == "code" else None


@pytest.mark.parametrize("number", BOTH)
def test_the_cells_are_the_same(number: str):
    en, fr = (tutorials.read(numbered[number]).cells for numbered in (EN, FR))
    assert [(c.id, c.cell_type) for c in en] == [(c.id, c.cell_type) for c in fr]
    for one, other in zip(en, fr, strict=True):
        assert source(one) == source(other), one.id
        assert one.metadata == other.metadata, one.id
        assert one.get("outputs") == other.get("outputs"), f"{one.id}: run notebooks/execute.py"
        assert tutorials.solutions(one) == tutorials.solutions(other), one.id
        assert places(one) == places(other), one.id


def places(cell) -> list[str]:
    """Where the links and pictures of a cell lead, without the language."""
    if cell.cell_type != "markdown":
        return []
    return sorted(language_free(link) for link in LINK.findall(cell.source))


def language_free(link: str) -> str:
    """A picture has its language in its name, as the French glossary has, and a notebook its number."""
    notebook = re.fullmatch(r"(?:\.\./(?:en|fr)/)?(\d\d)-[^/]*\.ipynb(#.*)?", link)
    return notebook[1] if notebook else re.sub(r"\.(en|fr)\.(svg|md)$", r".\2", link)


def test_the_glossaries_explain_the_same_words():
    en, fr = (DOCS.joinpath(name).read_text() for name in ("glossary.md", "glossary.fr.md"))
    entries = [re.split(r"^(?=\*\*)", text, flags=re.MULTILINE)[1:] for text in (en, fr)]
    # What is not translated: code and links.
    shown = [
        [sorted(re.findall(r"`[^`]+`|\]\([^)]+\)", entry)) for entry in one] for one in entries
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_links_and_pictures_lead_somewhere(path: Path):
    cells = [cell for cell in tutorials.read(path).cells if cell.cell_type == "markdown"]
    links = [link for cell in cells for link in LINK.findall(cell.source)]
    local = [link.split("#")[0] for link in links if not re.match(r"https?:|#", link)]
    missing = [link for link in local if not (path.parent / link).exists()]
    assert not missing
    others = [
        link for link in local if link.endswith(".svg") and f".{path.parent.name}." not in link
    ]
    assert not others, "a picture of the other language"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_tutorial_has_its_parts(path: Path):
    notebook = tutorials.read(path)
    nbformat.validate(notebook)
    exercises = [cell for cell in notebook.cells if tutorials.solutions(cell)]
    own = [cell for cell in tutorials.code_cells(notebook) if cell.id.endswith("-yours")]
    assert len(exercises) >= 2
    assert len(own) == len(exercises)
    assert not any(cell.source for cell in own)
    assert any(".svg)" in cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert LAST[path.parent.name] in notebook.cells[-1].source.lower()


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_stored_outputs_are_whole_and_neutral(path: Path):
    notebook = tutorials.read(path)
    for cell in tutorials.code_cells(notebook):
        assert bool(cell.execution_count) == bool(cell.source), (
            f"{cell.id}: run notebooks/execute.py"
        )
        assert "execution" not in cell.metadata
        may_fail = "raises-exception" in cell.metadata.get("tags", [])
        assert may_fail or not any(o.output_type == "error" for o in cell.outputs), cell.id
        found = [PRIVATE_PATH.search(text) for text in texts(cell.outputs)]
        assert not any(found), f"{cell.id}: {found}"


def texts(value) -> list[str]:
    """Every text in a value of JSON."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []
