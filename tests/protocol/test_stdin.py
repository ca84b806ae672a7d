"""input_request: questions to the one who runs the cell."""

from support.client import Client


def test_input(client: Client):
    cell = client.start("name = input('Who? ')\nprint('hello', name)", allow_stdin=True)
    question = client.answer(cell, "Żaneta")
    assert question["msg_type"] == "input_request"
    assert question["content"] == {"prompt": "Who? ", "password": False}
    assert client.finish(cell).content["status"] == "ok"
    assert cell.text() == "hello Żaneta\n"


def test_password(client: Client):
    code = "import getpass\nsecret = getpass.getpass('Key: ')\nlen(secret)"
    cell = client.start(code, allow_stdin=True)
    question = client.answer(cell, "12345")
    assert question["content"] == {"prompt": "Key: ", "password": True}
    assert client.finish(cell).result == "5"


def test_several_questions(client: Client):
    cell = client.start("print([input(str(i)) for i in range(3)])", allow_stdin=True)
    prompts = [client.answer(cell, value)["content"]["prompt"] for value in "abc"]
    assert prompts == ["0", "1", "2"]
    assert client.finish(cell).text() == "['a', 'b', 'c']\n"


def test_output_before_the_question_is_flushed(client: Client):
    cell = client.start("print('please')\ninput()", allow_stdin=True)
    client.until(lambda: cell.stdin and cell.text(), "question and text", cell)
    assert cell.text() == "please\n"
    client.answer(cell, "x")
    client.finish(cell)


def test_the_asker_gets_the_question(kernel):
    """With two front ends the one whose cell asks is asked."""
    asker, other = kernel.connect(), kernel.connect()
    cell = asker.start("input('mine')", allow_stdin=True)
    assert asker.answer(cell, "yes")["content"]["prompt"] == "mine"
    assert asker.finish(cell).result == "'yes'"
    other.drain()
    assert not any(m["channel"] == "stdin" for m in other.record)


def test_input_is_refused_where_it_is_not_allowed(client: Client):
    done = client.execute("input()", allow_stdin=False)
    assert done.content["ename"] == "StdinNotImplementedError"
    assert done.stdin == []


def test_a_stale_answer_is_not_taken_for_the_next_question(client: Client):
    client.send("input_reply", {"value": "stale", "status": "ok"}, "stdin")
    client.drain()
    cell = client.start("input('fresh? ')", allow_stdin=True)
    client.answer(cell, "fresh")
    assert client.finish(cell).result == "'fresh'"


def test_sys_stdin_is_empty(client: Client):
    """Reading the standard input directly ends at once: it is not the terminal of the kernel."""
    assert client.run("import os; os.read(0, 1)").result == "b''"
