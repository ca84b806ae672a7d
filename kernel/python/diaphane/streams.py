"""`sys.stdout` and `sys.stderr`: the writing is done in Rust (`_diaphane.Stream`), the rest of a stream is here."""

import io
from os import getpid

from . import parents
from ._diaphane import Stream


class OutStream(Stream):
    """A text stream whose text goes to the cell that the writing code runs for."""

    encoding = "UTF-8"
    errors = "replace"
    newlines = None
    mode = "w"
    line_buffering = False
    write_through = True
    closed = False

    def __new__(cls, native, name):
        return super().__new__(cls, native, name)

    def __init__(self, native, name):
        self.name = f"<{name}>"
        self.buffer = Buffer(self)
        self._native = native
        self._fd = 1 if name == "stdout" else 2
        self._pid = getpid()

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def fileno(self):
        """The descriptor behind the stream: what is written there appears under the cell too."""
        return self._fd

    def isatty(self):
        return False

    def readable(self):
        return False

    def writable(self):
        return True

    def seekable(self):
        return False

    def reconfigure(self, **_options):
        """Accepted for programs that ask for UTF-8: it is UTF-8 already."""

    def close(self):
        """A kernel's streams stay open: the next cell needs them."""
        self.flush()

    def _unsupported(self, *_arguments):
        raise io.UnsupportedOperation("not supported by a kernel's output stream")

    read = readline = readlines = seek = tell = truncate = detach = _unsupported

    @property
    def parent_header(self):
        parent = self._native.current()
        return parent.message()["header"] if parent else {}

    def set_parent(self, parent):
        """Pins all output of the calling thread or task, not this stream's alone."""
        parents.pin(self._native, parent)

    def _is_master_process(self):
        return getpid() == self._pid

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.flush()

    def __repr__(self):
        return f"<diaphane.streams.OutStream name={self.name!r} encoding='UTF-8'>"


class Buffer(io.RawIOBase):
    """The bytes below a stream: what is written here is text in UTF-8."""

    def __init__(self, stream):
        self._stream = stream
        self.name = stream.name
        self.mode = "wb"

    def write(self, data):
        return self._stream.write_bytes(bytes(data))

    def flush(self):
        self._stream.flush()

    def close(self):
        self.flush()

    def writable(self):
        return True

    def fileno(self):
        return self._stream.fileno()


# click and others look at the name of the module.
OutStream.__module__ = "ipykernel.iostream"
# Programs that ask `isinstance(sys.stdout, io.TextIOBase)` mean: is this a text stream?
io.TextIOBase.register(OutStream)
