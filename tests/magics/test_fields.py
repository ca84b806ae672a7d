"""What the magics say about the fields of their reports is whole, true, and what the documentation has.

Real reports are the witness: each field that they have is described, with a value of the kind that is promised.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS / "site"))

import fields  # noqa: E402

pytestmark = pytest.mark.diaphane
PREPARE = """
import ctypes, json, shutil, threading
import numpy as np, numpy.random
from diaphane._diaphane import run_magic

a = np.arange(12.0).reshape(3, 4)
b, c, d, big = a[1:], a.copy(), {"x": a}, np.zeros(2_000_000)
for name in ("one", "two", "three"):
    shutil.copy(numpy.random._pcg64.__file__, f"{name}.so")

def look(name, line, cell):
    report = run_magic(name, line.replace("@", hex(a.ctypes.data)), cell, globals())
    print(report.to_json())
"""

# Every form that rows have, each with something to say.
LOOKS = [
    ("loaded_libs", ""),
    ("loaded_libs", "--rss --all"),
    ("loaded_libs", "--sym malloc"),
    ("threads", ""),
    ("threads", "--stack --locals --sample 30"),
    ("buffer_addr", "--all --pages"),
    ("addr_map", ""),
    ("addr_map", "--group lib --pss"),
    ("addr_map", "--diff"),
    ("addr_map", "--at @"),
    ("process_tree", ""),
    ("stack", "--all --native"),
    ("native_delta", ""),
    ("native_doctor", ""),
    ("where", "np.add"),
    ("where", "np.sort"),
    ("where", "json.loads"),
    ("disasm", "len"),
    ("why_import", "failure"),
    ("rust_status", "--here"),
    ("crash_report", ""),
]
CELLS = [
    ("buffer_trace", "", "x = a * 2 + 1\ny = x[1:]"),
    ("buffer_writes", "", "a[1] = 3\nb2 = a * 2"),
    ("watch_buffer", "a[1,1]", "a[1] = 3\na *= 2"),
    ("monitor", "", "sum(i * i for i in range(9_000_000))"),
    ("native_calls", "", "np.dot(a, a.T)"),
    ("native_calls", "--args --all", "np.dot(a, a.T)\nnp.sum(a)"),
    ("trace_loads", "", "ctypes.CDLL('./one.so')"),
    ("trace_loads", "--files", "ctypes.CDLL('./two.so')"),
    ("trace_loads", "--tree", "ctypes.CDLL('./three.so')"),
    ("syscalls", "", "open('/etc/hostname').read()\nthreading.Thread(target=print).start()"),
    ("syscalls", "--list", "open('/etc/hostname').read()"),
    ("syscalls", "--by path", "open('/etc/hostname').read()"),
    ("native_prof", "", "big @ big; sum(i * i for i in range(1_000_000))"),
]


@pytest.fixture(scope="module")
def schemas() -> dict:
    return fields.schemas()


@pytest.fixture
def look(client):
    """A report of a magic, as JSON."""
    if "look" not in client.value("dir()"):
        client.run(PREPARE)
        client.run(
            "try:\n    ctypes.CDLL('libnowhere.so.9')\nexcept OSError as error:\n    failure = error"
        )
    return lambda *question: json.loads(client.run(f"look{question!r}").text())


def strict(schema: dict) -> dict:
    """The same schema, which allows no field that it does not name, and wants all of a row's."""
    schema = copy.deepcopy(schema)
    schema["additionalProperties"] = False
    for rows in schema["properties"]["rows"].get("items", {}).get("anyOf", []):
        rows["additionalProperties"] = False
    return schema


@pytest.mark.parametrize(("name", "line", "cell"), [(*look, None) for look in LOOKS] + CELLS)
def test_every_field_of_a_real_report_is_described(look, schemas, name, line, cell):
    report = look(name, line, cell)
    jsonschema.validate(report, strict(schemas[name]))
    assert report["rows"] or name in ("native_doctor", "rust_status", "crash_report"), (
        "nothing was checked"
    )


def test_every_field_has_a_meaning_and_a_source(schemas):
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        forms = schema["properties"]["rows"].get("items", {}).get("anyOf", [])
        facts = {k: fact for k, fact in schema["properties"].items() if k not in fields.COMMON}
        for described in [*(form["properties"] for form in forms), facts]:
            silent = [k for k, f in described.items() if not (f["description"] and f["x-source"])]
            assert not silent, name


def test_the_page_has_what_the_magics_say(schemas):
    page = fields.PAGE.read_text()
    assert page == fields.written(page, schemas), (
        "run docs/site/fields.py, which writes the tables of docs/magics.md"
    )
    described = {match[2] for match in fields.BLOCK.finditer(page)}
    told = {name for name, schema in schemas.items() if "items" in schema["properties"]["rows"]}
    assert described == told


def test_the_help_has_the_fields_in_88_columns(client, schemas):
    helps = json.loads(
        client.run(
            "import json; from diaphane import _diaphane\n"
            "print(json.dumps([(name, _diaphane.magic_help(name)) for name, *_ in _diaphane.magic_list()]))"
        ).text()
    )
    for name, text in helps:
        told = text.partition("\n\nFields of a row")[2]
        assert max(map(len, told.splitlines()), default=0) <= 88, name
        for rows in schemas[name]["properties"]["rows"].get("items", {}).get("anyOf", []):
            for key in rows["properties"]:
                assert f"\n  {key}" in text, f"%{name}?: {key}"


def test_an_unknown_magic_is_refused_in_a_line():
    asked = [*fields.command(), "schema", "thread"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "diaphane: there is no magic %thread, did you mean threads?\n"
