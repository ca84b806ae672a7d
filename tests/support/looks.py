"""Reports as pages with the styles of JupyterLab, and what a reader would find wrong with how they look."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from support.lab import CHROMIUM

# What nbconvert makes its pages with are the styles of JupyterLab itself, in both themes.
STYLES = Path(sys.prefix) / "share/jupyter/nbconvert/templates/lab/static"
FAULTS = (Path(__file__).parent / "looks.js").read_text()
OPEN = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
NARROW = "(width) => { document.querySelector('#outputs').style.width = width + 'px'; }"


def page_of(reports: dict[str, str], theme: str) -> str:
    """All reports below each other, each where JupyterLab would put it."""
    styles = [(STYLES / name).read_text() for name in (f"theme-{theme}.css", "index.css")]
    outputs = [
        f'<section data-report="{name}" class="jp-RenderedHTMLCommon jp-RenderedHTML" '
        f'style="display:block;padding:6px;overflow:auto">{html}</section>'
        for name, html in reports.items()
    ]
    light = "true" if theme == "light" else "false"
    return (
        f"<!doctype html><html><head><style>{''.join(styles)}</style></head>"
        f'<body data-jp-theme-light="{light}" style="margin:0;overflow:auto;height:auto;background:var(--jp-layout-color0);'
        f'color:var(--jp-content-font-color1)"><div id="outputs">{"".join(outputs)}</div></body></html>'
    )


@contextmanager
def window() -> Iterator[Page]:
    """A window of a headless browser."""
    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        path = os.environ.get("DIAPHANE_TEST_CHROMIUM", CHROMIUM)
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser.new_page()
        browser.close()


def show(page: Page, reports: dict[str, str], theme: str) -> None:
    """Put the reports into the window, with everything open that can be opened."""
    page.set_content(page_of(reports, theme))
    page.evaluate(OPEN)


def faults(page: Page, width: int) -> list[dict[str, str]]:
    """What is wrong where the outputs are so wide."""
    page.evaluate(NARROW, width)
    return page.evaluate(FAULTS, False)


def faint(page: Page) -> list[dict[str, str]]:
    """Text that is hardly to be seen, in the theme that is shown."""
    return page.evaluate(FAULTS, True)
