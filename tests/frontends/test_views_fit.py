"""Reports at the widths at which people read them: every call of a tree has one line, and its columns stay in theirs."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, sync_playwright

from support.client import Client
from support.lab import CHROMIUM

pytestmark = [pytest.mark.slow, pytest.mark.diaphane]

# JupyterLab with its list of files and without, half a screen, and a telephone's.
WIDTHS = [1600, 1280, 900, 600]
CELL = """
import json
%%native_calls
json.loads(json.dumps([{"a": n, "b": str(n)} for n in range(30)]))
"""
# A deep tree as the page has it: all lines open.
OPEN = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
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
# Names of which nothing can be read.
EMPTY = """
() => [...document.querySelectorAll('.t .n')]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().width < 60).map((e) => e.innerText)
"""


@pytest.fixture(scope="module")
def page():
    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        path = os.environ.get("DIAPHANE_TEST_CHROMIUM", CHROMIUM)
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser.new_page()
        browser.close()


def test_each_call_of_a_tree_has_one_line_at_any_width(client: Client, page: Page):
    first, rest = CELL.strip().split("\n", 1)
    client.run(first)
    done = client.run(rest)
    bundles = [content["data"] for content in done.all("display_data") + done.all("execute_result")]
    (html,) = [data["text/html"] for data in bundles if 'class="t"' in data.get("text/html", "")]
    page.set_content(html)
    page.evaluate(OPEN)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".t .n").count() > 10
        assert page.evaluate(BROKEN) == [], width
        assert page.evaluate(EMPTY) == [], width
