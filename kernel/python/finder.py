"""Finds the modules of the package `diaphane` inside the kernel's binary. Run once, before anything is imported."""

import importlib.machinery
import marshal
import sys
from importlib._bootstrap_external import MAGIC_NUMBER


class EmbeddedFinder:
    """A finder and loader in one; `get_source` lets tracebacks and `??` show the code."""

    def __init__(self, sources, compiled):
        self.sources = sources
        fits = compiled.startswith(MAGIC_NUMBER)
        self.codes = marshal.loads(compiled[len(MAGIC_NUMBER) :]) if fits else {}

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, origin=self.file(name), is_package="." not in name)
        spec.has_location = True
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        exec(self.get_code(name), module.__dict__)

    def get_code(self, name):
        # What was compiled by another Python of the same minor version is compiled anew.
        return self.codes.get(name) or compile(self.sources[name], self.file(name), "exec", dont_inherit=True)

    def get_source(self, name):
        return self.sources[name]

    def is_package(self, name):
        return "." not in name

    @staticmethod
    def file(name):
        return "<{}>.py".format(name.replace(".", "/"))


def install(sources, compiled):
    sys.meta_path.insert(0, EmbeddedFinder(sources, compiled))
    # The built-in module, by the name that it has where it is an extension module.
    import _diaphane

    sys.modules["diaphane._diaphane"] = _diaphane
