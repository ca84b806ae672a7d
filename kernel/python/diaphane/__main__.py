"""The command line of an installed package: `python -m diaphane kernel -f FILE`, and the command `diaphane`."""

import contextlib
import os
import sys


def leave_out_working_folder():
    """Takes the current folder off the path, where a json.py may lie: IPython puts it behind the standard library."""
    # `-m` has put it first. Where the folder was deleted, nothing lies there.
    with contextlib.suppress(OSError):
        if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
            del sys.path[0]


def main():
    """Runs the command line. The exit code."""
    from . import _diaphane

    return _diaphane.main(sys.argv[1:], sys.executable)


if __name__ == "__main__":
    leave_out_working_folder()
    sys.exit(main())
