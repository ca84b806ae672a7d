"""JupyterLab in a browser: open, run all, look at the tables, interrupt, restart.

Screenshots in the light and the dark theme stay in tests/.work/screens for whoever wants to look.
"""

from pathlib import Path

import nbformat
import pytest

from support import process
from support.lab import Lab, Server

SCREENS = Path(__file__).parents[1] / ".work" / "screens"
CELLS = [
    "import numpy as np\na = np.arange(1000.)\nb = a[::2]\nprint('ready')",
    "%loaded_libs numpy",
    "%threads",
    "%buffer_addr a b",
    "import matplotlib.pyplot as plt\nplt.figure(figsize=(4, 2)); plt.plot(a);",
    "import ipywidgets\nipywidgets.IntSlider(7)",
    "1 / 0",
]
LOOP = "import time\nprint('looping')\nwhile True: time.sleep(0.01)"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def lab(tmp_path: Path):
    """A window on a notebook with the cells above and a loop of its own."""

    def open_notebook(*cells: str) -> Lab:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = {"name": process.NAME, "display_name": process.NAME}
        nbformat.write(notebook, tmp_path / "seen.ipynb")
        window.append(Lab(server, "seen.ipynb"))
        return window[-1].__enter__()

    window: list[Lab] = []
    with Server(tmp_path) as server:
        yield open_notebook
        for opened in window:
            opened.__exit__()


@pytest.mark.diaphane
def test_run_all_and_look(lab):
    window = lab(*CELLS)
    window.menu("Run", "Run All Cells")
    window.prompt(6, "[7]:")
    window.idle()
    assert "ready" in window.output(0).inner_text()
    for index, words in {
        1: ["openblas", "numpy"],
        2: ["MainThread"],
        3: ["float64", "B001"],
    }.items():
        table = window.output(index).locator("table").first
        assert table.is_visible()
        for word in words:
            assert word in window.output(index).inner_text()
    assert window.output(4).locator("img").is_visible()
    assert window.output(5).locator(".widget-slider").is_visible()
    assert "ZeroDivisionError" in window.output(6).inner_text()
    for theme, name in {"JupyterLab Light": "light", "JupyterLab Dark": "dark"}.items():
        window.theme(theme)
        assert readable(window)
        window.screenshot(SCREENS / f"jupyterlab-{name}.png")


def readable(window: Lab) -> bool:
    """Text and page of the first table differ clearly in brightness in the current theme."""
    script = """
    (cell) => {
        const light = (css) => css.match(/[0-9.]+/g).slice(0, 3).reduce((s, x) => s + Number(x), 0);
        let page = cell;
        while (getComputedStyle(page).backgroundColor.endsWith(', 0)')) page = page.parentElement;
        const back = light(getComputedStyle(page).backgroundColor);
        return Math.abs(light(getComputedStyle(cell).color) - back);
    }
    """
    return window.output(1).locator("td").first.evaluate(script) > 300


def test_interrupt_and_restart(lab):
    window = lab("x = 1", LOOP, "x")
    window.menu("Run", "Run All Cells")
    window.prompt(1, "[*]:")
    window.output(1).get_by_text("looping").wait_for()
    window.menu("Kernel", "Interrupt Kernel")
    window.output(1).get_by_text("KeyboardInterrupt").first.wait_for()
    window.idle()
    window.menu("Kernel", "Restart Kernel")
    window.accept("Restart")
    window.idle()
    window.cell(2).locator(".cm-content").click()
    window.page.keyboard.press("Shift+Enter")
    window.output(2).get_by_text("NameError").first.wait_for()
    window.prompt(2, "[1]:")
