"""ipywidgets and tqdm: their comms carry state both ways, and callbacks print into Output widgets."""

from support.client import Client


def models(exchange) -> dict[str, dict]:
    """The widgets opened by a cell: their states by the name of their model."""
    opened = exchange.all("comm_open")
    return {
        c["data"]["state"]["_model_name"]: c["data"]["state"] | {"id": c["comm_id"]} for c in opened
    }


def update(client: Client, comm_id: str, **state):
    """Change the state of a widget as a front end does."""
    data = {"method": "update", "state": state, "buffer_paths": []}
    sent = client.send("comm_msg", {"comm_id": comm_id, "data": data})
    client.until(lambda: sent.state == "idle", "idle", sent)
    return sent


def test_slider(client: Client):
    done = client.run("import ipywidgets as w\ns = w.IntSlider(3, 0, 10)\ns")
    slider = models(done)["IntSliderModel"]
    assert (slider["value"], slider["max"]) == (3, 10)
    view = done.one("execute_result")["data"]["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == slider["id"]
    update(client, slider["id"], value=7)
    assert client.value("s.value") == "7"


def test_change_in_the_kernel_is_sent(client: Client):
    done = client.run("import ipywidgets as w\ns = w.IntSlider(3)")
    comm_id = models(done)["IntSliderModel"]["id"]
    changed = client.run("s.value = 9").one("comm_msg")
    assert changed["comm_id"] == comm_id
    assert changed["data"]["method"] == "update"
    assert changed["data"]["state"] == {"value": 9}


def test_link_in_the_kernel(client: Client):
    done = client.run(
        "import ipywidgets as w\na, b = w.IntText(1), w.FloatText(2)\nl = w.link((a, 'value'), (b, 'value'))"
    )
    update(client, models(done)["IntTextModel"]["id"], value=5)
    assert client.value("b.value") == "5.0"


def test_observers_print_under_the_message(client: Client):
    done = client.run(
        "import ipywidgets as w\ns = w.IntSlider()\ns.observe(lambda c: print('now', c.new), 'value')"
    )
    sent = update(client, models(done)["IntSliderModel"]["id"], value=4)
    assert sent.text() == "now 4\n"


def test_output_widget_captures(client: Client):
    code = "import ipywidgets as w\nout = w.Output()\nwith out:\n    print('inside')\n    display('shown')\nprint('outside')"
    done = client.run(code)
    assert "OutputModel" in models(done)
    states = [m["data"]["state"] for m in done.all("comm_msg") if "state" in m["data"]]
    ids = [s["msg_id"] for s in states if "msg_id" in s]
    # The front end puts what has this parent into the widget, and stops at the empty one.
    assert ids == [done.id, ""]
    assert "outside\n" in done.text()


def test_output_widget_error(client: Client):
    code = "import ipywidgets as w\nout = w.Output()\nwith out:\n    1 / 0\nprint('went on')"
    done = client.run(code)
    assert done.text() == "went on\n"
    assert done.one("error")["ename"] == "ZeroDivisionError"


def test_output_widget_with_a_thread(client: Client):
    code = """
import ipywidgets as w, threading
out = w.Output()
def work(): out.append_stdout('from a thread')
t = threading.Thread(target=work); t.start(); t.join()
out.outputs
"""
    assert "from a thread" in client.run(code).result


def test_interact(client: Client):
    done = client.run("import ipywidgets as w\nw.interact(lambda x: print('x is', x), x=(0, 10));")
    opened = models(done)
    assert "VBoxModel" in opened
    assert "x is 5" in done.text()
    sent = update(client, opened["IntSliderModel"]["id"], value=8)
    assert "x is 8" in sent.text()


def test_button(client: Client):
    done = client.run(
        "import ipywidgets as w\nb = w.Button(description='Go')\nb.on_click(lambda b: print('clicked'))"
    )
    comm_id = models(done)["ButtonModel"]["id"]
    data = {"method": "custom", "content": {"event": "click"}}
    sent = client.send("comm_msg", {"comm_id": comm_id, "data": data})
    client.until(lambda: sent.state == "idle", "idle", sent)
    assert sent.text() == "clicked\n"


def test_binary_state(client: Client):
    done = client.run("import ipywidgets as w\ni = w.Image(value=b'\\x00\\x01png', format='png')")
    message = next(m for m in done.iopub if m["msg_type"] == "comm_open" and m["buffers"])
    assert message["content"]["data"]["buffer_paths"] == [["value"]]
    assert bytes(message["buffers"][0]) == b"\x00\x01png"


def test_state_of_all_widgets(client: Client):
    """A reloaded page asks the control comm for everything at once."""
    client.run("import ipywidgets as w\nkept = w.IntSlider(6)")
    content = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}
    opened = client.send("comm_open", content, metadata={"version": "1.0.0"})
    client.until(lambda: opened.state == "idle", "idle", opened)
    sent = client.send("comm_msg", {"comm_id": "control", "data": {"method": "request_states"}})
    client.until(lambda: sent.state == "idle", "idle", sent)
    states = sent.one("comm_msg")["data"]["states"].values()
    assert 6 in [s["state"].get("value") for s in states]


def test_closing(client: Client):
    done = client.run("import ipywidgets as w\nb = w.Button()")
    closed = client.run("b.close()").one("comm_close")
    assert closed["comm_id"] == models(done)["ButtonModel"]["id"]


def test_tqdm_notebook(client: Client):
    done = client.run("from tqdm.notebook import tqdm\nfor i in tqdm(range(3)): pass")
    opened = models(done)
    assert opened["FloatProgressModel"]["max"] == 3
    assert "HBoxModel" in opened
    shown = done.all("display_data")[0]["data"]
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_tqdm_chooses_the_widget(client: Client):
    """tqdm.auto looks at the kernel before it decides how to draw."""
    done = client.run("from tqdm.auto import tqdm\nfor i in tqdm(range(3)): pass")
    assert "FloatProgressModel" in models(done)


def test_tqdm_as_text(client: Client):
    done = client.run("from tqdm import tqdm\nfor i in tqdm(range(3)): pass")
    assert "3/3" in done.text("stderr")
