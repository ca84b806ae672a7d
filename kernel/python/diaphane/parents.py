"""Output pinned to a request: by default it belongs to the cell whose task prints, a thread's to the cell that runs."""

from .jsonable import dumps


def pin(native, parent):
    """Lets output of the calling thread or task go to a request: a message as a dict, or its header alone.

    Returns the token for `unpin`. An empty dict lets it go to the cell that runs.
    """
    header = parent.get("header", parent)
    if not header:
        return native.parent.set(native.following())
    return native.parent.set(native.pinned(dumps(header), {**parent, "header": header}))


def unpin(native, token):
    """Lets output go where it went before."""
    native.parent.reset(token)
