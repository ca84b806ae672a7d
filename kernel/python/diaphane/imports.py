"""What is changed in other modules, at the moment when somebody imports them: nothing is imported for it before."""

import importlib.util
import sys


class AfterImport:
    """A finder that finds nothing of its own, but runs an action on a module after its first import."""

    def __init__(self):
        self._actions = {}
        sys.meta_path.insert(0, self)

    def add(self, name, action):
        """Runs `action(module)` after the first import of `name`, or now where it was imported before."""
        if name in sys.modules:
            action(sys.modules[name])
        else:
            self._actions[name] = action

    def find_spec(self, name, path=None, target=None):
        action = self._actions.pop(name, None)
        if action is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_act(module):
                execute(module)
                action(module)

            spec.loader.exec_module = execute_and_act
        return spec


def make_pdb_interruptible(_module):
    """An interrupt while pdb waits for input ends pdb, as IPython's own subclass of it does."""
    pdb, debugger = sys.modules.get("pdb"), sys.modules.get("IPython.core.debugger")
    if debugger is None:
        from IPython.core import debugger
    # While IPython's debugger is being imported it imports pdb; its own turn comes at its end.
    if pdb is not None and hasattr(debugger, "InterruptiblePdb"):
        debugger.Pdb = pdb.Pdb = debugger.InterruptiblePdb
        pdb.set_trace = debugger.set_trace
