"""Cross-checks with NumPy: addresses, exact sharing, and how much memory is really distinct."""

import ctypes
import mmap
import random
import sys
import tracemalloc
import types

import numpy as np
import pandas as pd
import pyarrow as pa
from diaphane_native import run_magic


def report(line="", **variables):
    return run_magic("buffer_addr", line, None, variables)


def rows(line="", **variables):
    return {row["name"]: row for row in report(line, **variables)}


def codes(found):
    return [one["code"] for one in found.diagnoses]


def test_fields_are_numpy_s():
    a = np.zeros((20, 30), dtype=">f4")[::2, ::-3]
    row = rows(a=a)["a"]
    _, high = np.lib.array_utils.byte_bounds(a)
    assert row["addr"] == hex(a.ctypes.data) and row["end"] == hex(high)
    assert row["shape"] == list(a.shape) and row["strides"] == list(a.strides)
    assert row["nbytes"] == a.nbytes and row["dtype"] == ">f4" and row["type"] == "ndarray"
    assert row["flags"] == [name for name, is_set in [("W", True), ("A64", a.ctypes.data % 64 == 0)] if is_set]
    assert row["owner"] is None and row["owner_type"] == "ndarray"
    assert row["offset"] == a.ctypes.data - a.base.ctypes.data
    assert row["owner_addr"] == hex(a.base.ctypes.data) and row["owner_nbytes"] == a.base.nbytes
    assert row["holder"] == "ndarray 2.4 kB"


def test_sharing_is_exactly_numpy_s():
    choice = random.Random(2)
    base = np.zeros(400, dtype=np.uint8)

    def view():
        shape = [choice.randint(1, 5) for _ in range(choice.randint(0, 3))]
        strides = [choice.randint(-20, 20) for _ in shape]
        return np.lib.stride_tricks.as_strided(base[200:], shape, strides)

    for _ in range(60):  # 60 times 28 pairs
        variables = {f"v{index}": view() for index in range(8)}
        found = report(**variables)
        for row in found:
            own = variables[row["name"]]
            others = [name for name, other in variables.items() if other is not own]
            assert row["shares_with"] == [name for name in others if np.shares_memory(own, variables[name])]
        touched = np.zeros_like(base)
        for one in variables.values():
            offset = one.ctypes.data - base.ctypes.data
            np.lib.stride_tricks.as_strided(touched[offset:], one.shape, one.strides)[...] = 1
        assert found.facts["distinct_is_exact"] and found.facts["distinct_bytes"] == touched.sum()
        assert found.facts["listed_bytes"] == sum(one.nbytes for one in variables.values())


def test_a_view_is_told_with_its_offset():
    a = np.arange(100_000.0)
    found = report("a b", a=a, b=a[1000:])
    assert codes(found) == ["B001"]
    assert found.diagnoses[0]["title"] == "b is a view of a, starting 8000 bytes in."
    assert [row["owner"] for row in found] == ["a", "a"] and found[1]["offset"] == 8000
    assert "800.0 kB distinct" in repr(found)


def test_a_small_view_of_a_large_owner_is_told():
    found = report(small=np.zeros(1_000_000)[:10])
    assert codes(found) == ["B003"]
    assert "small (80 B) keeps 8.0 MB alive" in found.diagnoses[0]["title"]
    assert codes(report(small=np.zeros(1_000_000)[:10].copy())) == []


def test_read_only_memory_is_told():
    array = np.frombuffer(b"0123456789", dtype=np.uint8)
    found = report(array=array, text=b"x")
    assert codes(found) == ["B006"] and found.diagnoses[0]["title"] == "array is read-only."
    assert {row["name"]: "W" in row["flags"] for row in found} == {"array": False, "text": False}


def test_an_array_on_a_mapping_shows_the_mapping():
    memory = mmap.mmap(-1, 1 << 16)
    found = rows(memory=memory, array=np.frombuffer(memory, dtype=np.uint8))
    assert found["array"]["owner"] == "memory" and found["array"]["mapping"] == "/dev/zero (shared)"
    assert found["memory"]["shares_with"] == ["array"]


def test_pandas_shows_its_arrays():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0], 7: [1, 2]})
    frame["n"] = pd.array([1, None], dtype="Int64")
    found = rows(frame=frame, column=frame["x"])
    assert list(found) == ["frame[x, y]", "frame[column 2]", "frame[n]", "frame[n].mask", "column"]
    assert found["frame[x, y]"]["type"] == "DataFrame" and found["frame[x, y]"]["shape"] == [2, 2]
    assert found["column"]["owner"] == "frame[x, y]" and "B001" not in codes(report(frame=frame, column=frame["x"]))
    assert found["column"]["shares_with"] == ["frame[x, y]"] and found["column"]["type"] == "Series"


def test_objects_are_never_asked_for_their_text():
    class Mute:
        def __repr__(self):
            raise AssertionError("asked for its text")

        __str__ = __format__ = __repr__

    class MuteArray(Mute, np.ndarray):
        pass

    class Angry(Mute):
        @property
        def __array_interface__(self):
            raise RuntimeError("not today")

    class Error(Exception):
        __str__ = __repr__ = Mute.__repr__

    class Silent(Mute):
        @property
        def __array_interface__(self):
            raise Error(self)

    names = {"mute": Mute(), "array": np.zeros(3).view(MuteArray), "angry": Angry(), "silent": Silent()}
    found = rows("mute array angry silent", **names)
    assert found["mute"]["error"] == "Mute exports no memory; arrays, bytes and other buffers do"
    assert found["array"]["type"] == "MuteArray" and found["array"]["error"] is None
    assert found["angry"]["error"] == "RuntimeError: not today" and found["angry"]["addr"] is None
    assert found["silent"]["error"] == "Error"
    assert list(rows(**names)) == ["array"]


def test_a_released_view_says_why_it_has_no_memory():
    view = memoryview(b"x")
    view.release()
    assert rows("view", view=view)["view"]["error"].startswith("ValueError: operation forbidden")


def test_array_interface():
    class Exporter:
        __array_interface__ = np.arange(12, dtype="i4").reshape(3, 4)[:, ::2].__array_interface__

    interface = Exporter.__array_interface__
    row = rows("x", x=Exporter())["x"]
    assert row["addr"] == hex(interface["data"][0]) and row["strides"] == [16, 8] and row["nbytes"] == 24
    Exporter.__array_interface__ = {"version": 3, "shape": (2,), "typestr": "<U3", "data": (4096, True)}
    row = rows("x", x=Exporter())["x"]
    assert (row["nbytes"], row["strides"], row["flags"]) == (24, [12], ["C", "F", "A64"]) and row["mapping"] is None
    Exporter.__array_interface__ = {"version": 3}
    assert 'no "data" in it' in rows("x", x=Exporter())["x"]["error"]


def test_names_from_outside_are_escaped():
    found = report(**{"<b>": np.zeros(2)})
    assert "<b></b>" not in found.to_html() and "&lt;b&gt;" in found.to_html()


def test_names_in_pictures_are_escaped():
    array = np.zeros(20)
    variables = {'<b>"': array, "<i>\n\x1b[2J": array[5:], "d": {"<s>": array[6:]}}
    found = run_magic("buffer_addr", "--all --graph", None, variables)
    html = found.to_html()
    assert "<svg" in html and not any(tag in html for tag in ('<b>"', "<i>", "<s>"))
    assert "\x1b" not in repr(found) and "[2J" in repr(found)


def test_objects_that_change_while_they_are_asked():
    class Shrinking:
        def __init__(self):
            self.memory = bytearray(1000)

        @property
        def __array_interface__(self):
            variables["other"].clear()
            variables.pop("gone", None)
            return {"version": 3, "shape": (3,), "typestr": "<f8", "data": (4096, False)}

    variables = {"first": Shrinking(), "gone": np.zeros(3), "other": bytearray(100)}
    found = run_magic("buffer_addr", "first gone other", None, variables)
    assert [row["name"] for row in found] == ["first", "gone", "other"]
    assert [row["nbytes"] for row in found] == [24, 24, 0] and "gone" not in variables


def test_odd_arrays():
    found = rows(zero=np.array(5.0), empty=np.zeros((0, 3)), many=np.broadcast_to(np.float64(1), (1000, 1000)))
    assert found["zero"]["shape"] == [] and found["zero"]["nbytes"] == 8
    assert found["empty"]["nbytes"] == 0 and found["empty"]["shares_with"] == []
    assert found["many"]["nbytes"] == 8_000_000 and int(found["many"]["end"], 16) == int(found["many"]["addr"], 16) + 8
    assert report(many=np.broadcast_to(np.float64(1), (1000, 1000))).facts["distinct_bytes"] == 8


def test_references_and_allocators_are_those_of_python_and_numpy():
    a = np.zeros(100)
    variables = {"a": a, "same": a, "view": a[1:], "text": b"abc"}
    found = {row["name"]: row for row in run_magic("buffer_addr", "", None, variables)}
    # The argument of a call borrows the reference of a local variable from 3.14 on.
    borrowed = sys.version_info >= (3, 14)
    assert found["a"]["refs"] == found["same"]["refs"] == sys.getrefcount(a) - (not borrowed)
    assert found["view"]["refs"] == sys.getrefcount(variables["view"]) - 1
    assert found["a"]["allocator"] == found["view"]["allocator"] == np._core.multiarray.get_handler_name(a)
    assert found["text"]["allocator"] is None
    assert found["a"]["alignment"] == min(a.ctypes.data & -a.ctypes.data, 4096)


def test_names_lead_on():
    class Holder:
        w = np.zeros(5)

    found = report("\"d['x y'][3].w\" d['x y'][3].w[1:] frame.index", d={"x y": [0, 0, 0, Holder]}, frame=FRAME)
    assert [row["name"] for row in found] == ["d['x y'][3].w", "d['x y'][3].w[1:]", "frame.index"]
    assert found[0]["addr"] == hex(Holder.w.ctypes.data), found[0]
    assert found[1]["offset"] == 8, found[1]
    for line, message in [
        ("d['z']", "leads nowhere: KeyError: z"),
        ("d.nope", "leads nowhere: AttributeError"),
        ("e[0]", "there is no variable"),
        ("d[f()]", "is no name"),
        ("f()", "is no name"),
    ]:
        try:
            report(line, d={})
        except ValueError as error:
            assert message in str(error), error
        else:
            raise AssertionError(line)


FRAME = pd.DataFrame({"x": [1.0, 2.0]}, index=[4, 2])


def test_small_buffers_can_be_left_out():
    found = report("--min 1kB", small=np.zeros(10), large=np.zeros(1000))
    assert [row["name"] for row in found] == ["large"]


def test_pages_are_those_that_were_touched():
    memory = mmap.mmap(-1, 1 << 23, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(memory, dtype=np.uint8)
    array[: 1 << 20] = 1
    row = report("array --pages", array=array)[0]
    assert (row["present"], row["swapped"]) == (1 << 20, 0) and row["huge"] in (0, None)
    assert row["numa"] and report("array", array=array)[0]["present"] is None


def test_tracemalloc_tells_the_line():
    tracemalloc.start()
    try:
        array = np.zeros(1000)
        found = rows("array view", array=array, view=array[10:])
    finally:
        tracemalloc.stop()
    line = test_tracemalloc_tells_the_line.__code__.co_firstlineno + 3
    assert found["array"]["allocated_at"] == found["view"]["allocated_at"] == f"buffer_addr.py:{line}"
    assert report("array", array=array)[0]["allocated_at"] is None


def test_a_library_s_data_is_told():
    data = (ctypes.c_char * 8).in_dll(ctypes.CDLL(None), "_IO_2_1_stdout_")
    assert report("data", data=data)[0]["mapping"] == "data of libc.so.6", report("data", data=data)[0]


class Slotted:
    __slots__ = ("inner",)


def test_arrays_in_other_objects_are_found_and_named():
    class Model:
        def __init__(self):
            self.weights = [np.zeros(3), (np.zeros(4), {"bias": np.zeros(5)})]
            self.loop = self

    class Odd(dict):
        pass

    slotted = Slotted()
    slotted.inner = np.zeros(6)
    lazy = types.SimpleNamespace(x=bytearray(7))
    variables = {
        "model": Model(),
        "d": {"a'b": np.zeros(1), 3: np.zeros(2), (1, 2): np.zeros(8)},
        "s": slotted,
        "n": lazy,
        "odd": Odd(k=np.zeros(9)),
        "np": np,
        "function": lambda: None,
        "frames": [FRAME],
    }
    found = {row["name"]: row for row in run_magic("buffer_addr", "--all", None, variables)}
    assert set(found) == {
        "model.weights[0]",
        "model.weights[1][0]",
        "model.weights[1][1]['bias']",
        "d['a\\'b']",
        "d[3]",
        "d[<tuple>]",
        "s.inner",
        "n.x",
        "odd['k']",
        "frames[0][x]",
        "frames[0].index",
    }, sorted(found)
    assert found["model.weights[1][1]['bias']"]["addr"] == hex(variables["model"].weights[1][1]["bias"].ctypes.data)
    assert found["s.inner"]["refs"] == sys.getrefcount(slotted.inner) - 1
    assert [row["name"] for row in report("d --all", **variables)] == ["d['a\\'b']", "d[3]", "d[<tuple>]"]


def test_no_code_of_the_user_runs_while_objects_are_walked():
    class Trap:
        def __getattribute__(self, name):
            raise AssertionError(f"asked for {name}")

        __getattr__ = __iter__ = __len__ = __hash__ = __eq__ = __repr__ = __getattribute__

    trap = Trap()
    held = np.zeros(3)
    object.__setattr__(trap, "held", held)
    found = run_magic("buffer_addr", "--all", None, {"trap": trap, "list": [trap]})
    assert [row["name"] for row in found] == ["trap.held"]


def test_ten_thousand_arrays_are_found_among_a_hundred_thousand_objects():
    arrays = [{"array": np.zeros(1), "rest": [str(i), {"k": i}, [i], (i, "x")]} for i in range(10_000)]
    found = report("--all --each --top 0", arrays=arrays)
    assert len(found) == 10_000
    assert found[9_999]["addr"] == hex(arrays[9_999]["array"].ctypes.data)
    assert found[9_999]["name"] == "arrays[9999]['array']"
    folded = report("--all", arrays=arrays)
    assert len(folded) < 10 and sum(row["count"] or 1 for row in folded) == 10_000


def test_windows_are_views_of_their_array():
    a = np.arange(100.0)
    found = report("a w", a=a, w=np.lib.stride_tricks.sliding_window_view(a[10:], 5))
    assert codes(found) == ["B001", "B006"], codes(found)
    assert found[1]["owner"] == "a" and found[1]["offset"] == 80


def test_diagnoses_are_made_only_where_they_hold():
    c = np.ones((200, 200))
    assert codes(report("c t", c=c, t=c.T)) == ["B001"], report("c t", c=c, t=c.T)
    assert "B009" not in codes(report("x", x=c[::2]))
    assert "B009" not in codes(report("x", x=c[:, 50:]))
    for hard in (c[:, ::2], c[::-1, ::-1], np.broadcast_to(np.ones(200), (200, 200))):
        assert "B009" in codes(report("x", x=hard)), hard.strides
    assert "B009" not in codes(report("x", x=c.astype(int)[:, ::2]))
    raw = np.frombuffer((ctypes.c_double * 5).from_address(c.ctypes.data))
    assert codes(report("c raw", c=c, raw=raw)) == ["B004"]
    assert "B004" not in codes(report("c raw", c=c, raw=raw.copy()))
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    assert codes(report("frame", frame=frame)) == ["B005"]
    assert codes(report("frame", frame=frame[["x"]].copy())) == []
    numbers = pa.array([1.0, 2.0])
    assert codes(report("n z", n=numbers, z=numbers.to_numpy())) in (["B001", "B006"], ["B006"])
    large = np.zeros(10_000_000)  # from this size on malloc maps fresh pages, whatever came before
    assert "B007" in codes(report("large --pages", large=large))
    large[:] = 1
    assert "B007" not in codes(report("large --pages", large=large))
    assert codes(report("large", large=large)) == []


def test_the_graph_shows_the_chain_and_the_place():
    memory = bytearray(1000)
    view = np.frombuffer(memoryview(memory)[500:], dtype="u1")
    found = report("memory view --graph", memory=memory, view=view)
    lines = repr(found).splitlines()
    assert any(line.endswith("bytearray") and "█" * 32 in line for line in lines), lines
    (bar,) = [line for line in lines if line.startswith("  view")]
    assert "·" * 16 + "█" * 16 in bar and bar.endswith("memoryview of bytearray memory"), bar
    svg = found.to_html()
    assert svg.count("<rect") == 3 and "view: " in svg and "500 B of 1.0 kB" in svg
    assert "<svg" not in report("memory", memory=bytearray(5)).to_html()
