"""The panel "Native" in a browser: what it shows, what it sends, and what it does when the kernel does not answer.

Screenshots in the light and the dark theme and at 240 px stay in tests/.work/screens for whoever wants to look.
"""

import json
import os
import re
import signal
import urllib.request

import pytest

from support.lab import TOKEN, Lab, Server
from support.native_panel import (
    SCREENS,
    Panel,
    follow_status,
    run,
    statuses,
    workspace_knows_the_panel,
    write,
)
from support.patience import PATIENCE, wait_until

NUMPY = "import numpy as np\na = np.zeros((1000, 1000))\nhalf = a[::2]"
# Holds the GIL until it is interrupted, longer than any test waits.
HELD = "import ctypes\n\ndef nap(seconds):\n    ctypes.PyDLL(None).sleep(seconds)\n\nnap(3600)"
PID = "import os\nos.getpid()"
PAUSE = "import time\ntime.sleep(3)"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def undisturbed(server: Server, panel: Panel) -> bool:
    """Whether the kernel's state and last activity stay as they are while the panel asks; JupyterLab asks, too."""
    before = server.kernels()
    panel.more_answers()
    return server.kernels() == before


def test_what_holds_the_gil_is_seen_while_it_holds_it(lab, server):
    window, panel = lab(HELD, "1")
    panel.open()
    run(window, 1)
    window.prompt(1, "[1]:")
    window.idle()
    panel(".dph-Gil-holder").filter(has_text="GIL: free").wait_for()
    # JupyterLab has questions of its own to a new kernel, which are answered by then.
    panel.more_answers()
    follow_status(window)
    run(window, 0)
    panel(".dph-Gil-holder").filter(has_text="GIL: MainThread").wait_for()
    panel(".dph-Cell h3").filter(has_text="In[2] runs").wait_for()
    # Innermost first, down to the line of the cell.
    frames = panel(".dph-Stack li")
    frames.filter(has_text=re.compile("ffi_call.*libffi")).first.wait_for()
    assert frames.first.get_attribute("class") == "dph-mod-native"
    frames.filter(has_text=re.compile(r"nap.*In\[2\]:4")).wait_for()
    assert panel(".dph-Cell > p").inner_text().endswith(".")
    panel.more_answers()
    # Nothing that the panel asks makes a kernel idle, for the page or for the server.
    assert statuses(window) == ["idle", "busy"]
    wait_until(lambda: undisturbed(server, panel), "the server sees nothing of the panel")
    for theme, name in {"JupyterLab Light": "light", "JupyterLab Dark": "dark"}.items():
        window.theme(theme)
        window.screenshot(SCREENS / f"native-panel-{name}.png")
    panel(".dph-Cell-interrupt").click()
    window.output(0).get_by_text("KeyboardInterrupt").first.wait_for()
    panel(".dph-Cell").wait_for(state="detached")
    panel(".dph-Gil-holder").filter(has_text="GIL: free").wait_for()
    assert not panel.errors


def test_it_neither_keeps_a_kernel_alive_nor_asks_when_nobody_looks(lab, server):
    window, panel = lab(PAUSE)
    # Closed, it asks nothing, while a cell runs either.
    run(window, 0)
    window.prompt(0, "[1]:")
    assert panel.asked == 0
    panel.open()
    window.idle()
    wait_until(lambda: undisturbed(server, panel), "the server sees nothing of the panel")
    panel.toggle()
    panel("table.dph-Threads").wait_for(state="hidden")
    asked = panel.asked
    run(window, 0)
    window.prompt(0, "[2]:")
    assert panel.asked == asked


def test_another_process_is_another_picture(lab):
    window, panel = lab(PID)
    panel.open()
    run(window, 0)
    first = int(window.output(0).inner_text())
    wait_until(lambda: panel.main_thread() == first, "the main thread of the process is shown")
    window.menu("Kernel", "Restart Kernel")
    window.accept("Restart")
    wait_until(lambda: panel.main_thread() not in (0, first), "the new process is shown")
    second = panel.main_thread()
    os.kill(second, signal.SIGKILL)
    # JupyterLab says that it died.
    window.accept("Ok")
    wait_until(lambda: panel.main_thread() not in (0, first, second), "the third process is shown")
    panel.more_answers()
    assert not panel.errors


def test_a_kernel_that_does_not_answer(lab):
    window, panel = lab(PID)
    panel.open()
    pid = panel.main_thread()
    os.kill(pid, signal.SIGSTOP)
    try:
        panel(".dph-Notice").filter(has_text="does not answer").wait_for()
        panel(".dph-mod-stale").wait_for()
        # One question waits, however long it takes.
        window.page.wait_for_function(
            "() => new Promise((ready) => setTimeout(() => ready(true), 2000))"
        )
        assert panel.asked - panel.answered <= 1
    finally:
        os.kill(pid, signal.SIGCONT)
    panel(".dph-Notice").wait_for(state="detached")
    panel.more_answers()
    assert panel.main_thread() == pid
    window.idle()


def test_a_page_that_is_loaded_in_the_middle_of_a_cell(lab, server):
    window, panel = lab(HELD)
    panel.open()
    run(window, 0)
    panel(".dph-Cell").wait_for()
    wait_until(lambda: workspace_knows_the_panel(server.root), "the layout is stored")
    window.page.reload()
    # It is open again, and the kernel says by itself that a cell runs, and for how long.
    panel(".dph-Cell h3").filter(has_text="In[1] runs").wait_for()
    panel(".dph-Gil-holder").filter(has_text="GIL: MainThread").wait_for()
    panel(".dph-Cell-interrupt").click()
    panel(".dph-Cell").wait_for(state="detached")


def test_two_notebooks_of_one_kernel(lab, server):
    first, one = lab(PID, HELD)
    one.open()
    [kernel] = server.kernels()
    write(server.root, "second.ipynb", (PID,))
    session = {
        "path": "second.ipynb",
        "name": "",
        "type": "notebook",
        "kernel": {"id": kernel["id"]},
    }
    url = f"http://127.0.0.1:{server.port}/api/sessions?token={TOKEN}"
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, json.dumps(session).encode(), headers), timeout=PATIENCE
    ):
        pass
    page = first.browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    two = Panel()
    two.listen(page)
    page.goto(server.url("second.ipynb"))
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    two.open()
    run(first, 1)
    for panel in (one, two):
        panel(".dph-Gil-holder").filter(has_text="GIL: MainThread").wait_for()
        panel(".dph-Cell h3").filter(has_text="In[1] runs").wait_for()
        panel.more_answers()
    two(".dph-Cell-interrupt").click()
    one(".dph-Cell").wait_for(state="detached")


def test_what_is_asked_on_demand(lab):
    window, panel = lab(NUMPY)
    panel.open()
    run(window, 0)
    window.prompt(0, "[1]:")
    window.idle()
    sections = panel("details.dph-Asked")
    # By keyboard, as by mouse.
    sections.nth(0).locator("summary").focus()
    window.page.keyboard.press("Enter")
    sections.nth(0).locator("li").filter(has_text=re.compile("numpy.*MB", re.DOTALL)).wait_for()
    sections.nth(0).locator("small").filter(has_text="as of In[1]").wait_for()
    sections.nth(1).locator("summary").click()
    row = (
        sections.nth(1)
        .locator("li")
        .filter(has_text=re.compile("^a.*float64 1000 . 1000", re.DOTALL))
    )
    row.filter(has_text="shared").filter(has_text="8.0 MB").wait_for()
    sections.nth(2).locator("summary").click()
    sections.nth(2).locator("[aria-busy=false] > *").first.wait_for()
    panel.width(240)
    window.screenshot(SCREENS / "native-panel-240.png")
    assert panel.overflow() == []
    sections.nth(1).get_by_text("%buffer_addr").click()
    window.cell(1).filter(has_text="%buffer_addr").wait_for()
    assert not panel.errors


def test_it_speaks_french_and_shows_what_was_chosen(lab, server):
    settings = server.root / "settings/@diaphane/lab"
    settings.mkdir(parents=True)
    chosen = {"language": "fr", "sections": {"pools": False, "arrays": False}}
    (settings / "panel.jupyterlab-settings").write_text(json.dumps(chosen))
    window, panel = lab(PID)
    window.menu("View", "Afficher le panneau natif")
    panel("table.dph-Threads").wait_for()
    panel(".dph-Gil-holder").filter(has_text="GIL : libre").wait_for()
    assert panel("details.dph-Asked summary").all_inner_texts() == [
        "Bibliothèques chargées",
        "Diagnostics",
    ]
    assert panel(".dph-Pools").count() == 0


def test_notebook_7(server):
    write(server.root, "seen.ipynb", (HELD,))
    panel = Panel()
    with Lab(server, "seen.ipynb", app="notebooks", before=panel.listen) as window:
        window.menu("View", "Show Native Panel")
        panel("table.dph-Threads").wait_for()
        run(window, 0)
        panel(".dph-Cell h3").filter(has_text="In[1] runs").wait_for()
        window.screenshot(SCREENS / "native-panel-notebook.png")
        panel(".dph-Cell-interrupt").click()
        panel(".dph-Cell").wait_for(state="detached")
