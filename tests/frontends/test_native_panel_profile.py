"""The profile of the rest of a cell in the panel "Native": begun by a click in its midst, ended by another one or by the cell."""

import re

import pytest

from support.native_panel import (
    SCREENS,
    Panel,
    follow_status,
    run,
    statuses,
    workspace_knows_the_panel,
)
from support.patience import wait_until

HELD = "import ctypes\n\ndef nap(seconds):\n    ctypes.PyDLL(None).sleep(seconds)\n\nnap(3600)"
# It ends when a cell of the other notebook, or a test, has made the file.
LOOP = """import os

def work():
    return sum(i * i for i in range(100_000))

while not os.path.exists('enough'):
    work()"""
OLDER = """
const parse = JSON.parse;
JSON.parse = (...all) => {
    const value = parse(...all);
    if (value && value.at_ns) delete value.profile;
    if (value && value.supported_features)
        value.supported_features = value.supported_features.filter((one) => one !== 'diaphane profile');
    return value;
};
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def begin(panel) -> None:
    panel("button").filter(has_text="Profile the rest of this cell").click()
    panel(".dph-Profile-button").filter(has_text="Profiling for").wait_for()


def test_native_code_that_holds_the_gil(lab):
    window, panel = lab(HELD)
    panel.open()
    panel.more_answers()
    follow_status(window)
    run(window, 0)
    begin(panel)
    panel.more_answers()
    panel("button").filter(has_text=re.compile("^Stop$")).click()
    panel(".dph-Profile h3").filter(has_text="Profile of In[1]").wait_for()
    # The cell still runs, and is idle for nobody.
    panel(".dph-Cell h3").filter(has_text="In[1] runs").wait_for()
    assert statuses(window) == ["idle", "busy"]
    first = panel(".dph-Lines li").first
    assert re.match(r"(100|9\d) % line 4\b", first.inner_text()), first.inner_text()
    assert panel(".dph-Flame svg text").filter(has_text="nanosleep").count()
    for theme, name in {"JupyterLab Light": "light", "JupyterLab Dark": "dark"}.items():
        window.theme(theme)
        window.screenshot(SCREENS / f"native-panel-profile-{name}.png")
    panel.width(240)
    assert panel.overflow() == []
    window.screenshot(SCREENS / "native-panel-profile-240.png")
    # All of it, while the kernel could run no cell that shows it.
    panel("button").filter(has_text="Open report").click()
    window.page.locator(".dph-Report table").first.wait_for()
    window.screenshot(SCREENS / "native-panel-report.png")
    panel(".dph-Profile button").filter(has_text="Close").click()
    panel(".dph-Profile").wait_for(state="detached")
    panel(".dph-Cell-interrupt").click()
    panel(".dph-Cell").wait_for(state="detached")
    assert not panel.errors


def test_it_ends_with_its_cell(lab, server):
    window, panel = lab(LOOP)
    panel.open()
    run(window, 0)
    begin(panel)
    panel.more_answers()
    # Also in a page that has not begun it.
    wait_until(lambda: workspace_knows_the_panel(server.root), "the layout is stored")
    window.page.reload()
    panel(".dph-Profile-button").filter(has_text="Profiling for").wait_for()
    (server.root / "enough").touch()
    panel(".dph-Profile h3").filter(has_text="Profile of In[1]").wait_for()
    panel(".dph-Cell").wait_for(state="detached")
    line = panel(".dph-Lines li").filter(has_text="return sum(i * i for i in range(100_000))")
    line.wait_for()
    assert re.search(r"\b(100|[4-9]\d) % line 4\b", line.inner_text())
    panel("button").filter(has_text="%native_prof --last").click()
    window.cell(1).filter(has_text="%native_prof --last").wait_for()
    run(window, 1)
    window.output(1).filter(has_text="This is In[1] from").wait_for()
    assert not panel.errors


def test_an_older_kernel_has_no_button(lab, monkeypatch):
    listen = Panel.listen

    def listen_to_older(panel, page):
        page.add_init_script(OLDER)
        listen(panel, page)

    monkeypatch.setattr(Panel, "listen", listen_to_older)
    window, panel = lab(HELD)
    panel.open()
    run(window, 0)
    panel(".dph-Cell-interrupt").wait_for()
    panel.more_answers()
    assert panel(".dph-Profile-button").count() == 0
    panel(".dph-Cell-interrupt").click()
    panel(".dph-Cell").wait_for(state="detached")


def test_notebook_7(lab):
    window, panel = lab(HELD, app="notebooks")
    window.menu("View", "Show Native Panel")
    run(window, 0)
    begin(panel)
    panel.more_answers()
    panel("button").filter(has_text=re.compile("^Stop$")).click()
    panel("button").filter(has_text="Open report").click()
    window.page.locator(".dph-Report table").first.wait_for()
    window.screenshot(SCREENS / "native-panel-profile-notebook.png")
    panel(".dph-Cell-interrupt").click()
    panel(".dph-Cell").wait_for(state="detached")
