"""Cross-checks with NumPy: addresses, exact sharing, and how much memory is really distinct."""

import mmap
import random

import numpy as np
import pandas as pd
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


def test_sharing_is_exactly_numpy_s():
    choice = random.Random(2)
    base = np.zeros(400, dtype=np.uint8)

    def view():
        shape = [choice.randint(1, 5) for _ in range(choice.randint(0, 3))]
        strides = [choice.randint(-20, 20) for _ in shape]
        return np.lib.stride_tricks.as_strided(base[200:], shape, strides)

    for _ in range(40):
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
    assert found["mute"]["error"] == "Mute lends no memory (no buffer protocol, no __array_interface__)"
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


def test_odd_arrays():
    found = rows(zero=np.array(5.0), empty=np.zeros((0, 3)), many=np.broadcast_to(np.float64(1), (1000, 1000)))
    assert found["zero"]["shape"] == [] and found["zero"]["nbytes"] == 8
    assert found["empty"]["nbytes"] == 0 and found["empty"]["shares_with"] == []
    assert found["many"]["nbytes"] == 8_000_000 and int(found["many"]["end"], 16) == int(found["many"]["addr"], 16) + 8
    assert report(many=np.broadcast_to(np.float64(1), (1000, 1000))).facts["distinct_bytes"] == 8
