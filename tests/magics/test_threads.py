"""%threads against /proc/PID/task, read from outside of the process."""

import errno
import json
import textwrap

import pytest

from support.client import Client
from support.compiler import WAITER, shared_library
from support.patience import wait_until

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.threads+json"


def rows(client: Client) -> dict[int, dict]:
    done = client.run("r = %threads\nimport json\nprint(json.dumps(r.rows))")
    return {row["tid"]: row for row in json.loads(done.text())}


def test_every_thread_and_no_other(client: Client, kernel):
    found = rows(client)
    assert set(found) == set(kernel.threads)
    for tid, name in kernel.threads.items():
        assert found[tid]["comm"] == name


def test_the_main_thread(client: Client, kernel):
    row = rows(client)[kernel.pid]
    assert row["kind"] == "main"
    assert row["name"] == "MainThread"
    assert row["cpu_ns"] > 0


def test_python_threads_have_their_names(client: Client):
    client.run(
        "import threading\ngate = threading.Event()\n"
        "t = threading.Thread(target=gate.wait, name='my worker'); t.start()"
    )
    native = int(client.value("t.native_id"))
    row = rows(client)[native]
    client.run("gate.set(); t.join()")
    assert row["name"] == "my worker"
    assert row["kind"] == "python"
    assert row["state"] == "S"
    assert native not in rows(client)


def test_our_own_threads_are_called_so(client: Client, kernel):
    found = rows(client)
    ours = [tid for tid, name in kernel.threads.items() if name.startswith("diaphane-")]
    assert ours
    assert {found[tid]["kind"] for tid in ours} == {"kernel"}


def test_threads_that_are_named_as_ours_are_the_users(launch):
    """Those of the user's own pyzmq are named as those of the kernel's libzmq; any thread may have any name."""
    kernel = launch()
    client = kernel.connect()
    client.run("pass")
    before = set(kernel.threads)
    client.run(
        "import ctypes, threading, zmq\ncontext = zmq.Context()\nsocket = context.socket(zmq.PUB)\n"
        "socket.bind('inproc://here')\nend = threading.Event()\n"
        "def wait():\n    ctypes.CDLL(None).prctl(15, b'diaphane-io')\n    end.wait()\n"
        "named = threading.Thread(target=wait, name='mine')\nnamed.start()"
    )
    made = {tid: name for tid, name in kernel.threads.items() if tid not in before}
    wait_until(lambda: "diaphane-io" in [kernel.threads.get(tid) for tid in made], "the name")
    assert any(name.startswith("ZMQbg/") for name in made.values()), made
    found = rows(client)
    assert "kernel" not in {found[tid]["kind"] for tid in made}
    assert {found[tid]["kind"] for tid in before if kernel.threads[tid].startswith("ZMQbg/")} == {
        "kernel"
    }
    # They are sampled too.
    done = client.run("%%native_prof --wall --hz 199\nimport time; time.sleep(0.5)")
    data = done.one("execute_result")["data"]["application/vnd.diaphane.native_prof+json"]
    sampled = {int(row["tid"]) for row in data["stacks"]}
    assert int(client.run("named.native_id").result) in sampled
    client.run("end.set(); socket.close(); context.term()")


def test_pool_threads_belong_to_their_library(launch):
    kernel = launch(env={"OPENBLAS_NUM_THREADS": "2"})
    client = kernel.connect()
    client.run("pass")
    before = set(kernel.threads)
    client.run("import numpy")
    made = set(kernel.threads) - before
    assert made
    # Where a thread waits is known once it does; a new one of the pool spins for a moment.
    wait_until(lambda: {rows(client)[tid]["state"] for tid in made} == {"S"}, "the pool sleeps")
    for row in (rows(client)[tid] for tid in made):
        assert row["kind"] == "blas"
        assert "openblas" in row["owner"]
        assert row["owner_package"] == "numpy"
        assert row["owner_confidence"] == "hook"


THREADS_IN_C = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <errno.h>
#include <signal.h>
static int gate[2];
static pthread_barrier_t born;
static void *leaves(void *how) {
    if (how == (void *)1) pthread_exit((void *)7);
    if (how == (void *)2) { pthread_barrier_wait(&born); for (;;) pause(); }
    return (void *)9;
}
static void *waits(void *_) { char c; pthread_barrier_wait(&born); read(gate[0], &c, 1); return 0; }
/* Each way in which a thread may end; the sum of what they answer. */
long ends(void) {
    pthread_t t; void *said; long sum = 0;
    for (int i = 0; i < 3000; i++) {
        if (pthread_create(&t, 0, leaves, (void *)(long)(i % 2))) return -1;
        pthread_join(t, &said); sum += (long)said;
    }
    pthread_barrier_init(&born, 0, 2);
    pthread_create(&t, 0, leaves, (void *)2);
    pthread_barrier_wait(&born); pthread_cancel(t); pthread_join(t, &said);
    return said == PTHREAD_CANCELED ? sum : -2;
}
/* A detached one with attributes that waits. */
int begins(void) {
    pthread_attr_t a; pthread_t t;
    pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_barrier_init(&born, 0, 2); pipe(gate);
    int error = pthread_create(&t, &a, waits, 0);
    pthread_barrier_wait(&born); return error;
}
/* A stack that no machine has room for. */
int refused(void) {
    pthread_attr_t a; pthread_t t;
    pthread_attr_init(&a); pthread_attr_setstacksize(&a, 1UL << 46);
    return pthread_create(&t, &a, leaves, 0);
}
"""


def test_threads_that_c_starts(client: Client, kernel, tmp_path):
    library = shared_library(tmp_path / "libbirths.so", THREADS_IN_C)
    client.run(f"import ctypes; lib = ctypes.CDLL({str(library)!r})")
    assert int(client.value("lib.ends()")) == 1500 * 9 + 1500 * 7
    assert int(client.value("lib.refused()")) == errno.EAGAIN
    before = set(kernel.threads)
    assert int(client.value("lib.begins()")) == 0
    (tid,) = set(kernel.threads) - before
    row = rows(client)[tid]
    assert (row["owner"], row["owner_confidence"]) == ("libbirths.so", "hook")


def test_threads_after_a_fork(client: Client):
    code = """
    import os, threading
    gate = threading.Event()
    t = threading.Thread(target=gate.wait); t.start()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        made = [threading.Thread(target=gate.wait) for _ in range(1100)]
        for one in made: one.start()
        gate.set()
        for one in made: one.join()
        os.write(write, b"done")
        os._exit(0)
    print(os.waitpid(pid, 0)[1], os.read(read, 4)); gate.set(); t.join()
    """
    assert client.run(textwrap.dedent(code)).text() == "0 b'done'\n"


def test_all_views(client: Client):
    data = client.run("%threads").one("execute_result")["data"]
    assert set(data) == {"text/plain", "text/html", MIME}
    assert all(len(line) <= 80 for line in data["text/plain"].splitlines())
    assert data[MIME]["name"] == "threads"
    assert data[MIME]["cpus"]["online"] > 0


def test_names_of_threads_are_escaped(client: Client):
    client.run(
        "import threading\ngate = threading.Event()\n"
        "t = threading.Thread(target=gate.wait, name='<i>&x'); t.start()"
    )
    data = client.run("%threads").one("execute_result")["data"]
    client.run("gate.set(); t.join()")
    assert "<i>&x" in data["text/plain"]
    assert "<i>" not in data["text/html"]
    assert "&lt;i&gt;&amp;x" in data["text/html"]


@pytest.mark.parametrize("line", ["--no-such-flag", "extra"])
def test_a_mistake_is_one_line(client: Client, line: str):
    said = client.execute(f"%threads {line}").text("stderr").strip()
    assert "\n" not in said
    assert said.startswith("UsageError: %threads")
    assert line in said


def stack_of(row: dict) -> list[str]:
    return [one["function"] or "?" for one in row["stack"] or []]


def test_threads_know_their_cell(client: Client):
    client.run("import threading\ngate = threading.Event()")
    started = client.run("t = threading.Thread(target=gate.wait); t.start()")
    row = rows(client)[int(client.value("t.native_id"))]
    client.run("gate.set(); t.join()")
    assert row["created_in"] == started.reply["content"]["execution_count"]
    assert row["start_function"] == "pythread_wrapper" or row["start_function"] is None


COMPUTE = """
import threading, numpy
a = numpy.random.rand(1000, 1000)
stop = threading.Event()
def compute():
    while not stop.is_set():
        a @ a
t = threading.Thread(target=compute); t.start()
"""
FOLLOW = """
seen = None
while seen is None:
    found = %threads --stack
    (row,) = [row for row in found if row["tid"] == t.native_id]
    names = [one["function"] or "" for one in row["stack"] or []]
    if names and names[0].startswith("dgemm_kernel"):
        seen = names
print(seen[0], "compute" in seen, any(name.startswith("DOUBLE_matmul") for name in seen), [one["found"] for one in row["stack"]][:2])
"""


# Any x86-64 can run the second one, which is assembly without call frame information.
@pytest.mark.parametrize("core", ["", "Prescott"])
def test_stacks_reach_from_the_blas_kernel_to_python(launch, core: str):
    environment = {"OPENBLAS_NUM_THREADS": "1"} | ({"OPENBLAS_CORETYPE": core} if core else {})
    client = launch(env=environment).connect()
    client.run(COMPUTE)
    said = client.run(FOLLOW).text().split(maxsplit=3)
    client.run("stop.set(); t.join()")
    assert said[1:3] == ["True", "True"]
    if core:
        assert said[0] == "dgemm_kernel_PRESCOTT"
        assert said[3].strip() == "['exact', 'guess']"


HANG = """
import ctypes
libc = ctypes.PyDLL(None)  # It keeps the GIL.
def hang():
    print("ready", flush=True)
    libc.sleep(600)
hang()
"""


def test_a_cell_that_hangs_with_the_gil_shows_its_stack(launch):
    client = launch().connect()
    cell = client.start(HANG)
    client.until(lambda: "ready" in cell.text(), "ready", cell)

    def look() -> dict | None:
        data = client.request(
            "magic_request", {"name": "threads", "line": "--stack"}, "control"
        ).content["data"]
        (main,) = [row for row in data[MIME]["rows"] if row["kind"] == "main"]
        # It says that it is ready before it sleeps.
        return {"main": main, **data} if main["wait"] == "clock_nanosleep" else None

    found = {}
    wait_until(lambda: found.update(look() or {}) or found, "it sleeps")
    main = found["main"]
    names = stack_of(main)
    assert main["gil"] == "holder"
    inner, c, outer = (names.index(name) for name in ("hang", "ffi_call", "<module>"))
    assert c < inner < outer
    (line,) = [one["line"] for one in main["stack"] if one["function"] == "hang"]
    assert line == 5
    assert any("names of threads" in limit for limit in found[MIME]["limits"])


@pytest.mark.parametrize("optimisation", ["-O2", "-O0"])
def test_looking_interrupts_no_system_call(client: Client, tmp_path, optimisation: str):
    """Also where a register that nobody knows from outside leads to the caller: code without optimisation."""
    library = shared_library(tmp_path / "libwaiter.so", WAITER, optimisation)
    client.run(f"import ctypes; lib = ctypes.CDLL({str(library)!r}); lib.begin()")

    def asleep() -> bool:
        return any(row["owner"] == "libwaiter.so" and row["wait"] for row in rows(client).values())

    wait_until(asleep, "the thread waits")
    client.run("for _ in range(50): found = get_ipython().run_line_magic('threads', '--stack')")
    names = client.value(
        "[[f['function'] for f in r['stack']] for r in found if r['owner'] == 'libwaiter.so']"
    )
    assert "epoll_wait" in names
    assert "waits" in names
    assert int(client.value("lib.count()")) == 0


def test_signals_of_others_are_left_alone(client: Client):
    code = """
    import signal
    def mine(*_): pass
    for number in range(signal.SIGRTMIN, signal.SIGRTMAX): signal.signal(number, mine)
    """
    client.run(textwrap.dedent(code))
    client.run(COMPUTE)
    client.run("r = %threads --stack")
    client.run("signal.signal(signal.SIGRTMAX, mine)\nr = %threads --stack")
    kept = client.value(
        "all(signal.getsignal(n) is mine for n in range(signal.SIGRTMIN, signal.SIGRTMAX + 1))"
    )
    client.run("stop.set(); t.join()")
    assert kept == "True"


TEAM = """
int team(void) {
    int threads = 0;
    #pragma omp parallel reduction(+ : threads)
    threads += 1;
    return threads;
}
"""


def test_all_threads_that_compute_with_a_pool_are_counted(launch, tmp_path):
    """Each thread that calls OpenMP has a team of its own, in which it computes too."""
    library = shared_library(tmp_path / "libteam.so", TEAM, "-fopenmp")
    client = launch(env={"OMP_NUM_THREADS": "4"}).connect()
    client.run(
        "import ctypes, os, threading\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        f"team = ctypes.CDLL({str(library)!r}).team\n"
        "both, end = threading.Barrier(3), threading.Event()\n"
        "def call():\n    team(); both.wait(); end.wait()\n"
        "callers = [threading.Thread(target=call) for _ in range(2)]\n"
        "[one.start() for one in callers]; both.wait()"
    )
    done = client.run("%threads")
    client.run("end.set(); [one.join() for one in callers]")
    found = done.one("execute_result")["data"][MIME]["diagnoses"]
    title = next(one["title"] for one in found if one["code"] == "T001")
    assert "computes with 8 threads on 1 usable CPUs" in title
