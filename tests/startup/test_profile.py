"""The user's IPython: configuration, startup files and extensions are honoured."""

import os

import pytest

CONFIG = """
c = get_config()
c.InteractiveShellApp.exec_lines = ["from_lines = 1"]
c.InteractiveShellApp.extensions = ["my_extension"]
c.InteractiveShell.ast_node_interactivity = "all"
"""
EXTENSION = """
def load_ipython_extension(ip):
    ip.user_ns["from_extension"] = 3
    ip.events.register("post_execute", lambda: ip.user_ns.update(events=1))
"""


@pytest.fixture
def client(launch, tmp_path):
    profile = tmp_path / "ipython" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "ipython_config.py").write_text(CONFIG)
    (profile / "startup" / "10-first.py").write_text("from_startup = 2\nprint('started')")
    (tmp_path / "ipython" / "extensions").mkdir()
    (tmp_path / "my_extension.py").write_text(EXTENSION)
    env = {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONPATH": str(tmp_path)}
    return launch(env=env).connect()


def test_profile(client):
    assert client.value("from_lines, from_startup, from_extension") == "(1, 2, 3)"
    client.run("pass")
    assert client.value("events") == "1"


def test_setting_of_the_shell(client):
    results = client.run("1\n2").all("execute_result")
    assert [r["data"]["text/plain"] for r in results] == ["1", "2"]


def test_the_first_cell_has_number_one(client):
    assert client.run("pass").content["execution_count"] == 1


def test_a_broken_startup_file_does_not_stop_the_kernel(launch, tmp_path):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-broken.py").write_text("1 / 0")
    client = launch(env={"IPYTHONDIR": str(tmp_path / "ipython")}).connect()
    assert client.run("1 + 1").result == "2"


def test_an_unwritable_profile_does_not_stop_the_kernel(launch, tmp_path):
    """A path that cannot become a directory, also for the superuser."""
    (tmp_path / "file").write_text("")
    client = launch(env={"IPYTHONDIR": str(tmp_path / "file" / "ipython")}).connect()
    assert client.run("1 + 1").result == "2"


@pytest.mark.diaphane
def test_a_kernel_answers_and_says_busy_while_python_is_starting(launch, tmp_path):
    """A front end that heard nothing of its cell would take the idle of another request for the cell's."""
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # Python waits here until somebody opens the other end.
    (startup / "00-wait.py").write_text(f"open({str(gate)!r}).close()")
    client = launch(env={"IPYTHONDIR": str(tmp_path / "ipython")}).connect()
    cell = client.start("1 + 1")
    client.until(lambda: cell.iopub, "a word about the cell", cell)
    assert cell.trace == ["busy"]
    assert client.request("kernel_info_request", {}, "control").content["status"] == "ok"
    gate.open("w").close()
    client.finish(cell)
    assert cell.result == "2"
    assert [word for word in cell.trace if word in ("busy", "idle")] == ["busy", "idle"]
