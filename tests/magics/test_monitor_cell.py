"""%%monitor and %monitor: a picture that is replaced while a cell runs, by a thread that needs no GIL, and a summary."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.client import Client
from support.compiler import shared_library

pytestmark = pytest.mark.feature("diaphane monitor")
MIME = "application/vnd.diaphane.monitor+json"
HOLD_GIL = "import ctypes\nctypes.PyDLL(None).usleep({seconds} * 1_000_000)"
HEIGHT = re.compile(r"box-sizing:border-box;height:(\d+)px")


def pictures(exchange) -> list[str]:
    """The pages that were shown one after the other in the one output that changes."""
    first = exchange.all("display_data")[:1]
    shown = first + exchange.all("update_display_data")
    assert len({one["transient"]["display_id"] for one in shown}) <= 1
    return [one["data"]["text/html"] for one in shown]


def live(exchange) -> list[str]:
    return [page for page in pictures(exchange) if page]


def is_over(exchange) -> None:
    """Nothing is left of the picture, and the report is the cell's value."""
    assert pictures(exchange)[-1] == ""
    removed = exchange.all("update_display_data")[-1]
    assert removed["data"] == {"text/html": "", "text/plain": ""}
    assert list(exchange.all("display_data")[0]["data"]) == ["text/html"]
    words = [word for word in exchange.trace if word in ("update_display_data", "execute_result")]
    assert words[-1] == "execute_result"


def value(exchange) -> dict:
    found = [one["data"] for one in exchange.all("execute_result") if MIME in one["data"]]
    assert len(found) == 1, exchange.trace
    return found[0]


def until_it_lives(client: Client, cell, count: int = 2) -> None:
    client.until(lambda: len(live(cell)) >= count, "pictures", cell)


def interrupt(client: Client, *cells) -> None:
    client.request("interrupt_request", {}, "control")
    for cell in cells:
        client.finish(cell)


def test_it_goes_on_while_native_code_has_the_gil(client: Client):
    client.run("import ctypes")
    cell = client.start("%%monitor --every 0.25\n" + HOLD_GIL.format(seconds=3))
    until_it_lives(client, cell, 4)
    # All of them came while the one call of the cell had not returned.
    assert not cell.replies
    pages = live(cell)
    assert all("MainThread has the GIL" in page for page in pages)
    assert not any("asks this question" in page for page in pages)
    number = cell.one("execute_input")["execution_count"]
    assert all(f"In[{number}] has run for" in page for page in pages)
    assert any(f"at In[{number}]:3" in page for page in pages[1:])
    client.finish(cell)
    is_over(cell)
    found = value(cell)[MIME]
    held = {one["name"]: one["looks"] for one in found["gil"]}
    assert held["MainThread"] > found["looks"] * 0.8
    assert found["functions"][0]["place"] == f"In[{number}]:3"
    assert found["samples"] >= 3


def test_each_picture_has_the_same_height(client: Client):
    client.run("import threading, time")
    cell = client.start(
        "%%monitor --every 0.25\n"
        "end = threading.Event()\n"
        "all = [threading.Thread(target=end.wait) for _ in range(20)]\n"
        "for one in all: one.start(); time.sleep(0.05)\n"
        "sum(range(20_000_000))\n"
        "end.set()"
    )
    client.finish(cell)
    pages = live(cell)
    assert len(pages) >= 3
    assert len({HEIGHT.search(page).group(1) for page in pages}) == 1
    assert all(len(page) < 16_000 and "<script" not in page for page in pages)


def test_what_is_told_is_what_linux_tells(client: Client, kernel):
    client.run("import os, resource, threading, time")
    done = client.run(
        "%%monitor\n"
        "begin = resource.getrusage(resource.RUSAGE_SELF)\n"
        "def burn():\n"
        "    end = time.thread_time() + 0.5\n"
        "    while time.thread_time() < end: pass\n"
        "    burnt.set(); over.wait()\n"
        "burnt, over = threading.Event(), threading.Event()\n"
        "worker = threading.Thread(target=burn, name='a worker of mine')\n"
        "worker.start(); burnt.wait()\n"
        "more = bytearray(80_000_000)\n"
        "time.sleep(0.4)\n"
        "over.set(); worker.join()\n"
        "end = resource.getrusage(resource.RUSAGE_SELF)"
    )
    found = value(done)[MIME]
    used = float(client.value("end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime"))
    # Witnesses: what Linux says of the process, what the thread's own clock said, and what was allocated.
    assert used - 0.05 <= found["cpu_ns"] / 1e9 <= used + 0.5
    threads = {row["name"]: row for row in found["rows"]}
    assert threads["a worker of mine"]["cpu_ns"] >= 0.5e9
    assert found["rss"]["most"] - found["rss"]["first"] >= 75_000_000
    assert found["rss"]["least"] <= found["rss"]["first"] <= found["rss"]["most"]
    assert abs(found["cpus_used"] * found["over_time"][-1]["end_ns"] - found["cpu_ns"]) < 0.1e9
    assert len(json.dumps(value(done))) < 64_000
    text = value(done)["text/plain"]
    assert text.startswith("The cell ran for ")
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "<svg" in value(done)["text/html"]


def test_after_an_error_and_after_an_interrupt_there_is_the_summary(client: Client):
    failed = client.execute("%%monitor\nimport time\ntime.sleep(0.4)\n1 / 0")
    assert failed.content["ename"] == "ZeroDivisionError"
    is_over(failed)
    stopped = client.start("%%monitor\nimport time\ntime.sleep(600)")
    until_it_lives(client, stopped)
    interrupt(client, stopped)
    assert stopped.content["ename"] == "KeyboardInterrupt"
    is_over(stopped)
    assert value(stopped)[MIME]["elapsed_ns"] < 300e9


def test_a_line_watches_what_goes_on_beside_it(client: Client):
    client.run(
        "import threading\nstop = threading.Event()\n"
        "def spin():\n    while not stop.is_set(): pass\n"
        "threading.Thread(target=spin, name='spins', daemon=True).start()"
    )
    done = client.run("watched = %monitor 1 --every 0.25\nwatched")
    is_over(done)
    found = value(done)[MIME]
    assert found["rows"][0]["name"] == "spins"
    assert found["interrupted"] is False
    assert any(">spins</span>" in page for page in live(done))
    cell = client.start("%monitor 600")
    until_it_lives(client, cell)
    interrupt(client, cell)
    # It was told to end, and ended: that is no error.
    assert cell.content["status"] == "ok"
    assert value(cell)[MIME]["interrupted"] is True
    client.run("stop.set()")


def test_hostile_names_stay_text(client: Client):
    name = "<script>alert(1)</script>\\\" onload='x'\\x1b[2J"
    client.run("import threading, time")
    done = client.run(
        "%%monitor --every 0.25\n"
        f'name = "{name}"\n'
        "def burn():\n"
        "    end = time.thread_time() + 0.8\n"
        "    while time.thread_time() < end: pass\n"
        "worker = threading.Thread(target=burn, name=name)\n"
        "worker.start(); worker.join()"
    )
    assert any("&lt;script&gt;" in page for page in live(done))
    for page in [*pictures(done), value(done)["text/html"]]:
        assert "<script" not in page
        assert "\x1b" not in page
        assert "\" onload='" not in page
    assert "\x1b" not in value(done)["text/plain"]


def test_a_child_shows_nothing(client: Client):
    client.run("import os, time")
    done = client.run(
        "%%monitor --every 0.25\n"
        "pid = os.fork()\n"
        "if not pid:\n    time.sleep(0.6)\n    os._exit(7)\n"
        "time.sleep(0.3)\n"
        "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )
    assert done.all("execute_result")[0]["data"]["text/plain"] == "7"
    assert [word for word in done.trace if "display" in word].count("display_data") == 1
    assert pictures(done)[-1] == ""
    assert client.value("1 + 1") == "2"


def test_a_child_that_goes_on_ends_without_a_word(client: Client):
    client.run("import os, sys")
    done = client.run(
        "%%monitor\npid = os.fork()\nif pid:\n    code = os.waitpid(pid, 0)[1]\nelse:\n    print('child')"
    )
    assert client.value("code") == "0"
    assert pictures(done)[-1:] in ([""], [])


def test_two_cells_at_once_have_a_picture_each(client: Client):
    client.run("import time")
    name = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    first = client.start("%%monitor --every 0.25\ntime.sleep(2)")
    second = client.start("%%monitor --every 0.25\ntime.sleep(2)", header={"subshell_id": name})
    until_it_lives(client, first)
    until_it_lives(client, second)
    for cell in (first, second):
        client.finish(cell)
        is_over(cell)
        number = cell.one("execute_input")["execution_count"]
        assert all(f"In[{number}] has run" in page for page in live(cell))
    ids = {one.all("display_data")[0]["transient"]["display_id"] for one in (first, second)}
    assert len(ids) == 2
    client.request("delete_subshell_request", {"subshell_id": name}, "control")


def ended(client: Client, cell) -> None:
    """The last picture says so, and no other one follows."""
    client.until(lambda: "the kernel has ended" in pictures(cell)[-1], "the last picture", cell)
    assert "this view has stopped" in pictures(cell)[-2]
    assert "this view has stopped" not in pictures(cell)[-1]


def test_where_the_kernel_is_shut_down_the_picture_says_so(launch, tmp_path: Path):
    library = shared_library(tmp_path / "libspins.so", "void spins(void) { for (;;) ; }")
    client = launch().connect()
    client.run(f"import ctypes\nlibrary = ctypes.PyDLL({str(library)!r})")
    cell = client.start("%%monitor\nlibrary.spins()")
    until_it_lives(client, cell)
    client.until(lambda: "spins of libspins.so" in live(cell)[-1], "what it does", cell)
    client.send("shutdown_request", {"restart": True}, "control")
    ended(client, cell)


@pytest.mark.parametrize("end", ["os._exit(3)", "ctypes.string_at(0)"])
def test_where_the_kernel_dies_the_picture_says_so(launch, end: str):
    client = launch().connect()
    client.run("import ctypes, os, time")
    cell = client.start(f"%%monitor\ntime.sleep(1)\n{end}")
    client.until(lambda: live(cell), "a picture", cell)
    ended(client, cell)


def test_a_cell_that_clears_its_output_has_its_summary(client: Client):
    client.run("import time\nfrom IPython.display import clear_output")
    done = client.run("%%monitor\ntime.sleep(0.3)\nclear_output()\ntime.sleep(0.3)\nprint('done')")
    is_over(done)
    assert done.text() == "done\n"


def test_above_another_recording(client: Client):
    client.run("import time")
    done = client.run(
        "%%monitor\n%%native_prof\nend = time.thread_time() + 0.5\nwhile time.thread_time() < end: pass"
    )
    kinds = [kind for one in done.all("execute_result") for kind in one["data"]]
    assert "application/vnd.diaphane.native_prof+json" in kinds
    assert MIME in kinds


def test_it_is_a_report_like_any_other(client: Client):
    done = client.run("%%monitor --as seen\nimport time\ntime.sleep(0.3)")
    assert not done.all("execute_result")
    assert pictures(done)[-1] == ""
    assert client.value("seen.name") == "'monitor'"
    assert int(client.value("seen.facts['looks']")) >= 3
    client.run("import diaphane")
    client.run("with diaphane.monitor.record() as block:\n    time.sleep(0.3)")
    assert client.value("block.summary[0][:17]") == "'The block ran for'"
    client.run("@diaphane.monitor.record\ndef f():\n    time.sleep(0.3)\nf()")
    assert client.value("f.report.name") == "'monitor'"


def test_a_short_cell_has_its_summary_and_no_picture(client: Client):
    done = client.run("%%monitor\n1 + 1")
    assert done.all("display_data") == []
    assert value(done)[MIME]["looks"] >= 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%%monitor --every 0\npass", "--every takes 0.25 to 60 seconds, not 0"),
        ("%%monitor --every nan\npass", "--every takes 0.25 to 60 seconds, not NaN"),
        ("%%monitor --every 1e9\npass", "--every takes 0.25 to 60 seconds, not 1000000000"),
        ("%%monitor --every -1\npass", "--every takes 0.25 to 60 seconds, not -1"),
        ("%%monitor --every often\npass", "often"),
        ("%%monitor 10\npass", "SECONDS are for %monitor on one line"),
        ("%monitor", "%monitor needs the number of SECONDS"),
        ("%monitor 0", "SECONDS takes 0.25 to 600 seconds, not 0"),
        ("%monitor 1e9", "SECONDS takes 0.25 to 600 seconds, not 1000000000"),
        ("%monitor inf", "SECONDS takes 0.25 to 600 seconds, not inf"),
        ("%monitor soon", "soon"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(client: Client, line: str, words: str):
    done = client.execute(line)
    assert done.content["status"] == "error"
    assert words in done.content["evalue"]
    assert done.all("display_data") == []


def test_what_the_first_look_reads_is_not_the_cells_memory(launch):
    client = launch().connect()
    client.run("import numpy, time")
    done = client.run("%%monitor\ntime.sleep(1.2)")
    found = value(done)[MIME]
    assert found["rss"]["most"] - found["rss"]["first"] < 8_000_000, found["rss"]


def test_an_empty_cell(client: Client):
    done = client.execute("%%monitor")
    assert done.content["status"] == "error"
    done = client.run("%%monitor\n# nothing\n")
    assert value(done)[MIME]["looks"] >= 1
