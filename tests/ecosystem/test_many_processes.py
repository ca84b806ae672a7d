"""Programs of several processes: ipyparallel's engines, children of joblib and concurrent.futures, ranks of MPI."""

import json
import shutil

import pytest

from support import door
from support.programs import start

pytestmark = [pytest.mark.door("hosted"), pytest.mark.timeout(240)]


@pytest.fixture
def run(tmp_path):
    """Runs the text of a program, and gives what it left in `said`."""

    def run(code, *before):
        program = tmp_path / "program.py"
        program.write_text(code)
        done = start(*before, door.python(), str(program), str(tmp_path))
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_engines_of_ipyparallel_are_guests_and_send_reports(run):
    pytest.importorskip("ipyparallel")
    said = run("""
import json, logging
import diaphane, ipyparallel

def threads():
    import diaphane
    return diaphane.threads()

if __name__ == "__main__":
    said = {}
    with ipyparallel.Cluster(n=4, log_level=logging.ERROR) as client:
        engines = client[:]
        engines.block = True
        engines.execute("%load_ext diaphane")
        engines.execute("found = get_ipython().run_line_magic('threads', '')")
        said["rows"] = engines.apply_sync(lambda: len(found))
        merged = diaphane.merge(dict(zip(client.ids, engines.apply_sync(threads))))
        said["merged"] = [merged.name, merged.facts["answered"], merged.facts["silent"]]
    print("\\n" + json.dumps(said))
""")
    assert all(count > 1 for count in said["rows"])
    assert said["merged"] == ["threads_merged", 4, {}]


CHILDREN = """
import json, sys, threading, time
from pathlib import Path

import diaphane

folder = Path(sys.argv[1])

def wait_here(number):
    (folder / f"here-{number}").touch()
    while not (folder / "over").exists():
        time.sleep(0.01)

def told():
    while len(list(folder.glob("here-*"))) < 3:
        time.sleep(0.01)
    merged = diaphane.threads(children=True)
    tree = diaphane.process_tree()
    (folder / "over").touch()
    return {"rows": merged.rows, "facts": merged.facts, "processes": len(tree), "text": str(merged)}
"""


def check_children(said):
    """That three children wait in the function, seen from outside."""
    waiting = [row for row in said["rows"] if "wait_here" in (row["python"] or "")]
    assert sum(len(row["workers"] or [0] * said["facts"]["answered"]) for row in waiting) >= 3, (
        said["text"]
    )
    assert said["processes"] >= 4


def test_children_of_joblib_are_read_from_outside(run):
    check_children(
        run(
            CHILDREN
            + """
from joblib import Parallel, delayed

if __name__ == "__main__":
    said = []
    asking = threading.Thread(target=lambda: said.append(told()))
    asking.start()
    Parallel(n_jobs=3)(delayed(wait_here)(number) for number in range(3))
    asking.join()
    print("\\n" + json.dumps(said[0]))
"""
        )
    )


def test_children_of_an_executor_are_read_from_outside(run):
    check_children(
        run(
            CHILDREN
            + """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(wait_here, number) for number in range(3)]
        said = told()
    print("\\n" + json.dumps(said))
"""
        )
    )


def test_a_process_without_children_says_so(run):
    said = run("""
import json, diaphane
print(json.dumps(str(diaphane.threads(children=True))))
""")
    assert "started none that still runs" in said


def test_ranks_of_mpi_are_gathered(run):
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("mpiexec is not installed")
    said = run(
        """
import json
import diaphane
from mpi4py import MPI

reports = MPI.COMM_WORLD.gather(diaphane.threads())
if reports is not None:
    merged = diaphane.merge(reports)
    print("\\n" + json.dumps([merged.facts["answered"], merged.facts["silent"]]), flush=True)
""",
        mpiexec,
        "--allow-run-as-root",
        "--oversubscribe",
        "-n",
        "3",
    )
    assert said == [3, {}]
