"""The variables of the notebook as a debugger's front end shows them, while no cell stands at a breakpoint.

At a breakpoint the variables are those of a frame, and debugpy answers for them.
"""

import re
from types import SimpleNamespace

from .debugging import load

_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[dio]h")
_MACHINERY = {"In", "Out", "__builtin__", "__display__", "debugpy", "exit", "get_ipython", "quit"}
_MACHINERY |= {f"__{name}__" for name in ("annotations", "builtins", "doc", "loader", "name", "package", "spec")}


def of_the_user(variables):
    """Those that are the user's, and none that Python and IPython put beside them."""
    return [item for item in variables if item["name"] not in _MACHINERY and not _HISTORY.fullmatch(item["name"])]


class Explorer:
    """What is in a namespace, and what is in that; it keeps alive what it has shown."""

    def __init__(self, namespace):
        self._namespace = namespace
        self._shown = {}

    def __contains__(self, reference):
        return reference in self._shown

    def all(self):
        """The variables of the namespace."""
        load()
        from _pydevd_bundle.pydevd_api import PyDevdAPI
        from _pydevd_bundle.pydevd_suspended_frames import _FrameVariable

        # pydevd shows the variables of frames, so the namespace becomes one.
        code = SimpleNamespace(co_name="<module>")
        frame = SimpleNamespace(f_code=code, f_globals=self._namespace, f_locals=self._namespace)
        settings = SimpleNamespace(variable_presentation=PyDevdAPI.VariablePresentation())
        return _described(_FrameVariable(settings, frame, self._show))

    def parts(self, reference):
        """What is inside a variable that was shown."""
        return _described(self._shown[reference])

    def _show(self, variable):
        self._shown[variable.get_variable_reference()] = variable


def _described(variable):
    return [part.get_var_data() for part in variable.get_children_variables()]
