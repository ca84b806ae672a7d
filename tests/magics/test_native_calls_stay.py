"""A thread that cannot be stopped when a recording ends: its hooks stay for a while, and the user is told of them."""

import platform

import pytest

from support.client import Client
from support.compiler import shared_library
from support.patches import changed_code

from .test_native_calls import MAGIC, report, rows

pytestmark = [
    pytest.mark.diaphane,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="entries are changed on x86-64 only"),
]
LIBRARY = r"""
#include <pthread.h>
#include <signal.h>
static volatile int began, released;
int twice(int n) { began += 0; return 2 * n; }
int has_begun(void) { return began; }
void release(void) { released = 1; }
/* It stays in this library, runs, and takes no signal: nobody can stop it, and it is never seen asleep. */
int spin(void) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, 0);
  began = 1;
  while (!released) __asm__ volatile("pause");
  return twice(21);
}
"""
DEEP = f"{MAGIC} --deep --libs libspin"
SPIN = f"""{DEEP}
thread = threading.Thread(target=lambda: ended.append(spin.spin()))
thread.start()
while not spin.has_begun(): pass
"""


@pytest.fixture
def spinning(launch):
    """A kernel with the library, whose cell has left the thread behind; the cell's report."""
    kernel = launch()
    shared_library(kernel.directory / "libspin.so", LIBRARY, "-O1", "-pthread")
    client = kernel.connect()
    client.run("import ctypes, threading\nspin, ended = ctypes.CDLL('./libspin.so'), []")
    assert changed_code(kernel, "libspin") == []
    yield kernel, client, report(client.run(SPIN))
    client.run("spin.release()\nthread.join()")


def remaining(client: Client) -> list[str]:
    """What the doctor says of hooks that stay."""
    done = client.run("%native_doctor")
    limits = done.one("execute_result")["data"]["application/vnd.diaphane.native_doctor+json"]
    return [limit for limit in limits["limits"] if "stay hooked" in limit]


def test_hooks_that_stay_are_told_and_taken_back_by_the_next_recording(spinning):
    kernel, client, found = spinning
    told = [limit for limit in found["limits"] if "stay hooked" in limit]
    assert told == [
        "functions stay hooked until the next recording: "
        f"the thread {client.value('thread.native_id')} did not stop in time"
    ]
    # It is true, and does no harm.
    assert changed_code(kernel, "libspin")
    assert client.run("spin.twice(4)").result == "8"
    (said,) = remaining(client)
    assert "libspin.so" in said
    # The next one cannot take them back either, says so, and hooks nothing.
    again = report(client.run(f"{DEEP}\nspin.twice(5)"))
    assert any("did not stop in time" in limit for limit in again["limits"])
    assert remaining(client) == [said]
    client.run("spin.release()\nthread.join()")
    assert client.value("ended") == "[42]"
    assert any(row["func"] == "twice" for row in rows(client.run(f"{DEEP}\nspin.twice(6)")))
    assert changed_code(kernel, "libspin") == []
    assert remaining(client) == []


def test_a_child_has_none_of_the_hooks_that_stay(spinning):
    kernel, client, _ = spinning
    assert changed_code(kernel, "libspin")
    code = """
import os
def code():
    with open("/proc/self/maps") as maps:
        span = next(line.split()[0] for line in maps if "libspin" in line and "x" in line.split()[1])
    start, end = (int(part, 16) for part in span.split("-"))
    return ctypes.string_at(start, end - start)
here, (reads, writes) = code(), os.pipe()
if not (pid := os.fork()):
    os.write(writes, b"same" if code() == here else b"taken back")
    os._exit(spin.twice(4))
os.close(writes)
found = os.read(reads, 20), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
    client.run(code)
    assert client.value("found") == "(b'taken back', 8)"
