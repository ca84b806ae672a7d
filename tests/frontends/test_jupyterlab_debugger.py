"""JupyterLab's debugger in a browser: a breakpoint by mouse, the variables, a step, and the end of the cell."""

import re
from pathlib import Path

import nbformat
import pytest

from support import process
from support.lab import Lab, Server

CELL = "def double(n):\n    twice = n * 2\n    return twice\n\nanswer = double(21)\nprint(answer)"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.feature("debugger")]


@pytest.fixture
def window(tmp_path: Path):
    """A window on a notebook of one cell, with the debugger switched on."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": process.NAME, "display_name": process.NAME}
    nbformat.write(notebook, tmp_path / "seen.ipynb")
    with Server(tmp_path) as server, Lab(server, "seen.ipynb") as window:
        window.page.locator(".jp-DebuggerBugButton[aria-disabled=false]").click()
        window.page.locator(".jp-DebuggerBugButton[aria-pressed=true]").wait_for()
        window.page.locator(".jp-DebuggerVariables").wait_for()
        yield window


def run(window: Lab) -> None:
    window.cell(0).locator(".cm-content").click()
    window.page.keyboard.press("Shift+Enter")


def stands_at(window: Lab, *frames: str) -> None:
    """Wait until the call stack is this one, from the inside to the outside."""
    stack = window.page.locator(".jp-DebuggerCallstack-body li")
    for index, frame in enumerate(frames):
        stack.nth(index).filter(has_text=frame).wait_for()
    assert stack.count() == len(frames)


def shows(window: Lab, name: str, value: str) -> None:
    """Wait until a variable with this value is listed."""
    listed = re.compile(rf"{name}\W*{value}")
    window.page.locator(".jp-DebuggerVariables").filter(has_text=listed).wait_for()


def command(window: Lab, name: str) -> None:
    window.page.locator(f"[data-command='debugger:{name}']").first.click()


def test_a_breakpoint_a_step_and_the_end(window: Lab):
    # The first element of a gutter only keeps its width.
    window.cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement").nth(3).click()
    window.page.locator(".jp-DebuggerBreakpoint").wait_for()
    run(window)
    stands_at(window, "double", "<module>")
    shows(window, "twice", "42")
    command(window, "next")
    stands_at(window, "<module>")
    command(window, "continue")
    window.prompt(0, "[1]:")
    assert window.output(0).inner_text().strip() == "42"
    shows(window, "answer", "42")
