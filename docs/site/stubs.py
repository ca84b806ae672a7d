"""Writes the types of the package: `python docs/site/stubs.py` writes kernel/python/diaphane/__init__.pyi.

It needs a Python in which the package is installed, whose magics say what they understand; with --check it writes
nothing, and fails where the file is not what they say.
"""

import inspect
import sys
from pathlib import Path

from diaphane.library import Magic, Parameter, magics

FILE = Path(__file__).resolve().parents[2] / "kernel/python/diaphane/__init__.pyi"
HEAD = '''"""Native code of a Python process, explained. Written by docs/site/stubs.py."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from types import TracebackType
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

_P = ParamSpec("_P")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)

__version__: str

class Report:
    """What a magic found: a sequence of rows (dicts), with diagnoses, in text, HTML and JSON."""

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> list[dict[str, Any]]: ...
    @property
    def diagnoses(self) -> list[dict[str, Any]]: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def limits(self) -> list[str]: ...
    @property
    def summary(self) -> list[str]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def to_pandas(self) -> Any: ...
    def to_json(self) -> str: ...
    def to_html(self) -> str: ...
    def filter(self, pattern: str) -> Report: ...
    def diff(self, other: Report) -> Report: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    @staticmethod
    def load(path: str | PathLike[str]) -> Report: ...

class Recorded(Protocol, Generic[_P, _R_co]):
    """A function each of whose calls is recorded; the report is that of the last one."""

    report: Report | None
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...

class Recording:
    """What goes on in a block, or whenever a function is called."""

    def __enter__(self) -> Report: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool: ...
    def __call__(self, function: Callable[_P, _R]) -> Recorded[_P, _R]: ...
    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ...

class StandIns:
    """Functions that stand in for the C library's, until that is undone."""

    def undo(self) -> None: ...

def merge(reports: Mapping[Any, Any] | Iterable[Any]) -> Report: ...
def watch_threads() -> StandIns: ...
def watch_imports() -> None: ...
'''
RUN = "    def run(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> Report: ..."


def text() -> str:
    """The whole file."""
    return HEAD + "".join(f"\n{one}\n" for one in map(of_magic, magics()))


def of_magic(magic: Magic) -> str:
    """The function of a magic; one that has methods too is an object of a type of its own."""
    if not magic.records:
        return f"def {magic.name}({taken(magic, code=magic.takes_code)}) -> Report:\n{documented(magic, 4)}"
    if magic.needs_words:
        return f"def {magic.name}({taken(magic)}) -> Recording:\n{documented(magic, 4)}"
    kind = "_" + "".join(part.title() for part in magic.name.split("_"))
    begins = [
        "    @overload",
        f"    def __call__(self, function: Callable[_P, _R], /, {taken(magic)}) -> Recorded[_P, _R]: ...",
        "    @overload",
        f"    def __call__(self, {taken(magic)}) -> Recording: ...",
        RUN,
    ]
    if magic.begins:
        lines = [f"class {kind}(Protocol):", documented(magic, 4), "", *begins]
    else:
        lines = [f"class {kind}Record(Protocol):", *begins, "", f"class {kind}(Protocol):", documented(magic, 4), ""]
        lines += [f"    record: {kind}Record", f"    def __call__(self, {taken(magic)}) -> Report: ...", RUN]
    return "\n".join([*lines, "", f"{magic.name}: {kind}"])


def taken(magic: Magic, *, code: bool = False) -> str:
    """What stands between the parentheses."""
    words = [one for one in magic.parameters if one.is_word]
    words.sort(key=lambda one: not one.is_required)
    options = [one for one in magic.parameters if not one.is_word]
    parts = ["code: str", "/"] if code else []
    parts += [of_parameter(one) for one in words]
    if not any(one.takes == "many" for one in words):
        parts.append("*")
    return ", ".join(parts + [of_parameter(one) for one in options])


def of_parameter(one: Parameter) -> str:
    """A parameter with its type, and what it is when it is not given."""
    annotation = annotated(one)
    if one.is_word and one.takes == "many":
        return f"*{one.name}: {annotation}"
    if one.parameter().default is inspect.Parameter.empty:
        return f"{one.name}: {annotation}"
    return f"{one.name}: {annotation} = {one.parameter().default}"


def annotated(one: Parameter) -> str:
    """A type as it is written."""
    if one.choices:
        own = f"Literal[{', '.join(map(repr, one.choices))}]"
        return own if one.is_required else f"{own} | None"
    kind = one.type
    if one.value == "FILE":
        return "str | PathLike[str] | None"
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def documented(magic: Magic, indent: int) -> str:
    """What the function says of itself, without the fields of its report."""
    said = [magic.about, "", *[f"{one.name}: {one.help}" for one in magic.parameters]]
    lines = "\n".join(said).splitlines()
    body = "\n".join(" " * indent + line if line else "" for line in lines)
    blanks = " " * indent
    return f'{blanks}"""{body.lstrip()}\n{blanks}"""'.replace("\\", "\\\\")


if __name__ == "__main__":
    if "--check" in sys.argv:
        if FILE.read_text(encoding="utf-8") != text():
            sys.exit(f"{FILE} is not what the magics say: run docs/site/stubs.py")
    else:
        FILE.write_text(text(), encoding="utf-8")
