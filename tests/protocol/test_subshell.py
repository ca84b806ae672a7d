"""Subshells (JEP 91): cells beside the running cell of the main shell."""

import pytest

from support.client import Client

pytestmark = pytest.mark.feature("kernel subshells")


@pytest.fixture
def subshell(client: Client):
    done = client.request("create_subshell_request", {}, "control")
    assert done.reply["msg_type"] == "create_subshell_reply"
    assert done.trace == ["busy", "idle"]
    name = done.content["subshell_id"]
    yield name
    client.request("delete_subshell_request", {"subshell_id": name}, "control")


def on(subshell: str) -> dict:
    return {"header": {"subshell_id": subshell}}


def test_list(client: Client, subshell: str):
    done = client.request("list_subshell_request", {}, "control")
    assert done.content == {"status": "ok", "subshell_id": [subshell]}


def test_delete(client: Client):
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    done = client.request("delete_subshell_request", {"subshell_id": name}, "control")
    assert done.content == {"status": "ok"}
    assert client.request("list_subshell_request", {}, "control").content["subshell_id"] == []


def test_deleting_an_unknown_subshell_is_an_error(client: Client):
    done = client.request("delete_subshell_request", {"subshell_id": "none"}, "control")
    assert done.content["status"] == "error"


@pytest.mark.diaphane
def test_what_waits_in_a_deleted_subshell_is_answered(client: Client):
    """Each request that was busy is idle, also the cell that waits in an `await` and those behind it."""
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    code = "import asyncio\nprint('waits', flush=True)\nawait asyncio.sleep(1e6)"
    waits = client.start(code, **on(name))
    client.until(waits.text, "the cell waits", waits)
    behind = client.start("1", **on(name))
    asks = client.send("kernel_info_request", {}, **on(name))
    # On another channel, so that it could overtake them.
    client.request("usage_request", {}, "shell")
    client.request("delete_subshell_request", {"subshell_id": name}, "control")
    assert client.finish(waits).content["ename"] == "CancelledError"
    assert waits.trace[-2:] == ["error", "idle"]
    refused = client.finish(behind)
    assert refused.content["ename"] == "UnknownSubshellError"
    assert refused.trace == ["busy", "idle"]
    assert client.finish(asks).trace == ["busy", "idle"]


def test_runs_beside_a_cell_of_the_main_shell(client: Client, subshell: str):
    main = client.start("print('main', flush=True)\ninput()", allow_stdin=True)
    client.until(lambda: main.stdin, "the main cell", main)
    beside = client.run("shared = 7; print('beside'); shared", **on(subshell))
    assert main.replies == []
    assert (beside.text(), beside.result) == ("beside\n", "7")
    client.answer(main, "")
    assert client.finish(main).text() == "main\n"
    assert client.value("shared") == "7"


def test_replies_name_the_subshell(client: Client, subshell: str):
    done = client.run("1", **on(subshell))
    assert done.reply["parent_header"]["subshell_id"] == subshell
    assert done.trace == ["busy", "execute_input", "execute_result", "idle"]


def test_not_in_the_main_thread(client: Client, subshell: str):
    code = "import threading; threading.current_thread() is threading.main_thread()"
    assert client.run(code).result == "True"
    assert client.run(code, **on(subshell)).result == "False"


def test_complete_and_inspect_while_the_main_shell_is_busy(client: Client, subshell: str):
    main = client.start("input()", allow_stdin=True)
    client.until(lambda: main.stdin, "the main cell", main)
    done = client.request("complete_request", {"code": "prin", "cursor_pos": 4}, **on(subshell))
    assert "print" in done.content["matches"]
    done = client.request("inspect_request", {"code": "zip", "cursor_pos": 3}, **on(subshell))
    assert done.content["found"]
    client.answer(main, "")
    client.finish(main)


def test_await_in_a_subshell(client: Client, subshell: str):
    assert (
        client.run("import asyncio\nawait asyncio.sleep(0, 'slept')", **on(subshell)).result
        == "'slept'"
    )


def test_error_in_a_subshell(client: Client, subshell: str):
    done = client.execute("1/0", **on(subshell))
    assert done.content["ename"] == "ZeroDivisionError"
    assert done.trace == ["busy", "execute_input", "error", "idle"]


def test_an_unknown_subshell_is_an_error(client: Client):
    done = client.request("execute_request", {"code": "1"}, header={"subshell_id": "nobody"})
    assert done.content["status"] == "error"
    assert done.trace == ["busy", "idle"]


@pytest.fixture
def other(client: Client):
    """A second subshell, and in the user's variables a barrier at which two cells meet."""
    client.run("import threading\nmeet = threading.Barrier(2, timeout=60)")
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    yield name
    client.request("delete_subshell_request", {"subshell_id": name}, "control")


@pytest.fixture
def both(client: Client, subshell: str, other: str):
    """Runs two cells at once, one in each subshell."""

    def run(first: str, second: str, **options):
        pairs = zip((first, second), (subshell, other), strict=True)
        cells = [client.start(code, **on(name), **options) for code, name in pairs]
        return [client.finish(cell) for cell in cells]

    return run


def test_two_subshells_at_once(both):
    cells = both("meet.wait(); print(0)", "meet.wait(); print(1)")
    assert [cell.text() for cell in cells] == ["0\n", "1\n"]


def test_two_cells_at_once_have_numbers_of_their_own(client: Client, both):
    before = client.run("0").content["execution_count"]
    cells = both("meet.wait(); meet.wait(); 'a'", "meet.wait(); meet.wait(); 'b'")
    numbers = [cell.one("execute_input")["execution_count"] for cell in cells]
    assert sorted(numbers) == [before + 1, before + 2]
    assert [cell.content["execution_count"] for cell in cells] == numbers
    assert [cell.one("execute_result")["execution_count"] for cell in cells] == numbers
    assert [client.value(f"Out[{number}]") for number in numbers] == ["'a'", "'b'"]
    assert [client.value(f"In[{number}][-3:]") for number in numbers] == ["\"'a'\"", "\"'b'\""]
    assert client.run("0").content["execution_count"] == before + 3


def test_an_empty_cell_beside_another_one_takes_no_number(client: Client, subshell: str):
    main = client.start("input()", allow_stdin=True)
    client.until(lambda: main.stdin, "the main cell", main)
    number = main.one("execute_input")["execution_count"]
    client.run(" ", **on(subshell))
    assert client.run("0", **on(subshell)).content["execution_count"] == number + 1
    client.answer(main, "")
    assert client.finish(main).content["execution_count"] == number
    assert client.run("0").content["execution_count"] == number + 2


def test_values_that_are_shown_at_once_are_not_mixed(client: Client, both):
    client.run(
        "class Slow:\n"
        "    def __init__(self, name): self.name = name\n"
        "    def __repr__(self):\n"
        "        meet.wait()\n"
        "        return self.name"
    )
    for _ in range(20):
        one, two = both("Slow('one')", "Slow('two')")
        assert (one.content["status"], two.content["status"]) == ("ok", "ok")
        assert (one.result, two.result) == ("one", "two")


def test_errors_at_once_are_not_mixed(client: Client, both):
    for name in ("FirstError", "SecondError"):
        client.run(
            f"class {name}(Exception):\n"
            "    def __str__(self):\n"
            "        if not self.args:\n"
            "            self.args = ('met',)\n"
            "            meet.wait()\n"
            "        return type(self).__name__"
        )
    for _ in range(5):
        cells = both("raise FirstError", "raise SecondError")
        names = ["FirstError", "SecondError"]
        assert [cell.content["ename"] for cell in cells] == names
        assert [cell.one("error")["ename"] for cell in cells] == names
        assert [cell.content["evalue"] for cell in cells] == names


def test_a_good_cell_beside_a_bad_one(both):
    bad, good = both("meet.wait(); 1/0", "meet.wait(); 'good'")
    assert (bad.content["status"], good.content["status"]) == ("error", "ok")


def test_payloads_go_with_their_cell(both):
    code = "meet.wait(); get_ipython().set_next_input({!r}); meet.wait()"
    cells = both(code.format("one"), code.format("two"))
    assert [[one["text"] for one in cell.content["payload"]] for cell in cells] == [
        ["one"],
        ["two"],
    ]


def test_questions_of_two_cells_get_their_own_answers(client: Client, subshell: str, other: str):
    cells = [
        client.start(f"meet.wait(); input('{name}')", allow_stdin=True, **on(shell))
        for name, shell in (("a", subshell), ("b", other))
    ]
    client.until(lambda: any(cell.stdin for cell in cells), "a question")
    for _ in cells:
        client.until(lambda: any(len(c.stdin) > c.answers for c in cells), "a question")
        (asked,) = [cell for cell in cells if len(cell.stdin) > cell.answers]
        client.answer(asked, "to " + asked.stdin[0]["content"]["prompt"])
    assert [client.finish(cell).result for cell in cells] == ["'to a'", "'to b'"]


def test_who_may_ask_is_said_by_each_request(client: Client, subshell: str, other: str):
    asks = client.start("input('may')", allow_stdin=True, **on(subshell))
    client.until(lambda: asks.stdin, "the question", asks)
    assert client.execute("input()", **on(other)).content["ename"] == "StdinNotImplementedError"
    client.answer(asks, "yes")
    assert client.finish(asks).result == "'yes'"


def test_a_comm_answers_in_its_subshell(client: Client, subshell: str):
    client.run(
        "import comm\n"
        "def target(channel, message):\n"
        "    channel.on_msg(lambda m: channel.send({'echo': m['content']['data']}))\n"
        "comm.get_comm_manager().register_target('beside', target)"
    )
    client.run("", **on(subshell))
    opened = client.send("comm_open", {"comm_id": "b", "target_name": "beside", "data": {}})
    client.until(lambda: opened.state == "idle", "idle", opened)
    main = client.start("input()", allow_stdin=True)
    client.until(lambda: main.stdin, "the main cell", main)
    sent = client.send("comm_msg", {"comm_id": "b", "data": {"n": 1}}, **on(subshell))
    client.until(lambda: sent.state == "idle", "idle", sent)
    assert sent.one("comm_msg")["data"] == {"echo": {"n": 1}}
    (answer,) = [m for m in sent.iopub if m["msg_type"] == "comm_msg"]
    assert answer["parent_header"]["subshell_id"] == subshell
    client.answer(main, "")
    client.finish(main)


ASK = """
import asyncio, threading
reply, own = asyncio.get_running_loop().create_future(), threading.get_ident()
def answered(message):
    reply.set_result((message["content"]["data"]["content"]["value"], threading.get_ident() == own))
asking.on_msg(answered)
asking.send({"method": "custom", "content": {"id": "question", "operation": "get"}})
await asyncio.wait_for(reply, 60)
"""


def test_an_answer_on_a_comm_is_for_the_cell_that_asked(client: Client, subshell: str):
    """A front end has it sent to the subshell in which the comm was made."""
    client.run("import comm\nasking = comm.create_comm(target_name='any')", **on(subshell))
    comm_id = client.value("asking.comm_id").strip("'")
    cell = client.start(ASK)
    client.until(lambda: cell.all("comm_msg"), "the question", cell)
    data = {"method": "custom", "content": {"id": "question", "value": 42}}
    client.send("comm_msg", {"comm_id": comm_id, "data": data}, **on(subshell))
    assert client.finish(cell).result == "(42, True)"
