"""GUI event loops (`%gui qt`, `%matplotlib tk`...): they run while the kernel waits for requests.

IPython has the loops of the toolkits as input hooks for its terminal; a kernel waits for requests as a terminal waits
for keys.
"""

import asyncio
import select

PAUSE = 0.02
"""Seconds between two turns of the toolkit's loop: asyncio's tasks run then."""


def enable(kernel, gui):
    """Starts the loop of a toolkit, or stops the one that runs where `gui` is None.

    Raises ValueError for a toolkit that IPython does not know, or that is not installed.
    """
    if gui in (None, "", "none", "asyncio", "inline"):
        kernel.eventloop = None
        return
    from IPython.core.error import UsageError
    from IPython.terminal.pt_inputhooks import UnknownBackend, get_inputhook_name_and_func

    try:
        _name, hook = get_inputhook_name_and_func(gui)
    except (UnknownBackend, ImportError, UsageError) as error:
        raise ValueError(f"the GUI {gui!r} cannot be used here: {error}") from error
    if kernel.eventloop is hook:
        return
    kernel.eventloop = hook
    asyncio.get_event_loop().call_soon(_turn, kernel, hook)


class Context:
    """What an input hook asks: is there input, and where does it arrive? Here: a request."""

    def __init__(self, fd):
        self._fd = fd

    def fileno(self):
        return self._fd

    def input_is_ready(self):
        return bool(select.select([self._fd], [], [], 0)[0])


def _turn(kernel, hook):
    """Lets the toolkit run until a request comes, then goes on when it was answered."""
    if kernel.eventloop is not hook:
        return
    loop = asyncio.get_event_loop()
    hook(Context(kernel.request_fd))
    loop.call_later(PAUSE, _turn, kernel, hook)
