"""Cross-checks with the kernel's list of mappings, readelf, and the packages' own metadata."""

import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from diaphane_native import run_magic


def report(line=""):
    return run_magic("loaded_libs", line, None, {})


def regions():
    """Read start, end, perms and path of each mapping."""
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        addresses, perms, _, _, _, *path = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        yield start, end, perms, path[0] if path else None


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, path], capture_output=True, text=True, check=True).stdout


def test_python_itself_is_not_new():
    assert "libpython" not in " ".join(row["path"] for row in report("--new"))
    assert "nothing was loaded" in repr(report("--new"))


def test_an_import_is_new_once():
    import _lsprof

    assert [row["path"] for row in report("--new")] == [_lsprof.__file__]
    assert len(report("--new")) == 0


def test_the_libraries_are_the_executable_files_of_the_process():
    import numpy  # noqa: F401

    mapped = {path for _, _, perms, path in regions() if path and path[0] == "/" and "x" in perms}
    assert {row["path"] for row in report()} == mapped
    kinds = [row["kind"] for row in report("--all")]
    assert kinds.count("vdso") == kinds.count("loader") == kinds.count("program") == 1
    assert "vdso" not in [row["kind"] for row in report()]


def test_base_size_and_segments_are_the_kernel_s():
    rows = report("openblas|umath")
    assert len(rows) >= 2
    for row in rows:
        base, end = int(row["base"], 16), int(row["end"], 16)
        own = [region for region in regions() if region[3] == row["path"]]
        assert base == min(start for start, *_ in own)
        assert end >= max(end for _, end, *_ in own)
        inside = [(max(start, base), min(stop, end), perms) for start, stop, perms, _ in regions()]
        usable = [(start, stop, perms) for start, stop, perms in inside if start < stop and "---" not in perms]
        assert row["size"] == sum(stop - start for start, stop, _ in usable)
        listed = [(int(one["start"], 16), int(one["end"], 16), one["perms"]) for one in row["segments"]]
        assert listed == usable


def test_elf_facts_are_readelf_s():
    for row in report("numpy|libpython"):
        dynamic = readelf(row["path"], "-d")
        assert row["needed"] == re.findall(r"Shared library: \[(.*)\]", dynamic)
        assert [row["soname"] or ""] == (re.findall(r"Library soname: \[(.*)\]", dynamic) or [""])
        assert [row["rpath"] or ""] == (re.findall(r"Library rpath: \[(.*)\]", dynamic) or [""])
        assert [row["runpath"] or ""] == (re.findall(r"Library runpath: \[(.*)\]", dynamic) or [""])
        assert [row["build_id"] or ""] == (re.findall(r"Build ID: (\w+)", readelf(row["path"], "-n")) or [""])
        module = row["name"].split(".")[0]
        is_module = bool(re.search(rf" PyInit_{module}$", readelf(row["path"], "--dyn-syms"), re.M))
        assert (row["kind"] == "extension module") == is_module, row["path"]


def test_needed_by_is_the_other_side_of_needed():
    rows = report()
    by_name = {row["soname"] or row["name"]: row for row in rows}
    for row in rows:
        for needed in row["needed"]:
            assert row["name"] in by_name[needed]["needed_by"], (row["name"], needed)


def test_packages_are_those_of_importlib_metadata():
    import pandas  # noqa: F401

    owners = {}
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or ():
            if ".so" in file.name:
                owners[os.path.realpath(file.locate())] = (distribution.metadata["Name"], distribution.version)
    rows = report()
    assert {row["package"] for row in rows} > {"numpy", "pandas"}
    for row in rows:
        expected = owners.get(row["path"], (None, None))
        if row["package_manager"] == "dpkg":
            expected = debian_owner(row["path"])
        assert (row["package"], row["package_version"]) == expected, row["path"]


def debian_owner(path):
    """Ask dpkg; where /lib is a link, its lists may name the file by either path."""
    for name in (path, path.removeprefix("/usr"), "/usr" + path):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
        if found.returncode == 0:
            package = found.stdout.split(": ")[0]
            version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
            return package.split(":")[0], version.stdout
    return None, None


def test_several_blas_libraries_are_no_secret():
    import numpy  # noqa: F401

    assert "L002" not in [one["code"] for one in report().diagnoses]
    import scipy.linalg  # noqa: F401

    (found,) = [one for one in report().diagnoses if one["code"] == "L002"]
    assert found["severity"] == "info" and "scipy" in "".join(found["evidence"])


def test_resident_memory_is_part_of_what_is_mapped():
    rows = report("--rss libpython")
    assert all(0 < row["rss"] <= row["size"] for row in rows) and len(rows) > 0
    assert report("libpython")[0]["rss"] is None


def test_a_deleted_file_is_told():
    import _lsprof

    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(_lsprof.__file__, os.path.join(folder, "_lsprof.so"))
        spec = importlib.util.spec_from_file_location("_lsprof", path)
        copy = importlib.util.module_from_spec(spec)
        sys.modules["a_copy"] = copy
        (row,) = report(re.escape(path))
        assert row["kind"] == "extension module" and not row["deleted"]
    (row,) = report(re.escape(path))
    assert row["deleted"] and row["path"] == path
    (found,) = [one for one in report().diagnoses if one["code"] == "L004"]
    assert found["severity"] == "warn" and found["evidence"] == [path]
