"""The panel "Native" of JupyterLab and Notebook, and what it sends to the kernel."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, WebSocket

from support import process
from support.lab import Lab
from support.patience import wait_until

SCREENS = Path(__file__).parents[1] / ".work" / "screens"
QUESTION, ANSWER = b'"monitor_request"', b'"monitor_reply"'


class Panel:
    """The panel of one page, whose messages are counted."""

    def __init__(self) -> None:
        self.asked = self.answered = 0
        self.errors: list[str] = []

    def listen(self, page: Page) -> None:
        """To be called before the page is loaded."""
        self.page = page
        page.on("websocket", self._listen)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, frame: bytes | str) -> None:
        self.asked += QUESTION in (frame.encode() if isinstance(frame, str) else frame)

    def _received(self, frame: bytes | str) -> None:
        self.answered += ANSWER in (frame.encode() if isinstance(frame, str) else frame)

    def __call__(self, selector: str) -> Locator:
        return self.page.locator(f".dph-Panel {selector}")

    def toggle(self) -> None:
        """Press its tab, which opens it, or closes it where it is open."""
        self.page.locator('.jp-SideBar [data-id="diaphane-native"]').click()

    def open(self) -> None:
        self.toggle()
        self("table.dph-Threads").wait_for()

    def more_answers(self, count: int = 3) -> None:
        """Wait until so many more have come."""
        enough = self.answered + count
        # Playwright tells of messages while it is asked something.
        wait_until(
            lambda: self.page.evaluate("1") and self.answered >= enough, f"{count} more answers"
        )

    def main_thread(self) -> int:
        """The number of the main thread, which is the process's; 0 while no thread is shown."""
        row = self("table.dph-Threads tbody tr").first
        title = row.get_attribute("title") if row.count() else None
        return int(re.sub(r"\D", "", title or "0"))

    def width(self, pixels: int) -> None:
        """Make the panel so wide."""
        self.page.evaluate(
            """(pixels) => {
                const panel = document.querySelector('.dph-Panel');
                const handle = [...document.querySelectorAll('#jp-main-split-panel > .lm-SplitPanel-handle')]
                    .filter((each) => !each.classList.contains('lm-mod-hidden')).at(-1);
                const at = handle.getBoundingClientRect();
                const x = at.x + panel.getBoundingClientRect().width - pixels;
                const point = (type, clientX) => handle.dispatchEvent(new PointerEvent(
                    type, {bubbles: true, cancelable: true, clientX, clientY: at.y + 50, button: 0}));
                point('pointerdown', at.x); point('pointermove', x); point('pointerup', x);
            }""",
            pixels,
        )

    def overflow(self) -> list[str]:
        """What is wider than the panel, or stands out of it; a flame graph scrolls in its place."""
        return self.page.evaluate(
            """() => {
                const panel = document.querySelector('.dph-Panel');
                const right = panel.getBoundingClientRect().right;
                return [...panel.querySelectorAll(':not(.dph-Flame *)')]
                    .filter((each) => each.getBoundingClientRect().right > right + 0.5)
                    .map((each) => `${each.tagName}.${each.className}: ${each.textContent.slice(0, 40)}`);
            }"""
        )


def write(folder: Path, name: str, cells: tuple[str, ...], kernel: str = process.NAME) -> None:
    """Write a notebook with these cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata.kernelspec = {"name": kernel, "display_name": kernel}
    nbformat.write(notebook, folder / name)


def follow_status(window: Lab) -> None:
    """Notes from now on what the kernel's indicator of the notebook says."""
    window.page.evaluate(
        """() => {
            const shown = document.querySelector('.jp-Notebook-ExecutionIndicator');
            window.statuses = [shown.dataset.status];
            new MutationObserver(() => window.statuses.push(shown.dataset.status))
                .observe(shown, {attributes: true, attributeFilter: ['data-status']});
        }"""
    )


def statuses(window: Lab) -> list[str]:
    """What it has said, one after the other."""
    said = window.page.evaluate("window.statuses")
    return [status for index, status in enumerate(said) if index == 0 or said[index - 1] != status]


def run(window: Lab, index: int) -> None:
    """Run a cell, and leave the focus to it."""
    window.cell(index).locator(".cm-content").click()
    window.page.keyboard.press("Control+Enter")


def workspace_knows_the_panel(folder: Path) -> bool:
    """Whether JupyterLab has stored that it is open, so that it is there again after a reload."""
    stored = (folder / "workspaces").glob("*")
    return any("diaphane-native" in path.read_text() for path in stored)
