"""Any of the 28 ways to go wrong, alone or up to four together, planted in any otherwise clean workbook.

``MESS_EXAMPLES`` sets the number of examples (2,000 without it, always the same ones); with it they are drawn anew
each time.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from include.intake.reading import WorkbookReading
from tests.corpus.book import FORMS, Book, Placed, Said, clean_page, expected_findings, page_is_read
from tests.corpus.judging import read_book, said_by, silently_wrong, truths
from tests.corpus.messes import ALL, MESSES, Mess, extension
from tests.corpus.rules import WATCHED, rule_findings, watched
from tests.corpus.writing import write

EXAMPLES = int(os.environ.get("MESS_EXAMPLES", "2000"))
MOST = 4
#: what moves or removes columns comes first, so that no other mess has been in a column that then goes
_OF_COLUMNS = frozenset({"neighbours", "columns"})


@dataclass(frozen=True)
class Spoilt:
    """What is drawn: a clean book by its form, rows and program, and the messes planted in it."""

    form: str
    rows: tuple[int, ...]
    writer: str
    messes: tuple[str, ...]
    chance: int

    def book(self) -> Book:
        book = Book([clean_page(self.form, self.rows)], self.writer, "")
        book.file_name = f"附件1{extension(book)}"
        rng = Random(self.chance)
        for key in sorted(self.messes, key=lambda key: not MESSES[key].claims & _OF_COLUMNS):
            MESSES[key].plant(book, rng)
        return book


@st.composite
def spoilt_books(draw: st.DrawFn) -> Spoilt:
    """A form, a program that writes it, five to seven rows, and one to four messes of which no two contradict."""
    form, writer = draw(st.sampled_from(FORMS)), draw(st.sampled_from(ALL))
    rows = draw(st.lists(st.integers(1, 60), min_size=5, max_size=7, unique=True))
    left = [key for key, one in MESSES.items() if form in one.forms and writer in one.writers]
    chosen: list[str] = []
    for _ in range(draw(st.integers(1, MOST))):
        if not left:
            break
        key = draw(st.sampled_from(left))
        chosen.append(key)
        left = [other for other in left if other != key and MESSES[key].goes_with(MESSES[other])]
    return Spoilt(form, tuple(sorted(rows)), writer, tuple(chosen), draw(st.integers(0, 2**32)))


def read_spoilt(book: Book) -> tuple[WorkbookReading, dict[int, Placed]]:
    data, placed = write(book)
    return read_book(data, book.file_name, book.folder), placed


def of_reader(said: list[Said], book: Book) -> list[Said]:
    """What the reader itself says. Of a form whose header is refused only that is compared: how many further columns
    then count as missing depends on the template version that is left nearest."""
    said = [one for one in said if one[0] not in WATCHED]
    if book.stops is None and not all(page_is_read(book, page) for page in book.pages):
        return [one for one in said if one[0][0] == "E"]
    return said


def check_rules(readings: dict[str, tuple[Any, Book, WorkbookReading, dict[int, Placed]]]) -> None:
    """The rules over all books at once that a rule must speak of."""
    further = rule_findings(
        {name: reading for name, (_, _, reading, _) in readings.items()},
        {name: book for name, (_, book, _, _) in readings.items()},
    )
    for name, (drawn, book, reading, placed) in readings.items():
        read = {table.form for table in reading.tables if not table.refused and not reading.refused}
        expected = watched(expected_findings(book, placed)) if book.pages[0].form.name in read else []
        assert sorted((one.code, one.sheet, one.cell) for one in further[name]) == expected, drawn
        assert silently_wrong(reading, truths(book, placed), further[name]) == [], drawn


def test_every_composition_of_messes_is_caught_or_normalised() -> None:
    planted: Counter[int] = Counter()
    ruled: dict[str, tuple[Any, Book, WorkbookReading, dict[int, Placed]]] = {}

    @settings(
        max_examples=EXAMPLES,
        derandomize="MESS_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt_books())
    def check(drawn: Spoilt) -> None:
        book = drawn.book()
        reading, placed = read_spoilt(book)
        note(f"{[(one.code, one.message_zh) for table in reading.tables for one in table.findings]}")
        assert of_reader(said_by(reading), book) == of_reader(expected_findings(book, placed), book)
        planted.update({MESSES[key].number for key in drawn.messes})
        if book.rules:
            ruled[f"S{len(ruled)}"] = drawn, book, reading, placed
        else:
            assert silently_wrong(reading, truths(book, placed)) == []

    check()
    if EXAMPLES >= 1000:
        assert set(planted) == set(range(1, 29))
    check_rules(ruled)


def test_clean_books_say_nothing() -> None:
    for form in FORMS:
        for writer in ALL:
            book = Spoilt(form, (1, 2, 3, 4, 5), writer, (), 0).book()
            reading, placed = read_spoilt(book)
            assert said_by(reading) == [] and silently_wrong(reading, truths(book, placed)) == []
            assert (reading.identification.period, reading.identification.reporter_code) == ("2026-10", "450721")
            assert reading.tables[0].columns["seq"] == [1, 2, 3, 4, 5]


def test_contradicting_messes_are_declared() -> None:
    total, wrong_total = MESSES["04-total"], MESSES["04-total-wrong"]
    assert not total.goes_with(wrong_total) and total.goes_with(MESSES["12-vague"])
    assert all(isinstance(one, Mess) and not one.goes_with(one) for one in MESSES.values())
