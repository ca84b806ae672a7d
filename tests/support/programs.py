"""Programs that a test runs to their end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def start(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A program that has ended, with what it has said."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    return subprocess.run(
        words, capture_output=True, text=True, timeout=100, cwd=cwd, env=env, check=False
    )
