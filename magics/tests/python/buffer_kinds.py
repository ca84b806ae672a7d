"""Every kind of object that exports memory: pandas, Arrow, DLPack, torch, and those that lie about it."""

import sys
import types

import numpy as np
import pandas as pd
import pyarrow as pa
from diaphane_native import run_magic


def report(line="", **variables):
    return run_magic("buffer_addr", line, None, variables)


def rows(line="", **variables):
    return {row["name"]: row for row in report(line, **variables)}


def arrow_buffers(array):
    return [hex(one.address) for one in array.buffers() if one is not None]


def test_arrow_shows_every_buffer_of_every_chunk():
    numbers, words = pa.array([1, None, 3]), pa.array(["a", "bcd", None, "", "e"])
    found = report("table", table=pa.table({"n": pa.chunked_array([numbers, numbers[1:]]), "w": words}))
    names = [f"table[n].chunk[{i}].{part}" for i in (0, 1) for part in ("validity", "data")]
    assert [row["name"] for row in found] == names + [f"table[w].{part}" for part in ("validity", "offsets", "data")]
    validity, data = arrow_buffers(numbers)
    # The second chunk begins at the second number; bits of validity have no address of their own.
    sliced = [validity, hex(int(data, 16) + 8)]
    assert [row["addr"] for row in found] == [validity, data, *sliced, *arrow_buffers(words)], list(found)
    assert found[1]["shares_with"] == ["table[n].chunk[1].data"] and found[1]["dtype"] == "int64"
    assert [row["name"] for row in report("a", a=pa.array(["x", "x"]).dictionary_encode())] == [
        "a.data",
        "a.dictionary.offsets",
        "a.dictionary.data",
    ]
    assert len(report("a", a=pa.array([[1, 2], [3]]))) == len(arrow_buffers(pa.array([[1, 2], [3]])))
    whole = pa.py_buffer(b"0123456789")
    part = report("b", b=whole.slice(4))[0]
    assert (part["offset"], part["nbytes"], part["owner_nbytes"]) == (4, 6, 10)


def test_pandas_shows_strings_and_indexes():
    frame = pd.DataFrame({"s": ["ab", None, "c"]}, index=pd.Index([3, 1, 2], dtype="i8"))
    found = rows("frame", frame=frame)
    assert found["frame.index"]["addr"] == hex(frame.index.values.ctypes.data)
    parts = [name for name in found if name.startswith("frame[s]")]
    assert {"frame[s].offsets", "frame[s].data"} <= set(parts), parts
    assert all(found[name]["type"] == "DataFrame" for name in parts)
    categories = rows("c", c=pd.Series(["x", "y"], dtype="category"))
    assert categories["c"]["dtype"] == "int8"
    assert "RangeIndex has no memory" in report("i", i=pd.RangeIndex(3))[0]["error"]
    both = pd.MultiIndex.from_product([[1, 2], [3.0, 4.0]])
    assert [row["name"] for row in report("m", m=both)] == ["m.codes[0]", "m.codes[1]", "m.levels[0]", "m.levels[1]"]


class Tensor:
    """What an array library of its own shows of itself; the memory is NumPy's."""

    def __init__(self, array, device=(1, 0)):
        self._array, self._device, self.detached = array, device, False

    def __dlpack_device__(self):
        return self._device

    def __dlpack__(self):
        return self._array.__dlpack__()

    def detach(self):
        self.detached = True
        return self


def test_dlpack_memory_is_lent_and_given_back():
    array = np.arange(24, dtype="f4").reshape(4, 6)[::2, 1:]
    before = sys.getrefcount(array)
    row = report("t", t=Tensor(array))[0]
    assert row["addr"] == hex(array.ctypes.data) and row["strides"] == list(array.strides)
    assert (row["dtype"], row["shape"], row["type"]) == ("float32", [2, 5], "Tensor")
    assert sys.getrefcount(array) == before, "the deleter was not called"
    assert "on a device (DLPack's number 2)" in report("t", t=Tensor(array, (2, 0)))[0]["error"]
    assert report(t=Tensor(array)).rows == [], "an object that was not named is not asked"

    class Emptied(Tensor):
        def __dlpack__(self):
            capsule = super().__dlpack__()
            np.from_dlpack(types.SimpleNamespace(__dlpack__=lambda **_: capsule, __dlpack_device__=lambda: (1, 0)))
            return capsule

    assert "gave no full capsule" in report("t", t=Emptied(array))[0]["error"]
    assert sys.getrefcount(array) == before


def test_tensors_of_torch_are_listed_without_being_named():
    sys.modules["torch"] = types.SimpleNamespace(Tensor=Tensor)
    try:
        array = np.zeros(10)
        found = rows(t=Tensor(array), a=array)
    finally:
        del sys.modules["torch"]
    assert found["t"]["shares_with"] == ["a"] and found["t"]["addr"] == hex(array.ctypes.data)


def test_interfaces_that_lie_are_refused():
    def exporter(**fields):
        interface = {"version": 3, "shape": (2,), "typestr": "<f8", "data": (4096, False), **fields}
        return types.SimpleNamespace(__array_interface__=interface)

    for lie in [{"shape": (2**62, 8)}, {"shape": (5,), "strides": (2**62,)}, {"shape": (5,), "strides": (-4096,)}]:
        assert "beyond the address space" in report("x", x=exporter(**lie))[0]["error"], lie
    assert "differ in length" in report("x", x=exporter(strides=(8, 8)))[0]["error"]
    assert report("x", x=exporter())[0]["mapping"] is None

    class Yes:
        def __getattr__(self, name):
            raise AssertionError(f"asked for {name}")

    assert "exports no memory" in report("x", x=Yes())[0]["error"]
