"""Prints what the installer must know about a Python: all of it as JSON, or the one fact that is named.

Run by that Python itself, which may be of any version (so its syntax is the oldest common one) and is not ours yet.
"""

import json
import os
import platform
import sys
import sysconfig

# `-c` puts the current directory first; a folder named IPython in it is not IPython.
sys.path = [place for place in sys.path if place]
# Each package, by the name it is installed by, and the module it is imported as.
NEEDED = {"comm": "comm", "ipython": "IPython", "matplotlib-inline": "matplotlib_inline"}

base_prefix = getattr(sys, "base_prefix", sys.prefix)


def libpython():
    """Where this Python's shared library lies, or None."""
    variables = [sysconfig.get_config_var(name) or "" for name in ("INSTSONAME", "LDLIBRARY", "LDVERSION")]
    # conda names only the static library in its variables, and ships the shared one.
    names = variables[:2] + ["libpython%s.so.1.0" % variables[2]]
    # A Python that was moved after its build (uv, conda) may still name the build machine's LIBDIR.
    places = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(base_prefix, "lib")]
    paths = [os.path.join(place, name) for place in places for name in names if ".so" in name]
    return next((path for path in paths if os.path.isfile(path)), None)


def missing():
    """The packages that the kernel imports and this Python does not have."""
    if sys.version_info < (3, 4):
        return sorted(NEEDED)
    from importlib import util

    return sorted(package for package in NEEDED if util.find_spec(NEEDED[package]) is None)


def debugger():
    """Whether debugpy is there, wherever packages come from."""
    if sys.version_info < (3, 4):
        return False
    from importlib import util

    return util.find_spec("debugpy") is not None


def ipython():
    """IPython's version, or None."""
    if sys.version_info < (3, 8):
        return None
    from importlib import metadata

    try:
        return metadata.version("ipython")
    except metadata.PackageNotFoundError:
        return None


def remedy():
    """How to get the shared library, in words that fit the way this Python was installed."""
    minor = "%d.%d" % sys.version_info[:2]
    if base_prefix == "/usr":
        return "run: apt-get install libpython%s-dev" % minor
    if "pyenv" in base_prefix:
        return "run: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force %s" % platform.python_version()
    if os.path.isdir(os.path.join(base_prefix, "conda-meta")):
        return "conda's own Python has one: conda install --force-reinstall python=%s" % minor
    if os.path.join("uv", "python") in base_prefix:
        return "uv's own Python has one: uv python install --reinstall %s" % minor
    return "build that Python with ./configure --enable-shared"


facts = {
    # Whether diaphane can be built for it; which binary fits is another question.
    "supported": platform.python_implementation() == "CPython" and (3, 11) <= sys.version_info[:2] <= (3, 15),
    "implementation": platform.python_implementation(),
    "version": platform.python_version(),
    "minor": "%d.%d" % sys.version_info[:2],
    # Not the name it was started by, which may be a version manager's script.
    "executable": sys.executable,
    "prefix": sys.prefix,
    # conda's environments are whole installations.
    "environment": sys.prefix != base_prefix or os.path.isdir(os.path.join(sys.prefix, "conda-meta")),
    "libpython": libpython(),
    "libpython_remedy": remedy(),
    "missing": missing(),
    "ipython": ipython(),
    "debugger": debugger(),
}
if len(sys.argv) > 1:
    fact = facts[sys.argv[1]]
    print(" ".join(fact) if isinstance(fact, list) else fact or "")
else:
    print(json.dumps(facts))
