"""Interrupts at every moment of a cell's life: each cell is answered as a cell, and an interrupt is never silent."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane

# Raises the signal itself, so that the moment is always the same one.
INTERRUPT = "import signal\ndef interrupt(*_):\n    signal.raise_signal(signal.SIGINT)\n"


def ended(client: Client, code: str, name: str):
    """Run a cell that an interrupt ends somewhere: it has one error, which is told as its reply tells it."""
    done = client.execute(code)
    assert done.content["status"] == "error", done.content
    assert done.content["ename"] == name, done.content
    assert {"execution_count", "user_expressions", "payload"} <= done.content.keys()
    assert done.trace.count("error") == 1, done.trace
    assert done.one("error")["ename"] == name
    assert client.run("1 + 1").result == "2"
    return done


def test_an_interrupt_while_an_error_is_shown(client: Client):
    """The error is what the user wants to see."""
    client.run(
        INTERRUPT + "class Slow(Exception):\n    def __str__(self):\n"
        "        if not hasattr(Slow, 'said'):\n            Slow.said = True\n            interrupt()\n"
        "        return 'slow'"
    )
    done = ended(client, "raise Slow", "Slow")
    assert done.content["evalue"] == "slow"


def test_an_error_that_takes_for_ever_to_be_shown(client: Client):
    """IPython gives its traceback up then; the error is told all the same."""
    client.run(
        "class Hang(Exception):\n    def __str__(self):\n        print('hangs', flush=True)\n"
        "        while not hasattr(Hang, 'over'):\n            pass\n        return 'over'"
    )
    begun = client.start(
        "try:\n    raise Hang\nfinally:\n    import signal\n"
        "    before = signal.getsignal(signal.SIGINT)\n"
        "    def handle(*arguments):\n"
        "        try:\n            before(*arguments)\n"
        "        except KeyboardInterrupt:\n            Hang.over = True\n            raise\n"
        "    signal.signal(signal.SIGINT, handle)"
    )
    client.until(lambda: "hangs" in begun.text(), "the error is shown", begun)
    for _ in range(100):
        client.request("interrupt_request", {}, "control")
        begun.answered or client.pump(100)
        if begun.answered:
            break
    done = client.finish(begun)
    client.execute("signal.signal(signal.SIGINT, before)")
    assert done.content["status"] == "error"
    # Another interrupt that comes behind the first error is an error of its own.
    assert done.trace.count("error") >= 1
    assert client.run("1 + 1").result == "2"


def test_an_interrupt_while_an_interrupt_is_shown(client: Client):
    """IPython shows it from its own code, and again where that was interrupted too."""
    client.run(
        INTERRUPT + "shell = get_ipython()\nshow = shell.showtraceback\ncount = 0\n"
        "def showtraceback(*args, **kwargs):\n"
        "    global count\n    count += 1\n    if count < 3:\n        interrupt()\n    show(*args, **kwargs)"
    )
    client.run("shell.showtraceback = showtraceback")
    done = client.execute("interrupt()")
    assert (done.content["status"], done.content["ename"]) == ("error", "KeyboardInterrupt")
    assert done.trace.count("error") >= 1
    client.run("del shell.showtraceback")
    assert client.run("1 + 1").result == "2"


@pytest.mark.parametrize("event", ["post_execute", "post_run_cell"])
def test_an_interrupt_in_a_hook_behind_the_cell(client: Client, event: str):
    client.run(INTERRUPT)
    client.run(f"get_ipython().events.register('{event}', interrupt)")
    assert client.execute("2 + 2").result == "4"
    client.execute(f"get_ipython().events.unregister('{event}', interrupt)")
    assert client.run("1 + 1").result == "2"


def test_an_interrupt_before_the_code_of_a_cell(launch):
    """The cell is being prepared: the interrupt is for the cell."""
    client = launch().connect()
    client.run(INTERRUPT)
    client.run("def prepare(lines):\n    interrupt()\n    return lines\n")
    client.run("get_ipython().input_transformers_post.append(prepare)")
    begun = client.execute("done = True")
    assert begun.content["ename"] == "KeyboardInterrupt"
    assert begun.trace.count("error") == 1
    assert "diaphane bug" not in str(begun.content)
    begun = client.execute("import asyncio\nawait asyncio.sleep(600)")
    assert begun.content["ename"] == "KeyboardInterrupt"


def test_an_interrupt_of_an_expression_of_the_front_end(client: Client):
    client.run(INTERRUPT)
    begun = client.start("1 + 2", user_expressions={"a": "interrupt()", "b": "7"})
    done = client.finish(begun)
    assert done.content["status"] == "ok"
    assert done.content["user_expressions"]["a"]["ename"] == "KeyboardInterrupt"
    assert client.run("1 + 1").result == "2"


def test_an_interrupt_of_a_completion(client: Client):
    client.run(
        INTERRUPT
        + "class Odd:\n    def __dir__(self):\n        interrupt()\n        return []\nodd = Odd()"
    )
    done = client.request("complete_request", {"code": "odd.", "cursor_pos": 4})
    assert "diaphane bug" not in str(done.content)
    assert client.run("1 + 1").result == "2"


def test_an_interrupt_in_each_step_of_a_cell(client: Client):
    """A trace function interrupts after so many events, each time one later, on the way from IPython to the error."""
    client.run(
        INTERRUPT + "import sys\n"
        "def after(number):\n"
        "    left = number\n"
        "    def trace(frame, event, _):\n"
        "        nonlocal left\n        left -= 1\n"
        "        if left == 0:\n            sys.settrace(None)\n            interrupt()\n"
        "        return trace\n"
        "    frame = sys._getframe().f_back\n"
        "    while frame is not None:\n        frame.f_trace = trace\n        frame = frame.f_back\n"
        "    sys.settrace(trace)\n"
    )
    for number in [*range(1, 60), *range(60, 3000, 97)]:
        done = client.execute(f"after({number})\n1 / 0")
        assert done.content["status"] == "error"
        assert done.content["ename"] in ("ZeroDivisionError", "KeyboardInterrupt"), done.content
        assert done.trace.count("error") >= 1, (number, done.trace)
        assert done.trace[-1] == "idle"
        client.run("sys.settrace(None)")
