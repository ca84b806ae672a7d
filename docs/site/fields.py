"""Writes the tables of fields in docs/magics.md: `tests/.venv/bin/python docs/site/fields.py`.

A magic's fields, with what they mean and how they are known, stand in the magic itself, and `diaphane schema` lists
them. Here they become tables, between the two comments that each magic's section has; the rest of the page stays. It
needs the installed kernel. A test says when the page is not what the magics say.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from jupyter_client.kernelspec import get_kernel_spec

PAGE = Path(__file__).resolve().parents[1] / "magics.md"
BLOCK = re.compile(r"(<!-- fields of ([a-z_]+) -->\n)(.*?)(<!-- end of fields -->)", re.DOTALL)
# What every report has besides is no magic's own.
COMMON = {"schema_version", "name", "host", "took_ns", "plain_ns", "rows", "diagnoses", "limits", "left_out"}


def command() -> list[str]:
    """The words that run the command line of the installed kernel."""
    argv = get_kernel_spec("diaphane").argv
    return argv[: argv.index("kernel")]


def schemas() -> dict:
    """The schemas of all reports, by the magics' names."""
    return json.loads(subprocess.run([*command(), "schema"], check=True, capture_output=True, text=True).stdout)


def written(page: str, schemas: dict) -> str:
    """The page with the tables that belong there."""
    return BLOCK.sub(lambda match: match[1] + "\n" + tables(schemas[match[2]]) + "\n" + match[4], page)


def tables(schema: dict) -> str:
    parts = []
    told = set()
    for rows in schema["properties"]["rows"].get("items", {}).get("anyOf", []):
        fields = {key: field for key, field in rows["properties"].items() if (key, field["description"]) not in told}
        told |= {(key, field["description"]) for key, field in fields.items()}
        title = f"A row {rows['title']} has instead, or besides:\n\n" if "title" in rows and parts else ""
        parts.append(title + table("Field", fields))
    facts = {key: field for key, field in schema["properties"].items() if key not in COMMON}
    if facts:
        parts.append(table("Fact", facts))
    return "\n".join(parts)


def table(heading: str, fields: dict) -> str:
    lines = [f"| {heading} | Meaning | Known from |", "|---|---|---|"]
    for key, field in fields.items():
        unit = f"{field['x-unit']}: " if "x-unit" in field else ""
        cells = [f"`{key}`", unit + field["description"], field["x-source"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), schemas()))
