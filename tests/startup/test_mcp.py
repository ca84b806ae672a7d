"""`diaphane mcp`: what an agent sees through the Model Context Protocol, message by message."""

import json
import subprocess

import pytest

from support import door

pytestmark = pytest.mark.diaphane

VERSION = "2025-06-18"


class Agent:
    """A client of the protocol: one JSON message a line."""

    def __init__(self):
        self.server = subprocess.Popen(
            [*door.command(), "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.count = 0
        about = {"name": "a test", "version": "1"}
        self.told = self.request(
            "initialize", protocolVersion=VERSION, capabilities={}, clientInfo=about
        )["result"]
        self.send({"method": "notifications/initialized"})

    def send(self, message: dict) -> None:
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.server.stdin.flush()

    def request(self, method: str, **params) -> dict:
        self.count += 1
        self.send({"id": self.count, "method": method, "params": params})
        reply = json.loads(self.server.stdout.readline())
        assert reply["id"] == self.count
        return reply

    def call(self, name: str, **arguments) -> dict:
        return self.request("tools/call", name=name, arguments=arguments)["result"]

    def refusal(self, name: str, **arguments) -> str:
        result = self.call(name, **arguments)
        assert result["isError"] is True
        return result["content"][0]["text"]

    def end(self) -> int:
        """What it ends with when nobody speaks any more; it writes nothing but answers."""
        rest, _ = self.server.communicate(timeout=20)
        assert rest == ""
        return self.server.returncode


@pytest.fixture
def agent():
    agent = Agent()
    yield agent
    assert agent.end() == 0


def test_the_tools_are_the_magics_that_only_look(agent):
    assert agent.told["protocolVersion"] == VERSION
    assert agent.told["serverInfo"]["name"] == "diaphane"
    tools = {tool["name"]: tool for tool in agent.request("tools/list")["result"]["tools"]}
    looks = {"kernels", "stack_of_process", "threads", "stack", "loaded_libs", "buffer_addr"}
    assert looks | {"native_doctor", "crash_report", "memory"} <= set(tools)
    assert not {"monitor", "rust", "rust_reset", "native_prof", "native_calls", "syscalls"} & set(
        tools
    )
    for tool in tools.values():
        assert tool["description"]
        assert tool["annotations"]["readOnlyHint"] is True
    schema = tools["threads"]["inputSchema"]
    assert schema["properties"]["native_all"]["type"] == "boolean"
    assert "kernel" in schema["properties"]
    assert schema["additionalProperties"] is False


def test_a_kernel_answers_while_its_cell_holds_the_gil(agent, launch):
    kernel = launch()
    client, pid = kernel.connect(), str(kernel.pid)
    cell = client.start("import ctypes\nprint('now', flush=True)\nctypes.PyDLL(None).sleep(600)")
    client.until(lambda: "now" in cell.text(), "the cell runs", cell)
    assert pid in agent.call("kernels")["content"][0]["text"]
    threads = agent.call("threads", kernel=pid)
    assert threads["isError"] is False
    rows = threads["structuredContent"]["rows"]
    assert any(row["tid"] == int(pid) for row in rows)
    assert "sleep" in agent.call("stack", kernel=pid)["content"][0]["text"]
    outside = agent.call("stack_of_process", pid=int(pid))["content"][0]["text"]
    assert "sleep" in outside


def test_variables_are_named_and_code_is_not_run(agent, kernel, client):
    pid = str(kernel.pid)
    client.run("import numpy as np\nseen = np.arange(8)\ncalled = []")
    address = client.value("seen.ctypes.data")
    report = agent.call("buffer_addr", kernel=pid, names=["seen"])["structuredContent"]
    assert [row["addr"] for row in report["rows"]] == [hex(int(address))]
    assert "is no name" in agent.refusal("buffer_addr", kernel=pid, names=["called.append(1)"])
    assert client.value("called") == "[]"


def test_what_is_wrong_is_said_in_words(agent):
    assert "nothing_like_it" in agent.refusal("threads", kernel="nothing_like_it")
    assert "nonsense" in agent.refusal("threads", nonsense=1)
    assert "no tool" in agent.refusal("no_magic_of_this_name")
    assert "process 2147483647" in agent.refusal("stack_of_process", pid=2147483647)
    assert "pid" in agent.refusal("stack_of_process", pid="x")
    assert agent.request("no/such/method")["error"]["code"] == -32601
