"""%diaphane: what can be asked, and the pages of the diagnoses, without the repository at hand."""

import re
from pathlib import Path

import pytest

from support.client import Client
from support.text import plain

pytestmark = pytest.mark.diaphane
MIME = "application/vnd.diaphane.diaphane+json"
PAGES = Path(__file__).parents[2] / "docs" / "diagnoses"


def data(client: Client, cell: str) -> dict:
    return client.run(cell).one("execute_result")["data"]


def test_every_magic_answers_a_question(client: Client):
    answer = data(client, "%diaphane")
    asks = [row["ask"] for row in answer[MIME]["rows"]]
    for name in (
        client.run(
            "from diaphane import _diaphane\nprint(*{n for n, *_ in _diaphane.magic_list()})"
        )
        .text()
        .split()
    ):
        assert any(re.match(f"%+{name}( |$)", ask) for ask in asks), name
    # All of them are seen, in text and in HTML.
    assert all(row["question"][:30] in answer["text/plain"] for row in answer[MIME]["rows"])
    assert all(answer["text/html"].count(ask) for ask in asks if "<" not in ask)


def test_what_it_says_can_be_asked(client: Client):
    """Lines with options only, since names stand for the user's."""
    client.run("import numpy as np")
    for row in data(client, "%diaphane")[MIME]["rows"]:
        ask = row["ask"]
        if not ask.startswith("%") or re.search(
            r"[A-Z]{3}|0x7|rust|B001|why_import|crash_report", ask
        ):
            continue
        done = client.execute(ask + "\n1" if ask.startswith("%%") else ask)
        assert done.content["status"] == "ok", ask


@pytest.mark.parametrize("magic", ["%diaphane", "%native_doctor"])
def test_the_page_of_a_diagnosis(client: Client, magic: str):
    answer = data(client, f"{magic} b001")
    assert answer["text/markdown"].startswith("# B001: ")
    assert "%buffer_addr a b" in answer["text/plain"]
    assert "text/html" not in answer


def test_every_page_is_there(client: Client):
    codes = {row["code"] for row in data(client, "%diaphane codes")[MIME]["rows"]}
    assert codes == {page.stem for page in PAGES.glob("*.md")} - {"README"}


def test_an_unknown_code(client: Client):
    error = plain(client.execute("%diaphane B0001").text("stderr"))
    assert "did you mean B001" in error
    assert "%diaphane codes" in error


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("soname", "**Soname.** The name by which other libraries ask for a library"),
        ("dynamic linker", "**Dynamic linker (loader, ld.so).** "),
        ("glossary", "**Sampling profiler.** "),
    ],
)
def test_a_word_of_the_glossary(client: Client, asked: str, said: str):
    assert said in data(client, f"%diaphane {asked}")["text/markdown"]


def test_a_mistyped_word(client: Client):
    assert "did you mean Soname" in plain(client.execute("%diaphane sonme").text("stderr"))


def test_the_banner_points_to_it(client: Client):
    assert "%diaphane" in client.request("kernel_info_request").content["banner"]


@pytest.mark.parametrize(
    ("asked", "ask"),
    [
        ("slow", "%%native_prof"),
        ("memory", "%memory"),
        ("%native_prof", "%%native_prof"),
        ("my cell", "%%native_prof"),
    ],
)
def test_a_word_of_a_question_lists_those_that_have_it(client: Client, asked: str, ask: str):
    answer = data(client, f"%diaphane {asked}")
    asks = [row["ask"] for row in answer[MIME]["rows"]]
    assert ask in asks
    assert len(asks) < 12
    assert ask in answer["text/plain"]


def test_a_word_of_nothing_leads_to_the_questions(client: Client):
    error = plain(client.execute("%diaphane pandas").text("stderr"))
    assert "`%diaphane` alone lists what can be asked" in error


def test_pages_fit_a_terminal(client: Client):
    for asked in ("GIL", "P008", "glossary"):
        text = data(client, f"%diaphane {asked}")["text/plain"]
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        assert max(map(len, prose.splitlines())) <= 80, asked
