"""execute_request: the message sequence of every outcome and every option."""

import pytest

from support.client import Client
from support.text import plain


def test_nothing_to_show(client: Client):
    done = client.run("x = 1")
    assert done.trace == ["busy", "execute_input", "idle"]
    assert done.one("execute_input")["code"] == "x = 1"
    assert done.content["payload"] == []
    assert done.content["user_expressions"] == {}


def test_result(client: Client):
    done = client.run("6 * 7")
    assert done.trace == ["busy", "execute_input", "execute_result", "idle"]
    result = done.one("execute_result")
    assert result["data"] == {"text/plain": "42"}
    assert result["metadata"] == {}
    counts = {result["execution_count"], done.one("execute_input")["execution_count"]}
    assert counts == {done.content["execution_count"]}


@pytest.mark.diaphane
def test_streams_are_merged_and_come_in_order(client: Client):
    done = client.run("import sys\nprint(1)\nprint(2)\nprint(3, file=sys.stderr)\nprint(4)")
    assert done.trace == ["busy", "execute_input", "stdout", "stderr", "stdout", "idle"]
    assert [c["text"] for c in done.all("stream")] == ["1\n2\n", "3\n", "4\n"]


def test_output_of_every_kind_keeps_its_order(client: Client):
    done = client.run("print('before')\ndisplay('shown')\nprint('after')\n'result'")
    expected = ["stdout", "display_data", "stdout", "execute_result"]
    assert done.trace == ["busy", "execute_input", *expected, "idle"]


def test_error(client: Client):
    done = client.execute("def f():\n    1 / 0\nprint('so far')\nf()")
    assert done.trace == ["busy", "execute_input", "stdout", "error", "idle"]
    assert done.content["status"] == "error"
    error = done.one("error")
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    for key in error:
        assert done.content[key] == error[key]
    text = plain("\n".join(error["traceback"]))
    assert "ZeroDivisionError: division by zero" in text
    assert "----> 2     1 / 0" in text
    assert "----> 4 f()" in text
    assert isinstance(done.content["execution_count"], int)


def test_syntax_error(client: Client):
    done = client.execute("for")
    assert done.trace == ["busy", "execute_input", "error", "idle"]
    assert done.content["ename"] == "SyntaxError"


def test_chained_error_shows_both(client: Client):
    done = client.execute("try:\n    1/0\nexcept Exception as e:\n    raise KeyError('k') from e")
    text = plain("\n".join(done.content["traceback"]))
    assert done.content["ename"] == "KeyError"
    assert "ZeroDivisionError" in text
    assert "direct cause" in text


def test_reply_metadata(client: Client):
    """jupyter_client and front ends read these three; `engine` is the session of the kernel."""
    metadata = client.run("pass").reply["metadata"]
    assert metadata["status"] == "ok"
    assert metadata["dependencies_met"] is True
    assert isinstance(metadata["engine"], str)
    assert "T" in str(metadata["started"]).replace(" ", "T")


def test_count_rises_by_one(client: Client):
    first = client.run("pass").content["execution_count"]
    assert client.run("pass").content["execution_count"] == first + 1
    assert client.execute("1/0").content["execution_count"] == first + 2
    assert client.run("pass").content["execution_count"] == first + 3


def test_silent(client: Client):
    before = client.run("pass").content["execution_count"]
    done = client.run("quiet = 5; print('said'); 42", silent=True)
    assert "execute_input" not in done.trace
    assert "execute_result" not in done.trace
    assert client.value("quiet") == "5"
    assert client.run("pass").content["execution_count"] == before + 1


def test_silent_error_is_in_the_reply(client: Client):
    done = client.execute("1/0", silent=True)
    assert done.content["status"] == "error"
    assert done.content["ename"] == "ZeroDivisionError"


def test_store_history_false(client: Client):
    before = client.run("pass").content["execution_count"]
    done = client.run("print('x'); 'shown'", store_history=False)
    assert done.trace == ["busy", "execute_input", "stdout", "execute_result", "idle"]
    assert done.content["execution_count"] == before
    assert client.run("pass").content["execution_count"] == before + 1


def test_empty_code_counts_nothing(client: Client):
    before = client.run("pass").content["execution_count"]
    for code in ("", "   \n"):
        done = client.run(code)
        assert done.trace == ["busy", "execute_input", "idle"]
    assert client.run("pass").content["execution_count"] == before + 1


def test_user_expressions(client: Client):
    wanted = {"sum": "1 + 1", "bad": "1 / 0", "rich": "__import__('IPython').display.HTML('<b>x')"}
    answers = client.run("pass", user_expressions=wanted).content["user_expressions"]
    assert answers["sum"] == {"status": "ok", "data": {"text/plain": "2"}, "metadata": {}}
    assert answers["bad"]["status"] == "error"
    assert answers["bad"]["ename"] == "ZeroDivisionError"
    assert answers["rich"]["data"]["text/html"] == "<b>x"


def test_user_expressions_are_not_evaluated_after_an_error(client: Client):
    done = client.execute("1/0", user_expressions={"x": "1 + 1"})
    assert done.content["user_expressions"] == {}


def test_absent_options_have_the_defaults_of_the_protocol(client: Client):
    done = client.request("execute_request", {"code": "2 + 2"})
    assert done.trace == ["busy", "execute_input", "execute_result", "idle"]
    assert done.content["user_expressions"] == {}


def test_history_variables(client: Client):
    client.run("11 * 11")
    assert client.run("_").result == "121"
    count = client.run("'kept'").content["execution_count"]
    assert (
        client.run(f"_{count}, Out[{count}], In[{count}]").result == "('kept', 'kept', \"'kept'\")"
    )


def test_semicolon_hides_the_result(client: Client):
    assert client.run("42;").trace == ["busy", "execute_input", "idle"]


def test_last_expr_only(client: Client):
    assert client.run("1\n2\n3").result == "3"


def test_unicode(client: Client):
    done = client.run("名 = 'żółć 🎈'\nprint(名)\n名")
    assert done.text() == "żółć 🎈\n"
    assert done.result == "'żółć 🎈'"


@pytest.mark.diaphane
def test_lone_surrogates_do_no_harm(client: Client):
    client.execute("print('\\ud800')")
    assert client.run("1 + 1").result == "2"


def test_namespace_is_that_of_main(client: Client):
    assert client.run("__name__").result == "'__main__'"
    client.run("import sys, __main__\nmarker = object()")
    assert client.run("__main__.marker is marker").result == "True"


def test_executions_are_answered_in_order(client: Client):
    sent = [client.start(f"print({i})") for i in range(50)]
    for exchange in sent:
        client.finish(exchange)
    replies = [m for m in client.record if m["msg_type"] == "execute_reply"]
    assert [m["parent_header"]["msg_id"] for m in replies] == [x.id for x in sent]
    assert [x.text() for x in sent] == [f"{i}\n" for i in range(50)]


def test_every_message_of_a_cell_lies_between_busy_and_idle(client: Client):
    client.run("for i in range(200): print(i, flush=True)\nraise_later = 1")
    client.drain()
    states = [
        m["content"].get("execution_state") for m in client.record if m["msg_type"] == "status"
    ]
    assert states == ["busy", "idle"] * (len(states) // 2)
