"""%buffer_addr compares with everybody, and what it says of pandas and Arrow is true of the very objects."""

import json

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane


def ask(client: Client, line: str) -> tuple[dict[str, dict], list[dict]]:
    client.run(f"r = %buffer_addr {line}")
    answer = json.loads(client.run("import json; print(json.dumps([r.rows, r.diagnoses]))").text())
    return {row["name"]: row for row in answer[0]}, answer[1]


def finding(found: list[dict], code: str) -> dict:
    (one,) = [one for one in found if one["code"] == code]
    return one


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np, pandas as pd, pyarrow as pa")
    return client


@pytest.mark.parametrize(
    ("setup", "asked", "sharing"),
    [
        ("a = np.arange(10.0); b = a[2:]", "a", ["b"]),
        ("a = np.arange(10.0); b = a[2:]", "b", ["a"]),
        ("a = np.arange(10.0); c = a", "a", ["c"]),
        ("a = np.arange(10.0); held = [a]", "a", ["held[0]"]),
        ("a = np.arange(10.0); held = {'k': a}", "a", ["held['k']"]),
        ("a = np.arange(10.0); b = a[2:]; held = (1, a)", "a", ["b", "held[1]"]),
        ("a = np.arange(10.0); held = {'k': [1, a[5:]]}", "a", ["held['k'][1]"]),
        ("a = np.arange(10.0)\nclass C: pass\nc = C(); c.part = a[:3]", "a", ["c.part"]),
        ("a = np.arange(10.0); even, odd = a[::2], a[1::2]", "even", ["a"]),
        ("a = np.arange(10.0); m = memoryview(a)", "a", ["m"]),
        ("df = pd.DataFrame({'x': [1.0, 2.0], 'y': [3.0, 4.0]})", 'df["x"]', ["df[x, y]"]),
    ],
)
def test_an_array_is_compared_with_all_variables(
    numpy: Client, setup: str, asked: str, sharing: list[str]
):
    numpy.run(setup)
    rows, _ = ask(numpy, asked)
    (row,) = rows.values()
    assert row["shares_with"] == sharing
    assert row["sharers"] == ", ".join(sharing)


def test_nobody_is_said_where_all_were_asked(numpy: Client):
    numpy.run("a = np.arange(10.0); b = a.copy(); held = [a + 1]")
    rows, found = ask(numpy, "a")
    assert rows["a"]["shares_with"] == []
    assert rows["a"]["sharers"] == "nobody"
    assert not found
    data = numpy.run("%buffer_addr a").one("execute_result")["data"]
    assert "nobody" in data["text/plain"]


@pytest.mark.parametrize(
    ("setup", "asked", "answer"),
    [
        ("a = np.arange(10.0)", "a", "a owns its memory, and shares it with nobody."),
        ("a = np.arange(10.0); b = a[2:]", "a", "a owns its memory, and shares it with b."),
        ("a = np.arange(10.0); b = a[2:]", "b", "b is a view of a."),
        (
            "a = np.arange(10.0); b = a[2:]; c = a[:5]",
            "b",
            "b is a view of a, and shares memory with c, too.",
        ),
        (
            "v = np.arange(2_000_000.0)[:5]",
            "v",
            "v shares its memory with nobody; it belongs to a nameless ndarray 16.0 MB.",
        ),
        (
            "y = np.arange(12.0).reshape(3, 4); z = y[:2]",
            "z",
            "z shares its memory with y; it belongs to a nameless ndarray 96 B.",
        ),
        (
            "a = np.arange(10.0); b = a[2:]; c = a[:5]; d = a + 1; e = a + 2",
            "a b c d e",
            "a, b and c share memory with others; d and e with nobody.",
        ),
    ],
)
def test_the_first_sentence_is_the_answer(numpy: Client, setup: str, asked: str, answer: str):
    numpy.run(setup)
    text = numpy.run(f"%buffer_addr {asked}").one("execute_result")["data"]["text/plain"]
    assert text.splitlines()[0] == answer


def test_views_of_a_nameless_array_are_told(numpy: Client):
    numpy.run("y = np.arange(12.0).reshape(3, 4); z = y[:2]")
    one = finding(ask(numpy, "y z")[1], "B001")
    assert one["title"] == "y and z are views of the same nameless ndarray."
    assert one["fix"].startswith("Writing to one that can be written changes the other")


def test_no_more_is_distinct_than_there_is(numpy: Client):
    numpy.run("a = np.zeros(1_000_000); b = a[::2]")
    facts = json.loads(
        numpy.run("import json\nr = %buffer_addr b\nprint(json.dumps(dict(r.facts)))").text()
    )
    assert facts["distinct_bytes"] == facts["listed_bytes"] == 4_000_000


def test_a_view_of_the_one_that_was_asked_is_told(numpy: Client):
    numpy.run("a = np.arange(10.0); b = a[2:]")
    one = finding(ask(numpy, "a")[1], "B001")
    assert one["title"] == "b is a view of a, starting 16 bytes in."
    assert one["fix"].startswith("Writing to a changes b where they overlap.")


def test_the_value_of_a_cell_is_somebody(numpy: Client):
    numpy.run("a = np.arange(10.0)")
    number = numpy.run("a[3:]").one("execute_result")["execution_count"]
    assert f"Out[{number}]" in ask(numpy, "a")[0]["a"]["shares_with"]


def test_a_write_to_one_that_cannot_be_written(numpy: Client):
    numpy.run("a = np.arange(10.0); a.flags.writeable = False; b = a[2:]")
    assert "Neither a nor b can be written" in finding(ask(numpy, "a b")[1], "B001")["fix"]


def test_a_slice_of_arrow_has_its_own_shape(numpy: Client):
    numpy.run(
        "arrow = pa.array([1.0, 2.0, 3.0, 4.0, 5.0]); part = arrow[2:4]; words = pa.array(['a', 'bcd', ''])"
    )
    rows, _ = ask(numpy, "arrow part words")
    assert rows["arrow.data"]["shape"] == [5]
    assert rows["arrow.data"]["strides"] == [8]
    assert rows["arrow.data"]["dtype"] == "double"
    assert rows["arrow.data"]["nbytes"] == 40
    assert "W" not in rows["arrow.data"]["flags"]
    assert rows["part.data"]["shape"] == [2]
    assert int(rows["part.data"]["addr"], 16) - int(rows["arrow.data"]["addr"], 16) == 16
    assert rows["part.data"]["offset"] == 16
    assert rows["part.data"]["shares_with"] == ["arrow.data"]
    assert (rows["words.offsets"]["dtype"], rows["words.offsets"]["shape"]) == ("int32", [4])


def test_nobody_writes_to_an_arrow_array(numpy: Client):
    numpy.run("arrow = pa.array([1.0, 2.0, 3.0]); view = arrow.to_numpy()")
    for one in ask(numpy, "arrow view")[1]:
        assert "Writing to arrow changes" not in one["fix"]


def test_copy_on_write_is_told_as_it_is(numpy: Client):
    """With another user of the block pandas copies before it writes; without one it writes in place."""
    shared = (
        "df = pd.DataFrame({'a': [0.0, 1.0], 'b': [2.0, 3.0]}); v = df['a'].to_numpy(); s = df['a']"
    )
    numpy.run(shared)
    fix = finding(ask(numpy, "df v")[1], "B001")["fix"]
    assert ("changes v" in fix) == (
        numpy.run("df.loc[0, 'a'] = 77; print(v[0])").text() == "77.0\n"
    )
    numpy.run(shared + "; del s; import gc; gc.collect()")
    fix = finding(ask(numpy, "df v")[1], "B001")["fix"]
    assert ("changes v" in fix) == (
        numpy.run("df.loc[0, 'a'] = 77; print(v[0])").text() == "77.0\n"
    )


def test_each_sentence_about_columns_is_about_one_object(numpy: Client):
    numpy.run("frame = pd.DataFrame({'x': [1.0], 'y': [2.0], 'n': [1]}); column = frame['x']")
    one = finding(ask(numpy, "frame column")[1], "B005")
    assert one["title"] == (
        "frame[x, y] is one array for 2 columns, which column shows too; column shares its memory with frame[x, y]."
    )


def test_many_others_take_no_time_that_counts(numpy: Client):
    """Where there is no time for all of them, the answer says so."""
    numpy.run("a = np.zeros(1000); views = [a[i % 500 : i % 500 + 9] for i in range(200_000)]")
    numpy.run("r = %buffer_addr a")
    limits = json.loads(
        numpy.run("import json; print(json.dumps([r.limits, r[0]['sharers']]))").text()
    )
    assert any(
        "there may be more" in one or "more buffers share memory" in one for one in limits[0]
    )
    assert len(json.loads(numpy.run("print(json.dumps(r[0]['shares_with']))").text())) <= 100
