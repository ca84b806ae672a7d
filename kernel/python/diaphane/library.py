"""Each magic as a function: its keywords, types and documentation are what the magic itself says that it understands.

Nothing here needs IPython, or a kernel.
"""

import contextlib
import difflib
import functools
import inspect
import keyword
import os
import sys
import types

from . import _diaphane
from ._diaphane import Report
from .merging import merge

TYPES = {"int": int, "float": float, "str": str, "size": int | str}
OBJECTS = {"NAME", "FUNC"}
"""The values that stand for an object of the caller's."""

_stand_ins = None


def watch_threads():
    """Notes from now on who starts which thread: `pthread_create` is stood in for, until `undo()` of what this returns.

    A recording does so by itself.
    """
    global _stand_ins
    if _stand_ins is None:
        # The kernel itself does it for good.
        is_kernel = "diaphane.main" in sys.modules
        _stand_ins = _StandIns(None if is_kernel else _diaphane.stand_in())
    return _stand_ins


def _prepare():
    """What a recording needs; where it cannot be had, less is seen."""
    with contextlib.suppress(OSError):
        watch_threads()


def watch_imports():
    """Notes from now on who asks for which library: by an audit hook, which Python never takes away again."""
    _diaphane.note_imports()


class _StandIns:
    def __init__(self, inner):
        self._inner = inner

    def undo(self):
        """Gives the names back to the C library; once."""
        global _stand_ins
        _stand_ins = None
        if self._inner is not None:
            self._inner.undo()


class Recording(_diaphane.Recording):
    """What goes on in a block, or whenever a function is called: `with` it, decorate with it, or `run` something."""

    def __call__(self, function):
        """The function as it is, but that each call is recorded: `function.report` is the report of the last one."""
        if not callable(function):
            raise TypeError(f"{self.name} records a function, not {function!r}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator, which runs between its values: "
                "record the loop that asks for them"
            )
        # A call inside of a call, or beside it on another thread, is a part of what is recorded already.
        is_running = False

        def recording():
            return type(self)(self.name, self.words, function)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded(*args, **kwargs):
                nonlocal is_running
                if is_running:
                    return await function(*args, **kwargs)
                is_running = True
                try:
                    with recording() as recorded.report:
                        return await function(*args, **kwargs)
                finally:
                    is_running = False

        else:

            @functools.wraps(function)
            def recorded(*args, **kwargs):
                nonlocal is_running
                if is_running:
                    return function(*args, **kwargs)
                is_running = True
                try:
                    with recording() as recorded.report:
                        return function(*args, **kwargs)
                finally:
                    is_running = False

        recorded.report = None
        return recorded

    def run(self, function, /, *args, **kwargs):
        """Calls the function with these arguments. The report; an error of the function's is raised."""
        with type(self)(self.name, self.words, function) as report:
            function(*args, **kwargs)
        return report


class Parameter:
    """A word or an option of a magic as a parameter of its function."""

    def __init__(self, told):
        self.id, self.option, self.value = told["id"], told["option"], told["value"]
        self.takes, self.kind, self.choices = told["takes"], told["type"], told["choices"]
        self.default, self.is_required, self.help = told["default"], told["required"], told["help"] or ""
        name = self.option.replace("-", "_") if self.option else self.id
        self.name = name + "_" if keyword.iskeyword(name) else name
        self.is_word = self.option is None

    @property
    def type(self):
        """What it may be, as an annotation."""
        if self.takes == "flag":
            return bool
        own = TYPES[self.kind]
        if self.is_word and self.value in OBJECTS:
            return object
        if self.takes == "many":
            return own if self.is_word else (own | list[own])
        optional = own | bool if self.takes == "maybe" else own
        return optional if self.is_required else optional | None

    def parameter(self):
        """The parameter."""
        kinds = inspect.Parameter
        if self.is_word and self.takes == "many":
            return kinds(self.name, kinds.VAR_POSITIONAL, annotation=self.type)
        default = kinds.empty if self.is_required else False if self.takes == "flag" else None
        kind = kinds.POSITIONAL_OR_KEYWORD if self.is_word else kinds.KEYWORD_ONLY
        return kinds(self.name, kind, default=default, annotation=self.type)

    def words(self, value):
        """An option as the magic reads it."""
        option = f"--{self.option}"
        if value is None or (value is False and self.takes in ("flag", "maybe")):
            return []
        if self.takes in ("flag", "maybe") and value is True:
            return [option]
        if self.takes == "flag":
            raise TypeError(f"{self.name} is True or False, not {value!r}")
        values = value if isinstance(value, list | tuple) else [value]
        if self.takes != "many" and values is value:
            raise TypeError(f"{self.name} has one value, not {value!r}")
        return [f"{option}={self.text(value)}" for value in values]

    def text(self, value):
        """A value as text."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(f"{self.name} is {_named(self.type)}, not {value!r}")
        return str(value)


def _named(annotation):
    return getattr(annotation, "__name__", None) or str(annotation)


class Variables:
    """The names that a caller has for objects; those without one get one."""

    def __init__(self, frame):
        self.globals = frame.f_globals
        found = frame.f_locals
        if found is self.globals:
            self.locals = {}
        else:
            # Since 3.13 they are seen through an object that is no dict.
            self.locals = found if type(found) is dict else dict(found)
        self.added = []

    def name(self, value, index):
        """The name of an object."""
        known = [name for names in (self.locals, self.globals) for name, one in names.items() if one is value]
        if known:
            return min(known, key=lambda name: name.startswith("_"))
        own = getattr(value, "__name__", None) if callable(value) else None
        is_free = isinstance(own, str) and own.isidentifier() and own not in self.locals and own not in self.globals
        name = own if is_free else f"arg{index}"
        self.locals[name] = value
        self.added.append(name)
        return name

    def clear(self):
        """Forgets the names that were added: the dict may be the frame's own."""
        for name in self.added:
            self.locals.pop(name, None)


class Magic:
    """What a magic says of itself, and how it is called."""

    def __init__(self, told):
        self.name, self.kinds, self.records = told["name"], told["kinds"], told["records"]
        self.takes_statement = told["takes_statement"]
        self.about, self.fields = told["about"], told["fields"]
        self.parameters = [Parameter(one) for one in told["arguments"]]
        self.by_name = {one.name: one for one in self.parameters}
        self.positional = [one for one in self.parameters if one.is_word]
        # A cell that is no Python: its text is the first argument.
        self.takes_code = self.kinds == ["cell"] and not self.records

    @property
    def begins(self):
        """Whether a call begins a recording; others have that in `record`."""
        return self.records and (self.kinds == ["cell"] or self.takes_statement)

    @property
    def needs_words(self):
        """Whether there is nothing to record without words, so that these stand first."""
        return self.begins and any(one.is_required for one in self.positional)

    def signature(self, is_recording):
        """The signature of the function."""
        kinds = inspect.Parameter
        shown = [one.parameter() for one in self.parameters]
        if self.takes_code:
            shown.insert(0, kinds("code", kinds.POSITIONAL_ONLY, annotation=str))
        if self.begins and not self.needs_words:
            shown.insert(0, kinds("function", kinds.POSITIONAL_ONLY, default=None, annotation=object))
        # Required ones stand before the others, and keywords behind all that have a place.
        shown.sort(key=lambda one: (one.kind, one.default is not kinds.empty and one.kind == 1))
        return inspect.Signature(shown, return_annotation=Recording if is_recording else Report)

    def documentation(self):
        """What it does, what it takes, and what its report holds."""
        takes = [f"    {one.name}: {one.help}" for one in self.parameters]
        parts = [self.about, "Parameters:\n" + "\n".join(takes), self.fields]
        return "\n\n".join(part for part in parts if part)

    def refuse(self, name):
        """The error of a keyword that there is not."""
        near = difflib.get_close_matches(name, self.by_name, 1, 0.5)
        meant = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(self.by_name)}"
        return TypeError(f"{self.name}() has no keyword {name!r}{meant}")

    def options(self, keywords):
        """The words of the keywords."""
        words = []
        for name, value in keywords.items():
            one = self.by_name.get(name)
            if one is None:
                raise self.refuse(name)
            if not one.is_word:
                words += one.words(value)
        return words

    def words(self, args, keywords, variables):
        """The words of a call; objects are put among the caller's variables."""
        words = self.options(keywords)
        values = [(one, keywords[one.name]) for one in self.positional if one.name in keywords]
        places = list(self.positional)
        for index, value in enumerate(args):
            if not places:
                raise TypeError(f"{self.name}() takes fewer than {index + 1} arguments")
            place = places[0] if places[0].takes == "many" else places.pop(0)
            if place.name in keywords:
                raise TypeError(f"{self.name}() has two values for {place.name!r}")
            values.append((place, value))
        given = [self.word(place, value, index, variables) for index, (place, value) in enumerate(values)]
        given = [word for word in given if word is not None]
        return [*words, "--", *given] if given else words

    def word(self, place, value, index, variables):
        """A word for what was given at a place: text as it is, an object by its name."""
        if value is None and place.value not in OBJECTS:
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, types.ModuleType) and place.value not in OBJECTS:
            return value.__name__
        if place.value not in OBJECTS:
            return place.text(value)
        if place.value == "FUNC" and isinstance(value, int):
            return hex(value)
        return variables.name(value, index)


@functools.cache
def everything():
    """What the package has for programs, by name."""
    functions = {magic.name: _function(magic) for magic in magics()}
    return functions | {one.__name__: one for one in (Report, Recording, merge, watch_imports, watch_threads)}


def magics():
    """What all magics say of themselves."""
    return [Magic(told) for told in _diaphane.magic_grammar()]


def _function(magic):
    if magic.begins:
        function = _recorder(magic)
    else:
        function = _asker(magic)
        if magic.records:
            function.record = _recorder(magic)
            function.run = function.record.run
    return function


def _asker(magic):
    def function(*args, **keywords):
        cell = None
        if magic.takes_code:
            if not args or not isinstance(args[0], str):
                raise TypeError(f"{magic.name}() needs the text of the cell as its first argument")
            cell, args = args[0], args[1:]
        variables = Variables(sys._getframe(1))
        try:
            words = magic.words(args, keywords, variables)
            # What is counted of references to an object is not to count ours.
            del args, keywords
            return _diaphane.ask_magic(magic.name, words, cell, variables.globals, variables.locals or None)
        finally:
            variables.clear()

    return _described(function, magic, False)


def _recorder(magic):
    if magic.needs_words:
        return _described(_recorder_of_words(magic), magic, True)

    def function(function=None, /, **keywords):
        if function is not None and not callable(function):
            raise TypeError(f"{magic.name}() records a function, not {function!r}")
        _prepare()
        recording = Recording(magic.name, magic.options(keywords))
        return recording if function is None else recording(function)

    def run(function, /, *args, **kwargs):
        """Calls the function with these arguments. The report; an error of the function's is raised."""
        _prepare()
        return Recording(magic.name, []).run(function, *args, **kwargs)

    function.run = run
    return _described(function, magic, True)


def _recorder_of_words(magic):
    def function(*words, **keywords):
        for word in words:
            if not isinstance(word, str):
                raise TypeError(f"{magic.name}() takes text, which is read where the recording begins, not {word!r}")
        _prepare()
        return Recording(magic.name, [*magic.options(keywords), "--", *words])

    return function


def _described(function, magic, is_recording):
    function.__name__ = function.__qualname__ = magic.name
    function.__module__ = "diaphane"
    function.__doc__ = magic.documentation()
    function.__signature__ = magic.signature(is_recording)
    function.__annotations__ = {one.name: one.annotation for one in function.__signature__.parameters.values()}
    return function
