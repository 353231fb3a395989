"""Files never seen before: no crash, no hang, an outcome each, and a reason in Chinese that says what to do."""

import re

import pytest

from include.intake.reading import identify_workbook
from tests.corpus import foreign, fuzz
from tests.corpus.book import Book, clean_page
from tests.corpus.judging import read_book, silently_wrong, truths
from tests.corpus.writing import write
from tests.unit.sheets import REPORTERS

CASES = list(foreign.by_hand())
FOLDER = "2026-10/灵山县"


@pytest.mark.parametrize(
    ("file_name", "data", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_every_foreign_file_has_an_outcome_and_a_reason(file_name: str, data: bytes, expected: str) -> None:
    reading = read_book(data, file_name, FOLDER)
    assert identify_workbook(data, file_name, FOLDER, REPORTERS) == reading.identification
    refusals = [one for one in reading.findings if one.severity == "E"]
    assert "E-FILE-011" not in {one.code for one in refusals}
    assert all(re.search(r"[\u4e00-\u9fff]", one.message_zh) and one.message_zh.endswith("。") for one in refusals)
    if expected.startswith("E-") or expected == "any E":
        assert refusals and reading.tables == []
        assert expected == "any E" or refusals[-1].code == expected
        # who sent it is known all the same
        assert (reading.identification.period, reading.identification.reporter_code) == ("2026-10", "450721")
    elif not refusals:
        book = Book([clean_page("enterprise_status", (1, 2, 3))], "openpyxl", "")
        assert silently_wrong(reading, truths(book, write(book)[1])) == []
    if expected == "read":
        assert refusals == [] and reading.tables[0].columns["seq"] == [1, 2, 3]


def test_strict_workbooks_are_read() -> None:
    (case,) = [case for case in CASES if case[0] == "strict OOXML"]
    assert read_book(case[2], case[1], FOLDER).tables[0].columns["seq"] == [1, 2, 3]


def test_300_mutated_workbooks_end_in_an_outcome() -> None:
    figures = fuzz.run(300)
    assert (figures.failures, figures.without_reason, figures.count) == ([], 0, 300)
    assert sum(figures.outcomes.values()) >= 300 and figures.outcomes["read"] > 0


def test_the_same_number_is_the_same_mutated_workbook() -> None:
    sources = fuzz.originals()
    assert fuzz.mutated(7, 1, sources) == fuzz.mutated(7, 1, fuzz.originals())
    assert fuzz.mutated(7, 1, sources) != fuzz.mutated(7, 2, sources)
