"""The command line of an installed package: `python -m diaphane kernel -f FILE`, and the command `diaphane`."""

import os
import sys


def main():
    """Runs the command line. The exit code."""
    # `-m` puts the current folder first, where a json.py may lie; IPython puts it behind the standard library again.
    if __name__ == "__main__" and not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
        del sys.path[0]
    from . import _diaphane

    return _diaphane.main(sys.argv[1:], sys.executable)


if __name__ == "__main__":
    sys.exit(main())
