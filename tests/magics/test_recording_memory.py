"""What recordings and their reports take of memory: one budget for all threads, little addresses, and little in `Out`."""

import ast
import platform

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane
x86_64 = platform.machine() == "x86_64"

RESIDENT = """
import ctypes, gc
def resident():
    gc.collect(); ctypes.CDLL(None).malloc_trim(0)
    return int(open('/proc/self/statm').read().split()[1]) * 4096
"""
# Eight threads that all do something which each recording sees.
WORK = """
import os, threading
def work():
    for _ in range(2000):
        len('x'); os.getppid()
def crowd():
    all = [threading.Thread(target=work) for _ in range(8)]
    [one.start() for one in all]; [one.join() for one in all]
"""


if x86_64:

    def test_a_report_that_stays_takes_little(client: Client):
        client.run(RESIDENT)
        make = (
            "[get_ipython().run_cell_magic('syscalls', '--list', "
            "'import os\\nfor _ in range(20_000): os.getppid()') for _ in range(3)]"
        )
        client.run(f"kept = {make}; del kept; before = resident()")
        client.run(f"kept = {make}; after = resident()")
        assert ast.literal_eval(client.value("[len(one) for one in kept]")) >= [20_000] * 3
        assert int(client.value("after - before")) < 3 * 20_000 * 1000
        # They are whole.
        row = ast.literal_eval(client.value("kept[1][10_000]"))
        assert row["call"] == "getppid"
        assert client.value("len(kept[1].rows) == len(kept[1])") == "True"

    # What a recording of every function needs for its tables and its report comes on top.
    LEFT = {"native_calls": 200, "native_calls --deep --limit 100000": 800, "syscalls": 400}

    @pytest.mark.parametrize("magic", LEFT)
    def test_all_threads_take_part_where_addresses_are_few(launch, magic: str):
        """As with `ulimit -v`: so many megabytes more than what is used."""
        client = launch().connect()
        client.run(WORK)
        client.run(
            "import resource\nused = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
            "before = resource.getrlimit(resource.RLIMIT_AS)\n"
            f"resource.setrlimit(resource.RLIMIT_AS, (used + {LEFT[magic]}_000_000, before[1]))\n"
            "threading.stack_size(256 << 10)"
        )
        for _ in range(3):
            done = client.run(f"%%{magic}\ncrowd()")
            kind = f"application/vnd.diaphane.{magic.split(maxsplit=1)[0]}+json"
            found = done.one("execute_result")["data"][kind]
            said = " ".join(found["limits"])
            assert "could not take part" not in said
            assert "could not be followed" not in said
            rows = client.whole()["rows"]
            threads = {row["thread"] for row in rows if row.get("thread")}
            if magic != "syscalls":
                assert len(threads) >= 9, (threads, said)
            else:
                assert len(found.get("threads", [])) >= 9, (found.keys(), said, str(found)[:1500])
        client.run("big = bytearray(50_000_000); del big")
