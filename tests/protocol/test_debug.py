"""debug_request: breakpoints, stepping and variables through the Debug Adapter Protocol."""

import pytest

from support.debugger import Debugger

pytestmark = pytest.mark.feature("debugger")
CODE = """
def double(n):
    twice = n * 2
    return twice

answer = double(21)
"""


@pytest.fixture
def debugger(launch):
    client = launch().connect()
    debugger = Debugger(client)
    assert debugger.ask("initialize", clientID="t", adapterID="t", linesStartAt1=True)["success"]
    assert debugger.ask("attach")["success"]
    return debugger


def test_debug_info_before_anything(launch):
    answer = Debugger(launch().connect()).ask("debugInfo")
    assert answer["success"]
    body = answer["body"]
    assert body["isStarted"] is False
    assert body["breakpoints"] == []
    assert body["hashMethod"] == "Murmur2"
    assert body["tmpFilePrefix"]
    assert body["tmpFileSuffix"] == ".py"


def test_break_look_and_go_on(debugger: Debugger):
    client = debugger.client
    source = debugger.ask("dumpCell", code=CODE)["body"]["sourcePath"]
    answer = debugger.ask("setBreakpoints", source={"path": source}, breakpoints=[{"line": 4}])
    assert answer["success"]
    assert answer["body"]["breakpoints"][0]["verified"]
    debugger.ask("configurationDone")
    cell = client.start(CODE)
    thread = debugger.wait("stopped")["body"]["threadId"]
    frames = debugger.ask("stackTrace", threadId=thread)["body"]["stackFrames"]
    assert (frames[0]["name"], frames[0]["line"]) == ("double", 4)
    assert frames[0]["source"]["path"] == source
    scopes = debugger.ask("scopes", frameId=frames[0]["id"])["body"]["scopes"]
    reference = scopes[0]["variablesReference"]
    variables = debugger.ask("variables", variablesReference=reference)["body"]["variables"]
    assert {v["name"]: v["value"] for v in variables}["twice"] == "42"
    assert cell.replies == []
    debugger.ask("continue", threadId=thread)
    assert client.finish(cell).content["status"] == "ok"
    assert client.value("answer") == "42"
    assert debugger.ask("disconnect")["success"]


def test_inspect_variables_without_a_breakpoint(debugger: Debugger):
    debugger.client.run("visible = [1, 2, 3]")
    variables = debugger.ask("inspectVariables")["body"]["variables"]
    assert "visible" in {v["name"] for v in variables}


def test_source_of_a_cell(debugger: Debugger):
    path = debugger.ask("dumpCell", code=CODE)["body"]["sourcePath"]
    answer = debugger.ask("source", source={"path": path})
    assert answer["body"]["content"] == CODE
