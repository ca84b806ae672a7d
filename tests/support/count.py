"""Print how many tests of a JUnit file passed and how many failed; a missing file is one failure.

    count.py RESULTS [AGAIN]    AGAIN: those that failed, each once more and alone

What failed is told on the standard error, shortly, also where it passed alone: `.ci/run` tells it again at its end.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree


def outcomes(results: Path) -> dict[tuple, bool]:
    """Whether each test passed; skipped ones are neither."""
    cases: dict[tuple, bool] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = (case.get("classname"), case.get("name"))
        outcomes = {child.tag for child in case}
        if "skipped" in outcomes:
            continue
        # A test whose teardown fails as well stands there twice.
        good = not outcomes & {"failure", "error"}
        cases[name] = cases.get(name, True) and good
    return cases


def failures(results: Path, forgiven: set[tuple], lines: int = 30) -> Iterator[str]:
    """The name of each failed test with the last lines of its text."""
    for case in ElementTree.parse(results).iter("testcase"):
        name = (case.get("classname"), case.get("name"))
        how = "failed beside others, and passed alone" if name in forgiven else "failed"
        for child in case:
            if child.tag in ("failure", "error"):
                text = "\n".join((child.text or "").splitlines()[-lines:])
                yield f"--- {how}: {'::'.join(map(str, name))}\n{text}\n--- end"


def main(results: Path, again: Path | None = None) -> None:
    if not results.exists():
        print(0, 1)
        return
    first = outcomes(results)
    alone = outcomes(again) if again and again.exists() else {}
    forgiven = {name for name, good in first.items() if not good and alone.get(name)}
    for failure in failures(results, forgiven):
        print(failure, file=sys.stderr, flush=True)
    passed = sum(first.values()) + len(forgiven)
    print(passed, len(first) - passed)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
