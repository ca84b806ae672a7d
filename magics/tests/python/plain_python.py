"""The magics need no package, import none, and refuse bad input in one line."""

import array
import json
import mmap
import os
import sys
import tempfile

from diaphane_native import Report, magic_help, magic_list, run_magic

namespace = {}


def refused(name, line, cell=None):
    try:
        run_magic(name, line, cell, namespace)
    except ValueError as error:
        message = str(error)
        assert "\n" not in message, message
        return message
    raise AssertionError(f"%{name} {line} was accepted")


def test_magics_describe_themselves():
    assert {"loaded_libs", "threads", "buffer_addr"} <= {name for name, _, _ in magic_list()}
    kinds = {}
    for name, kind, _ in magic_list():
        kinds.setdefault(name, set()).add(kind)
    for name, _, about in magic_list():
        doc = magic_help(name)
        assert doc.split()[:3] == about.split()[:3], about
        # What stands on a line and above a cell is written as on a line.
        sign = "%%" if kinds[name] == {"cell"} else "%"
        assert f"Usage: {sign}{name} " in doc and "--json" in doc and len(doc.splitlines()[0]) <= 88, doc


def test_bad_input_gets_one_helpful_line():
    usage = "usage: %loaded_libs [REGEX] "
    refusal = refused("loaded_libs", "--al")
    assert refusal.startswith(f'%loaded_libs: unknown argument "--al", did you mean --all?; {usage}')
    assert refusal.endswith("[--filter REGEX] [--sort COL] [--top N] [--json] [--as NAME] [--no-diag]")
    assert "no regular expression: unclosed group" in refused("loaded_libs", "'('")
    assert "columns: name, package" in refused("loaded_libs", "--sort nothing")
    assert "is not closed" in refused("threads", '"')
    assert "did you mean threads?" in refused("thread", "")
    assert "is a line magic" in refused("addr_map", "", "x = 1")
    assert "name of a variable" in refused("threads", "--as class")
    namespace["column"] = b"x"
    assert refused("buffer_addr", "colum") == '%buffer_addr: there is no variable "colum", did you mean column?'
    assert "assign it to a variable first" in refused("buffer_addr", "column+column")


def test_a_report_is_a_sequence_of_rows():
    report = run_magic("loaded_libs", "libc")
    assert isinstance(report, Report) and report.name == "loaded_libs"
    rows = list(report)
    assert rows == report.rows and len(report) == len(rows) > 0
    assert report[0] is report.rows[0] and report[-1] == rows[-1] and report[:1] == rows[:1]
    assert report.limits == [] and report.facts["totals"]["libs"] == len(rows)


def test_a_report_is_the_same_after_a_file():
    report = run_magic("loaded_libs", "")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "libs.json")
        report.save(path)
        again = Report.load(path)
        assert repr(again) == repr(report) and again.to_json() == report.to_json() and again.rows == report.rows
        with open(path) as file:
            assert json.load(file)["rows"] == report.rows
        assert again.to_html().startswith("<div")
        for broken, message in (("[]", "not a JSON object"), ("{}", "schema_version is null")):
            with open(path, "w") as file:
                file.write(broken)
            try:
                Report.load(path)
            except ValueError as error:
                assert path in str(error) and message in str(error), error
            else:
                raise AssertionError(f"{broken} was taken for a report")
        for call in (lambda: Report.load(path + ".none"), lambda: report.save(os.path.join(path, "below"))):
            try:
                call()
            except OSError as error:
                assert path in str(error), error
            else:
                raise AssertionError("a path that cannot be was taken")


def test_a_report_is_the_same_after_it_was_shown():
    """It takes less room then, since it may stay in `Out` for as long as the session."""

    def told(report):
        texts = (repr(report), report.to_json(), report.to_html())
        return texts, report.name, report.facts, report.diagnoses, report.limits, len(report)

    for name in ("loaded_libs", "threads"):
        report = run_magic(name, "")
        before, rows = told(report), json.loads(report.to_json())["rows"]
        bundle = report._repr_mimebundle_()
        assert told(report) == before and report.rows == rows
        assert report._repr_mimebundle_() == bundle
        assert [row["in"] for row in report.diff(run_magic(name, "").filter("^no such$"))] == ["this"] * len(rows)


def test_reports_are_compared_and_filtered():
    report = run_magic("loaded_libs", "")
    libc = report.filter("^libc\\.so")
    assert len(libc) == 1 and libc[0] in report.rows and len(report) > 1
    gone = report.diff(libc)
    assert gone.name == "loaded_libs_diff" and gone.facts["same"] == 1
    assert [row["in"] for row in gone] == ["this"] * (len(report) - 1)
    assert {row["in"] for row in libc.diff(report)} == {"other"}
    assert len(report.diff(report)) == 0 and "0 rows differ" in repr(report.diff(report))
    for call in (lambda: report.filter("("), lambda: report.diff(run_magic("threads", ""))):
        try:
            call()
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            raise AssertionError("nonsense was accepted")


def test_a_report_is_bound_to_a_name():
    assert run_magic("threads", "--as found", None, namespace) is None
    found = namespace["found"]
    assert [row["tid"] for row in found] == sorted(row["tid"] for row in found)
    assert found[0] == found.rows[0] and found[-1] in found and len(found[:1]) == 1
    assert found.facts and found.name == "threads"


def test_json_text_and_html_tell_the_same():
    report = run_magic("loaded_libs", "libc --json")
    bundle = report._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.diaphane.loaded_libs+json"}
    envelope = json.loads(bundle["text/plain"])
    assert envelope == bundle["application/vnd.diaphane.loaded_libs+json"]
    assert envelope["rows"] == report.rows and envelope["schema_version"] == 1 and envelope["took_ns"] > 0
    assert envelope["host"]["kernel"] == os.uname().release
    assert envelope["host"]["python"] == ".".join(map(str, sys.version_info[:3]))

    bundle = run_magic("loaded_libs", "libc")._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.diaphane.loaded_libs+json"}
    for row in report:
        assert row["path"].split("/")[-1] in bundle["text/html"]


def test_text_fits_its_width():
    for width in (60, 80, 100, 200):
        os.environ["COLUMNS"] = str(width)
        for name in ("loaded_libs", "threads", "buffer_addr"):
            text = repr(run_magic(name, ""))
            assert max(map(len, text.splitlines())) <= min(width, 100), text
            assert "\x1b" not in text
    del os.environ["COLUMNS"]


def test_top_and_sort():
    report = run_magic("loaded_libs", "--sort size --top 2")
    sizes = [row["size"] for row in run_magic("loaded_libs", "")]
    assert [row["size"] for row in report] == sorted(sizes, reverse=True)[:2]


def test_buffers_of_the_standard_library():
    data = bytearray(b"0123456789")
    view = memoryview(data)
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(mmap.PAGESIZE)
        mapped = mmap.mmap(file.fileno(), 0)
        variables = {
            "data": data,
            "view": view[2:],
            "odd": view[1::2],
            "even": view[::2],
            "numbers": array.array("d", [1, 2, 3]),
            "mapped": mapped,
        }
        report = run_magic("buffer_addr", "", None, variables)
        mapped.close()
    rows = {row["name"]: row for row in report}
    assert list(rows) == list(variables)
    start = int(rows["data"]["addr"], 16)
    assert int(rows["view"]["addr"], 16) == start + 2 and rows["view"]["offset"] == 2
    assert rows["view"]["owner"] == rows["odd"]["owner"] == "data"
    assert rows["odd"]["strides"] == [2] and rows["odd"]["shape"] == [5]
    assert rows["numbers"]["dtype"] == "d" and rows["numbers"]["nbytes"] == 24
    assert rows["numbers"]["addr"] == hex(variables["numbers"].buffer_info()[0])
    assert rows["mapped"]["mapping"] == f"{file.name} (shared)"
    assert rows["data"]["shares_with"] == ["view", "odd", "even"]
    # Without NumPy nobody solves whether two strided buffers meet, and the report says so.
    assert len(report.limits) == 1 and "not known" in report.limits[0]
    assert report.facts["distinct_bytes"] == 10 + 24 + mmap.PAGESIZE
    assert not report.diagnoses[0]["title"].startswith("data")


def test_nothing_was_imported():
    assert not {"numpy", "pandas", "IPython"} & set(sys.modules)
