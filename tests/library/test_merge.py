"""One report of many processes' reports."""

import json

from support import door
from support.programs import start

WORKERS = """
import diaphane, json, threading
one = diaphane.threads()
def worker(**facts):
    fields = json.loads(one.to_json())
    fields.update(facts)
    return fields
usual = {"online": 8, "affinity": 8, "quota": None, "usable": 8}
workers = {f"w{number}": worker(cpus=usual) for number in range(12)}
"""


def test_equal_rows_are_folded_and_a_misfit_is_named(run):
    said = run(
        WORKERS
        + """
workers["w3"] = worker(cpus=usual | {"quota": 0.5})
merged = diaphane.merge(workers)
said["rows"] = [len(merged), len(one)]
said["workers"] = [row["worker"] for row in merged]
said["differences"] = merged.facts["differences"]
said["text"] = str(merged)
said["html"] = merged.to_html()
said["json"] = json.loads(merged.to_json())
said["table"] = list(merged.to_pandas()["worker"])
said["diff"] = len(merged.diff(merged))
said["name"] = merged.name
"""
    )
    assert said["rows"][0] == said["rows"][1]
    assert set(said["workers"]) == {"12 of 12"}
    (difference,) = said["differences"]
    assert difference["fact"] == "cpus: quota"
    assert [difference["worker"], difference["value"], difference["usual"]] == ["w3", "0.5", "none"]
    assert "All 12 workers have a report." in said["text"]
    assert "cpus: quota" in said["html"]
    assert said["json"]["answered"] == 12
    assert said["table"] == said["workers"]
    assert said["diff"] == 0
    assert said["name"] == "threads_merged"


def test_a_report_comes_as_a_value_as_json_or_as_a_file(run, tmp_path):
    said = run(
        """
import sys, json, pickle
from pathlib import Path
import diaphane
one = diaphane.threads()
folder = Path(sys.argv[1])
one.save(folder / "saved.json")
(folder / "plain.json").write_text(one.to_json())
merged = diaphane.merge({
    "live": one, "text": one.to_json(), "bytes": one.to_json().encode(), "dict": json.loads(one.to_json()),
    "saved": folder / "saved.json", "path": str(folder / "plain.json"),
    "bundle": {"text/plain": "", "application/vnd.diaphane.threads+json": json.loads(one.to_json())},
    "pickled": pickle.loads(pickle.dumps(one)),
})
said["facts"] = merged.facts
said["workers"] = [row["worker"] for row in merged]
said["list"] = diaphane.merge([one, one]).facts["answered"]
said["same"] = str(pickle.loads(pickle.dumps(one))) == str(one)
""",
        str(tmp_path),
    )
    assert said["facts"]["silent"] == {}
    assert set(said["workers"]) == {"8 of 8"}
    assert said["list"] == 2
    assert said["same"]


def test_a_worker_without_a_report_is_told_and_harms_nobody(run):
    said = run(
        WORKERS
        + """
later = worker(schema_version=7)
workers |= {
    "killed": ConnectionError("gone"), "none": None, "words": "did not answer", "later": later, "number": 5,
    "broken": "{", "missing": "nowhere.json", "set": {"a": {1}}, "\\ud800": "\\ud800", "other": diaphane.loaded_libs(),
}
merged = diaphane.merge(workers)
said["silent"], said["answered"], said["text"] = merged.facts["silent"], merged.facts["answered"], str(merged)
said["magics"] = sorted({row["magic"] for row in merged})
refused = []
for rubbish in (5, "text", {}, [], one):
    try:
        diaphane.merge(rubbish)
    except (TypeError, ValueError) as error:
        refused.append(f"{type(error).__name__}: {error}")
said["refused"] = refused
said["nobody"] = str(diaphane.merge({"a": None}))
"""
    )
    silent = said["silent"]
    assert silent.keys() == {
        "killed",
        "none",
        "words",
        "later",
        "number",
        "broken",
        "missing",
        "set",
        "?",
    }
    assert silent["killed"] == "ConnectionError: gone"
    assert "schema_version is 7" in silent["later"]
    assert "int" in silent["number"]
    assert "nowhere.json" in silent["missing"]
    assert said["answered"] == 13
    assert said["magics"] == ["loaded_libs", "threads"]
    assert "limit: words: did not answer" in said["text"]
    assert len(said["refused"]) == 5
    assert (
        said["refused"][0]
        == "TypeError: merge() takes {worker: report} or a list of reports, not int"
    )
    assert "None of 1 workers" in said["nobody"]


def test_the_command_line_merges_files(run, tmp_path):
    run(
        """
import sys, diaphane
for name in "ab":
    diaphane.threads().save(f"{sys.argv[1]}/{name}.json")
""",
        str(tmp_path),
    )
    (tmp_path / "c.json").write_text("{")
    page = tmp_path / "page.html"
    files = [str(tmp_path / f"{name}.json") for name in "abc"]
    command = [door.python(), "-m", "diaphane", "merge", *files]
    done = start(*command, "--html", str(page))
    assert done.returncode == 0, done.stderr
    assert "2 of 3 workers have a report; c has none." in done.stdout
    assert page.read_text().startswith("<!doctype html>")
    fields = json.loads(start(*command, "--json").stdout)
    assert fields["answered"] == 2
    again = tmp_path / "again.json"
    again.write_text(json.dumps(fields))
    assert "is merged already" in start(*command[:-3], str(again)).stdout
