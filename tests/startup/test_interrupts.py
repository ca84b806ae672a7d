"""Interrupts while Python starts: the kernel answers already, and cells wait."""

import pytest

from support import door
from support.patience import wait_until

HELD = """
import pathlib, time
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.001)
"""
PLACES = {
    "Python's own start": "sitecustomize.py",
    "a startup file": "ipython/profile_default/startup/00-held.py",
}
if door.is_hosted():
    # That Python starts us, so nobody answers before.
    del PLACES["Python's own start"]


@pytest.fixture(params=PLACES)
def starting(request, launch, tmp_path):
    """A kernel that waits in its start until it is let go."""
    held = tmp_path / PLACES[request.param]
    held.parent.mkdir(parents=True, exist_ok=True)
    held.write_text(HELD)
    env = {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONPATH": str(tmp_path)}
    kernel = launch(env=env, cwd=tmp_path)
    kernel.let_go = (tmp_path / "go").touch
    wait_until((tmp_path / "begun").exists, "Python starts")
    return kernel


@pytest.fixture(params=["message", "signal"])
def way(request):
    return request.param


def interrupt(kernel, client, way):
    if way == "signal":
        kernel.interrupt()
    else:
        assert client.request("interrupt_request", {}, "control").content == {"status": "ok"}


def test_an_interrupt_does_not_end_the_start(starting, way):
    client = starting.connect()
    for _ in range(3):
        interrupt(starting, client, way)
    starting.let_go()
    # A signal says not when it was sent: it may have been for this cell.
    client.execute("pass")
    assert client.run("1 + 1").result == "2"


def test_an_interrupt_is_for_the_cell_that_waits(starting, way):
    client = starting.connect()
    cell = client.start("first = True")
    client.until(lambda: "busy" in cell.trace, "busy", cell)
    queued = client.start("second = True")
    interrupt(starting, client, way)
    starting.let_go()
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"
    assert client.finish(queued).content["status"] == "aborted"
    assert client.run("1 + 1").result == "2"
    assert client.run("'first' in globals() or 'second' in globals()").result == "False"


def test_interrupts_without_end(launch):
    """From the first answer on, at moments that nobody chooses."""
    kernel = launch()
    client = kernel.connect()
    cell = client.start("1 + 1", stop_on_error=False)
    while not cell.answered:
        kernel.interrupt()
        client.pump(1)
    assert client.run("1 + 1").result == "2"
