"""What people type in their first hour, and what they must then be told: what was wrong, by its name, and what helps.

Each line is a cell and the words that must be in the answer. A traceback of the kernel's own code is never an answer.
"""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from support import door, process
from support.client import Client
from support.text import plain

pytestmark = pytest.mark.diaphane

SETUP = """
import numpy as np
a = np.arange(10.0)
number, text, things = 5, "text", [1, 2, 3]
objects = np.array([object()])
def function(): pass
report = %threads
"""

CELLS = [
    # Magics that are written otherwise.
    ("%thread", ["no magic %thread;", "did you mean %threads?", "%lsmagic"]),
    ("%loaded_lib numpy", ["no magic %loaded_lib;", "%loaded_libs?"]),
    ("%native_calls", ["%native_calls", "`%%native_calls`"]),
    ("%native_cal", ["no magic %native_cal;", "did you mean %%native_calls?"]),
    ("%%native_call\n1", ["no magic %%native_call;", "did you mean %%native_calls?"]),
    ("%%buffer_addr a\n1", ["%%buffer_addr", "`%buffer_addr`"]),
    ("%%native_calls", ["%%native_calls", "cell body is empty"]),
    ("%nothing_like_it", ["%nothing_like_it", "not found"]),
    # Options.
    ("%loaded_libs --tre", ['"--tre"', "did you mean --tree?", "usage: %loaded_libs"]),
    ("%loaded_libs --bogus", ['"--bogus"', "usage: %loaded_libs"]),
    ("%%native_calls --bogus\n1", ['"--bogus"', "usage: %%native_calls"]),
    ("%loaded_libs --why", ["--why <LIB>", "lacks its value"]),
    ("%loaded_libs --why nothing", ['"nothing"', "no loaded library"]),
    ("%loaded_libs --as", ["--as <NAME>", "lacks its value"]),
    ("%loaded_libs --as 5", ["--as", "name of a variable", '"5"']),
    ("%loaded_libs [", ['"["', "no regular expression"]),
    ("%loaded_libs numpyy", ["none of the", '"numpyy"']),
    ("%threads numpy", ['"numpy"', "--filter numpy"]),
    ("%threads --top many", ['"many"', "--top <N>"]),
    ("%threads --sort nothing", ['"nothing"', "columns: tid"]),
    ("%addr_map --group nothing", ['"nothing"', "lib, kind"]),
    ("%addr_map --at a", ['"a"', "such as 0x"]),
    ("%addr_map --at 0x10", ["nothing is mapped at 0x10"]),
    ("%native_delta maybe", ['"maybe"', "on, off, last"]),
    ("%%syscalls --trace opn\n1", ['"opn"', "open"]),
    ("%%native_prof --hz many\n1", ['"many"', "--hz <N>"]),
    # Names.
    ("%buffer_addr b", ['no variable "b"']),
    ("%buffer_addr 5", ['"5"', "assign it to a variable"]),
    ("%buffer_addr number", ["int exports no memory", "arrays"]),
    ("%buffer_addr text", ["str exports no memory", "arrays"]),
    ("%buffer_addr things", ["list exports no memory", "arrays"]),
    ("%buffer_addr things[7]", ['"things[7]"', "out of range"]),
    ("%where", ["FUNC is missing", "usage: %where FUNC"]),
    ("%where nothing_here", ['"nothing_here"', "import it first"]),
    ("%where scipy.fft", ['"scipy"', "import it first"]),
    ("%where 5", ['"5"', "assign"]),
    ("%where np.summ", ["np.summ", "no attribute", '"summ"']),
    ("%where np.add --dtype nothing", ['"nothing"', "dtype"]),
    ("%where function", ["function is Python code"]),
    ("%disasm", ["FUNC is missing", "usage: %disasm FUNC"]),
    ("%disasm function", ["function", "Python code", "dis.dis"]),
    ("%why_import math", ["math", "works"]),
    ("%why_import nothing_here", ["nothing to explain"]),
    ("import numpyy", ["No module named 'numpyy'"]),
    # Rust.
    ("%%rust -i nothing_here\n1", ["nothing_here", "no variable of this name"]),
    ("%%rust -m number\n1", ["number", "cannot be changed in place", "-o"]),
    ("%%rust -i objects\n1", ["objects", "Python objects"]),
    ("%%rust -i things\n1", ["things", "list", "NumPy arrays"]),
    # Reports.
    ("report.diff(5)", ["another report", "int"]),
    ("report.filter('[')", ['"["', "no regular expression"]),
    ("report.save('/nowhere/x.json')", ["/nowhere/x.json"]),
]


def said(client: Client, code: str) -> str:
    """Everything that a cell answers, as text."""
    parts = []
    for message in client.execute(code).iopub:
        content = message["content"]
        parts.append(content.get("text", ""))
        parts.append(content.get("data", {}).get("text/plain", ""))
        parts += content.get("traceback", ())
    return plain("\n".join(parts))


@pytest.fixture(scope="module")
def learner(tmp_path_factory):
    """A front end whose kernel has what the cells are about."""
    kernel = process.Kernel(tmp_path_factory.mktemp("learner"))
    client = kernel.connect()
    client.run(SETUP)
    yield client
    kernel.close()


@pytest.mark.parametrize(("cell", "words"), CELLS, ids=[cell for cell, _ in CELLS])
def test_the_answer_names_the_input_and_the_remedy(learner: Client, cell: str, words: list[str]):
    answer = " ".join(said(learner, cell).split())
    missing = [word for word in words if word not in answer]
    assert not missing, answer
    assert "diaphane bug" not in answer
    assert "<diaphane/" not in answer


def test_before_numpy_is_imported(launch):
    client = launch().connect()
    assert "no variable exports memory" in said(client, "%buffer_addr")
    answer = said(client, "%%buffer_trace\n1")
    assert "NumPy is not imported yet" in answer
    assert "import it before" in answer
    assert "assign or import it first" in said(client, "%where np.sum")


def test_without_rust(launch, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    homes = dict.fromkeys(("HOME", "CARGO_HOME", "RUSTUP_HOME"), str(tmp_path))
    client = launch(env={"PATH": str(tmp_path / "bin"), **homes}).connect()
    answer = said(client, "%%rust\n1 + 1")
    assert "no Rust compiler was found" in answer
    assert "rustup.rs" in answer
    assert "2" in said(client, "1 + 1")


def test_a_kernel_without_the_compiler_of_rust_cells(launch, tmp_path: Path):
    client = launch(env={"DIAPHANE_RUST": str(tmp_path / "nothing")}).connect()
    answer = said(client, "%%rust\n1 + 1")
    assert str(tmp_path / "nothing") in answer


def test_a_compiler_of_rust_cells_of_another_version(launch, tmp_path: Path):
    other = tmp_path / "diaphane-rust"
    other.write_text("#!/bin/sh\necho '{\"Other\": 1}'\nexec cat\n")
    other.chmod(0o755)
    client = launch(env={"DIAPHANE_RUST": str(other)}).connect()
    answer = said(client, "%%rust\n1 + 1")
    assert f"{other} is of another version" in answer
    how = "pip install diaphane_rust-" if door.is_hosted() else "run ./install.sh again"
    assert how in answer


def test_no_folder_for_temporary_files(tmp_path: Path):
    """As in a container whose files cannot be written; the kernel must say what it needs, and end."""
    source = "import tempfile\ndef none():\n raise FileNotFoundError\ntempfile.gettempdir = none\n"
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    packages = next(environment.glob("lib/python3.*/site-packages"))
    # Not as sitecustomize, since a distribution may have one of its own.
    (packages / "no_folder.py").write_text(source)
    ours = next(path for path in sys.path if (Path(path) / "IPython").is_dir())
    (packages / "ours.pth").write_text(f"{ours}\nimport no_folder\n")
    file = tmp_path / "connection.json"
    file.write_text(
        '{"transport": "tcp", "ip": "127.0.0.1", "key": "k", "signature_scheme": "hmac-sha256",'
        ' "shell_port": 0, "iopub_port": 0, "stdin_port": 0, "control_port": 0, "hb_port": 0}'
    )
    done = subprocess.run(
        door.kernel(environment / "bin/python", file),
        env=process.environment(tmp_path) | door.packages(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "no folder for temporary files can be written" in done.stderr
    assert "--tmpfs /tmp" in done.stderr
    assert "Traceback" not in done.stderr
