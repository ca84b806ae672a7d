"""The exceptions of Rust cells. They show themselves, since a Python traceback says nothing about them."""


class RustError(RuntimeError):
    """A Rust cell ended with an error, by `?`."""

    report = ""

    def _render_traceback_(self, *_):
        return self.report.splitlines()


class RustPanic(RustError):
    """A Rust cell panicked."""


class RustCompileError(RustError):
    """A Rust cell could not be compiled."""


class RustCrash(RustError):
    """A Rust cell was stopped by a signal: a fault, an abort, or a second interrupt."""


class RustExit(RustError):
    """A Rust cell left the process of its own, by `exit`, before its end."""
