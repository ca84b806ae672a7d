"""JupyterLab in a headless browser, used as a person uses it: by menus, keys and what is seen."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from support.patience import PATIENCE, wait_until
from support.process import environment

TOKEN = "for-this-test-only"
CHROMIUM = "/usr/bin/chromium"


class Server:
    """A Jupyter server for one directory; `with` ends it and its kernels."""

    def __init__(self, root: Path):
        self.root = root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Server:
        options = {
            "--ServerApp.port": self.port,
            "--ServerApp.port_retries": 0,
            "--ServerApp.root_dir": self.root,
            "--IdentityProvider.token": TOKEN,
            "--LabApp.news_url": "None",
            "--LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        }
        env = environment(self.root) | {"JUPYTER_CONFIG_DIR": str(self.root / "config")}
        env["JUPYTERLAB_WORKSPACES_DIR"] = str(self.root / "workspaces")
        env["JUPYTERLAB_SETTINGS_DIR"] = str(self.root / "settings")
        self.log = open(self.root / "server.log", "wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
            + [f"{name}={value}" for name, value in options.items()],
            env=env,
            cwd=self.root,
            stdout=self.log,
            stderr=self.log,
        )
        wait_until(self.listening, "the server listens")
        return self

    def listening(self) -> bool:
        assert self.process.poll() is None, (self.root / "server.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()

    def kernel_is_idle(self) -> bool:
        """One kernel, with the page connected, that has said that it is idle."""
        states = [(k["execution_state"], k["connections"] > 0) for k in self.kernels() or ()]
        return states == [("idle", True)]

    def end_kernels(self) -> None:
        """So that the next window on this server finds its own kernel only."""
        for kernel in self.kernels() or ():
            self.ask(f"kernels/{kernel['id']}", "DELETE")

    def kernels(self) -> list[dict] | None:
        """What the server says of its kernels; nothing in the midst of a restart."""
        try:
            return json.loads(self.ask("kernels", "GET"))
        except urllib.error.HTTPError:
            return None

    def ask(self, path: str, method: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}/api/{path}?token={TOKEN}"
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    def url(self, notebook: str, app: str = "lab/tree") -> str:
        return f"http://127.0.0.1:{self.port}/{app}/{notebook}?token={TOKEN}&reset"


class Lab:
    """One browser window on one notebook, in JupyterLab or with the app `notebooks` in Notebook 7.

    `before` is told of the page before it is loaded.
    """

    def __init__(
        self,
        server: Server,
        notebook: str,
        *,
        app: str = "lab/tree",
        before: Callable[[Page], None] = lambda page: None,
    ):
        self.server, self.notebook, self.app, self.before = server, notebook, app, before

    def __enter__(self) -> Lab:
        self.driver = sync_playwright().start()
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        self.browser = self.driver.chromium.launch(
            executable_path=os.environ.get("DIAPHANE_TEST_CHROMIUM", CHROMIUM), args=arguments
        )
        self.page: Page = self.browser.new_page(viewport={"width": 1400, "height": 1800})
        self.page.set_default_timeout(PATIENCE * 1000)
        self.before(self.page)
        self.page.goto(self.server.url(self.notebook, self.app))
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.idle()
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()
        self.driver.stop()

    def menu(self, *path: str) -> None:
        """Choose an entry of the menus; `…` at its end may be left out."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{path[0]}$")).click()
        for name in path[1:]:
            entry = re.compile(f"^{re.escape(name)}…?$")
            self.page.locator(".lm-Menu-itemLabel", has_text=entry).last.click()

    def accept(self, button: str) -> None:
        """Press a button of the dialog."""
        self.page.locator(".jp-Dialog-buttonLabel", has_text=re.compile(f"^{button}$")).click()

    def idle(self) -> None:
        """Wait until the kernel is connected and idle, on the server and on the page.

        The page alone is not to be believed: it says idle also before a kernel has answered.
        """
        wait_until(self.server.kernel_is_idle, "the kernel is idle")
        self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def prompt(self, index: int, expected: str) -> None:
        """Wait for the prompt of a code cell, such as `[3]:` or `[*]:`."""
        text = re.compile(re.escape(expected))
        self.cell(index).locator(".jp-InputPrompt", has_text=text).wait_for()

    def output(self, index: int) -> Locator:
        return self.cell(index).locator(".jp-OutputArea-output")

    def theme(self, name: str) -> None:
        self.menu("Settings", "Theme", name)
        dark = "false" if "Dark" in name else "true"
        # A splash covers the page until the styles have been changed.
        self.page.locator(f'body[data-jp-theme-light="{dark}"]').wait_for(state="attached")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))
