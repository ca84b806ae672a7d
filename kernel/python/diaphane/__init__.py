"""The Python half of the diaphane kernel: what IPython, comms and GUI loops ask of a kernel in Python.

Everything that Rust can hold is in Rust, behind the built-in module `_diaphane`.
"""

from _diaphane import __version__

__all__ = ["__version__"]
