"""The suite and its kernels live in folders of their own: the user's are neither read nor written."""

import ast
import os
import pwd
from pathlib import Path

from support.client import Client

NAMES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
)


def test_no_folder_is_the_users(client: Client, kernel):
    users = Path(pwd.getpwuid(os.getuid()).pw_dir)
    seen = client.value(f"[__import__('os').environ.get(name) for name in {NAMES}]")
    for places in (ast.literal_eval(seen), [os.environ.get(name) for name in NAMES]):
        for name, place in zip(NAMES, places, strict=True):
            assert place, name
            assert not Path(place).is_relative_to(users), (name, place)
    assert (
        client.value("__import__('IPython').paths.get_ipython_dir()")
        .strip("'")
        .startswith(str(kernel.directory))
    )
