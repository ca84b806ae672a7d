"""Reports of all magics at the widths at which people read them, in both themes, in a browser."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Page

from support import looks
from support.client import Client
from support.process import Kernel
from support.report_cells import CELLS, PREPARE, RUST

pytestmark = [pytest.mark.slow, pytest.mark.diaphane]

# An output's place in JupyterLab: of a very wide window, of one of 1280 pixels with the list of files, of one of 900 with
# it, and of a narrow one.
WIDTHS = [2200, 828, 600, 440]
TREE = """
%%native_calls
json.loads(json.dumps([{"a": n, "b": str(n)} for n in range(30)]))
"""
# Lines that take more than one line, and columns that end elsewhere than in the heading.
BROKEN = """
() => {
  const lines = [...document.querySelectorAll('.t .l, .t summary')].filter((e) => e.checkVisibility());
  const ends = (line) => [...line.children].slice(0, -1)
    .filter((e) => e.checkVisibility()).map((e) => Math.round(e.getBoundingClientRect().right));
  const height = parseFloat(getComputedStyle(document.querySelector('.t')).lineHeight);
  const heading = ends(lines[0]);
  return lines.filter((line) => line.getBoundingClientRect().height > 1.5 * height
      || ends(line).some((end, place) => Math.abs(end - heading[place]) > 1))
    .map((line) => line.innerText);
}
"""
# Each output of an exported notebook, under the name of its report.
IN_SECTIONS = """
(names) => document.querySelectorAll('.jp-OutputArea-output').forEach((output, place) => {
  const section = Object.assign(document.createElement('section'));
  section.dataset.report = names[place];
  output.replaceWith(section);
  section.append(output);
})
"""
# Names of which nothing can be read.
EMPTY = """
() => [...document.querySelectorAll('.t .n')]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().width < 60).map((e) => e.innerText)
"""


@pytest.fixture(scope="module")
def page():
    with looks.window() as page:
        yield page


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> dict[str, dict[str, str]]:
    """What each cell shows, by MIME type; all of one kernel."""
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    try:
        client = kernel.connect()
        client.run(PREPARE)
        return {name: shown(client, cell) for name, cell in CELLS.items() if name not in RUST}
    finally:
        kernel.close()


def shown(client: Client, cell: str) -> dict[str, str]:
    """The report that a cell shows."""
    done = client.run(cell)
    bundles = [content["data"] for content in done.all("display_data") + done.all("execute_result")]
    reports = [data for data in bundles if any("vnd.diaphane." in kind for kind in data)]
    assert reports, f"{cell} shows nothing"
    return reports[-1]


@pytest.fixture(scope="module")
def pages(bundles) -> dict[str, str]:
    """The pages of the reports."""
    return {name: data["text/html"] for name, data in bundles.items() if "text/html" in data}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_broken_or_covered_at_any_width(pages, page: Page, theme: str):
    looks.show(page, pages, theme)
    for width in WIDTHS:
        assert looks.faults(page, width) == [], width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_can_be_read(pages, page: Page, theme: str):
    looks.show(page, pages, theme)
    assert looks.faint(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_of_an_exported_notebook_can_be_read(bundles, page: Page, theme: str):
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in bundles.values()]
    cells = [nbformat.v4.new_code_cell(outputs=[output]) for output in outputs]
    exporter = HTMLExporter(theme=theme)
    html, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    # Scripts that it fetches draw formulas only.
    page.set_content(re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL))
    page.evaluate(IN_SECTIONS, list(bundles))
    page.evaluate(looks.OPEN)
    assert page.locator("section table").count() > 20
    assert looks.faint(page) == []


def test_what_is_wrong_is_found(page: Page):
    """The tests above can fail."""
    long = "word" * 60
    wrong = {
        "cut": f'<div style="width:90px;overflow:hidden;white-space:nowrap">{long}</div>',
        "broken inside of a word": f'<div style="width:90px;overflow-wrap:anywhere">{long}</div>',
        "the report is wider than its place": f"<div>{long}</div>",
        "overlaps": '<div>one</div><div style="margin-top:-1.2em">other</div>',
        "leaves its picture": '<svg width="40" height="20"><text y="12" fill="black">a long text</text></svg>',
    }
    for kind, html in wrong.items():
        looks.show(page, {kind: f'<div class="dph">{html}</div>'}, "light")
        assert kind in {fault["kind"] for fault in looks.faults(page, 440)}
    for colour in ("#777", "var(--jp-content-font-color3)"):
        looks.show(
            page, {"faint": f'<div class="dph"><p style="color:{colour}">text</p></div>'}, "light"
        )
        assert [fault["kind"] for fault in looks.faint(page)] == ["hardly to be seen"]


def test_no_line_of_text_is_wider_than_a_terminal(bundles):
    # Machine code, stacks and trees are lines as they are, and a path is never broken.
    bare = ("disasm", "stack", "tree", "why")
    wide = [
        (name, line)
        for name, data in bundles.items()
        for line in data["text/plain"].splitlines()
        if len(line) > 80
        and max(map(len, line.split())) < 60
        and not any(word in name for word in bare)
    ]
    assert wide == []


def test_every_column_says_what_it_means(pages, page: Page):
    looks.show(page, pages, "light")
    silent = page.evaluate(
        "() => [...document.querySelectorAll('th')].filter((e) => !e.querySelector('abbr[title]'))"
        ".map((e) => e.closest('section').dataset.report + ': ' + e.textContent)"
    )
    assert silent == []


def test_words_of_a_report_are_explained_in_it(bundles):
    html = bundles["loaded_libs"]["text/html"]
    assert "<summary>words:" in html
    assert "The name by which other libraries ask for a library" in html


def test_the_column_that_was_asked_for_is_shown(bundles):
    shown, _, _ = bundles["loaded_libs new"]["text/html"].partition("more column")
    assert ">loaded by</abbr>" in shown
    assert ">cell</abbr>" not in shown
    assert "in each row: cell" in shown


def test_bars_and_rulers_name_all_of_their_parts(bundles):
    for view in ("text/plain", "text/html"):
        _, _, bar = bundles["loaded_libs"][view].partition("mapped by the libraries of")
        bar = " ".join(bar.split())
        for part in ("numpy", "pandas", "other packages", "no package"):
            assert part in bar
    graph = bundles["buffer_addr graph"]["text/html"]
    assert all(f">{name}</text>" in graph for name in ("a", "view", "every_third"))
    assert "<pre" not in graph


def test_each_call_of_a_tree_has_one_line_at_any_width(client: Client, page: Page):
    client.run("import json")
    page.set_content(shown(client, TREE.strip())["text/html"])
    page.evaluate(looks.OPEN)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".t .n").count() > 10
        assert page.evaluate(BROKEN) == [], width
        assert page.evaluate(EMPTY) == [], width
