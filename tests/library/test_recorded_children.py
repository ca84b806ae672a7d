"""`children=True`: what child processes do is recorded in each of them, and nothing of it stays."""

import json
import os
import sys

import pytest

from support import door
from support.programs import start

pytestmark = [pytest.mark.door("hosted"), pytest.mark.timeout(240)]

HEAD = """
import json, multiprocessing, os, signal, subprocess, sys, time
from pathlib import Path

import diaphane

folder = Path(sys.argv[1])

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        burnt_here()

def burnt_here():
    return sum(range(20_000))

def wait_for(mark):
    while not (folder / mark).exists():
        time.sleep(0.01)

def told(report):
    rows = [row for row in report if row.get("function") == "burnt_here"]
    facts = report.facts
    return {
        "name": report.name, "silent": facts.get("silent"), "workers": facts.get("workers"),
        "who": sorted({name for row in rows for name in row["workers"] or ["all"]}), "text": str(report),
        "html": report.to_html(),
    }

def hang(mark):
    import ctypes
    (folder / mark).touch()
    ctypes.PyDLL(None).sleep(3600)
"""


@pytest.fixture
def run(tmp_path):
    """Runs the body of a program, and gives what it left in `said`, with its environment before and after."""

    def run(body):
        indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
        program = tmp_path / "program.py"
        program.write_text(f"""{HEAD}
if __name__ == "__main__":
    said, before = {{}}, (os.environ.get("PYTHONPATH"), os._exit, signal.getsignal(signal.SIGTERM))
{indented}
    assert (os.environ.get("PYTHONPATH"), os._exit, signal.getsignal(signal.SIGTERM)) == before
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob(f"diaphane-children-{{os.getpid()}}-*"))
    print("\\n" + json.dumps(said))
""")
        done = start(door.python(), str(program), str(tmp_path))
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_is_recorded_whatever_way_its_workers_are_started(run, method):
    said = run(f"""
with diaphane.native_prof(children=True) as found:
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        pool.map(burn, [0.4] * 4, chunksize=1)
said = told(found)
""")
    assert said["name"] == "native_prof_merged", said["text"]
    assert said["silent"] == {}, said["text"]
    assert said["workers"] == 3
    how = "fork" if method == "fork" else "spawned"
    expected = 2 if method != "forkserver" else 0
    assert len([one for one in said["who"] if one.startswith(f"{how} ")]) == expected
    if method == "forkserver":
        assert all(one.startswith("fork ") for one in said["who"])
    assert "<svg" in said["html"]
    assert said["html"].count("samples</text>") >= 3


def test_programs_and_forks_of_forks_report(run):
    said = run("""
with diaphane.native_prof(children=True) as found:
    subprocess.run([sys.executable, "-c", "end = __import__('time').process_time() + .4\\nwhile __import__('time').process_time() < end: sum(range(9999))"], check=True)
    if not (child := os.fork()):
        if not (below := os.fork()):
            burn(0.4)
            os._exit(0)
        os.waitpid(below, 0)
        burn(0.4)
        os._exit(0)
    os.waitpid(child, 0)
said = told(found)
""")
    assert (said["silent"], said["workers"]) == ({}, 4), said["text"]
    assert len(said["who"]) == 2
    assert all(one.startswith("fork ") for one in said["who"])


def test_who_cannot_report_is_told_and_not_waited_for(run):
    said = run("""
context = multiprocessing.get_context("fork")
early = context.Process(target=wait_for, args=("over",))
early.start()
with diaphane.native_prof(children=True) as found:
    stuck = context.Process(target=hang, args=("stuck",))
    dead = context.Process(target=hang, args=("dead",))
    stuck.start(), dead.start()
    wait_for("stuck"), wait_for("dead")
    dead.kill(), dead.join()
    alone = subprocess.run([sys.executable, "-I", "-c", "import time; time.sleep(1)"], check=True)
    burn(0.3)
stuck.kill()
(folder / "over").touch()
early.join()
said = told(found) | {"pids": [early.pid, stuck.pid, dead.pid]}
""")
    early, stuck, dead = said["pids"]
    silent = said["silent"]
    assert "began before" in silent[f"process {early}"]
    assert "did not answer within 5 s" in silent[f"fork {stuck}"]
    assert "hang" in silent[f"fork {stuck}"]
    assert "was killed" in silent[f"fork {dead}"]
    assert len([why for why in silent.values() if "-I" in why]) == 1
    assert len(silent) == 4


def test_a_python_without_diaphane_says_so_and_has_its_own_sitecustomize(run, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(
        "import os\nopen(os.environ['MARK'], 'w').write(__file__)"
    )
    said = run(f"""
base = getattr(sys, "_base_executable", sys.executable)
os.environ["MARK"] = str(folder / "mark")
os.environ["PYTHONPATH"] = {os.fspath(own)!r}
with diaphane.native_prof(children=True) as found:
    subprocess.run([base, "-c", "pass"], check=True)
said = told(found) | {{"mark": (folder / "mark").read_text(), "left": os.environ["PYTHONPATH"]}}
del os.environ["MARK"], os.environ["PYTHONPATH"]
""")
    (why,) = said["silent"].values()
    assert "has no diaphane" in why
    assert said["mark"] == os.fspath(own / "sitecustomize.py")
    assert said["left"] == os.fspath(own)


def test_errors_and_interrupts_leave_nothing_behind(run):
    said = run("""
for error in (ValueError, KeyboardInterrupt):
    try:
        with diaphane.native_prof(children=True) as found:
            if not (child := os.fork()):
                burn(0.2)
                os._exit(0)
            os.waitpid(child, 0)
            raise error
    except error:
        said[error.__name__] = found.facts["answered"]
with diaphane.native_prof() as found:
    if not (child := os.fork()):
        os._exit(7)
    said["later"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
said["alone"] = found.name
""")
    assert said == {"ValueError": 2, "KeyboardInterrupt": 2, "later": 7, "alone": "native_prof"}


def test_a_child_that_is_ended_while_it_begins_ends(run):
    said = run("""
from diaphane import recorded_children
looked = recorded_children._free_signal
recorded_children._free_signal = lambda: os.kill(os.getpid(), signal.SIGTERM)
with diaphane.native_prof(children=True) as found:
    if not (child := os.fork()):
        os._exit(7)
    said["status"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
recorded_children._free_signal = looked
said["silent"] = found.facts["silent"]
""")
    assert said == {"status": -15, "silent": {}}


def test_children_that_become_other_programs_report_and_live(run):
    said = run("""
with diaphane.native_prof(children=True) as found:
    said["ended"] = []
    for _ in range(12):
        if not (child := os.fork()):
            os.execvp("true", ["true"])
        said["ended"].append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
said["silent"], said["workers"] = found.facts["silent"], found.facts["workers"]
""")
    assert said == {"ended": [0] * 12, "silent": {}, "workers": 13}


def test_nothing_is_written_into_files_that_the_child_opened_itself(run):
    said = run("""
with diaphane.native_prof(children=True) as found:
    if not (child := os.fork()):
        os.closerange(3, 256)
        for number in range(100):
            open(folder / f"file-{number}", "w").flush()
        kept = [open(folder / f"kept-{number}", "w") for number in range(100)]
        os._exit(0)
    os.waitpid(child, 0)
said["written"] = [path.name for path in folder.glob("kept-*") if path.stat().st_size]
said["silent"] = len(found.facts["silent"])
""")
    assert said == {"written": [], "silent": 1}


def test_calls_are_recorded_in_children_too(run):
    said = run("""
with diaphane.native_calls(children=True) as found:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(burn, [0.02] * 2, chunksize=1)
    subprocess.run([sys.executable, "-c", "import zlib; zlib.crc32(b'1' * 100)"], check=True)
said = {"name": found.name, "silent": found.facts["silent"], "workers": found.facts["workers"]}
said["calls"] = [[row["func"], row["worker"]] for row in found if "crc32" in row["func"] or "burnt_here" in row["func"]]
""")
    assert said["name"] == "native_calls_merged"
    assert (said["silent"], said["workers"]) == ({}, 4), said
    assert any("crc32" in name and who.startswith("spawned") for name, who in said["calls"]), said
    assert any("burnt_here" in name for name, _ in said["calls"]), said


def test_who_ends_a_child_is_heard_by_its_main_thread(run):
    said = run("""
with diaphane.native_prof(children=True) as found:
    if not (child := os.fork()):
        masks = []
        for task in Path("/proc/self/task").iterdir():
            status = dict(line.split(":\\t", 1) for line in (task / "status").read_text().splitlines() if "\\t" in line)
            if int(task.name) != os.getpid():
                masks.append(int(status["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1)
        os._exit(0 if masks and all(masks) else 1)
    said["status"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
""")
    assert said == {"status": 0}


def test_a_child_that_leaves_by_an_error_reports(run):
    said = run("""
with diaphane.native_calls(children=True) as found:
    if not (child := os.fork()):
        sys.exit(4)
    said["status"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
said["limits"] = [limit for limit in found.limits if "bug" in limit]
""")
    assert said == {"status": 4, "limits": []}


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="joblib has no wheel there yet")
def test_loky_is_recorded(run):
    pytest.importorskip("joblib")
    said = run("""
import joblib
with diaphane.native_prof(children=True) as found:
    joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(burn)(0.4) for _ in range(4))
said = told(found)
joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
""")
    assert said["silent"] == {}, said["text"]
    assert len([one for one in said["who"] if one.startswith("spawned ")]) == 2, said["text"]
