"""`diaphane run script.py`: a whole program below a recording, whose report is told at its end."""

import sys
import traceback
import types
from pathlib import Path

from .library import everything

PAGE = '<!doctype html>\n<html><head><meta charset="utf-8"><title>{}</title></head><body>\n{}\n</body></html>\n'


def run(program, magic, is_module, json, html):
    """Runs it. The exit code that it asks for, whatever becomes of the report."""
    ask = everything()[magic]
    find = _module if is_module else _script
    try:
        code, namespace = find(program)
    except (OSError, SyntaxError, ValueError, ImportError) as error:
        # As Python says it: nothing of the program has run.
        print("".join(traceback.format_exception_only(error)).rstrip(), file=sys.stderr)
        return 2 if isinstance(error, OSError) else 1
    # As a function, by whose code the recorder knows the program.
    whole = types.FunctionType(code, namespace)
    if magic == "native_doctor":
        exit_code = _run(whole)
        report = ask()
    else:
        with _recording(ask(), whole) as report:
            exit_code = _run(whole)
    _tell(report, json, html)
    return exit_code


def _recording(recording, function):
    return type(recording)(recording.name, recording.words, function)


def _run(whole):
    try:
        whole()
    except SystemExit as end:
        return _asked(end.code)
    except BaseException as error:
        behind = error.__traceback__
        while behind is not None and behind.tb_frame.f_code.co_filename == __file__:
            behind = behind.tb_next
        sys.excepthook(type(error), error.with_traceback(behind), behind)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _asked(code):
    """The exit code of a SystemExit, as Python understands it."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _script(program):
    script, *_ = program
    code = compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)
    sys.argv = list(program)
    # As `python script.py` does; what stands there is the folder of our own command.
    if not sys.flags.safe_path:
        sys.path[:1] = [str(Path(script).resolve().parent)]
    return code, _main(__file__=script, __cached__=None, __loader__=None, __spec__=None, __package__=None)


def _module(program):
    from importlib.util import find_spec

    name, *arguments = program
    # As `python -m` does, before anything of the module is imported.
    if not sys.flags.safe_path:
        sys.path[:1] = [str(Path.cwd())]
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = find_spec(f"{name}.__main__")
    code = spec and spec.loader and spec.loader.get_code(spec.name)
    if not code:
        raise ImportError(f"there is no module {name} to run")
    sys.argv = [spec.origin, *arguments]
    return code, _main(
        __file__=spec.origin, __cached__=spec.cached, __loader__=spec.loader, __spec__=spec, __package__=spec.parent
    )


def _main(**names):
    """The variables of a fresh `__main__`."""
    module = types.ModuleType("__main__")
    module.__dict__.update(names, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    return module.__dict__


def _tell(report, json, html):
    """The report goes to standard error: standard output is the program's."""
    # What the program has printed stands before it.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    print(report, file=sys.stderr)
    for path, text in ((json, report.to_json), (html, lambda: PAGE.format(report.name, report.to_html()))):
        if path is None:
            continue
        try:
            Path(path).write_text(text(), encoding="utf-8")
        except OSError as error:
            # The program's own exit code is kept.
            print(f"diaphane: {error}", file=sys.stderr)
