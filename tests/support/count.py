"""Print how many tests of a JUnit file passed and how many failed; a missing file is one failure.

What failed is told on the standard error, shortly: `.ci/run` tells it again at its end.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree


def count(results: Path) -> tuple[int, int]:
    """Passed and failed tests; skipped ones are neither."""
    if not results.exists():
        return 0, 1
    cases: dict[tuple, bool] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = (case.get("classname"), case.get("name"))
        outcomes = {child.tag for child in case}
        if "skipped" in outcomes:
            continue
        # A test whose teardown fails as well stands there twice.
        good = not outcomes & {"failure", "error"}
        cases[name] = cases.get(name, True) and good
    passed = sum(cases.values())
    return passed, len(cases) - passed


def failures(results: Path, lines: int = 30) -> Iterator[str]:
    """The name of each failed test with the last lines of its text."""
    for case in ElementTree.parse(results).iter("testcase"):
        for child in case:
            if child.tag in ("failure", "error"):
                text = "\n".join((child.text or "").splitlines()[-lines:])
                yield f"--- failed: {case.get('classname')}::{case.get('name')}\n{text}\n--- end"


if __name__ == "__main__":
    found = Path(sys.argv[1])
    if found.exists():
        for failure in failures(found):
            print(failure, file=sys.stderr, flush=True)
    print(*count(found))
