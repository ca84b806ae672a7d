"""Tab on the line of one of our magics, its options, their values and variables, and in the Rust of a `%%rust` cell."""

import json
import re

from IPython.core.completer import provisionalcompleter

from . import _diaphane
from .magic_lines import NAMES

LINE = re.compile(r"(?:^|\n)[^\S\n]*(?:[\w.]+[^\S\n]*=[^\S\n]*)?%%?(\w+)[^\S\n]+([^\n]*)\Z")


def complete(shell, code, position):
    """Where the word at the cursor begins, and what may stand there, with kinds; None where no magic is asked."""
    found = LINE.search(code[:position])
    if found is None or found[1] not in NAMES:
        return None
    name, line = found.groups()
    start, texts, value = _diaphane.complete_line(name, line)
    matches = [(text, "magic option" if text.startswith("--") else "value") for text in texts]
    word = line[start:]
    if value in ("NAME", "ELEMENT", "FUNC"):
        begin, objects = _objects(shell, word, value)
        # Behind a dot or a bracket only the rest is completed, and no option may stand there.
        start += begin
        matches = [*objects, *matches]
    return position - len(line) + start, matches


def complete_rust(code, position):
    """The same in a `%%rust` cell; None in any other."""
    answer = _diaphane.rust_complete(code, position) if code.startswith("%%rust") else None
    if answer is None:
        return None
    answer = json.loads(answer)
    return answer["cursor_start"], [(text, "rust") for text in answer["matches"]]


def _objects(shell, word, value):
    """Variables, and attributes or keys of them, as IPython knows them; functions only where one is wanted."""
    if word.isidentifier() or not word:
        names = (name for name in shell.user_ns if name.startswith(word) and (word or not name.startswith("_")))
        hidden = shell.user_ns_hidden
        mine = [name for name in names if not (name in hidden and hidden[name] is shell.user_ns[name])]
        return 0, [(name, _kind(shell.user_ns[name])) for name in sorted(mine) if _fits(shell.user_ns[name], value)]
    with provisionalcompleter():
        found = [c for c in shell.Completer.completions(word, len(word)) if c.type not in ("magic", "keyword")]
    start = found[0].start if found else 0
    return start, [(c.text, c.type) for c in found if c.start == start]


def _fits(value, wanted):
    kind = type(value).__name__
    if wanted == "FUNC":
        return kind == "module" or callable(value)
    return kind not in ("module", "function", "type", "builtin_function_or_method")


def _kind(value):
    return "module" if type(value).__name__ == "module" else "function" if callable(value) else "instance"
