"""Which elements %%watch_buffer takes, how they are written, and what it says of others."""

import pytest

from support.client import Client

pytestmark = pytest.mark.diaphane


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("%reset -f")
    client.run("import numpy as np, threading, os, signal\na = np.zeros(100)")
    return client


def report(done) -> dict:
    return done.report("watch_buffer")


def rows(done) -> list[dict]:
    return report(done)["rows"]


def watched(client: Client) -> str:
    """How many watchpoints are left in the process."""
    count = "sum('perf_event' in os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}') or os.path.islink(f'/proc/self/fd/{fd}'))"
    return client.value(count)


@pytest.mark.parametrize(
    ("make", "name", "write", "new"),
    [
        ("b = bytearray(16)", "b[5]", "b[5] = 200", "200"),
        ("import array\nb = array.array('i', [1, 2, 3])", "b[-1]", "b[2] = -7", "-7"),
        ("b = np.zeros((3, 4), dtype='i2', order='F')", "b[2, 1]", "b[:, 1] = 9", "9"),
        (
            "b = np.zeros(4, dtype=[('x', 'f8'), ('y', 'i4'), ('z', 'i4')])",
            "b['y'][2]",
            "b['y'] = 3",
            "3",
        ),
        ("d = {'k': [np.zeros(4, bool)]}", "d['k'][0][3]", "d['k'][0][:] = True", "True"),
        ("b = np.array(5.0)", "b", "b[...] = 6", "6.0"),
        ("import pandas as pd\nb = pd.Series([1.0, 2.0])", "b.values[1]", "b[1] = 3.0", "3.0"),
    ],
)
def test_elements_of_many_kinds(numpy: Client, make: str, name: str, write: str, new: str):
    numpy.run(make)
    done = numpy.run(f'%%watch_buffer "{name}"\n{write}')
    assert rows(done)[-1]["new"] == new, report(done)


def test_a_complex_number_is_written_as_a_whole(numpy: Client):
    numpy.run("c = np.zeros(8, complex)")
    done = numpy.run("%%watch_buffer c[1]\nc += 1 + 2j")
    assert {row["element"]: row["new"] for row in rows(done)} == {
        "c[1].real": "1.0",
        "c[1].imag": "2.0",
    }


@pytest.mark.parametrize(
    ("line", "names"), [("m[1, 2]", ["m[1, 2]"]), ("a[n], a[n + 1]", ["a[n]", "a[n + 1]"])]
)
def test_elements_may_be_written_as_in_python(numpy: Client, line: str, names: list[str]):
    numpy.run("n = 3\nm = np.zeros((3, 4))")
    done = numpy.run(f"%%watch_buffer {line}\na += 1\nm += 1")
    assert [row["element"] for row in rows(done)] == names


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("s[1]", "s.values[1]"),
        ("s.iloc[1]", "s.values[1]"),
        ("df['x'][1]", "df['x'].values[1]"),
        ("df", "df['column'].values[0]"),
        ("df.loc[1]", "df['column'].values[1]"),
        ("df['t'][0]", "never changes"),
    ],
)
def test_what_to_write_for_objects_of_pandas(numpy: Client, name: str, instead: str):
    numpy.run(
        "import pandas as pd\ns = pd.Series([1.0, 2.0])\ndf = pd.DataFrame({'x': [1, 2], 't': ['a', 'b']})"
    )
    told = numpy.execute(f'%%watch_buffer "{name}"\npass').content["evalue"]
    # Where pandas keeps text as objects, these are in an array of NumPy's.
    assert instead in told or (instead == "never changes" and told.endswith("df['t'].values[0]"))


def test_objects_are_addresses(numpy: Client):
    numpy.run("o = np.array([1, 'x'], dtype=object)")
    [row] = rows(numpy.run("%%watch_buffer o[0]\no[0] = 'other'"))
    assert row["new"] == numpy.value("f'the object at {id(o[0]):#x}'").strip("'")


def test_a_complex_number_is_two(numpy: Client):
    numpy.run("c = np.zeros(3, complex)")
    done = numpy.run("%%watch_buffer c[1]\nc[1] = 2 + 3j")
    assert {row["element"]: row["new"] for row in rows(done)} == {
        "c[1].real": "2.0",
        "c[1].imag": "3.0",
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "ELEMENT"),
        ("nothing[0]", "no variable"),
        ("a", "name one, such as a[0]"),
        ("a[100]", "out of bounds"),
        ("a[0:4]", "whole number"),
        ("a[1.5]", "whole number"),
        ("a[0,0]", "2 in the brackets for an array of 1 axes"),
        ("a[10", "bracket is open"),
        ("a[missing]", "whole number"),
        ("items[0]", "list"),
        ("text", "no memory"),
        ("a[0] a[1] a[2] a[3] a[4]", "4 elements at once"),
        ("long[0]", "--len 8"),
        ("packed['x'][0]", "--len 1"),
        ("a[0] --len 3", "--len"),
        ("a[0] --most 0", "--most"),
    ],
)
def test_what_cannot_be_watched_is_said(numpy: Client, line: str, words: str):
    numpy.run(
        "items = [1, 2]\ntext = 'abc'\nlong = np.zeros(2, np.longdouble)\n"
        "packed = np.zeros(2, dtype=[('c', 'i1'), ('x', 'f8')])"
    )
    done = numpy.execute(f"%%watch_buffer {line}\nran = True")
    assert done.content["status"] == "error"
    told = done.content["evalue"] + done.text()
    assert words in told, told
    assert numpy.value("'ran' in globals()") == "False"
    assert watched(numpy) == "0"
