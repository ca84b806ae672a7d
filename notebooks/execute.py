"""Runs the tutorials through the installed kernel, and stores what their cells show in the files.

    .venv/bin/python notebooks/execute.py          # all of them
    .venv/bin/python notebooks/execute.py 03 06    # those of these numbers

Outputs name files by their paths, and the paths of the machine that made them are nobody's business. Replacing them in
the text would break tables, so each notebook runs where the paths are those of a newcomer: in a mount namespace of its
own (`unshare`) in which this Python's environment is /home/you/diaphane/.venv, Rust's folders are in /home/you, and
/tmp is empty. What the kernel reads from /proc and from the linker then says so by itself.

The code is the same in every language, so the English notebook runs, and its outputs are stored in the French one too.
The environment's own Python must lie in a system's folder (/usr), since its path is seen as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LANGUAGES = ("en", "fr")
KERNEL = "diaphane"

HOME = Path("/home/you")
CLONE = HOME / "diaphane"
ENVIRONMENT = CLONE / ".venv"
DATA = HOME / ".local/share/jupyter"
# Folders in which a path says something about who made the outputs.
PRIVATE = ("/home", "/root", "/tmp", "/srv")
# What pages can show; the report's own JSON has every row and is not needed to read.
SHOWN = ("text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/svg+xml")


def main(arguments: list[str]) -> None:
    if arguments == ["--here"]:
        json.dump(executed(json.load(sys.stdin)), sys.stdout)
        return
    if arguments[:1] == ["--inside"]:
        enter(Path(arguments[1]))
    numbers = arguments or sorted({path.name[:2] for path in HERE.glob("en/*.ipynb")})
    refuse_private_python()
    for number in numbers:
        print(f"{number} ...", flush=True)
        store(number)


def store(number: str) -> None:
    """Run one notebook and write its outputs into the files of all languages."""
    import nbformat

    paths = [path for language in LANGUAGES for path in sorted((HERE / language).glob(f"{number}-*.ipynb"))]
    if not paths:
        sys.exit(f"no notebook begins with {number}; there are {', '.join(sorted(p.name for p in HERE.glob('en/*')))}")
    notebooks = [nbformat.read(path, as_version=4) for path in paths]
    outcome = {cell["id"]: cell for cell in elsewhere(notebooks[0])["cells"]}
    for path, notebook in zip(paths, notebooks, strict=True):
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            ran = outcome.get(cell.id)
            if ran is None or ran["source"] != cell.source:
                sys.exit(f"{path}: the cell {cell.id} is not the one of {paths[0]}; make their code the same")
            cell.outputs = [nbformat.from_dict(output) for output in ran["outputs"]]
            cell.execution_count = ran["execution_count"]
        nbformat.write(notebook, path)


def executed(content: dict) -> dict:
    """The notebook with its outputs, run here and now; an error that its cell does not announce ends the program."""
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    notebook = nbformat.from_dict(content)
    # Where JupyterLab has it, since a kernel's command line names it.
    connection = DATA / "runtime/kernel.json"
    connection.parent.mkdir()
    config = Config({"ConnectionFileMixin": {"connection_file": str(connection)}})
    # Times of execution change with every run and tell the reader nothing.
    NotebookClient(notebook, timeout=600, kernel_name=KERNEL, record_timing=False, config=config).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "data" in output:
                output["data"] = {kind: data for kind, data in output["data"].items() if kind in SHOWN}
    return notebook


# The neutral place ------------------------------------------------------------------------------------------------


def refuse_private_python() -> None:
    base = str(Path(sys.base_prefix).resolve())
    if sys.prefix == sys.base_prefix:
        sys.exit(f"{sys.executable} is no virtual environment's Python; run this by one that has the kernel")
    if base.startswith(PRIVATE):
        sys.exit(f"the outputs would name {base}: make the environment of a system's Python, such as /usr/bin/python3")


def elsewhere(notebook: dict) -> dict:
    """The notebook, run in the neutral place."""
    from jupyter_client.kernelspec import KernelSpecManager

    spec = Path(KernelSpecManager().get_kernel_spec(KERNEL).resource_dir)
    unshare = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    command = [*unshare, sys.executable, str(HERE / "execute.py"), "--inside", str(spec)]
    run = subprocess.run(command, input=json.dumps(notebook), stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        sys.exit("it did not run to its end; what is wrong stands above")
    return json.loads(run.stdout)


def enter(spec: Path) -> None:
    """Build /home/you in this mount namespace, and go on there by the environment's Python."""
    stage = Path("/mnt")
    mount("-t", "tmpfs", "tmpfs", stage)
    home = stage / HOME.relative_to("/home")
    bind(Path(sys.prefix), stage / ENVIRONMENT.relative_to("/home"))
    for name, variable in {".cargo": "CARGO_HOME", ".rustup": "RUSTUP_HOME"}.items():
        folder = Path(os.environ.get(variable) or Path.home() / name)
        if folder.is_dir():
            bind(folder, home / name)
    kernelspec = stage / DATA.relative_to("/home") / "kernels" / KERNEL
    shutil.copytree(spec, kernelspec)
    relocate(kernelspec / "kernel.json")
    notebooks = stage / CLONE.relative_to("/home") / "notebooks"
    (notebooks / "en").mkdir(parents=True)
    shutil.copy(__file__, notebooks)
    mount("--move", stage, "/home")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    os.chdir(CLONE / "notebooks/en")
    python = ENVIRONMENT / "bin" / Path(sys.executable).name
    os.execve(python, [python, CLONE / "notebooks/execute.py", "--here"], surroundings())


def relocate(file: Path) -> None:
    """Let the kernelspec name the binary that lies beside it, and the environment."""
    spec = json.loads(file.read_text())
    program = Path(spec["argv"][0]).name
    spec["argv"][0] = str(DATA / "kernels" / KERNEL / program)
    spec["argv"][spec["argv"].index("--python") + 1] = str(ENVIRONMENT / "bin/python")
    file.write_text(json.dumps(spec))


def surroundings() -> dict[str, str]:
    """The environment of someone who has just logged in."""
    places = [ENVIRONMENT / "bin", HOME / ".cargo/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        "HOME": str(HOME),
        "JUPYTER_PATH": str(DATA),
        "LANG": "C.UTF-8",
        "PATH": ":".join(map(str, places)),
        "USER": HOME.name,
    }


def bind(source: Path, place: Path) -> None:
    place.mkdir(parents=True)
    mount("--bind", source.resolve(), place)


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1:])
