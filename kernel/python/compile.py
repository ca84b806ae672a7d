"""Compiles the modules of the kernel while it is built, and writes their code to standard output.

Usage: compile.py FOLDER. The code is only good for Pythons with the magic number that stands in the first bytes.
"""

import importlib.util
import marshal
import sys
from pathlib import Path

folder = Path(sys.argv[1])
codes = {}
for path in sorted(folder.glob("*.py")):
    name = folder.name if path.stem == "__init__" else f"{folder.name}.{path.stem}"
    # The file's name is what `finder.py` says too.
    codes[name] = compile(path.read_bytes(), "<{}>.py".format(name.replace(".", "/")), "exec", dont_inherit=True)
sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER + marshal.dumps(codes))
