"""Native code of a Python process, explained: each magic is a function, as `diaphane.loaded_libs("numpy")`.

To import it changes nothing in the process; the first question loads what answers. The same package is the Python half
of the kernel. Everything that Rust can hold is in Rust, behind the module `_diaphane`.
"""


def __getattr__(name):
    if name == "__version__":
        from ._diaphane import __version__

        return __version__
    missing = f"module {__name__!r} has no attribute {name!r}"
    # `from . import name` asks so before it imports a module.
    if name.startswith("_") or _is_module(name):
        raise AttributeError(missing)
    found = _library()
    if name not in found:
        import difflib

        near = difflib.get_close_matches(name, found, 1)
        raise AttributeError(f"{missing}; did you mean {near[0]!r}?" if near else missing)
    globals()[name] = found[name]
    return found[name]


def __dir__():
    return sorted({*globals(), *_library(), "__version__"})


def _is_module(name):
    import importlib.util

    return importlib.util.find_spec(f"{__name__}.{name}") is not None


def _library():
    """The functions and classes that this package has when it is asked for them."""
    from .library import everything

    return everything()


def load_ipython_extension(shell):
    """`%load_ext diaphane`: the magics as a guest of this IPython."""
    from . import guest

    guest.load(shell)


def unload_ipython_extension(shell):
    """`%unload_ext diaphane`: the host is as it was before."""
    from . import guest

    guest.unload(shell)
