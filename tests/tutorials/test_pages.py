"""The tutorials as pages: in JupyterLab in a browser, and exported to HTML.

The French ones are opened and run, since nbclient runs the English ones. Screenshots stay in tests/.work/screens.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from support import process, tutorials
from support.lab import Lab, Server

SCREENS = Path(__file__).parents[1] / ".work" / "screens"
FR = tutorials.notebooks("fr")
BOTH = sorted(tutorials.notebooks("en").keys() & FR.keys())
THEMES = {"JupyterLab Light": "light", "JupyterLab Dark": "dark"}

# The least contrast of text with its page that WCAG asks of large text; small text of the theme itself has 4.4.
LEAST = 3.0

# The names of what is wider than its place: the notebook, or the output of a cell.
TOO_WIDE = """
() => [...document.querySelectorAll('.jp-WindowedPanel-outer, .jp-OutputArea-output')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .map((e) => `${e.className}: ${e.scrollWidth} > ${e.clientWidth}: ${e.innerText.slice(0, 200)}`)
"""
BROKEN_PICTURES = """
async () => {
  const pictures = [...document.querySelectorAll('.jp-Notebook img')];
  await Promise.allSettled(pictures.map((p) => p.decode()));
  return pictures.filter((p) => !p.complete || !p.naturalWidth).map((p) => p.alt);
}
"""
# The texts of the reports and of the prose whose contrast is too small. The colours of code are JupyterLab's own.
FAINT = """
(least) => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const page = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] > 200) return colour;
    }
    return [255, 255, 255, 255];
  };
  const faint = [];
  for (const area of document.querySelectorAll('.jp-RenderedHTMLCommon')) {
    const walk = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
      if (!text || e.closest('svg, style, pre, .jp-InternalAnchorLink') || !e.checkVisibility()) continue;
      const [one, other] = [light(rgba(getComputedStyle(e).color)), light(page(e))].sort((a, b) => b - a);
      if ((one + 0.05) / (other + 0.05) < least) faint.push(text);
    }
  }
  return faint;
}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    root = tmp_path_factory.mktemp("tutorials")
    for folder in ("fr", "pictures"):
        shutil.copytree(tutorials.FOLDER / folder, root / folder)
    for number, path in FR.items():
        notebook = tutorials.read(path)
        for cell in tutorials.code_cells(notebook):
            cell.outputs, cell.execution_count = [], None
        notebook.metadata.kernelspec.name = process.NAME
        nbformat.write(notebook, root / "fr" / f"{number}.ipynb")
    with Server(root) as server:
        yield server


@pytest.fixture
def server(running: Server):
    yield running
    running.end_kernels()


@pytest.mark.slow
@pytest.mark.diaphane
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", BOTH)
def test_a_tutorial_runs_in_jupyterlab(server: Server, number: str):
    cells = tutorials.code_cells(tutorials.read(FR[number]))
    with Lab(server, f"fr/{number}.ipynb") as window:
        window.page.set_viewport_size({"width": 1280, "height": 1000})
        window.page.set_default_timeout(180_000)
        window.menu("Run", "Run All Cells")
        ran = [index for index, cell in enumerate(cells) if cell.source]
        window.prompt(ran[-1], f"[{len(ran)}]:")
        window.idle()
        for index in ran:
            assert window.output(index).count() >= bool(cells[index].outputs), cells[index].id
            for place in range(window.output(index).count()):
                assert window.output(index).nth(place).is_visible(), cells[index].id
        for theme, name in THEMES.items():
            window.theme(theme)
            assert window.page.evaluate(BROKEN_PICTURES) == []
            assert window.page.evaluate(TOO_WIDE) == []
            assert window.page.evaluate(FAINT, LEAST) == []
            window.screenshot(SCREENS / f"tutorial-{number}-{name}.png")


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize("language", tutorials.LANGUAGES)
def test_a_tutorial_is_exported_whole(number: str, language: str):
    path = tutorials.notebooks(language)[number]
    notebook = tutorials.read(path)
    # Where pictures are embedded, nbconvert ends each `<details>` at once, and solutions stand open.
    page, _ = HTMLExporter().from_notebook_node(notebook)
    pictures = [
        link
        for cell in notebook.cells
        for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", cell.source)
    ]
    assert pictures
    assert all(f'src="{link}"' in page and (path.parent / link).is_file() for link in pictures)
    solutions = re.findall(r"<summary>Solution</summary>(.*?)</details>", page, re.DOTALL)
    assert len(solutions) == sum(bool(tutorials.solutions(c)) for c in notebook.cells) > 0
    assert all('class="highlight' in solution for solution in solutions)
    outputs = [output for cell in tutorials.code_cells(notebook) for output in cell.outputs]
    reports = [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    assert page.count('class="dph"') == sum(report.count('class="dph"') for report in reports) > 0
