"""Cross-checks with objdump: the same instructions at the same places, and jumps to the same places."""

import ctypes
import math
import mmap
import re
import subprocess
from pathlib import Path

import numpy as np
from diaphane_native import run_magic

MAPS = Path("/proc/self/maps")
LINE = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t?(.*)$")


def report(line, **variables):
    return run_magic("disasm", line, None, {"np": np, "math": math} | variables)


def objdump(row):
    """The instructions of the function in its file, by address in the file: bytes and mnemonic."""
    base = next(
        int(line.split("-")[0], 16) - int(line.split()[2], 16)
        for line in MAPS.read_text().splitlines()
        if line.rstrip().endswith(row["lib_path"])
    )
    start = int(row["addr"], 16) - base
    # A library that was stripped does not say how long a function is.
    last = row["insns"][-1]
    length = row["size"] or int(last["addr"], 16) - int(row["addr"], 16) + len(last["bytes"]) // 2
    command = [
        "objdump",
        "-d",
        "-w",
        "-M",
        "intel",
        f"--start-address={start}",
        f"--stop-address={start + length}",
    ]
    text = subprocess.run([*command, row["lib_path"]], capture_output=True, text=True, check=True).stdout
    found = [match.groups() for match in map(LINE.match, text.splitlines()) if match]
    return base, [
        (int(at, 16), code.replace(" ", ""), text.split("#")[0].split("<")[0].split()) for at, code, text in found
    ]


def test_instructions_are_those_of_objdump():
    for target in ["np.add", "np.sin --dtype f4", "np.maximum --dtype i8", "len", "math.sin", "np.gcd --dtype l"]:
        row = report(target)[0]
        base, expected = objdump(row)
        assert len(expected) == row["count"] > 5, target
        for one, (at, code, words) in zip(row["insns"], expected, strict=True):
            assert int(one["addr"], 16) - base == at and one["bytes"] == code, (target, one, words)
            if words[0].startswith("j") and words[-1] != "ptr" and re.fullmatch("[0-9a-f]+", words[-1]):
                assert int(one["target"], 16) - base == int(words[-1], 16), (one, words)


def test_the_instruction_set_is_counted():
    row = report("np.maximum --dtype f8")[0]
    _, expected = objdump(row)
    zmm = sum("zmm" in " ".join(words) for _, _, words in expected)
    assert sum(row["isa"][part] for part in ["scalar", "sse", "avx", "avx2", "avx512"]) == row["count"]
    assert row["isa"]["avx512"] >= zmm
    scalar = report("len")[0]["isa"]
    assert scalar["packed"] == scalar["sse"] == scalar["avx"] == 0


def test_calls_and_jumps_are_named():
    found = report("len")
    text = repr(found)
    # A linker may bind a library's calls of its own functions directly.
    (callee,) = {one["name"] for one in found[0]["insns"]} & {"PyObject_Size", "PyObject_Size@plt"}
    assert f"call {callee}" in text and re.search(r"┌─ js \+0x\w+", text) and "└►" in text
    assert f"call {callee}" in found.to_html()


def test_the_loop_is_chosen_by_dtype():
    assert report("np.add")[0]["types"] == "dd->d"
    assert report("np.add --dtype i4")[0]["types"] == "ii->i"
    assert report("np.sum --dtype f4")[0]["types"] == "ff->f"


def test_options():
    short = report("np.add --asm 7 --isa --bytes")
    assert short[0]["count"] == 7 and "scalar push rbp" in repr(short) and " 55 " in repr(short)
    start = int(report("np.add")[0]["insns"][3]["addr"], 16)
    assert report(f"{start:#x} --asm 2")[0]["insns"] == report("np.add")[0]["insns"][3:5]


def test_code_without_a_library():
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex("b82a000000c3"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    found = report(hex(address))
    assert [one["text"] for one in found[0]["insns"]] == ["mov eax, 0x2a", "ret"]
    assert "belongs to no library" in found.limits[0]


def test_what_is_no_code_is_refused():
    for target in ["0x10", hex(id(np)), "np.linalg.det", "np.linalg", "nothing"]:
        try:
            report(target)
        except ValueError as error:
            assert str(error).startswith("%disasm: ") and "\n" not in str(error), error
        else:
            raise AssertionError(target)
