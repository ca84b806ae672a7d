"""The picture of %%monitor in a browser: it lives while native code has the GIL, nothing below it moves, and what stays in
the notebook is the summary.

Screenshots in the light and the dark theme and in a narrow window stay in tests/.work/screens for whoever wants to look.
"""

import json
import os
import signal
from pathlib import Path

import nbformat
import pytest

from support import process
from support.lab import Lab, Server
from support.patience import wait_until

SCREENS = Path(__file__).parents[1] / ".work" / "screens"
SETUP = "import ctypes, os, threading, time\nimport numpy as np\na = np.ones((900, 900))\nprint(os.getpid())"
BUSY = """%%monitor --every 0.25
def count():
    while not end.is_set(): sum(range(1000))
end = threading.Event()
threading.Thread(target=count, name="counts <b>numbers</b>").start()
for _ in range(8):
    a @ a
    time.sleep(0.1)
end.set()
ctypes.PyDLL(None).usleep(4_000_000)
print("below")"""
HELD = "%%monitor --every 0.25\nctypes.PyDLL(None).sleep(3600)"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def server(tmp_path: Path):
    settings = tmp_path / "settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    with Server(tmp_path) as server:
        yield server


def notebook(server: Server, *cells: str) -> str:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata.kernelspec = {"name": process.NAME, "display_name": process.NAME}
    nbformat.write(book, server.root / "seen.ipynb")
    return "seen.ipynb"


def moments(window: Lab) -> list[tuple[str, float, float]]:
    """Of some pictures, one after the other: the title, the height, and where the next cell stands."""
    picture = window.page.locator(".dph-live")
    seen: list[tuple[str, float, float]] = []

    def another() -> bool:
        # One look at the page, so that all is of one picture, which is not one that has just been replaced.
        now = window.page.evaluate(
            "() => { const one = document.querySelector('.dph-live'); return one &&"
            " [one.getAttribute('aria-label'), one.getBoundingClientRect().height,"
            " document.querySelectorAll('.jp-CodeCell')[2].getBoundingClientRect().top]; }"
        )
        if now and now[0] not in [title for title, *_ in seen]:
            seen.append(tuple(now))
        return len(seen) >= 5

    picture.wait_for()
    wait_until(another, "five pictures")
    return seen


@pytest.mark.parametrize(("theme", "width"), [("Light", 1400), ("Dark", 1400), ("Light", 900)])
def test_nothing_moves_and_the_summary_stays(server, theme, width):
    with Lab(server, notebook(server, SETUP, BUSY, "1")) as window:
        window.theme(f"JupyterLab {theme}")
        window.page.set_viewport_size({"width": width, "height": 1200})
        window.menu("Run", "Run All Cells")
        seen = moments(window)
        window.screenshot(SCREENS / f"monitor-{theme.lower()}-{width}.png")
        assert len({height for _, height, _ in seen}) == 1
        assert len({top for *_, top in seen}) == 1
        hidden = (
            "() => [...document.querySelectorAll('.dph-live b')]"
            ".filter(one => one.textContent.includes('stopped')).map(one => getComputedStyle(one).opacity)"
        )
        assert window.page.evaluate(hidden) == ["0"]
        window.cell(1).locator("svg[role=img]", has=window.page.locator("title")).first.wait_for()
        window.prompt(2, "[3]:")
        assert window.page.locator(".dph-live").count() == 0
        window.screenshot(SCREENS / f"monitor-{theme.lower()}-{width}-summary.png")
        window.menu("File", "Save Notebook")
        saved = server.root / "seen.ipynb"
        wait_until(lambda: "The cell ran for" in saved.read_text(), "the notebook is saved")
        outputs = json.loads(saved.read_text())["cells"][1]["outputs"]
        assert "dph-live" not in json.dumps(outputs)
        assert len(json.dumps(outputs)) < 64_000


def test_a_picture_that_nobody_replaces_says_so(server):
    with Lab(server, notebook(server, SETUP, HELD, "1")) as window:
        window.menu("Run", "Run All Cells")
        moments(window)
        pid = int(window.output(0).first.inner_text())
        os.kill(pid, signal.SIGSTOP)
        stopped = window.page.locator(".dph-live b", has_text="stopped")
        shown = "one => getComputedStyle(one).opacity == 1"
        wait_until(lambda: stopped.evaluate(shown), "it says that it has stopped")
        window.screenshot(SCREENS / "monitor-stopped.png")
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
