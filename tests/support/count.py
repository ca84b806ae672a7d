"""Print how many tests of a JUnit file passed and how many failed; a missing file is one failure."""

import sys
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


if __name__ == "__main__":
    print(*count(Path(sys.argv[1])))
