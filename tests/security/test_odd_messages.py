"""Messages that are signed and well formed, and still not what they should be: nobody else suffers."""

import json

import pytest

from support.client import Client
from support.exchange import Exchange

pytestmark = pytest.mark.diaphane

IMPOSSIBLE = [
    "2024-01-01T00:00:60Z",
    "2023-02-29T00:00:00",
    "0000-01-01T00:00:00.5+00:00",
    "2024-13-01T00:00:00Z",
]
COMMS = [
    ("comm_open", {}),
    ("comm_open", {"comm_id": "a"}),
    ("comm_open", {"comm_id": "a", "target_name": {"not": "a name"}, "data": {}}),
    ("comm_open", {"comm_id": ["a"], "target_name": "t", "data": {}}),
    ("comm_msg", {"data": {}}),
    ("comm_msg", {"comm_id": None}),
    ("comm_close", {}),
]


def send_with_date(
    client: Client, msg_type: str, content: dict, date: str, field: str = "date"
) -> Exchange:
    """Sends a request whose header has this date, as no client of Python would."""
    message = client.session.msg(msg_type, content)
    message["header"][field] = date
    exchange = client.exchanges[message["header"]["msg_id"]] = Exchange(message)
    client.session.send(client.sockets["shell"], message)
    return exchange


@pytest.mark.parametrize("date", IMPOSSIBLE)
def test_an_impossible_date_harms_no_other_client(client: Client, kernel, date: str):
    """Each client reads the parent of what is published, and `jupyter_client` takes dates there for dates."""
    other = kernel.connect()
    cell = send_with_date(client, "execute_request", {"code": "6 * 7"}, date)
    assert client.finish(cell).result == "42"
    other.drain()
    heard = [m for m in other.strays if m["parent_header"].get("msg_id") == cell.id]
    assert [m["msg_type"] for m in heard if m["channel"] == "iopub"][-1] == "status"
    own = send_with_date(client, "execute_request", {"code": "1"}, date, "of_my_own")
    client.request("kernel_info_request")
    assert (own.replies, own.iopub) == ([], [])


def test_a_header_comes_back_as_it_was(client: Client):
    """Whatever else stands in it, and although its date is mended."""
    message = client.session.msg("kernel_info_request", {})
    message["header"] |= {"own": {"z": 1, "a": [2.50, "é"]}, "date": IMPOSSIBLE[0]}
    exchange = client.exchanges[message["header"]["msg_id"]] = Exchange(message)
    client.session.send(client.sockets["shell"], message)
    parent = client.finish(exchange).reply["parent_header"]
    assert parent["own"] == {"z": 1, "a": [2.5, "é"]}
    assert set(parent) == set(message["header"])


def test_a_malformed_message_of_a_comm_is_the_clients_fault(launch):
    kernel = launch(env={"DIAPHANE_LOG": "warn"})
    client = kernel.connect()
    for kind, content in COMMS:
        wrong = client.send(kind, content)
        client.until(lambda wrong=wrong: wrong.state == "idle", "idle", wrong)
        assert wrong.trace == ["busy", "idle"], json.dumps(content)
    refused = [line for line in kernel.log.splitlines() if "refused" in line]
    assert len(refused) == len(COMMS), kernel.log
    assert all("content" in line and "comm" in line for line in refused)
    assert "bug" not in kernel.log


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("history_request", {"hist_access_type": "tail", "n": 2**63}),
        (
            "history_request",
            {"hist_access_type": "range", "session": -(2**63), "start": 2**62, "stop": 2**62},
        ),
        ("complete_request", {"code": "zi", "cursor_pos": 2**63}),
        ("inspect_request", {"code": "zip", "cursor_pos": 1, "detail_level": 255}),
        ("inspect_request", {"code": "zip", "cursor_pos": 1, "omit_sections": ["", "no such"]}),
        ("is_complete_request", {"code": "\x00"}),
        ("execute_request", {"code": "1", "user_expressions": {"a": 5, "b": [], "": None}}),
        ("execute_request", {"code": "\x00"}),
        ("magic_request", {"name": "threads", "line": "\x00"}),
    ],
)
def test_odd_values_are_no_bugs(kernel, client: Client, kind: str, content: dict):
    before = kernel.log.count("bug")
    assert client.request(kind, content).content["status"] in (
        "ok",
        "error",
        "complete",
        "incomplete",
        "invalid",
    )
    assert kernel.log.count("bug") == before, kernel.log


@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize("content", [{}, {"code": 5}, {"code": None}])
def test_whether_a_cell_is_complete_is_unknown_where_the_request_is_refused(
    client: Client, channel: str, content: dict
):
    """The protocol has four statuses for it, and `error` is none of them."""
    told = client.request("is_complete_request", content, channel).content
    assert told["status"] == "unknown"
    assert "content" in told["evalue"]


@pytest.mark.parametrize("fault", ["1 / 0", "raise KeyboardInterrupt"])
def test_whether_a_cell_is_complete_is_unknown_where_a_transformer_fails(launch, fault: str):
    client = launch().connect()
    shell = "get_ipython().input_transformer_manager"
    client.run(
        f"def fail(lines):\n    if 'odd' in lines[0]: {fault}\n    return lines\nfails = [fail]"
    )
    client.run(f"{shell}.line_transforms += fails")
    told = client.request("is_complete_request", {"code": "odd"}).content
    assert told["status"] == "unknown"
    assert "bug" not in str(told)
    assert client.run("1 + 1").result == "2"


@pytest.mark.parametrize("content", [{"command": "debugInfo", "seq": 7}, {"command": 5}])
def test_a_refused_request_to_the_debugger_is_a_response_of_its_protocol(
    client: Client, content: dict
):
    told = client.request("debug_request", content).content
    assert (told["type"], told["success"]) == ("response", False)
    assert told["request_seq"] == content.get("seq", 0)
    assert "control" in told["message"]
