"""%why_import on libraries that gcc makes so that they cannot be loaded, each in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.diaphane
MODULE = """
#include <Python.h>
int dep(void);
static struct PyModuleDef spam = {PyModuleDef_HEAD_INIT, "spam", NULL, 0, NULL};
PyMODINIT_FUNC PyInit_spam(void) { return dep() ? PyModule_Create(&spam) : NULL; }
"""


def explained(client: Client, cell: str) -> tuple[dict, str]:
    """Run a cell that fails; the row of %why_import, and the text that was shown with the error."""
    failed = client.execute(cell)
    shown = "\n".join(failed.one("error")["traceback"])
    asked = client.run("%why_import --json").one("execute_result")["data"]
    report = asked["application/vnd.diaphane.why_import+json"]
    (row,) = report["rows"]
    return row, shown


def test_a_library_that_is_elsewhere(client: Client, tmp_path: Path):
    """The module needs one that needs another, which is not where the linker looks."""
    dep = shared_library(
        tmp_path / "lib/libspamdep.so.1",
        "int inner(void) { return 1; }",
        "-Wl,-soname,libspamdep.so.1",
    )
    middle = shared_library(
        tmp_path / "libspammiddle.so",
        "int inner(void); int dep(void) { return inner(); }",
        str(dep),
    )
    shared_library(tmp_path / "spam.so", MODULE, str(middle), "-Wl,-rpath,$ORIGIN")
    cell = f"import os, sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    cell += f"os.environ['LD_LIBRARY_PATH'] = {str(dep.parent)!r}\nimport spam"
    row, shown = explained(client, cell)
    assert (row["kind"], row["missing"]) == ("missing library", "libspamdep.so.1")
    assert row["required_by"] == str(middle)
    assert [one["path"] for one in row["candidates"]] == [str(dep)]
    assert "Why: libspamdep.so.1 is in none of" in shown
    assert "libspammiddle.so needs it" in shown
    assert "while the kernel runs has no effect" in shown
    client.run("del os.environ['LD_LIBRARY_PATH']")
    # What the fix says.
    client.run(f"import ctypes\nfirst = ctypes.CDLL({str(dep)!r})\nimport spam")


def test_a_library_that_ctypes_needs(client: Client, tmp_path: Path):
    """The exception does not tell what was asked for; the kernel has heard it."""
    dep = shared_library(
        tmp_path / "libgone.so.1", "int dep(void) { return 1; }", "-Wl,-soname,libgone.so.1"
    )
    user = shared_library(
        tmp_path / "libasks.so", "int dep(void); int use(void) { return dep(); }", str(dep)
    )
    dep.unlink()
    row, shown = explained(client, f"import ctypes\nctypes.CDLL({str(user)!r})")
    assert row["required_by"] == str(user)
    assert "libasks.so needs it" in shown
    row, shown = explained(client, "ctypes.CDLL('libnowhere.so.3')")
    assert row["required_by"] is None
    assert "by that name" in shown
    assert "/usr/lib/libnowhere.so.3" in [one["path"] for one in row["tried"]]


def test_a_version_that_the_loaded_copy_lacks(client: Client, tmp_path: Path):
    for number in (1, 2):
        versions = "".join(f"EGG_1.{n} {{ egg{n}; }};\n" for n in range(1, number + 1))
        (tmp_path / "egg.map").write_text(versions)
        source = "".join(f"void egg{n}(void) {{}}\n" for n in range(1, number + 1))
        options = ("-Wl,-soname,libegg.so.1", f"-Wl,--version-script={tmp_path / 'egg.map'}")
        shared_library(tmp_path / f"{number}/libegg.so.1", source, *options)
    new = tmp_path / "2" / "libegg.so.1"
    user = shared_library(
        tmp_path / "libuser.so", "void egg2(void); void use(void) { egg2(); }", str(new)
    )
    old = tmp_path / "1" / "libegg.so.1"
    client.run(f"import ctypes\nold = ctypes.CDLL({str(old)!r})")
    client.run(f"import os\nos.environ['LD_LIBRARY_PATH'] = {str(new.parent)!r}")
    row, shown = explained(client, f"ctypes.CDLL({str(user)!r})")
    client.run("del os.environ['LD_LIBRARY_PATH']")
    assert (row["kind"], row["missing"]) == ("missing version", "EGG_1.2")
    assert (row["required_by"], row["loaded_copy"]) == (str(user), str(old))
    assert row["loaded_by"] == "ctypes"
    assert {"path": str(new), "provides": "EGG_1.2"} in row["candidates"]
    assert "up to EGG_1.1" in shown
    assert f"LD_PRELOAD={new}" in shown


def test_a_symbol_that_nobody_defines(client: Client, tmp_path: Path):
    user = shared_library(
        tmp_path / "libwants.so", "void _ZN4spam3hamEv(void); void use(void) { _ZN4spam3hamEv(); }"
    )
    row, shown = explained(client, f"import ctypes\nctypes.CDLL({str(user)!r})")
    assert (row["kind"], row["missing"], row["required_by"]) == (
        "undefined symbol",
        "_ZN4spam3hamEv",
        str(user),
    )
    assert "uses spam::ham" in shown, "C++ names are readable"


def test_a_symbol_that_another_library_hides(client: Client, tmp_path: Path):
    hidden = shared_library(tmp_path / "libhidden.so", "void hidden_ham(void) {}")
    user = shared_library(
        tmp_path / "libseeks.so", "void hidden_ham(void); void use(void) { hidden_ham(); }"
    )
    cell = f"import ctypes\nhidden = ctypes.CDLL({str(hidden)!r})\nctypes.CDLL({str(user)!r})"
    row, shown = explained(client, cell)
    assert [one["path"] for one in row["candidates"]] == [str(hidden)]
    assert "RTLD_GLOBAL" in shown
    client.run(f"ctypes.CDLL({str(hidden)!r}, ctypes.RTLD_GLOBAL); ctypes.CDLL({str(user)!r})")


def test_a_symbol_of_another_python(client: Client, tmp_path: Path):
    user = shared_library(
        tmp_path / "libabi.so", "void _PyOld_Thing(void); void use(void) { _PyOld_Thing(); }"
    )
    row, _ = explained(client, f"import ctypes\nctypes.CDLL({str(user)!r})")
    assert "install a build" in row["fix"]
    assert "for this Python" in row["fix"]


def test_no_room_for_thread_local_variables(client: Client, tmp_path: Path):
    source = '__attribute__((tls_model("initial-exec"))) __thread char room[99000];\nchar *use(void) { return room; }'
    path = shared_library(tmp_path / "libtls.so", source)
    row, shown = explained(client, f"import ctypes\nctypes.CDLL({str(path)!r})")
    assert (row["kind"], row["missing"]) == ("static TLS", "99000 bytes of static TLS")
    assert "glibc.rtld.optional_static_tls=" in shown


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", "no library", "is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
            "no library",
            "git lfs pull",
        ),
        (b"class", "wrong ELF class", "32 bits"),
    ],
)
def test_a_file_that_is_no_library_for_us(
    client: Client, tmp_path: Path, content: bytes, kind: str, words: str
):
    path = tmp_path / "broken.so"
    if content == b"class":
        image = bytearray(shared_library(tmp_path / "good.so", "int x;").read_bytes())
        image[4] = 1
        content = bytes(image)
    path.write_bytes(content)
    row, shown = explained(client, f"import ctypes\nctypes.CDLL({str(path)!r})")
    assert (row["kind"], row["required_by"]) == (kind, str(path))
    assert words in shown


def test_a_library_that_is_no_module(client: Client, tmp_path: Path):
    shared_library(
        tmp_path / "renamed_module.so", MODULE.replace("dep()", "1").replace("int 1;", "")
    )
    cell = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport renamed_module"
    row, shown = explained(client, cell)
    # From 3.15 on there is another name that would do.
    assert row["kind"] == "no module"
    assert row["missing"].endswith("PyInit_renamed_module")
    assert "it is the module spam" in shown


def test_the_cause_of_another_exception_is_found(client: Client, tmp_path: Path):
    (tmp_path / "empty.so").write_bytes(b"")
    cell = f"import ctypes\ntry:\n    ctypes.CDLL({str(tmp_path / 'empty.so')!r})\n"
    cell += "except OSError as error:\n    raise RuntimeError('our package is broken') from error"
    row, shown = explained(client, cell)
    assert "our package is broken" in shown
    assert "is empty" in shown
    assert row["kind"] == "no library"


def test_a_module_is_tried_and_an_exception_is_taken_from_its_variable(
    client: Client, tmp_path: Path
):
    (tmp_path / "named_module.so").write_bytes(b"no library at all")
    client.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})")
    client.run("r = %why_import named_module")
    assert client.value("r[0]['kind']") == "'no library'"
    client.run(
        "kept = None\ntry:\n    import named_module\nexcept ImportError as error:\n    kept = error"
    )
    client.run("r = %why_import kept")
    assert client.value("r.facts['module']") == "'named_module'"
    assert "works" in client.execute("%why_import json").text("stderr")


def test_other_exceptions_are_left_as_they_are(client: Client):
    for cell in ("1/0", "import no_such_module_anywhere", "open('/no/such/file')"):
        assert "Why:" not in "\n".join(client.execute(cell).one("error")["traceback"])
    shown = client.run("%why_import").one("execute_result")["data"]["text/plain"]
    assert "nothing to explain" in shown


def test_hostile_exceptions_and_names(client: Client, tmp_path: Path):
    """Names are escaped, and no code of an exception's class runs for the explanation."""
    path = tmp_path / "<b>&\n\x1b[2J.so"
    path.write_bytes(b"")
    client.run("import ctypes")
    client.execute(f"ctypes.CDLL({str(path)!r})")
    data = client.run("%why_import").one("execute_result")["data"]
    assert "<b>&" not in data["text/html"]
    assert "\x1b" not in data["text/plain"]
    client.run(
        "class Evil(ImportError):\n"
        "    asked = []\n"
        "    def __getattribute__(self, name):\n"
        "        Evil.asked.append(name)\n"
        "        return super().__getattribute__(name)\n"
        "evil = Evil('x.so: file too short', name=3, path=[])\nevil.__cause__ = evil\nEvil.asked.clear()"
    )
    client.run("r = %why_import evil")
    assert client.value("(r[0]['kind'], Evil.asked)") == "('no library', [])"
