"""display_data, update_display_data, clear_output: the rich half of a cell's output."""

from support.client import Client


def test_display_data(client: Client):
    done = client.run("from IPython.display import HTML\ndisplay(HTML('<i>x</i>'))")
    assert done.trace == ["busy", "execute_input", "display_data", "idle"]
    shown = done.one("display_data")
    assert shown["data"]["text/html"] == "<i>x</i>"
    assert "text/plain" in shown["data"]
    assert shown["metadata"] == {}


def test_display_id_and_update(client: Client):
    done = client.run("h = display('one', display_id=True)\nh.update('two')\nh.display('three')")
    assert done.trace[2:-1] == ["display_data", "update_display_data", "display_data"]
    first, again = done.all("display_data")
    update = done.one("update_display_data")
    assert update["data"] == {"text/plain": "'two'"}
    ids = {c["transient"]["display_id"] for c in (first, again, update)}
    assert len(ids) == 1


def test_update_from_a_later_cell(client: Client):
    first = client.run("display('old', display_id='chosen')")
    later = client.run(
        "from IPython.display import update_display\nupdate_display('new', display_id='chosen')"
    )
    assert first.one("display_data")["transient"] == {"display_id": "chosen"}
    assert later.one("update_display_data")["transient"] == {"display_id": "chosen"}


def test_metadata(client: Client):
    done = client.run(
        "display({'text/plain': 'p'}, raw=True, metadata={'text/plain': {'isolated': True}})"
    )
    assert done.one("display_data")["data"] == {"text/plain": "p"}
    assert done.one("display_data")["metadata"] == {"text/plain": {"isolated": True}}


def test_mimebundle_of_a_result(client: Client):
    code = """
class Rich:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "p", "application/json": {"a": [1, None]}}, {"application/json": {"expanded": True}}
Rich()
"""
    result = client.run(code).one("execute_result")
    assert result["data"] == {"text/plain": "p", "application/json": {"a": [1, None]}}
    assert result["metadata"] == {"application/json": {"expanded": True}}


def test_bytes_are_base64(client: Client):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
    code = f"import base64\nfrom IPython.display import Image\ndisplay(Image(base64.b64decode({png!r})))"
    data = client.run(code).one("display_data")["data"]
    assert data["image/png"].strip() == png


def test_clear_output(client: Client):
    done = client.run(
        "from IPython.display import clear_output\nprint(1)\nclear_output(wait=True)\nprint(2)\nclear_output()"
    )
    assert done.trace[2:-1] == ["stdout", "clear_output", "stdout", "clear_output"]
    assert done.all("clear_output") == [{"wait": True}, {"wait": False}]


def test_display_kinds(client: Client):
    """One object of each class of IPython.display that needs no file or network."""
    code = """
from IPython.display import *
display(Markdown('*m*'), Latex('$x$'), SVG('<svg xmlns="http://www.w3.org/2000/svg"/>'),
        JSON({'a': 1}), Javascript('1'), Pretty('p'), Math('y'), Code('x = 1'))
"""
    shown = client.run(code).all("display_data")
    mimes = [next(m for m in c["data"] if m != "text/plain" or len(c["data"]) == 1) for c in shown]
    assert mimes == [
        "text/markdown",
        "text/latex",
        "image/svg+xml",
        "application/json",
        "application/javascript",
        "text/plain",
        "text/latex",
        "text/html",
    ]


def test_a_failing_repr_shows_the_error_and_what_is_left(client: Client):
    code = "class Bad:\n    def _repr_html_(self): raise RuntimeError('no html')\nBad()"
    done = client.execute(code)
    assert done.trace == ["busy", "execute_input", "error", "execute_result", "idle"]
    assert done.one("error")["ename"] == "RuntimeError"
    assert "Bad object" in done.result or "Bad at" in done.result


def test_display_from_a_thread(client: Client):
    code = (
        "import threading\nt = threading.Thread(target=display, args=('t',)); t.start(); t.join()"
    )
    assert client.run(code).trace == ["busy", "execute_input", "display_data", "idle"]


def test_publish_display_data(client: Client):
    code = """
from IPython.display import publish_display_data
publish_display_data({"text/plain": "raw"}, {"k": 1}, transient={"display_id": "z"})
"""
    shown = client.run(code).one("display_data")
    assert shown == {
        "data": {"text/plain": "raw"},
        "metadata": {"k": 1},
        "transient": {"display_id": "z"},
    }
