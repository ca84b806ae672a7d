"""The debugger as a front end uses it on cells: where they stop, what is seen, and what stays afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.client import Client
from support.debugger import CELL, Debugger

pytestmark = pytest.mark.feature("debugger")


@pytest.fixture
def debugger(client):
    debugger = Debugger(client).attach()
    yield debugger
    debugger.detach()


def test_requests_are_busy_then_answered_then_idle(client: Client):
    done = Debugger(client).request("debugInfo")
    assert done.trace == ["busy", "idle"]
    assert done.reply["channel"] == "control"
    assert done.content["request_seq"] == 1
    assert (done.content["type"], done.content["command"]) == ("response", "debugInfo")


def test_events_belong_to_a_debug_request(debugger: Debugger):
    initialized = debugger.events("initialized")
    assert len(initialized) == 1
    assert initialized[0]["parent_header"]["msg_type"] == "debug_request"


def test_a_front_end_can_name_the_file_of_a_cell(debugger: Debugger):
    info = debugger.body("debugInfo")
    prefix, suffix = info["tmpFilePrefix"], info["tmpFileSuffix"]
    path = debugger.body("dumpCell", code="größe = 'π'\n")["sourcePath"]
    # MurmurHash2 of the code, as JupyterLab computes it.
    assert info["hashSeed"] == 0xC70F6907
    assert path == f"{prefix}2570185758{suffix}"
    assert Path(path).read_text(encoding="utf-8") == "größe = 'π'\n"


def test_a_cell_is_compiled_under_the_name_of_its_file(debugger: Debugger):
    code = "(lambda: 0).__code__.co_filename"
    path = debugger.body("dumpCell", code=code)["sourcePath"]
    assert debugger.client.run(code).result == repr(path)


def test_the_source_of_a_cell_is_read_back(debugger: Debugger):
    path = debugger.body("dumpCell", code=CELL)["sourcePath"]
    assert debugger.body("source", source={"path": path})["content"] == CELL


def test_only_frames_of_cells_are_shown(debugger: Debugger):
    path = debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    assert [(f["name"], f["line"]) for f in debugger.frames] == [("double", 4), ("<module>", 6)]
    assert {f["source"]["path"] for f in debugger.frames} == {path}
    debugger.resume(cell)


def test_stepping(debugger: Debugger):
    debugger.break_at(CELL, 6)
    cell = debugger.start(CELL)
    assert debugger.place == ("<module>", 6)
    assert debugger.step("stepIn") == ("double", 3)
    assert debugger.step("next") == ("double", 4)
    assert debugger.step("stepOut") == ("<module>", 6)
    assert debugger.step("next") == ("<module>", 7)
    assert debugger.resume(cell).content["status"] == "ok"
    assert debugger.client.value("after") == "43"


@pytest.mark.diaphane
def test_a_cell_goes_on_before_it_ends(debugger: Debugger):
    """JupyterLab shows the variables after a cell only where it has heard that nothing is stopped any more."""
    code = "for i in range(3):\n    last = i"
    debugger.break_at(code, 2)
    cell = debugger.start(code)
    debugger.step("continue")
    debugger.step("next")
    debugger.step("continue")
    debugger.resume(cell)
    debugger.client.drain()
    word = {"continued": "on", "stopped": "stop", "idle": "idle"}
    events = [
        word.get(m["content"].get("event") or m["content"].get("execution_state"))
        for m in debugger.client.record
        if m["msg_type"] == "debug_event" or m["parent_header"].get("msg_id") == cell.id
    ]
    assert [e for e in events if e] == [
        "stop",
        "on",
        "stop",
        "on",
        "stop",
        "on",
        "stop",
        "on",
        "idle",
    ]


@pytest.mark.diaphane
def test_a_step_of_an_unknown_thread_changes_nothing(debugger: Debugger):
    debugger.break_at(CELL, 6)
    cell = debugger.start(CELL)
    assert not debugger.ask("next", threadId=999)["success"]
    assert debugger.body("debugInfo")["stoppedThreads"] == [1]
    assert debugger.step("next") == ("<module>", 7)
    debugger.resume(cell)


@pytest.mark.diaphane
def test_a_step_ends_with_its_cell(debugger: Debugger):
    debugger.break_at(CELL, 7)
    cell = debugger.start(CELL)
    debugger.body("next", threadId=1)
    debugger.client.finish(cell)
    debugger.client.run("a = 1\nb = 2")
    assert len(debugger.events("stopped")) == 1


def test_a_cell_with_await_stops_too(debugger: Debugger):
    code = "import asyncio\nx = 1\nawait asyncio.sleep(0)\ny = 2"
    debugger.break_at(code, 4)
    cell = debugger.start(code)
    assert debugger.place == ("<module>", 4)
    assert debugger.resume(cell).content["status"] == "ok"


def test_a_condition_decides_whether_a_cell_stops(debugger: Debugger):
    code = "for i in range(5):\n    last = i"
    debugger.break_at(code, 2, condition="i == 3")
    cell = debugger.start(code)
    assert debugger.variables("Locals")["i"]["value"] == "3"
    debugger.resume(cell)


def test_breakpoint_stops_in_the_front_end_that_is_attached(debugger: Debugger):
    cell = debugger.start("x = 1\nbreakpoint()\nx = 2")
    assert debugger.place == ("<module>", 3)
    debugger.resume(cell)


@pytest.mark.diaphane
def test_cells_stop_again_after_pdb(debugger: Debugger):
    client = debugger.client
    client.execute("1/0")
    post_mortem = client.start("%debug", allow_stdin=True)
    client.answer(post_mortem, "p 6 * 7")
    client.answer(post_mortem, "q")
    assert "42" in client.finish(post_mortem).text()
    debugger.break_at(CELL, 4)
    debugger.resume(debugger.start(CELL))


@pytest.mark.diaphane
def test_an_exception_stops_where_it_is_raised_and_nowhere_in_the_kernel(debugger: Debugger):
    debugger.body("setExceptionBreakpoints", filters=["raised"])
    code = "def fail():\n    return 1 / 0\nfail()"
    cell = debugger.start(code)
    assert debugger.place == ("fail", 2)
    assert debugger.step("continue") == ("<module>", 3)
    assert debugger.resume(cell).content["ename"] == "ZeroDivisionError"


def test_variables_at_a_breakpoint(debugger: Debugger):
    debugger.client.run("box = {'key': [1, 2]}")
    debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    locals_ = debugger.variables("Locals")
    assert {name: v["value"] for name, v in locals_.items()} == {"n": "21", "twice": "42"}
    globals_ = debugger.variables("Globals")
    inside = debugger.body("variables", variablesReference=globals_["box"]["variablesReference"])
    assert "[1, 2]" in {v["value"] for v in inside["variables"]}
    assert not {"In", "Out", "_ih", "_dh", "get_ipython"} & set(globals_)
    debugger.resume(cell)


@pytest.mark.diaphane
def test_variables_without_a_breakpoint(client: Client):
    debugger = Debugger(client)
    client.run("box = {'key': [1, 2]}\n_index = 3")
    client.run("1")
    found = {v["name"]: v for v in debugger.body("inspectVariables")["variables"]}
    assert found["box"]["type"] == "dict"
    assert not {"In", "Out", "_i", "_1", "_", "get_ipython", "exit"} & set(found)
    inside = debugger.body("variables", variablesReference=found["box"]["variablesReference"])
    assert {v["name"]: v["value"] for v in inside["variables"]}["'key'"] == "[1, 2]"


@pytest.mark.diaphane
def test_a_variable_that_only_looks_like_one_of_ipythons_is_shown(client: Client):
    client.run("_index = 3\n_1st = 4")
    found = {v["name"] for v in Debugger(client).body("inspectVariables")["variables"]}
    assert {"_index", "_1st"} <= found


def test_rich_values_with_and_without_a_breakpoint(debugger: Debugger):
    code = "from IPython.display import HTML\ndef show():\n    local = HTML('<b>in</b>')\n    return local\nshow()"
    debugger.client.run("from IPython.display import HTML\nvalue = HTML('<b>out</b>')")
    data = debugger.body("richInspectVariables", variableName="value")["data"]
    assert data["text/html"] == "<b>out</b>"
    debugger.break_at(code, 4)
    cell = debugger.start(code)
    frame = debugger.frames[0]["id"]
    data = debugger.body("richInspectVariables", variableName="local", frameId=frame)["data"]
    assert data["text/html"] == "<b>in</b>"
    debugger.resume(cell)


def test_a_local_is_copied_to_the_notebook(debugger: Debugger):
    debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    names = {"srcVariableName": "twice", "dstVariableName": "copied"}
    debugger.body("copyToGlobals", **names, srcFrameId=debugger.frames[0]["id"])
    debugger.resume(cell)
    assert debugger.client.value("copied") == "42"


@pytest.mark.parametrize("command", ["copyToGlobals", "richInspectVariables"])
def test_a_name_that_is_code_is_refused(debugger: Debugger, command: str):
    code = "x'] = print('run') or globals()['injected"
    arguments = {"srcVariableName": "x", "dstVariableName": code, "srcFrameId": 0}
    assert not debugger.ask(command, **arguments, variableName=code)["success"]
    assert debugger.client.value("'injected' in globals()") == "False"


def test_expressions_are_evaluated_in_a_frame(debugger: Debugger):
    debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    frame = debugger.frames[0]["id"]
    answer = debugger.body("evaluate", expression="twice + 1", frameId=frame, context="hover")
    assert answer["result"] == "43"
    debugger.resume(cell)


@pytest.mark.diaphane
def test_modules_have_files(debugger: Debugger):
    body = debugger.body("modules")
    assert "json" in {m["name"] for m in body["modules"]}
    assert all(m["path"].endswith(".py") for m in body["modules"])
    assert body["totalModules"] >= len(body["modules"])


@pytest.mark.diaphane
def test_modules_come_in_portions(debugger: Debugger):
    first = debugger.body("modules", startModule=0, moduleCount=60)["modules"]
    second = debugger.body("modules", startModule=60, moduleCount=60)["modules"]
    assert first
    assert all(m["id"] < 60 for m in first)
    assert all(60 <= m["id"] < 120 for m in second)


def test_a_thread_of_the_user_stops_and_the_main_thread_is_number_one(debugger: Debugger):
    code = """
import threading
def work():
    here = 1
    return here
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
"""
    debugger.break_at(code, 5)
    cell = debugger.start(code)
    threads = {t["name"]: t["id"] for t in debugger.body("threads")["threads"]}
    assert threads["MainThread"] == 1
    stopped = debugger.wait("stopped")["body"]["threadId"]
    assert stopped == threads["worker"]
    assert {1, stopped} <= set(debugger.body("debugInfo")["stoppedThreads"])
    debugger.resume(cell)
    debugger.client.until(lambda: not debugger.body("debugInfo")["stoppedThreads"], "the threads")


@pytest.mark.diaphane
def test_the_kernels_own_threads_are_not_shown(debugger: Debugger):
    debugger.client.run("1")
    assert [t["name"] for t in debugger.body("threads")["threads"]] == ["MainThread"]


def test_the_kernel_answers_while_a_cell_is_stopped(debugger: Debugger):
    debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    assert debugger.client.request("kernel_info_request", {}, "control").content["status"] == "ok"
    assert debugger.client.beat(b"stopped") == b"stopped"
    assert cell.replies == []
    debugger.resume(cell)
