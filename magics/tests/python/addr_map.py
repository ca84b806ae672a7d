"""Cross-checks with /proc/self/maps, smaps, the stack pointers of threads, and NumPy."""

import ctypes
import mmap
import re
import tempfile
import threading
from pathlib import Path

import numpy as np
from diaphane_native import run_magic

VARIABLES = {"np": np, "big": np.ones(4_000_000), "small": np.zeros(10)}
VARIABLES["view"] = VARIABLES["big"][5:100]


def report(line="", **variables):
    return run_magic("addr_map", line, None, VARIABLES | variables)


def at(address, **variables):
    (row,) = report(f"--at {address:#x}", **variables)
    return row


def listed():
    """The regions as the kernel lists them: start, end and rights."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {(f"0x{line.split('-')[0]}", f"0x{line.split()[0].split('-')[1]}", line.split()[1]) for line in lines}


def holding(rows, address):
    (row,) = [row for row in rows if int(row["lo"], 16) <= address < int(row["hi"], 16)]
    return row


def test_regions_are_those_of_the_kernel():
    before = listed()
    rows = {(row["lo"], row["hi"], row["perms"]) for row in report()}
    after = listed()
    assert before & after <= rows
    assert len(rows - (before | after)) <= 3


def test_usage_is_what_smaps_says():
    for line in ("", "--pss"):
        usage_is_what_smaps_says(line)


def usage_is_what_smaps_says(line):
    array = VARIABLES["big"]
    row = holding(report(line), array.ctypes.data + 10_000_000)
    text = Path("/proc/self/smaps").read_text()
    start, end = row["lo"][2:], row["hi"][2:]
    fields = re.search(rf"^{start}-{end} .*?(?=^[0-9a-f]+-)", text, re.M | re.S).group()
    kib = {name: int(size) * 1024 for name, size in re.findall(r"^(\w+): +(\d+) kB$", fields, re.M)}
    assert row["pss"] == (kib["Pss"] if line else None)
    assert row["rss"] == kib["Rss"] and row["huge"] == kib["AnonHugePages"]
    assert row["size"] == kib["Size"] and row["swap"] == kib["Swap"]


def test_sums_add_up():
    found = report()
    for total in found.facts["totals"]:
        rows = [row for row in found if row["kind"] == total["kind"]]
        assert total["regions"] == len(rows)
        for field in ["size", "rss", "huge"]:
            assert total[field] == sum(row[field] for row in rows)
    kinds = report("--group kind")
    assert sum(row["regions"] for row in kinds) == len(report())
    owners = {row["owner"]: row for row in report("--group lib")}
    assert any(name and name.startswith("_multiarray_umath") for name in owners)


def test_arrays_are_named():
    array = VARIABLES["big"]
    rows = [row for row in report() if row["kind"] == "array"]
    assert {row["owner"] for row in rows} <= {"big", "big, view"} and rows, {row["owner"] for row in rows}
    # The page that it begins in may belong to a region of small things.
    assert sum(row["size"] for row in rows) >= array.nbytes - mmap.PAGESIZE
    inside = at(array.ctypes.data + 4096 * 8)
    assert (inside["kind"], inside["owner"], inside["offset"]) == ("array", "big", 4096 * 8)
    assert at(VARIABLES["view"].ctypes.data)["owner"] == "view"
    assert at(VARIABLES["small"].ctypes.data + 8)["owner"] == "small"


def test_what_variables_hold_is_named_where_it_lies():
    # Of 40 MB, since malloc would keep memory that is smaller, for the next array.
    large, small = np.ones(5_000_000), [np.zeros(10) for _ in range(3)]
    held = {"large": [large], "small": small}
    rows = list(report(held=held))
    row = holding(rows, large.ctypes.data + mmap.PAGESIZE)
    assert row["kind"] == "array" and "held['large'][0]" in row["arrays"], row
    # There may be a million of these in malloc's memory: each is named where it is asked about.
    names = [name for row in rows if row["kind"] in ("heap", "thread arena") for name in row["arrays"]]
    assert "small" in names and not any(name.startswith("held['small']") for name in names)
    inside = at(small[2].ctypes.data + 8, held=held)
    assert (inside["kind"], inside["owner"], inside["offset"]) == ("array", "held['small'][2]", 8)
    # A variable comes before what another one holds.
    part = large[10:20]
    assert at(part.ctypes.data, whole=large, held=[part])["owner"] == "whole"
    assert at(part.ctypes.data, held=[part])["owner"] == "held[0]"
    hidden = np.ones(5_000_000)[5:7]
    assert at(hidden.ctypes.data + 4096, held=[hidden])["owner"] == "the base of held[0]"


def test_the_stack_of_each_sleeping_thread_is_its_own():
    release, started = threading.Event(), threading.Barrier(4)

    def sleep():
        started.wait()
        release.wait()

    threads = [threading.Thread(target=sleep) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    pointers = {f"thread {thread.native_id}": stack_pointer(thread.native_id) for thread in threads}
    rows = list(report())
    for owner, pointer in pointers.items():
        # Where guards are no regions of their own, neighbouring stacks are one region.
        row = holding(rows, pointer)
        assert row["kind"] == "stack" and owner in row["owner"].split(", "), row
        assert at(pointer)["owner"] == owner
    release.set()
    for thread in threads:
        thread.join()


def stack_pointer(tid):
    """Where the stack of a thread ends that is about to sleep."""
    while True:
        words = Path(f"/proc/self/task/{tid}/syscall").read_text().split()
        if words[0] != "running":
            return int(words[-2], 16)


def test_kinds_of_mappings():
    jit = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    open_to_all = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
    address = ctypes.addressof(ctypes.c_char.from_buffer(open_to_all))
    rows = list(report())
    assert holding(rows, address)["kind"] == "jit"
    kinds = {row["kind"] for row in rows}
    assert {"code", "data", "stack", "kernel", "reserved", "thread arena", "jit"} <= kinds
    shared = mmap.mmap(-1, 10_000)
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x" * 5000)
        file.flush()
        mapped = np.memmap(file.name, dtype="u1", mode="c")
        rows = list(report())
        assert holding(rows, mapped.ctypes.data)["kind"] == "file"
        assert holding(rows, np.frombuffer(shared, "u1").ctypes.data)["kind"] == "shared"
    del jit


def test_an_arena_is_malloc_s():
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    found = []
    thread = threading.Thread(target=lambda: found.append(malloc(1000)))
    thread.start()
    thread.join()
    assert holding(list(report()), found[0])["kind"] in ("thread arena", "heap")
    facts = report().facts["malloc"]
    assert facts["arena"] == facts["in_use"] + facts["free"] and len(facts["arenas"]) >= 2


def test_an_address_in_code_is_its_symbol():
    loop = run_magic("where", "np.add --dtype f8", None, VARIABLES)[-1]
    row = at(int(loop["addr"], 16) + 7)
    assert (row["kind"], row["symbol"], row["offset"]) == ("code", loop["func"], 7)
    assert row["owner"] == loop["lib"]


def test_one_address_agrees_with_the_list():
    """Asking takes memory itself, so that what can be written may have grown meanwhile."""
    steady = [row for row in report() if "w" not in row["perms"] and row["kind"] != "reserved"]
    assert len(steady) > 50
    for row in steady[:200]:
        one = at(int(row["lo"], 16) + 1)
        assert all(one[field] == row[field] for field in ["lo", "hi", "perms", "kind", "owner"]), (one, row)
    assert len(report("--at 0x8")) == 0 and "nothing is mapped" in repr(report("--at 8"))


def test_what_is_new_is_shown():
    report()
    fresh = np.ones(3_000_000)
    rows = [row for row in report("--diff", fresh=fresh) if row["owner"] == "fresh"]
    assert sum(row["size_delta"] for row in rows) >= fresh.nbytes
    assert {row["change"] for row in rows} <= {"new", "changed"}
    before = hex(fresh.ctypes.data & ~4095)
    del fresh
    assert not any(row["lo"] == before for row in report() if row["kind"] == "array")


def test_what_is_no_address_is_refused():
    for text in ["here", "0xzz", "99999999999999999999999", "-1"]:
        try:
            report(f"--at={text}")
        except ValueError as error:
            assert "is no address" in str(error)
        else:
            raise AssertionError(text)


def test_names_are_escaped_and_objects_that_raise_are_passed_over():
    class Raises:
        def __getattr__(self, name):
            raise RuntimeError(name)

    found = report("--group lib", **{"<b>": np.ones(1_000_000), "raises": Raises(), "x\n": np.ones(1_000_000)})
    html = found.to_html()
    assert "&lt;b&gt;" in html and "<b>:" not in html and "<b></text>" not in html
    assert "\n\n" not in repr(found)


def test_the_picture_names_what_is_large():
    html = report().to_html()
    assert "<svg" in html and ">big<" in html and "array 32" in html
    assert 'fill="black"' not in html
