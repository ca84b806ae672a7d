"""What the kernel says about its magics: the text behind `%name?`, asked from the kernel that is installed."""

from __future__ import annotations

import json
import sys

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import start_new_kernel

QUESTION = """
import json; from diaphane import _diaphane
print(json.dumps([(name, kind, _diaphane.magic_help(name)) for name, kind, _ in _diaphane.magic_list()]))
"""


def helps() -> dict[str, tuple[str, str]]:
    """For each magic how it is written, with its percent signs, and its help."""
    printed = []

    def hear(message: dict) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    try:
        manager, client = start_new_kernel(kernel_name="diaphane", startup_timeout=60)
    except NoSuchKernel:
        sys.exit("Jupyter finds no kernel diaphane: install it by ./install.sh, or set JUPYTER_PATH to where it is")
    try:
        reply = client.execute_interactive(QUESTION, timeout=60, output_hook=hear)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply["content"]
    listed = json.loads("".join(printed))
    return {name: (("%%" if kind == "cell" else "%") + name, text) for name, kind, text in listed}
