"""For pytest: what is remarkable in the test process, and blocks that must not copy, start a thread, or load a library.

Loaded by `-p diaphane.pytest_plugin` where no entry point has done it. Nothing of the process is changed before a test
or the option asks.
"""

import pytest


def pytest_addoption(parser):
    group = parser.getgroup("diaphane")
    group.addoption(
        "--diaphane-doctor",
        action="store_true",
        help="at the end, tell what is remarkable in the native side of the test process",
    )


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--diaphane-doctor"):
        return
    import diaphane

    terminalreporter.section("diaphane")
    terminalreporter.write_line(repr(diaphane.native_doctor()))


@pytest.fixture
def no_copy():
    """`with no_copy(a, b):` fails where NumPy allocates as much memory at once as the smallest of these arrays has.

    `with no_copy(min="1MB"):` fails at buffers of that size. It sees what NumPy allocates in the test's thread.
    """
    return _no_copy


@pytest.fixture
def no_new_thread():
    """`with no_new_thread():` fails where a thread is started, native or of Python, even if it has ended."""
    return _no_new_thread


@pytest.fixture
def no_new_library():
    """`with no_new_library():` fails where a native library is loaded."""
    return _no_new_library


class Checked:
    """A block that is recorded, and judged at its end, unless it has failed by itself."""

    # Not by `contextlib`, whose frame would stand between the recording and the test.
    def __init__(self, recording, judge):
        self._recording, self._judge = recording, judge

    def __enter__(self):
        self._report = self._recording.__enter__()
        return self._report

    def __exit__(self, kind, error, behind):
        __tracebackhide__ = True
        self._recording.__exit__(kind, error, behind)
        if error is not None:
            return
        if not self._report.facts:
            # What could not be seen proves nothing.
            pytest.fail("diaphane could not look: " + "; ".join(self._report.limits), pytrace=False)
        self._judge(self._report)


def _no_copy(*arrays, min=None):
    import diaphane

    if bool(arrays) == (min is not None):
        raise TypeError(
            "no_copy takes the arrays that must not be copied, or min, the size of what must not be allocated"
        )
    least = _smallest(arrays) if arrays else min

    def judge(report):
        __tracebackhide__ = True
        # Smaller ones are in no row.
        if report.rows:
            count = sum(row["count"] for row in report.rows)
            what = "buffer" if count == 1 else "buffers"
            size = f"{least} bytes" if isinstance(least, int) else least
            _fail(f"{count} {what} of {size} or more allocated", map(_allocated, report.rows))

    return Checked(diaphane.buffer_trace(min=least), judge)


def _no_new_thread():
    import diaphane

    def judge(report):
        __tracebackhide__ = True
        lines = [_started(row) for row in report.rows if row["is_new"]]
        gone = report.facts["unseen"]
        if lines or gone:
            count = len(lines) + gone
            lines += [f"{gone} that had ended before anybody could look"] if gone else []
            _fail(f"{count} {'thread' if count == 1 else 'threads'} started", lines)

    return Checked(diaphane.threads.record(), judge)


def _no_new_library():
    import diaphane

    def judge(report):
        __tracebackhide__ = True
        if report.rows:
            count = len(report.rows)
            _fail(f"{count} {'library' if count == 1 else 'libraries'} loaded", map(_loaded, report.rows))

    return Checked(diaphane.trace_loads(), judge)


def _smallest(arrays):
    sizes = [getattr(array, "nbytes", None) for array in arrays]
    if None in sizes:
        raise TypeError("no_copy takes arrays, which have nbytes")
    return min(sizes)


def _fail(head, lines):
    __tracebackhide__ = True
    raise AssertionError("\n".join([head, *(f"  {line}" for line in lines)]))


def _allocated(row):
    parts = [f"{row['nbytes']} bytes"]
    if row["count"] > 1:
        parts.append(f"{row['count']} times")
    parts += [f"at {row['place']}: {row['source']}"] if row["place"] else []
    parts += [f"through {row['through']}"] if row["through"] else []
    parts.append(f"kept by {row['kept_by']}" if row["kept_by"] else row["state"])
    return ", ".join(parts)


def _started(row):
    pool = f" of {row['pool']}" if row["pool"] else ""
    return f"{row['name']} ({row['kind']}{pool}, thread {row['tid']})"


def _loaded(row):
    parts = [row["name"], row["requester"], row["line"] and f"at {row['line']}", row["path"]]
    return ", ".join(part for part in parts if part)
