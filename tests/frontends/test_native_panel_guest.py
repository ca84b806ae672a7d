"""The panel "Native" beside ipykernel: without a guest it says what that needs, with one it works while Python runs."""

import json
import os
import re
from pathlib import Path

import pytest

from support import door
from support.native_panel import (
    SCREENS,
    follow_status,
    run,
    statuses,
    workspace_knows_the_panel,
)
from support.patience import wait_until

LOOP = """import os

while not os.path.exists('enough'):
    sum(range(1000))"""
HELD = "import ctypes\nctypes.PyDLL(None).sleep(5)"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.door("hosted")]


@pytest.fixture(autouse=True)
def host(tmp_path_factory, monkeypatch) -> None:
    """The kernelspec of an ipykernel in whose Python diaphane is."""
    folder = tmp_path_factory.mktemp("host")
    spec = folder / "kernels" / "host"
    spec.mkdir(parents=True)
    argv = [door.python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "host", "language": "python"})
    (spec / "kernel.json").write_text(text)
    paths = [str(folder), os.environ.get("JUPYTER_PATH", "")]
    monkeypatch.setenv("JUPYTER_PATH", os.pathsep.join(paths))


def load(window, panel) -> None:
    run(window, 0)
    panel("table.dph-Threads").wait_for()


def test_it_works_as_soon_as_the_guest_is_there(lab, server):
    window, panel = lab("%load_ext diaphane", LOOP, "%unload_ext diaphane", kernel="host")
    panel.toggle()
    notice = panel(".dph-Notice")
    notice.filter(has_text="host does not tell what native code does").wait_for()
    notice.filter(has_text="%load_ext diaphane").wait_for()
    window.screenshot(SCREENS / "native-panel-foreign.png")
    load(window, panel)
    panel.more_answers()
    follow_status(window)
    run(window, 1)
    panel(".dph-Cell h3").filter(has_text="In[2] runs").wait_for()
    panel(".dph-Stack li").filter(has_text=re.compile(r"In\[2\]:4")).wait_for()
    panel("button").filter(has_text="Profile the rest of this cell").click()
    panel(".dph-Profile-button").filter(has_text="Profiling for").wait_for()
    panel.more_answers()
    # Nothing that the panel asks makes the kernel idle.
    assert statuses(window) == ["idle", "busy"]
    window.screenshot(SCREENS / "native-panel-guest.png")
    Path(server.root, "enough").touch()
    panel(".dph-Profile .dph-Lines li").filter(has_text="sum(range(1000))").wait_for()
    panel(".dph-Cell").wait_for(state="detached")
    window.idle()
    panel("details.dph-Asked").nth(2).locator("summary").click()
    panel("details.dph-Asked").nth(2).locator("[aria-busy=false] > *").first.wait_for()
    run(window, 2)
    notice.filter(has_text="does not tell what native code does").wait_for()
    asked = panel.asked
    run(window, 1)
    window.prompt(1, "[4]:")
    assert panel.asked == asked
    assert not panel.errors


def test_while_native_code_has_the_gil_it_waits(lab):
    window, panel = lab("%load_ext diaphane", HELD, kernel="host")
    panel.toggle()
    panel(".dph-Notice").wait_for()
    load(window, panel)
    run(window, 1)
    panel(".dph-Notice").filter(has_text="does not answer").wait_for()
    panel(".dph-Notice").wait_for(state="detached")
    window.prompt(1, "[2]:")
    wait_until(
        lambda: panel.page.evaluate("1") and panel.asked == panel.answered, "all is answered"
    )


def test_a_page_that_is_loaded_in_the_midst_of_a_cell(lab, server):
    window, panel = lab("%load_ext diaphane", LOOP, kernel="host")
    panel.toggle()
    panel(".dph-Notice").wait_for()
    load(window, panel)
    run(window, 1)
    panel(".dph-Cell h3").filter(has_text="In[2] runs").wait_for()
    wait_until(lambda: workspace_knows_the_panel(server.root), "the layout is stored")
    window.page.reload()
    panel(".dph-Cell h3").filter(has_text="In[2] runs").wait_for()
    Path(server.root, "enough").touch()
    panel(".dph-Cell").wait_for(state="detached")
