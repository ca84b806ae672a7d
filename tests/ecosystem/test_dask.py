"""The workers of a Dask cluster, each a process of its own."""

import json

import pytest

from support import door
from support.programs import start

pytestmark = [pytest.mark.door("hosted"), pytest.mark.timeout(240)]
pytest.importorskip("distributed")

HEAD = """
import ctypes, json, os, signal, sys, threading, time
from pathlib import Path

import dask
import numpy
from distributed import Client, LocalCluster

import diaphane
import diaphane.dask as cluster_of

folder = Path(sys.argv[1])

def until(predicate):
    while not predicate():
        time.sleep(0.01)

def hang(mark):
    Path(mark).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(3600)

def forget():
    class Blocker:
        def find_spec(self, name, *_):
            if name.split(".")[0] == "diaphane":
                raise ModuleNotFoundError("no module named diaphane", name="diaphane")
    for name in [name for name in sys.modules if name.split(".")[0] == "diaphane"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Blocker())

def sleeps_in_native_code(pid):
    waits = [(task / "wchan").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return any("nanosleep" in wait for wait in waits)

def addresses(client):
    return {str(about["name"]): one for one, about in client.scheduler_info()["workers"].items()}

def hung(client, name):
    mark = folder / f"hung-{name}"
    client.submit(hang, str(mark), workers=[addresses(client)[name]], pure=False, allow_other_workers=False)
    until(lambda: mark.exists() and mark.read_text())
    until(lambda: sleeps_in_native_code(int(mark.read_text())))
    return int(mark.read_text())
"""


@pytest.fixture
def run(tmp_path):
    """Runs the body of a program that has four workers, and gives what it left in `said`."""

    def run(body, settings="{}"):
        indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
        program = tmp_path / "program.py"
        program.write_text(f"""{HEAD}
def main(said):
    dask.config.set({settings})
    cluster = LocalCluster(processes=True, n_workers=4, threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)
    before = None
{indented}
    client.close()
    cluster.close()

if __name__ == "__main__":
    said = {{}}
    main(said)
    print("\\n" + json.dumps(said))
""")
        done = start(door.python(), str(program), str(tmp_path))
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_each_worker_is_asked_and_told_by_its_name(run):
    said = run("""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns["client"] = client
shell.run_line_magic("load_ext", "diaphane")
shell.run_line_magic("load_ext", "diaphane.dask")
said["magics"] = [
    shell.run_line_magic(*words).facts["answered"]
    for words in (("native_doctor", "--workers client"), ("dask_doctor", "client"), ("dask_doctor", ""))
]
client.run(forget, workers=[addresses(client)["2"]])
gone = addresses(client)["3"]
client.retire_workers([gone])
doctor = cluster_of.doctor(client)
said["doctor"] = [doctor.name, doctor.facts["answered"], doctor.facts["silent"]]
threads = cluster_of.ask(client, "%threads --stack", workers=["0", 1, "nobody"])
said["threads"] = [threads.name, threads.facts["silent"], sorted({row["worker"] for row in threads})]
said["names"] = [row["name"] for row in threads]
try:
    cluster_of.ask(client, "thread")
except ValueError as error:
    said["refused"] = str(error)
""")
    assert said["magics"] == [4, 4, 4]
    assert said["doctor"][:2] == ["native_doctor_merged", 2]
    assert said["doctor"][2].keys() == {"2"}
    assert "has no diaphane" in said["doctor"][2]["2"]
    assert said["threads"][:2] == ["threads_merged", {"nobody": "is no worker of this cluster"}]
    assert set(said["threads"][2]) <= {"0", "1", "2 of 2"}
    assert "MainThread" in said["names"]
    assert "no magic 'thread'" in said["refused"]


def test_a_worker_that_hangs_is_not_waited_for(run):
    said = run("""
pid = hung(client, "1")
asked = []
asking = threading.Thread(target=lambda: asked.append(cluster_of.ask(client, "threads", timeout=60)))
asking.start()
cluster.scale(5)
client.wait_for_workers(5)
asking.join()
said["silent"] = asked[0].facts["silent"]
said["answered"] = asked[0].facts["answered"]
os.kill(pid, signal.SIGKILL)
""")
    assert said["answered"] == 3
    assert "did not answer within 30 s" in said["silent"]["1"]
    assert "hang (" in said["silent"]["1"]
    assert "was added while the others were asked" in said["silent"]["4"]


def test_with_the_plugin_a_worker_that_hangs_answers_too(run):
    said = run("""
client.register_plugin(cluster_of.Plugin())
pid = hung(client, "1")
threads = cluster_of.ask(client, "threads", timeout=20)
said["silent"], said["answered"] = threads.facts["silent"], threads.facts["answered"]
os.kill(pid, signal.SIGKILL)
""")
    assert said["silent"] == {}
    assert said["answered"] == 4


def test_a_worker_that_is_killed_is_told(run):
    said = run("""
pid = hung(client, "1")
lost = addresses(client)["1"]
asked = []
asking = threading.Thread(target=lambda: asked.append(cluster_of.ask(client, "threads", workers=["0", lost], timeout=60)))
asking.start()
os.kill(pid, signal.SIGKILL)
asking.join()
said["silent"], said["answered"] = asked[0].facts["silent"], asked[0].facts["answered"]
""")
    assert said["answered"] == 1
    assert len(said["silent"]) == 1


def test_a_block_is_recorded_on_all_workers(run):
    said = run("""
def work(seed):
    a = numpy.random.default_rng(seed).random((400, 400))
    for _ in range(20):
        numpy.linalg.det(a)

with cluster_of.native_prof(client) as found:
    client.gather([client.submit(work, n, workers=[one]) for n, one in enumerate(addresses(client).values())])
said["prof"] = [found.report.name, found.report.facts["answered"], found.report.facts["silent"], str(found.report)]
said["page"] = found.report.to_html()
with cluster_of.native_calls(client) as found:
    client.gather([client.submit(work, 10 + n, workers=[one]) for n, one in enumerate(addresses(client).values())])
said["calls"] = [found.report.name, found.report.facts["answered"], found.report.facts["silent"], str(found.report)]
""")
    assert said["prof"][:3] == ["native_prof_merged", 4, {}], said["prof"]
    assert "det" in said["prof"][3]
    picture = said["page"][said["page"].index("<svg") : said["page"].index("</svg>")]
    assert picture.count(" samples</text>") == 4, "a lane for each worker"
    assert len(said["page"]) < 256_000
    assert said["calls"][:3] == ["native_calls_merged", 4, {}], said["calls"]


def test_why_a_worker_died_reaches_the_client(run):
    said = run(
        """
client.register_plugin(cluster_of.Plugin())
said["before"] = cluster_of.crashes(client)

def die():
    ctypes.string_at(0)

failed = client.submit(die, workers=[addresses(client)["2"]], pure=False)
said["error"] = type(failed.exception()).__name__
until(lambda: cluster_of.crashes(client))
((said["who"], report),) = cluster_of.crashes(client).items()
said["name"], said["text"] = report.name, str(report)
""",
        '{"distributed.scheduler.allowed-failures": 0}',
    )
    assert said["before"] == {}
    assert said["error"] == "KilledWorker"
    assert said["who"].startswith("2-")
    assert said["name"] == "crash_report"
    assert "null pointer" in said["text"]
    assert "string_at" in said["text"]


def test_dasks_own_profiler_gets_native_functions(run):
    said = run(
        """
client.register_plugin(cluster_of.Plugin())

def sort(seed):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        numpy.sort(numpy.random.default_rng(seed).random(300_000))

def seen():
    client.gather(client.map(sort, range(4), pure=False))
    text = json.dumps(client.profile())
    return text if "<low-level>" in text else None

until(seen)
said["text"] = seen()
said["module"] = list(client.run(lambda: sys.modules["stacktrace"].__name__).values())
client.unregister_worker_plugin("diaphane")
said["left"] = list(client.run(lambda: "stacktrace" in sys.modules).values())
""",
        '{"distributed.worker.profile.low-level": True, "distributed.worker.profile.cycle": "100ms"}',
    )
    assert "sort" in said["text"]
    assert "_multiarray_umath" in said["text"]
    assert said["module"] == ["diaphane.stacktrace"] * 4
    assert said["left"] == [False] * 4
