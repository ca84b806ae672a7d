"""Inside a Python that was attached to: questions from outside are answered from here on.

It needs no IPython, since nobody types magics here.
"""

import sys

from . import _diaphane

_kept = []


def begin():
    """Begins to listen, and to note who starts threads; once."""
    if _kept:
        return
    _diaphane.set_namespace(sys.modules["__main__"].__dict__)
    # As a cell does: what is known of this Python's structures is compared with what its interface says.
    _diaphane.CellScope(None).close()
    _diaphane.note_imports()
    _kept.append(_diaphane.open_socket())
    try:
        _kept.append(_diaphane.stand_in())
    except OSError as error:
        # All else can be asked.
        print(f"diaphane: who starts threads will not be known: {error}", file=sys.stderr)


def end():
    """Puts all back."""
    while _kept:
        one = _kept.pop()
        (one.undo if hasattr(one, "undo") else one.close)()
