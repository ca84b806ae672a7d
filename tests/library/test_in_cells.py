"""The functions in a notebook of the kernel, beside the magics."""

from ast import literal_eval


def test_a_cell_asks_and_records(client):
    client.run("import diaphane, numpy as np\na = np.ones(1000)\nb = a[1:]")
    assert literal_eval(client.value("[row['name'] for row in diaphane.buffer_addr(a, b)]")) == [
        "a",
        "b",
    ]
    client.run("with diaphane.native_calls() as calls:\n    len([1])\n    np.dot(a, a)")
    assert "len" in client.value("[row['func'] for row in calls]")
    assert "__exit__" not in client.value("[row['func'] for row in calls]")
    cell = client.run("with diaphane.buffer_trace() as buffers:\n    kept = np.ones(5000)")
    number = cell.content["execution_count"]
    assert literal_eval(client.value("[row['place'] for row in buffers]")) == [f"In[{number}]:2"]
    assert "text/html" in client.run("diaphane.threads()").all("execute_result")[0]["data"]


def test_a_wrong_word_is_one_line(client):
    client.run("import diaphane")
    failed = client.execute("diaphane.threads(stak=True)")
    assert "did you mean 'stack'" in failed.content["evalue"]
