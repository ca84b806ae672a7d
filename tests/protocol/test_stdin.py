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


def test_threads_that_ask_at_once_get_their_own_answers(client: Client):
    code = (
        "import threading\n"
        "said, meet = {}, threading.Barrier(2, timeout=60)\n"
        "def ask(name):\n"
        "    meet.wait()\n"
        "    said[name] = input(name)\n"
        "threads = [threading.Thread(target=ask, args=(name,)) for name in 'ab']\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "sorted(said.items())"
    )
    cell = client.start(code, allow_stdin=True)
    for _ in range(2):
        client.until(lambda: len(cell.stdin) > cell.answers, "a question", cell)
        client.answer(cell, "to " + cell.stdin[-1]["content"]["prompt"])
    assert client.finish(cell).result == "[('a', 'to a'), ('b', 'to b')]"


def test_a_question_that_an_interrupt_left_goes_with_its_cell(client: Client):
    """The thread that asked is told, and the next cell's question gets the next answer."""
    code = (
        "import asyncio, threading\n"
        "ended, why = threading.Event(), []\n"
        "def ask():\n"
        "    try: input('left')\n"
        "    except Exception as error: why.append(type(error).__name__)\n"
        "    ended.set()\n"
        "await asyncio.to_thread(ask)"
    )
    left = client.start(code, allow_stdin=True)
    client.until(lambda: left.stdin, "the question", left)
    client.request("interrupt_request", {}, "control")
    assert client.finish(left).content["ename"] == "KeyboardInterrupt"
    assert client.run("ended.wait(60); why").result == "['StdinNotImplementedError']"
    cell = client.start("input('next')", allow_stdin=True)
    client.until(lambda: cell.stdin, "the question", cell)
    # The user answers what is still on the screen.
    answer = {"value": "late", "status": "ok"}
    client.send("input_reply", answer, "stdin", parent=left.stdin[0])
    client.answer(cell, "mine")
    assert client.finish(cell).result == "'mine'"


def test_a_thread_that_outlives_its_cell_asks_for_the_one_that_runs(client: Client):
    """As its output belongs there, so do its questions."""
    client.run("import threading\ngate, why = threading.Event(), []")
    code = (
        "def ask():\n"
        "    gate.wait()\n"
        "    try: why.append(input('mine? '))\n"
        "    except Exception as error: why.append(str(error))\n"
        "thread = threading.Thread(target=ask); thread.start()"
    )
    client.finish(client.start(code, allow_stdin=True))
    cell = client.start("gate.set(); thread.join(); why", allow_stdin=True)
    assert client.answer(cell, "yes")["content"]["prompt"] == "mine? "
    assert client.finish(cell).result == "['yes']"


def test_a_thread_cannot_ask_while_nothing_runs(client: Client):
    client.run("import threading\ngate, why = threading.Event(), []")
    code = (
        "def ask():\n"
        "    gate.wait()\n"
        "    try: input()\n"
        "    except Exception as error: why.append(str(error))\n"
        "    print('asked', flush=True)\n"
        "thread = threading.Thread(target=ask); thread.start()\n"
        "import asyncio; asyncio.get_event_loop().call_soon(gate.set);"
    )
    cell = client.finish(client.start(code, allow_stdin=True))
    client.until(lambda: "asked" in cell.text(), "the end of the thread", cell)
    assert "has ended" in client.value("why")
    assert cell.stdin == []


def test_sys_stdin_is_empty(client: Client):
    """Reading the standard input directly ends at once: it is not the terminal of the kernel."""
    assert client.run("import os; os.read(0, 1)").result == "b''"
