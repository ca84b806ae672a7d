"""`%load_ext diaphane` in diaphane's own kernel, where the magics are there already."""


def test_it_says_so_and_changes_nothing(client):
    client.run("before = get_ipython()._showtraceback")
    assert "there already" in client.run("%load_ext diaphane").text()
    assert client.value("get_ipython()._showtraceback == before") == "True"
    assert "MainThread" in client.run("%threads").result
    client.run("%unload_ext diaphane")
    assert "MainThread" in client.run("%threads").result
