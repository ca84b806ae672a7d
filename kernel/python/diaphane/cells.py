"""The files of cells: named by a hash of the code, so that a front end can name a cell that has not run yet.

A file is written only where a debugger asks for it; tracebacks take the code from memory.
"""

import os
import stat
import tempfile
from pathlib import Path

from IPython.core.compilerop import CachingCompiler

from ._diaphane import murmur2, name_cell, take_along

HASH_SEED = 0xC70F6907
SUFFIX = ".py"
# `executing`, joblib and numba know the code of a cell by a folder of this name.
FOLDER = Path(tempfile.gettempdir(), f"ipykernel_{os.getpid()}")


def file_name(code):
    """The file of a cell with this code. A front end that has a file for the cell names it by a variable."""
    named = os.environ.get("IPYKERNEL_CELL_NAME")
    return named or f"{FOLDER}{os.sep}{murmur2(code.encode(errors='replace'), HASH_SEED)}{SUFFIX}"


def write(code):
    """Writes the file of a cell, for readers that are no Python. Its name."""
    name = file_name(code)
    if Path(name).parent == FOLDER:
        _make_folder()
    Path(name).write_text(code, encoding="utf-8", errors="replace", newline="")
    return name


def _make_folder():
    """The folder, which goes with the kernel; everybody could have made one of this name before us."""
    try:
        FOLDER.mkdir(mode=0o700)
    except FileExistsError:
        found = FOLDER.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(
                f"{FOLDER} belongs to somebody else: remove it, or set TMPDIR to another folder"
            ) from None
    else:
        take_along(FOLDER)


class CellCompiler(CachingCompiler):
    """Compiles cells under those names."""

    def get_code_name(self, raw_code, transformed_code, number):
        name = file_name(raw_code)
        if isinstance(number, int):
            name_cell(name, number)
        return name
