"""The Python half of diaphane: what IPython, comms and GUI loops ask of a kernel in Python.

Everything that Rust can hold is in Rust, behind the module `_diaphane`.
"""


def __getattr__(name):
    if name == "__version__":
        from ._diaphane import __version__

        return __version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell):
    """`%load_ext diaphane`: the magics as a guest of this IPython."""
    from . import guest

    guest.load(shell)


def unload_ipython_extension(shell):
    """`%unload_ext diaphane`: the host is as it was before."""
    from . import guest

    guest.unload(shell)
