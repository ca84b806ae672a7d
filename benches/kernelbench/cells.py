"""Cells that a measure sends and that the floor kernel knows."""

# It ends in an expression, because xeus-python 0.19 --raw shows no output of a cell that does not.
PRINT_100K = "for i in range(100000): print(i)\nNone"
BIG_LINE = "0123456789abcdef" * 6 + "abc"  # 99 characters, and the newline
BIG_LINES = 500_000  # 50,000,000 characters
PRINT_50MB = f"print(({BIG_LINE!r} + '\\n') * {BIG_LINES}, end='')"


def exec_content(code, silent=False, store_history=True, allow_stdin=False):
    """The content of an execute_request."""
    return {
        "code": code,
        "silent": silent,
        "store_history": store_history,
        "user_expressions": {},
        "allow_stdin": allow_stdin,
        "stop_on_error": False,
    }
