"""Text as a reader sees it."""

import re


def plain(text: str) -> str:
    """Text without its ANSI colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
