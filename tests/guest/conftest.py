"""Hosts of somebody else's, whose Python has diaphane among its packages."""

import json

import pytest

from support import door
from support.process import Kernel


def pytest_collection_modifyitems(items):
    for item in items:
        if "/guest/" in str(item.path):
            item.add_marker(pytest.mark.door("hosted"))


@pytest.fixture(scope="module")
def ipykernel(tmp_path_factory):
    """An ipykernel of the Python under test."""
    folder = tmp_path_factory.mktemp("host")
    spec = folder / "kernels" / "host"
    spec.mkdir(parents=True)
    argv = [door.python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "host", "language": "python"})
    (spec / "kernel.json").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        kernel = Kernel(folder / "kernel", name="host")
    yield kernel
    kernel.close()


@pytest.fixture
def host(ipykernel):
    """A front end on that kernel, in which diaphane is a guest until the test ends."""
    client = ipykernel.connect()
    assert client.run("%load_ext diaphane").text() == ""
    yield client
    client.run("%unload_ext diaphane")
    ipykernel.clients.remove(client)
    client.close()
