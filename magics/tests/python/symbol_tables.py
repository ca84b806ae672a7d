"""What readelf says of the functions in a file: the witness of tests about symbols. All test files can import it."""

import subprocess
from functools import cache


@cache
def listing(path):
    return subprocess.run(["readelf", "-sW", path], capture_output=True, text=True, check=True).stdout


def functions(path, bias):
    """The functions of a file at their addresses here; not parts of others."""
    rows = (line.split() for line in listing(path).splitlines())
    rows = (row for row in rows if len(row) == 8 and row[3] == "FUNC" and row[6] != "UND" and row[2] != "0")
    return {bias + int(row[1], 16) for row in rows if ".cold" not in row[7]}


def has(path, symbol):
    return f" {symbol}\n" in listing(path)


def is_stripped(path):
    """Whether it lists no more than its exports."""
    return "'.symtab'" not in listing(path)
