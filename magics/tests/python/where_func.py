"""Cross-checks with NumPy's own account of its loops, with CPython's C interface and with symbol tables."""

import ctypes
import functools
import math
import operator
import re
import subprocess
import types
from pathlib import Path

import numpy as np
import scipy.linalg.blas as blas
from diaphane_native import run_magic
from scipy.special import cython_special
from symbol_tables import has

MAPS = Path("/proc/self/maps")
LEVELS = ("X86_V2", "X86_V3", "X86_V4", "AVX512_ICL", "AVX512_SPR")


def report(line, **variables):
    return run_magic("where", line, None, {"np": np, "math": math} | variables)


def last(line, **variables):
    return report(line, **variables)[-1]


def refused(line, **variables):
    try:
        report(line, **variables)
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{line} was answered")


def test_every_loop_is_the_one_that_numpy_names():
    """477 functions and dtypes in NumPy 2.4: the variant in a loop's name is the one that NumPy dispatched to."""
    wrong, checked = [], 0
    for name, signatures in np.lib.introspect.opt_func_info().items():
        for letters, told in signatures.items():
            checked += 1
            row = last(f"np.{name} --dtype {','.join(letters)}")
            assert len(letters) == 1 or row["types"].replace("->", "") == letters, (name, letters, row)
            bound = next((level for level in LEVELS if row["symbol"].endswith(level)), "baseline")
            assert row["bound"] in (None, bound), row
            if told["current"].split("(")[0] != bound:
                wrong.append((name, letters, told, row["symbol"]))
    assert not wrong, wrong
    assert checked > 300


def test_builtins_are_the_functions_that_cpython_gives():
    get = ctypes.pythonapi.PyCFunction_GetFunction
    get.argtypes, get.restype = [ctypes.py_object], ctypes.c_void_p
    functions = [len, math.sin, operator.index, [].append, np.add.reduce, dict.fromkeys, types.SimpleNamespace]
    for function in functions[:-1]:
        assert report("f", f=function)[0]["addr"] == hex(get(function)), function
    row = report("len")[0]
    assert row["symbol"] == named(row, "builtin_len") and row["role"] == "C function"
    if row["file"]:
        assert row["file"].endswith("bltinmodule.c") and row["line"] > 0


def named(row, symbol):
    """The name of a function, unless its library was stripped of it."""
    return symbol if has(row["lib_path"], symbol) else None


def test_kinds_of_objects():
    def leads(line, symbol, **variables):
        row = last(line, **variables)
        return row["symbol"] == named(row, symbol)

    assert leads("str.join", "PyUnicode_Join") and leads('"".join', "PyUnicode_Join")
    assert leads("list.append", "list_append")
    assert leads("str.__add__", "PyUnicode_Concat") and leads('"".__add__', "PyUnicode_Concat")
    assert leads("dict.fromkeys", "dict_fromkeys")
    assert [row["role"] for row in report("np.dtype.names")] == ["getter", "setter"]
    assert [row["role"] for row in report("int")] == ["tp_new", "tp_init"]
    nested = functools.partial(functools.partial(len))
    assert leads("nested", "builtin_len", nested=nested)
    assert last("cs.gamma", cs=cython_special)["symbol"].startswith("__pyx_")
    assert leads("blas.dgemm", "scipy_dgemm_", blas=blas)
    assert leads("d[one][0]", "builtin_len", d={"one": [len]})


def test_a_foreign_function_is_at_its_address():
    library = ctypes.CDLL(None)
    for name in ["malloc", "strlen"]:
        function = library[name]
        row = report("f", f=function)[0]
        assert row["addr"] == hex(ctypes.cast(function, ctypes.c_void_p).value) and row["lib"].startswith("libc")


def test_what_a_stripped_library_hides_is_said():
    """glibc exports strlen, and none of its implementations."""
    found = report("f", f=ctypes.CDLL(None).strlen)
    row = found[0]
    if row["symbol"] is None:
        assert row["func"] == "strlen (bound)"
        assert "is stripped" in found.limits[0] and "the nearest before it is" in found.limits[0]


def test_reductions_choose_their_types_as_numpy_does():
    assert last("np.sum --dtype int8")["types"] == "ll->l"
    assert last("np.add.reduce --dtype int8")["types"] == "ll->l"
    assert last("np.add --dtype int8")["types"] == "bb->b"
    assert last("a.sum", a=np.zeros(3, "f4"))["types"] == "ff->f"
    assert [row["symbol"] for row in report("np.sum --dtype f8")][-2:-1] == ["ufunc_reduce"]
    assert "argmax" in last("np.argmax --dtype i4")["symbol"]


def test_a_function_that_chooses_each_time_shows_among_which():
    for target in ["np.sort --dtype f8", "np.ndarray.sort", "a.sort"]:
        found = report(target, a=np.zeros(3))
        own = next(row for row in found if row["role"] == "dtype's function")
        assert "quicksort" in own["func"] and "double" in own["func"]
        choices = {row["func"] for row in found if row["role"] == "one of, by CPU"}
        assert any(re.match("quicksort_<npy::.*double", name) for name in choices), choices
        if any(letters.endswith("X86_V3") for letters in np._core._multiarray_umath.__cpu_dispatch__):
            assert "np::qsort_simd::QSort_X86_V3<double>" in choices


def test_newer_kinds_of_data_have_loops_too():
    row = last("np.add --dtype T")
    assert row["types"] == "TT->T" and row["func"] == "add_strided_loop"
    assert last("np.add --dtype O")["each"] == "PyNumber_Add"


def test_all_loops_are_those_of_the_ufunc():
    found = [row["types"] for row in report("np.power") if row["role"] == "loop"]
    assert found == np.power.types


def test_a_symbol_is_where_nm_says():
    row = report("_multiarray_umath*!DOUBLE_add")[0]
    base = min(
        int(line.split("-")[0], 16) for line in MAPS.read_text().splitlines() if line.rstrip().endswith(row["lib_path"])
    )
    lines = subprocess.run(["nm", row["lib_path"]], capture_output=True, text=True, check=True).stdout.splitlines()
    addresses = [int(line.split()[0], 16) for line in lines if line.endswith(" DOUBLE_add")]
    assert [int(row["addr"], 16) - base] == addresses
    middle = report(hex(int(row["addr"], 16) + 5))[0]
    assert middle["symbol"] == "DOUBLE_add" and middle["offset"] == 5


def test_one_of_several_implementations_is_the_one_that_is_bound():
    rows = report("libc!strlen")
    assert [row["role"] for row in rows][:2] == ["chooser (IFUNC)", "bound"]
    strlen = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
    assert hex(strlen) in [row["addr"] for row in rows]


def test_python_code_is_said_to_be_python_code():
    def plain():
        pass

    found = report("plain", plain=plain)
    assert found[0]["role"] == "Python function" and found[0]["line"] == plain.__code__.co_firstlineno
    assert "dis.dis" in found.limits[0]


def test_what_cannot_be_found_is_refused_in_one_line():
    assert 'has no attribute "addd" (AttributeError), did you mean add?' in refused("np.addd")
    assert "did you mean np?" in refused("npp.add")
    assert "no loaded library matches" in refused("libnone!f")
    assert "did you mean malloc?" in refused("libc!mallok")
    assert refused("").startswith("%where: FUNC is missing; usage: %where FUNC [--dtype D]")
    assert "NumPy has no loop" in refused("np.add --dtype V8")
    assert "knows no dtype" in refused("np.add --dtype what")
    assert "one dtype, or one for each of 2 inputs" in refused("np.add --dtype f8,f8,f8,f8")
    assert "assign the value to a variable" in refused("f(x)")
    assert "no hexadecimal address" in refused("0xzz")
    for line in ["np.addd", "0xzz", "libnone!f"]:
        assert "\n" not in refused(line)
    assert len(report("0x10")) == 1 and report("0x10")[0]["lib"] is None


def test_objects_that_lie_or_raise_do_no_harm():
    class Raises:
        def __getattr__(self, name):
            raise RuntimeError("no " + name)

        __repr__ = __str__ = __getattr__

    forged = [
        type(name, (), {"__call__": lambda self: None, "__name__": "f", "func": 1, "_cpointer": 2})()
        for name in [
            "cython_function_or_method",
            "fortran",
            "partial",
            "method-wrapper",
            "method",
            "builtin_function_or_method",
        ]
    ]
    for object in [Raises(), Raises, *forged, 3, None, ..., type("X", (), {})]:
        report("x", x=object)
    assert "RuntimeError" in refused("x.y", x=Raises())

    class Loop:
        pass

    loop = functools.partial(len)
    loop.__setstate__((loop, (), {}, {}))
    report("loop", loop=loop)


def test_the_scalar_loop_is_told():
    codes = [one["code"] for one in report("np.add --dtype longdouble").diagnoses]
    assert codes == ["W002"]
    assert not report("np.add --dtype float64").diagnoses


def test_names_are_escaped():
    evil = "<b>\n"
    html = report(f"d[{evil.strip()}]", d={"<b>": len}).to_html()
    assert "<b>\n" not in html and "d[&lt;b&gt;]" in html
