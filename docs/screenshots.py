"""Makes the pictures of README.md from a real JupyterLab with the installed kernel, light and dark.

    JUPYTER_PATH=... tests/.venv/bin/python docs/screenshots.py

It needs what the browser's tests need: the environment of tests/run.sh and Chromium. What is seen is what the magics
say at that moment; nothing is drawn afterwards, and the pictures are only reduced to 256 colours.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from support.lab import Lab, Server  # noqa: E402
from support.native_panel import Panel, run  # noqa: E402

KERNEL = {"name": "diaphane", "display_name": "Python (diaphane)"}
WIDTH = 1180
SHOTS = {
    "light": (
        780,
        ["import numpy as np", "%loaded_libs numpy", "%threads"],
    ),
    "dark": (
        1000,
        [
            "import numpy as np\n\na = np.arange(10**6, dtype=float)\nhalf, copy = a[500_000:], a.copy()",
            "%buffer_addr a half copy",
            "%%native_calls --depth 12 --no-diag\na.sum()",
        ],
    ),
}

# A cell that the panel is looked at for: the call sleeps in C, and holds the GIL.
PANEL = [
    "import numpy as np\n\na = np.random.rand(2000, 2000)\nb = a @ a\nhalf = a[:1000]",
    "import ctypes\n\n\ndef nap(seconds):\n    ctypes.PyDLL(None).sleep(seconds)\n\n\nnap(60)",
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shoot_panel(Path(folder))
    for theme, (height, cells) in SHOTS.items():
        with tempfile.TemporaryDirectory() as folder:
            shoot(Path(folder), theme, height, cells)


def shoot_panel(folder: Path) -> None:
    write(folder, PANEL)
    panel = Panel()
    with Server(folder) as server, Lab(server, "native.ipynb", before=panel.listen) as window:
        window.page.set_viewport_size({"width": WIDTH, "height": 880})
        window.menu("View", "Appearance", "Show Left Sidebar")
        panel.open()
        run(window, 0)
        window.idle()
        arrays = panel("details.dph-Asked").nth(1)
        arrays.locator("summary").click()
        arrays.locator("li").first.wait_for()
        panel.width(330)
        run(window, 1)
        panel(".dph-Stack li").first.wait_for()
        panel.more_answers(4)
        window.page.locator(".jp-Notebook").evaluate("(notebook) => document.activeElement.blur()")
        window.page.mouse.move(1, 1)
        keep(window, "panel")
        panel(".dph-Cell-interrupt").click()
        window.idle()


def write(folder: Path, cells: list[str]) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = KERNEL
    nbformat.write(notebook, folder / "native.ipynb")
    # Nobody answers the question whether news are wanted.
    settings = folder / "settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')


def keep(window: Lab, name: str) -> None:
    picture = DOCS / "pictures" / f"{name}.png"
    window.screenshot(picture)
    Image.open(picture).convert("RGB").quantize(256).save(picture, optimize=True)


def shoot(folder: Path, theme: str, height: int, cells: list[str]) -> None:
    write(folder, cells)
    with Server(folder) as server, Lab(server, "native.ipynb") as window:
        window.page.set_viewport_size({"width": WIDTH, "height": height})
        window.theme(f"JupyterLab {theme.title()}")
        window.menu("View", "Appearance", "Show Left Sidebar")
        window.menu("Run", "Run All Cells")
        window.prompt(len(cells) - 1, f"[{len(cells)}]:")
        window.idle()
        window.page.locator(".jp-Notebook").evaluate("(notebook) => document.activeElement.blur()")
        window.page.mouse.move(1, 1)
        window.page.locator(".jp-WindowedPanel-outer").evaluate("(panel) => panel.scrollTo(0, 0)")
        keep(window, f"jupyterlab-{theme}")


if __name__ == "__main__":
    main()
