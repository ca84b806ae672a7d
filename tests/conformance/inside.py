"""Run pytest in a cell of the kernel named `python3`; its arguments come as a JSON list."""

import json
import sys

from jupyter_client.manager import start_new_kernel

arguments = json.loads(sys.argv[1])
manager, client = start_new_kernel(kernel_name="python3")
try:
    reply = client.execute_interactive(
        f"import pytest; int(pytest.main({arguments!r}))", timeout=600
    )
    assert reply["content"]["status"] == "ok", reply["content"]
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
