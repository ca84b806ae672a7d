"""The Python half of diaphane: what IPython, comms and GUI loops ask of a kernel in Python.

Everything that Rust can hold is in Rust, behind the module `_diaphane`.
"""


def __getattr__(name):
    if name == "__version__":
        from ._diaphane import __version__

        return __version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
