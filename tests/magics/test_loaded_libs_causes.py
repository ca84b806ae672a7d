"""Who loaded a library and from where: %loaded_libs against the linker's own words, pldd, dlsym and threadpoolctl."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
MODULE = """
#include <Python.h>
static struct PyModuleDef egg = {PyModuleDef_HEAD_INIT, "_egg", NULL, 0, NULL};
PyMODINIT_FUNC PyInit__egg(void) { return PyModule_Create(&egg); }
"""


def rows(client: Client, line: str) -> list[dict]:
    """The rows that a line gives."""
    done = client.run(f"r = {line}\nimport json\nprint(json.dumps(r.rows))")
    return json.loads(done.text())


def shown(client: Client, line: str) -> str:
    """The text that a line shows."""
    return client.run(line).one("execute_result")["data"]["text/plain"]


def told_by_the_linker(code: str) -> dict[str, str]:
    """By which rule the linker itself says it found each library, from its log of another process."""
    environment = os.environ | {"LD_DEBUG": "libs"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, env=environment
    )
    rules, rule, last, wanted = {}, "", "", ""
    for line in done.stderr.decode().splitlines():
        text = line.split(":", 1)[-1].strip()
        if found := re.match(r"find library=(\S+)", text):
            wanted = found[1]
        elif found := re.search(r"search path=.*\((RPATH|RUNPATH) from file (.+)\)", text):
            rule = f"{found[1]} of {Path(found[2]).name.split('.cpython-')[0]}"
        elif text.startswith("search cache="):
            rule = "ld.so.cache"
        elif text.startswith("search path="):
            rule = "another"
        elif found := re.match(r"trying file=(\S+)", text):
            last = found[1]
        elif wanted and last:
            # Whatever follows ends the search, and the last file that was tried is the one.
            rules.setdefault(os.path.realpath(last), rule)
            wanted = last = ""
    return rules


def test_the_rules_are_those_that_the_linker_says(launch):
    code = "import numpy, scipy.linalg"
    expected = told_by_the_linker(code)
    client = launch().connect()
    client.run(code)
    found = {
        os.path.realpath(row["path"]): row["found_by"]
        for row in rows(client, "%loaded_libs")
        if row["found_by"]
    }
    common = [path for path in found if path in expected and "site-packages" in path]
    assert len(common) >= 4
    for path in common:
        # A folder that several files name is told under the first of them, so the rest of its rule may differ.
        assert found[path].split(" of ")[0] == expected[path].split(" of ")[0], path
        if "openblas" in path:
            assert found[path] == expected[path], path
    system = {path for path in found if path.startswith(("/usr/lib", "/lib"))}
    # Where Python is the system's own, its modules are loaded by their paths, and the kernel's rule, which is for
    # Python's library, names the folder of the system's libraries before the cache is asked.
    rules = {found[path] for path in system if "/lib-dynload/" not in path}
    assert rules - {"RUNPATH of diaphane"} == {"ld.so.cache"}


def test_the_paths_are_those_of_pldd(client: Client, kernel):
    client.run("import numpy, ssl")
    pid = client.value("__import__('os').getpid()")
    listed = subprocess.run(
        ["pldd", pid], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    expected = {os.path.realpath(line) for line in listed[1:] if line.startswith("/")}
    found = [row for row in rows(client, "%loaded_libs") if row["kind"] != "program"]
    assert {os.path.realpath(row["path"]) for row in found} == expected


def test_the_chain_from_the_line_to_the_file(launch):
    client = launch().connect()
    client.run("# a comment\nimport scipy.linalg  # here")
    text = shown(client, "%loaded_libs --why scipy_openblas")
    assert "In[1], line 2: import scipy.linalg  # here" in text
    assert "runs the module scipy.linalg\n" in text
    assert re.search(r"loads the module scipy\.linalg\._\w+: _\w+\.cpython", text)
    assert re.search(r"needs libscipy_openblas-\w+\.so, found by RPATH of _\w+", text)
    (row,) = rows(client, "%loaded_libs _fblas")
    assert (row["module"], row["loaded_by"]) == ("scipy.linalg._fblas", "import scipy.linalg")
    assert row["first_cell"] == 1


def test_ctypes_and_a_request_that_failed_before(launch, tmp_path: Path):
    client = launch().connect()
    path = tmp_path / "libham.so"
    client.execute(f"import ctypes\nham = ctypes.CDLL({str(path)!r})")
    shared_library(path, "int ham(void) { return 1; }")
    client.run(f"# again\nham = ctypes.CDLL({str(path)!r})")
    text = shown(client, "%loaded_libs --why libham")
    assert f"In[2], line 2: ham = ctypes.CDLL({str(path)!r})" in text
    (row,) = rows(client, "%loaded_libs libham")
    assert (row["loaded_by"], row["first_cell"], row["kind"]) == ("ctypes", 2, "shared library")


def test_pools_are_those_of_threadpoolctl(launch):
    client = launch().connect()
    client.run("import numpy, scipy.linalg, sklearn.cluster, threadpoolctl")
    asked = client.run("import json\nprint(json.dumps(threadpoolctl.threadpool_info()))")
    expected = json.loads(asked.text())
    found = {row["path"]: row for row in rows(client, "%loaded_libs") if row["runtime"]}
    assert {os.path.realpath(one["filepath"]) for one in expected} == set(found)
    for one in expected:
        row = found[os.path.realpath(one["filepath"])]
        assert row["api"] == one["user_api"]
        assert row["pool_size"] == one["num_threads"]
        assert row["architecture"] == one.get("architecture")
        if one["version"]:
            assert row["version"] == one["version"]


def test_a_use_of_a_symbol_is_bound_to_the_definition_that_dlsym_finds(client: Client):
    client.run("import numpy as np, ctypes\na = np.ones((9, 9)); a @ a")
    found = rows(client, "%loaded_libs --sym scipy_cblas_dgemm64_")
    (definition,) = [row for row in found if row["role"] == "defines"]
    uses = [row for row in found if row["role"] == "uses"]
    assert any("_multiarray_umath" in row["name"] for row in uses)
    cell = f"ctypes.cast(ctypes.CDLL({definition['path']!r}).scipy_cblas_dgemm64_, ctypes.c_void_p).value"
    address = hex(int(client.value(cell)))
    assert definition["address"] == address
    for row in uses:
        assert (row["address"], row["bound_to"]) == (address, definition["name"])
    assert rows(client, "%loaded_libs --sym no_such_symbol_anywhere") == []


def test_new_is_what_came_since_the_last_cell_began(launch):
    client = launch().connect()
    client.run("import numpy")
    client.run("1")
    client.run("import _lsprof")
    assert [row["name"].split(".")[0] for row in rows(client, "%loaded_libs --new")] == ["_lsprof"]
    assert "In[4] began" in shown(client, "%loaded_libs --new")


def test_a_tree_has_each_library_below_one_that_needs_it(client: Client):
    client.run("import numpy")
    text = shown(client, "%loaded_libs --tree _multiarray_umath")
    lines = text.splitlines()
    place = next(
        place
        for place, line in enumerate(lines)
        if line.startswith("_multiarray_umath.") and line.endswith(")")
    )
    assert "libscipy_openblas" in lines[place + 1]
    assert "RPATH of _multiarray_umath" in text


def test_a_package_that_pip_moved_aside_is_still_known(launch, tmp_path: Path):
    """Uninstalling, pip renames a package's folder to one with a tilde, and removes that."""
    site = tmp_path / "site-packages"
    shared_library(site / "eggs" / "_egg.so", MODULE)
    information = site / "eggs-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: eggs\nVersion: 1.2\n\n")
    (information / "RECORD").write_text("eggs/_egg.so,,\n")
    client = launch().connect()
    client.run(f"import sys\nsys.path.insert(0, {str(site)!r})\nimport eggs._egg")
    (before,) = rows(client, "%loaded_libs eggs")
    assert (before["package"], before["package_version"], before["deleted"]) == (
        "eggs",
        "1.2",
        False,
    )
    (site / "eggs").rename(site / "~ggs")
    shutil.rmtree(site / "~ggs")
    shutil.rmtree(information)
    (after,) = rows(client, "%loaded_libs eggs")
    assert after["deleted"]
    for key in ("name", "path", "package", "package_version", "base"):
        assert after[key] == before[key], key
    assert "L004" in shown(client, "%loaded_libs eggs")


@pytest.mark.parametrize(
    "name", ["<script>&'\".so", "a\nb.so", "\x1b[2J.so", "a\udcff\udcfe.so", "libx-0123abcd.so"]
)
def test_any_name_of_a_file_is_shown_and_does_no_harm(client: Client, tmp_path: Path, name: str):
    path = shared_library(tmp_path / "plain.so", "int x;").rename(tmp_path / name)
    client.run(
        f"import ctypes\nx = ctypes.CDLL({os.fsencode(path)!r}.decode('utf-8', 'surrogateescape'))"
    )
    names = [row["name"] for row in rows(client, "%loaded_libs")]
    assert os.fsencode(name).decode(errors="replace") in names
    for option in ("", "--tree", "--why libx" if name.startswith("libx") else "--dup"):
        data = client.run(f"%loaded_libs {option}").one("execute_result")["data"]
        assert "<script" not in data["text/html"]
        assert "\x1b" not in data["text/plain"]
    client.run("x._name, x._handle\nimport _ctypes\n_ctypes.dlclose(x._handle)")
    assert name not in [row["name"] for row in rows(client, "%loaded_libs")]


def test_an_executable_stack_is_told_or_its_refusal_explained(client: Client, tmp_path: Path):
    """Which of the two depends on the C library."""
    path = shared_library(tmp_path / "libstack.so", "int x;", "-Wl,-z,execstack")
    done = client.execute(f"import ctypes\nx = ctypes.CDLL({str(path)!r})")
    if done.content["status"] == "ok":
        assert (
            "wants an executable stack"
            in client.run("r = %loaded_libs libstack\nprint(r.diagnoses)").text()
        )
    else:
        assert "executable stack" in "\n".join(done.one("error")["traceback"])


def test_a_forked_child_imports_while_its_parent_looks(launch):
    """Locks that were held at the fork stay held in the child; an import there must not wait for one."""
    client = launch().connect()
    client.run("import os, threading; from diaphane import _diaphane\nstop = threading.Event()")
    client.run(
        "def look():\n"
        "    while not stop.is_set():\n"
        "        _diaphane.run_magic('loaded_libs', 'libc', None, {})\n"
        "thread = threading.Thread(target=look)\nthread.start()"
    )
    child = "import _lsprof, ctypes; ctypes.CDLL(None); ctypes.CDLL('libm.so.6'); os._exit(7)"
    cell = (
        f"codes = []\nfor _ in range(200):\n    pid = os.fork()\n    if not pid:\n        {child}\n"
    )
    client.run(
        cell
        + "    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nstop.set()\nthread.join()"
    )
    assert client.value("set(codes)") == "{7}"


def test_a_python_that_allows_no_hook(launch, tmp_path: Path):
    """Another hook forbids ours; what it would have heard is then not known, and said so."""
    hook = "import sys\ndef forbid(event, args):\n    if event == 'sys.addaudithook':\n        raise RuntimeError\n"
    (tmp_path / "sitecustomize.py").write_text(hook + "sys.addaudithook(forbid)\n")
    client = launch(env={"PYTHONPATH": str(tmp_path)}).connect()
    client.run("import _lsprof")
    (row,) = rows(client, "%loaded_libs _lsprof")
    assert (row["loaded_by"], row["first_cell"]) == ("import _lsprof", 1)
    assert "no audit hook" in shown(client, "%loaded_libs _lsprof")
