"""%%buffer_writes: which parts of which arrays a cell wrote. The witness is what the cell itself does."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane

PAGE = 4096


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run(
        "import numpy as np, os, mmap\n"
        "room = mmap.mmap(-1, 64 * 4096)\n"  # Begins with a page, and shares none.
        "a = np.frombuffer(room, dtype=float)\na[:] = 1\nb = np.ones(100_000)\nsmall = np.zeros(3)"
    )
    return client


def report(done) -> dict:
    return done.report("buffer_writes")


def rows(done) -> dict[str, dict]:
    return {row["name"]: row for row in report(done)["rows"]}


def test_pages_that_are_written_are_told_to_the_item(numpy: Client):
    done = numpy.run(
        "%%buffer_writes a\na[512 * 3] = 7\na[512 * 10 : 512 * 12] += 1\nx = a[512 * 20]"
    )
    row = rows(done)["a"]
    assert (row["state"], row["pages"], row["written_pages"]) == ("part", 64, 3)
    assert (row["written"], row["nbytes"]) == (3 * PAGE, 64 * PAGE)
    assert row["ranges"] == [
        {
            "first_byte": 3 * PAGE,
            "last_byte": 4 * PAGE - 1,
            "first_item": 512 * 3,
            "last_item": 512 * 4 - 1,
        },
        {
            "first_byte": 10 * PAGE,
            "last_byte": 12 * PAGE - 1,
            "first_item": 512 * 10,
            "last_item": 512 * 12 - 1,
        },
    ]
    assert row["where"][0] == "▒"
    assert row["where"][-1] == "░"
    assert report(done)["limits"] == []
    assert (
        "written in part: a (3 pages, 12.3 kB of 262.1 kB)"
        in done.all("execute_result")[-1]["data"]["text/plain"]
    )


def test_in_place_and_copy_can_be_seen(numpy: Client):
    found = rows(numpy.run("%%buffer_writes\nb *= 2\nc = a * 2\nview = a[10:]\nsmall[1] = 5"))
    assert found["b"]["state"] == "whole"
    assert found["a"]["state"] == "not"
    assert found["c"]["state"] == "new"
    assert found["view"]["state"] == "view"
    assert found["view"]["shares_with"] in ("a", "room")
    assert found["small"]["state"] in ("part", "whole")
    assert found["small"]["values_changed"] is True
    again = report(numpy.run("%%buffer_writes b c\nb = b * 2"))["rows"]
    states = [(row["name"], row["state"]) for row in again]
    # It may share its first page with another one's.
    assert ("c", "not") in states or ("c", "same") in states
    assert [state for name, state in states if name == "b"] == ["freed", "new"]


def test_the_unit_of_what_was_written_is_said(numpy: Client):
    """Every page is written, and of each page one item."""
    done = numpy.run("%%buffer_writes a\na[::512] = 7")
    assert rows(done)["a"]["state"] == "whole"
    said = " ".join(done.one("execute_result")["data"]["text/plain"].split())
    assert "written in place, on all of its pages: a" in said
    assert "whole pages of 4096 bytes, the least that Linux tells" in said
    assert (
        "whole pages"
        not in numpy.run("%%buffer_writes a\npass").one("execute_result")["data"]["text/plain"]
    )


def test_a_page_that_is_shared_is_not_held_against_anyone(numpy: Client):
    numpy.run("pair = np.zeros(1024)\nfirst = pair[:5]\nsecond = pair[5:10]")
    found = rows(numpy.run("%%buffer_writes first second\nfirst[0] = 1"))
    assert found["first"]["values_changed"] is True
    assert (found["second"]["state"], found["second"]["values_changed"]) == ("same", False)


def test_the_first_item_is_told_although_its_page_is_shared(numpy: Client):
    numpy.run("one = np.zeros(100_000); other = np.zeros(100_000)")
    found = rows(numpy.run("%%buffer_writes one other\none[0] = 1"))
    assert found["one"]["state"] == "part"
    assert found["one"]["ranges"][0]["first_item"] == 0
    assert found["other"]["state"] in ("not", "same")


def test_items_between_those_that_are_watched_are_somebody_elses(numpy: Client):
    numpy.run("both = np.zeros(4096, dtype=complex); real, imaginary = both.real, both.imag")
    found = rows(numpy.run("%%buffer_writes real imaginary\nimaginary[:] = 1"))
    assert found["real"]["state"] == "perhaps"


def test_a_frame_that_is_sorted_in_place_has_other_memory(numpy: Client):
    numpy.run(
        "import pandas as pd\n"
        "df = pd.DataFrame({'k': np.arange(50_000) % 77, 'x': np.arange(50_000.0), 's': ['a'] * 50_000})\nkeep = df[['k', 'x']]"
    )
    done = report(numpy.run("%%buffer_writes\ndf.sort_values('k', inplace=True);"))["rows"]
    states = {(row["name"], row["state"]) for row in done}
    assert {("df[k]", "new"), ("df[x]", "new")} <= states
    assert ("df[k]", "not") not in states
    assert any(name.startswith("df[s]") and state == "new" for name, state in states), states


def test_memory_that_moved_is_not_taken_for_written(numpy: Client):
    numpy.run("grown = bytearray(b'abcdefgh' * 2)\nmapped = mmap.mmap(-1, 100_000)")
    done = report(
        numpy.run("%%buffer_writes grown mapped\ngrown.extend(b'x' * 100_000); mapped.close()")
    )["rows"]
    states = {(row["name"], row["state"]) for row in done}
    assert ("grown", "freed") in states
    assert ("mapped", "freed") in states


def test_arrow_lives_as_long_as_its_array(numpy: Client):
    numpy.run("import pyarrow as pa; t = pa.array(np.arange(20_000.0))")
    assert rows(numpy.run("%%buffer_writes t\npass"))["t.data"]["state"] in ("not", "same")


def test_a_freed_place_is_no_view_of_who_was_there(numpy: Client):
    numpy.run("x = np.zeros(1000)")
    done = report(numpy.run("%%buffer_writes\ndel x\ne = np.ones(1000)"))["rows"]
    assert ("e", "new") in {(row["name"], row["state"]) for row in done}


def test_what_linux_and_other_threads_write_counts(numpy: Client):
    found = rows(
        numpy.run(
            "%%buffer_writes a\nimport threading\n"
            "def work(): a[512 * 5] = 1\nthread = threading.Thread(target=work); thread.start(); thread.join()\n"
            "with open('/dev/zero', 'rb', buffering=0) as file:\n    file.readinto(memoryview(room)[9 * 4096 : 9 * 4096 + 8])"
        )
    )
    assert [one["first_item"] for one in found["a"]["ranges"]] == [512 * 5, 512 * 9]


def test_huge_pages_are_joined_again(numpy: Client):
    numpy.run("large = np.empty(8 << 20)\nlarge[:] = 1")
    huge = "sum(int(line.split()[1]) for line in open('/proc/self/smaps') if line.startswith('AnonHugePages'))"
    before = int(numpy.value(huge))
    row = rows(numpy.run("%%buffer_writes large\nlarge[0] = 2"))["large"]
    assert row["written_pages"] < 2000
    divided = int(numpy.value("_.facts['divided_bytes']"))
    assert before - int(numpy.value(huge)) <= divided // 1024 + 2048


def test_a_mapped_file_is_watched_too(numpy: Client, tmp_path):
    numpy.run(
        f"mapped = np.memmap({str(tmp_path / 'file')!r}, dtype=float, mode='w+', shape=(1024,))"
    )
    found = rows(numpy.run("%%buffer_writes mapped b\nmapped[0] = 1\nb[50_000] = 2"))
    assert (found["mapped"]["state"], found["mapped"]["written_pages"]) == ("part", 1)
    assert found["b"]["state"] == "part"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nothing", "no variable"),
        ("text", "shows no memory"),
        ("b[", "no name"),
        ("--all", "--all"),
    ],
)
def test_what_cannot_be_watched_is_said(numpy: Client, line: str, words: str):
    numpy.run("text = 'abc'")
    done = numpy.execute(f"%%buffer_writes {line}\nran = True")
    assert done.content["status"] == "error"
    assert words in done.content["evalue"] + done.text()
    assert numpy.value("'ran' in globals()") == "False"


def test_where_nothing_can_be_written_the_cell_runs(client: Client):
    client.run("%reset -f")
    done = client.run("%%buffer_writes\nran = 1")
    assert "no variable has an array" in done.one("execute_result")["data"]["text/plain"]
    assert client.value("ran") == "1"


def test_nothing_stays(numpy: Client):
    flags = "any(' uw' in line for line in open('/proc/self/smaps') if line.startswith('VmFlags'))"
    assert numpy.run(f"%%buffer_writes a\nwatched = {flags}").content["status"] == "ok"
    assert numpy.value("watched") == "True"
    for code in ("1 / 0", "raise KeyboardInterrupt", "a[0] = 1"):
        numpy.execute(f"%%buffer_writes a\n{code}")
        assert numpy.value(flags) == "False"
    done = numpy.run(
        "%%buffer_writes a\nchild = os.fork()\nif child == 0:\n    a[0] = 7\n    os._exit(int(a[0]))\n"
        "status = os.waitpid(child, 0)[1]"
    )
    assert numpy.value("os.waitstatus_to_exitcode(status)") == "7"
    assert rows(done)["a"]["state"] == "not"
    assert (
        numpy.value(
            "len([fd for fd in os.listdir('/proc/self/fd') if 'userfaultfd' in os.path.realpath(f'/proc/self/fd/{fd}')])"
        )
        == "0"
    )


def test_in_a_program(numpy: Client):
    done = numpy.run(
        "import diaphane\nwith diaphane.buffer_writes() as writes:\n    b[:] = 3\n"
        "print({row['name']: row['state'] for row in writes})"
    )
    assert "'b': 'whole'" in done.text()
