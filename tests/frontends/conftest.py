"""A server, and windows on notebooks with the panel "Native"."""

from pathlib import Path

import pytest

from support import process
from support.lab import Lab, Server
from support.native_panel import Panel, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the server finds its notebooks; nobody answers its question whether news are wanted."""
    settings = tmp_path / "settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    return tmp_path


@pytest.fixture
def server(folder: Path):
    with Server(folder) as server:
        yield server


@pytest.fixture
def lab(server: Server):
    """A window on a notebook with these cells, and its panel, which is closed."""

    def open_notebook(
        *cells: str, kernel: str = process.NAME, app: str = "lab/tree"
    ) -> tuple[Lab, Panel]:
        write(server.root, "seen.ipynb", cells, kernel)
        panel = Panel()
        windows.append(Lab(server, "seen.ipynb", app=app, before=panel.listen))
        return windows[-1].__enter__(), panel

    windows: list[Lab] = []
    yield open_notebook
    for window in windows:
        window.__exit__()
