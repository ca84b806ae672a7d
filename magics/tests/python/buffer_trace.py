"""What a cell allocates, against what NumPy says of its arrays and what tracemalloc counts."""

import contextlib
import gc
import io
import threading
import tracemalloc

import numpy as np
from diaphane_native import run_magic

MB = 1_000_000


def trace(cell, **variables):
    variables["np"] = np
    return run_magic("buffer_trace", "", cell, variables), variables


def handler():
    return np._core.multiarray.get_handler_name()


def test_buffers_are_told_by_line_and_fate():
    found, after = trace("\nb = a * 2 + 1\nc = np.zeros(MB // 8)\nd = a[1:]\n", a=np.ones(MB), MB=MB)
    rows = found.rows
    # NumPy may reuse the buffer of a * 2 for the sum.
    states = [(row["line"], row["state"], row["kept_by"]) for row in rows if row["state"] == "kept"]
    assert states == [(2, "kept", "b"), (3, "kept", "c")]
    assert all(row["nbytes"] == 8 * MB for row in rows if row["line"] == 2)
    kept = {row["kept_by"]: row for row in rows if row["kept_by"]}
    assert {name: row["addr"] for name, row in kept.items()} == {
        "b": hex(after["b"].ctypes.data),
        "c": hex(after["c"].ctypes.data),
    }
    assert kept["b"]["source"] == "b = a * 2 + 1" and found.facts["kept_bytes"] == 9 * MB
    assert found.facts["not_copied"] == []


def test_no_copy_can_be_seen():
    found, _ = trace("b = a[::2]\ns = float(b.sum())\na += 1", a=np.ones(MB))
    assert found.facts["largest_bytes"] < 8 * MB and found.facts["not_copied"] == ["a"], found
    assert "a was not copied as a whole: no buffer is as large" in repr(found), found
    found, _ = trace("a = a + 1", a=np.ones(MB))
    assert found.facts["not_copied"] == []


def test_counts_and_peak_are_exact():
    cell = "keep = []\nfor i in range(1000):\n    x = np.empty(1000)\n    if i % 100 == 0:\n        keep.append(x)\n"
    found, after = trace(cell)
    assert (found.facts["allocated"], found.facts["allocated_bytes"]) == (1000, 8 * MB)
    assert found.facts["kept"] == 11 and found.facts["freed"] == 989
    # The one that is being made, the one before, and those in the list.
    assert found.facts["peak_bytes"] == 12 * 8000
    freed = [row for row in found if row["state"] == "freed"]
    assert [(row["line"], row["count"]) for row in freed] == [(3, 989)] and freed[0]["lifetime_ns"] > 0
    names = {row["kept_by"] for row in found if row["kept_by"]}
    assert names == {f"keep[{i}]" for i in range(10)} | {"x"}
    assert {row["addr"] for row in found if row["kept_by"]} == {
        hex(one.ctypes.data) for one in [*after["keep"], after["x"]]
    }


def test_what_a_called_function_allocates_belongs_to_the_line_that_called():
    def inner():
        return np.linspace(0, 1, MB)

    found, _ = trace("x = 1\ny = inner()\n", inner=inner)
    rows = [row for row in found if row["kept_by"] == "y"]
    assert [row["line"] for row in rows] == [2] and rows[0]["source"] == "y = inner()"
    assert rows[0]["through"] == "linspace" and rows[0]["is_view"]


def test_resizing_is_a_new_buffer():
    found, after = trace("x = np.zeros(10)\nx.resize(MB, refcheck=False)\n", MB=MB)
    assert [(row["nbytes"], row["how"], row["kept_by"]) for row in found] == [
        (80, "calloc", None),
        (8 * MB, "realloc", "x"),
    ]
    assert found[1]["addr"] == hex(after["x"].ctypes.data)


def test_arrays_outlive_the_trace_in_their_own_allocator():
    before = handler()
    _, after = trace("x = np.arange(1000.)\nv = x[10:]\ny = [np.ones(10) for _ in range(100)]\n")
    assert handler() == before == "default_allocator"
    assert np._core.multiarray.get_handler_name(after["x"]) == "diaphane_trace"
    kept = run_magic("buffer_addr", "x v", None, after)
    assert [row["allocated_at"] for row in kept] == ["line 1", "line 1"]
    assert kept[0]["allocator"] == kept[1]["allocator"] == "diaphane_trace"
    address = after["x"].ctypes.data
    after["x"].resize(5, refcheck=False)
    assert after["x"].tolist() == [0, 1, 2, 3, 4]
    del after
    gc.collect()
    fresh = np.frombuffer(bytearray(8), dtype="u1")
    assert run_magic("buffer_addr", "", None, {"x": fresh})[0]["allocated_at"] is None
    assert address


def test_memory_is_given_back():
    tracemalloc.start()
    try:
        for _ in range(3):
            trace("x = np.ones(1000)\nz = np.ones(MB)\n", MB=MB)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(30):
            trace("x = np.ones(1000)\nz = np.ones(MB)\n", MB=MB)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MB, (before, after)


def test_errors_pass_and_leave_no_handler():
    for cell, error in [
        ("1 / 0", ZeroDivisionError),
        ("raise KeyboardInterrupt", KeyboardInterrupt),
        ("(", SyntaxError),
    ]:
        try:
            trace(cell)
        except error:
            pass
        else:
            raise AssertionError(cell)
        assert handler() == "default_allocator", cell


def test_the_value_of_the_cell_is_shown():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        trace("x = 3\nx + 4")
    assert out.getvalue() == "7\n"


def test_a_trace_in_a_trace():
    inner = "run('buffer_trace', '', 'y = np.ones(10)', globals())\nz = np.ones(20)"
    found, _ = trace(inner, run=run_magic)
    assert {row["kept_by"] for row in found} == {"y", "z"}, found
    assert handler() == "default_allocator"


def test_threads_free_what_the_cell_made():
    cell = """
arrays = [np.ones(100) for _ in range(1000)]
def work():
    while True:
        try:
            arrays.pop()
        except IndexError:
            return
threads = [Thread(target=work) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
"""
    found, _ = trace(cell, Thread=threading.Thread)
    assert (found.facts["allocated"], found.facts["kept"]) == (1000, 0)
    assert any("other threads" in limit for limit in found.limits)


def test_a_handler_that_the_cell_sets_stays():
    # The handler of a context that the cell entered is not the cell's.
    found, _ = trace("import contextvars\ncontextvars.copy_context().run(np.ones, 20)\nx = np.ones(50)")
    assert found.facts["allocated"] == 2, found
    assert handler() == "default_allocator"


def test_small_buffers_are_counted():
    found, _ = trace("x = np.array(5.0)\ny = np.zeros(8)")
    assert (found.facts["allocated"], found.facts["smaller"]) == (1, 1)
    found = run_magic("buffer_trace", "--min 0", "x = np.array(5.0)", {"np": np})
    assert (found.facts["allocated"], found.facts["smaller"], found[0]["kept_by"]) == (1, 0, "x")


def test_it_needs_a_cell_and_numpy():
    try:
        run_magic("buffer_trace", "", None, {})
    except ValueError as error:
        assert "%%buffer_trace is a cell magic" in str(error)
    else:
        raise AssertionError
