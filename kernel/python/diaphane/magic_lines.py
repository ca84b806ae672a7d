"""The lines of our magics as they stand in a cell: their report is shown wherever they stand, and names are filled in.

IPython turns `%name line` into a call, whose value it shows only where it is the last of a cell. Here the tree of a
cell is changed so that any other one is shown too, unless it is assigned or its line ends with `;`.
"""

import ast
import re

from IPython.core.error import UsageError
from IPython.display import display
from IPython.utils.text import DollarFormatter

from ._diaphane import Report, explain_import, silences
from .jsonable import encodable

CALLS = {"run_line_magic", "run_cell_magic"}
NAMES = set()
"""Of our own magics."""
# A count of a regular expression is no name: `a{2}`, `a{2,3}`.
COUNT = re.compile(r"(?<!\{)\{(\d+(?:,\d*)?)\}(?!\})")
PART = re.compile(r"\{[^{}]*\}|\$\w+")
# `%name;` and `%name#comment`: IPython takes all up to the first blank for the name.
WITH_MORE = re.compile(r"(\w+)([;#].*)", re.DOTALL)
WRITTEN = re.compile(r"(%%?)(\w+)")


def expand(line, names, local_names):
    """The line with the values of `{name}` and `$name`, as every magic of IPython gets it."""
    if "{" not in line and "$" not in line:
        return line
    values = {**names, **(local_names or {})}

    def filled(text):
        return DollarFormatter().vformat(COUNT.sub(r"{{\1}}", text), (), values)

    def part(match):
        # As IPython does: what cannot be filled in is taken as it is, and the magic says what it makes of that.
        try:
            return filled(match[0])
        except Exception:
            return match[0]

    try:
        return filled(line)
    except Exception:
        # A brace of a comment or of a regular expression is no reason to fill in nothing.
        return PART.sub(part, line)


def show_everywhere(tree, interactivity):
    """Lets each magic of a cell show its report where it stands. The last one is left alone if its value is shown."""
    if not isinstance(tree, ast.Module) or not tree.body:
        return tree
    valued = {"all": tree.body, "none": []}.get(interactivity, tree.body[-1:])
    valued = {id(statement) for statement in valued}
    waiting = list(tree.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.Expr):
            _change(statement, id(statement) in valued)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            _clean(statement.value)
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(statement, field, ())
    return tree


def _change(statement, has_value):
    call = statement.value
    is_silent = _clean(call)
    if is_silent is None:
        return
    method = "_without_report" if is_silent else None if has_value else "_show_report"
    if method:
        function = ast.Attribute(ast.Call(ast.Name("get_ipython", ast.Load()), [], []), method, ast.Load())
        statement.value = ast.copy_location(ast.Call(function, [call], []), call)
        ast.fix_missing_locations(statement)


def _clean(call):
    """Whether the line of a magic ends with `;`, and None if this is no magic. The name is made to be nothing else."""
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython"), args=[]), attr=method),
            args=[ast.Constant(value=str(name)), ast.Constant(value=str(line)), *_],
        ) if method in CALLS:
            found = WITH_MORE.fullmatch(name)
            if found and found[1] in NAMES:
                call.args[0].value = name = found[1]
                call.args[1].value = line = f"{found[2]} {line}".rstrip()
            return name in NAMES and silences(name, encodable(line))
    return None


def show(value):
    """Shows the report of a magic that does not stand where a cell has its value."""
    if isinstance(value, Report):
        display(value)


def misplaced(shell, name):
    """Where a cell magic belongs that stands in the middle of a cell; IPython takes its second `%` for the name's."""
    magic = name.lstrip("%")
    if name.startswith("%") and shell.find_magic(magic, "cell") is not None:
        return (
            f"%%{magic} must stand on the first line of its cell, since it runs all that is below it: "
            f"move it to the top, or what it shall run into a cell of its own."
        )
    return None


def refuse_misplaced(shell, name):
    """Says where a cell magic belongs before IPython says that there is no such magic."""
    if sentence := misplaced(shell, name):
        raise UsageError(sentence)


def ofind(before, name, namespaces):
    """IPython's search for what `?` asks about: `%name?` also finds a cell magic, and `%%name?` a line magic."""
    found = before(name, namespaces)
    if not found.found and name.startswith("%"):
        return before(name[1:] if name.startswith("%%") else f"%{name}", namespaces)
    return found


def explanation(shell, error):
    """What to write below a traceback: why a native library could not be loaded, or where a magic may stand."""
    try:
        is_syntax = isinstance(error, SyntaxError)
        text = hint(shell, error) if is_syntax else explain_import(error)
    except Exception:
        # The user's error is what must be shown, whatever becomes of its explanation.
        return []
    return ["", text] if text else []


def hint(shell, error):
    """What to write instead of a magic in a place where Python has no statement: a line below a SyntaxError."""
    for found in WRITTEN.finditer(error.text or ""):
        signs, name = found.groups()
        kind = "cell" if signs == "%%" else "line"
        before = error.text[: found.start()].rstrip()
        if shell.find_magic(name, kind) is None or not before or before[-1] in "'\"":
            continue
        assigned = re.fullmatch(r"\s*(\w+)\s*=", before)
        if kind == "cell" and name in NAMES:
            target = assigned[1] if assigned else "NAME"
            return f"A cell magic stands alone on the first line: write `%%{name} --as {target}`, then use {target}."
        if kind == "cell":
            return f"A cell magic stands alone on the first line of its cell: %%{name}."
        return f"A magic needs a line of its own: write `result = %{name}` on one, and use `result` on the next."
    return None
