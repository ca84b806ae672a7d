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
def start_host(tmp_path_factory):
    """Starts ipykernels of the Python under test."""
    folder = tmp_path_factory.mktemp("host")
    spec = folder / "kernels" / "host"
    spec.mkdir(parents=True)
    argv = [door.python(), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "host", "language": "python"})
    (spec / "kernel.json").write_text(text)
    started = []

    def start_host():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(folder))
            kernel = Kernel(folder / f"kernel-{len(started)}", name="host")
        started.append(kernel)
        return kernel

    yield start_host
    for kernel in started:
        kernel.close()


@pytest.fixture(scope="module")
def ipykernel(start_host):
    """The one that the tests of a file share."""
    return start_host()


@pytest.fixture
def host(ipykernel):
    """A front end on that kernel, in which diaphane is a guest until the test ends."""
    client = ipykernel.connect()
    assert client.run("%load_ext diaphane").text() == ""
    yield client
    client.run("%unload_ext diaphane")
    ipykernel.clients.remove(client)
    client.close()
