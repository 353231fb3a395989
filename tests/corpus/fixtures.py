"""The fixtures of the corpus: which mess, by which program, and what the manifest says must come of it.

``manifest.yaml`` is the authority: what it says is compared with what the reader does. The books are made anew by
every run, with nothing left to chance.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from include.intake.reading import WorkbookReading
from include.quality.findings import Finding
from tests.corpus import libreoffice
from tests.corpus.book import Book, Said, clean_page, expected_findings, page_is_read, true_row
from tests.corpus.judging import Truth, outcome_of, read_book, said_by, silently_wrong
from tests.corpus.messes import ALL, MESSES, Mess, extension
from tests.corpus.rules import rule_findings
from tests.corpus.writing import grids_of, write

MANIFEST = Path(__file__).parent / "manifest.yaml"
ROWS = (1, 2, 3, 4)
#: messes that are also saved anew by LibreOffice, and as what
CONVERTED: Mapping[str, tuple[str, ...]] = {
    "02-three-rows": ("xls", "ods"), "03-headers": ("ods",), "03-cells": ("xlsx",), "04-subtotals": ("xls", "ods"),
    "04-total-wrong": ("xlsx",), "05-et": ("xls",), "08-extension": ("ods",), "09-row": ("ods", "xls"),
    "09-column": ("ods", "xlsx"), "09-sheet": ("ods",),
    "10-text": ("xls", "ods"), "10-number": ("ods",), "11-code-as-number": ("xls",),
    "12-text": ("ods",), "12-vague": ("xls",), "14-serial": ("ods",), "14-dates": ("xls",), "15-wage-range": ("ods",),
    "19-phones": ("ods",), "21-several-sheets": ("ods",), "26-text": ("xls",), "28-below-tail": ("ods",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fixture:
    """One workbook of the corpus. ``writer`` is a writer of ``writing.WRITERS`` or ``libreoffice-<kind>``."""

    name: str
    mess: Mess
    form: str
    writer: str

    @property
    def converted_to(self) -> str | None:
        return self.writer.removeprefix("libreoffice-") if self.writer.startswith("libreoffice-") else None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the manifest says of a fixture: outcome, findings, and the true values of every row by sheet and row."""

    outcome: str
    findings: tuple[Said, ...]
    true_rows: Mapping[str, Sequence[Truth]]


@dataclass(slots=True)
class Made:
    """A fixture as written: bytes, the book behind them, and what the reader made of it."""

    fixture: Fixture
    book: Book
    data: bytes | None
    reading: WorkbookReading | None = None
    rule_findings: list[Finding] = field(default_factory=list)
    not_made: str | None = None

    @property
    def said(self) -> list[Said]:
        assert self.reading is not None
        further: list[Said] = [(one.code, one.sheet, one.cell) for one in self.rule_findings]
        return sorted([*said_by(self.reading), *further], key=lambda item: tuple(part or "" for part in item))

    @property
    def outcome(self) -> str:
        assert self.reading is not None
        return outcome_of(self.reading, self.rule_findings)

    def wrong(self, true_rows: Mapping[str, Sequence[Truth]]) -> list[str]:
        assert self.reading is not None
        return silently_wrong(self.reading, true_rows, self.rule_findings)


def fixtures() -> list[Fixture]:
    """All fixtures: every mess by two programs or more where it can be in a file of more than one, forms in turn."""
    listed: list[Fixture] = []
    for key, one in MESSES.items():
        turn = zlib.crc32(key.encode())  # of the mess alone: a further one leaves all others as they are
        writers = [writer for writer in ALL if writer in one.writers]
        # five programs: two of them, others for the next mess, so that each meets every row of the table over time
        chosen = [writers[(turn + step) % len(writers)] for step in (0, 2)] if len(writers) > 2 else writers
        chosen += [f"libreoffice-{kind}" for kind in CONVERTED.get(key, ())]
        for step, writer in enumerate(dict.fromkeys(chosen)):
            form = one.forms[(turn + step) % len(one.forms)]
            listed.append(Fixture(f"{key}-{writer}", one, form, writer))
    return listed


def make_book(fixture: Fixture) -> Book:
    """The spoilt book of a fixture, before it is written."""
    writer = "openpyxl" if fixture.converted_to else fixture.writer
    book = Book([clean_page(fixture.form, ROWS)], writer, "")
    suffix = f".{fixture.converted_to}" if fixture.converted_to else extension(book)
    book.file_name = f"附件1{suffix}"
    fixture.mess.plant(book, Random(fixture.name))
    return book


def make(chosen: Iterable[Fixture], *, with_libreoffice: bool = True) -> list[Made]:
    """Write the fixtures; those that LibreOffice is needed for are asked of it together."""
    made = [Made(one, book := make_book(one), write(book)[0]) for one in chosen]
    for kind in ("xlsx", "xls", "ods"):
        waiting = {one.fixture.name: one for one in made if one.fixture.converted_to == kind}
        if not waiting:
            continue
        if with_libreoffice:
            done, why = libreoffice.convert({name: one.data or b"" for name, one in waiting.items()}, kind)
        else:
            done, why = {}, "left to the command"
        for name, one in waiting.items():
            one.data = done.get(name)
            one.not_made = why if one.data is None else None
    return made


def read_all(made: Sequence[Made]) -> None:
    """Read every fixture, then let the rules look at those that a rule must speak of."""
    for one in made:
        if one.data is not None:
            one.reading = read_book(one.data, one.book.file_name, one.book.folder)
    ruled = {one.fixture.name: one for one in made if one.book.rules and one.reading is not None}
    readings = {name: one.reading for name, one in ruled.items() if one.reading is not None}
    for name, findings in rule_findings(readings, {name: one.book for name, one in ruled.items()}).items():
        ruled[name].rule_findings = findings


# ------------------------------------------------------------------------------------------------------- the manifest


def load_manifest() -> dict[str, Expected]:
    """What must come of every fixture, by name."""
    document = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    tables: dict[str, dict[str, Any]] = document["rows"]
    return {name: _expected(entry, tables) for name, entry in document["fixtures"].items()}


def _expected(entry: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> Expected:
    true_rows: dict[str, list[Truth]] = {}
    differs = entry.get("true_values", {})
    for place, source in (entry.get("true_rows") or {}).items():
        sheet, _, row = place.rpartition("!")
        form = source.partition("/")[0]
        values = {**tables[source], **differs.get(place, {})}
        true_rows.setdefault(form, []).append(Truth(sheet, int(row), values))
    findings = tuple(_parse(text) for text in entry["findings"])
    return Expected(entry["outcome"], findings, true_rows)


def _parse(text: str) -> Said:
    """``W-TOT-001 企业情况表!M9`` as a finding; the file as a whole has no place, a sheet as a whole no cell."""
    code, _, place = text.partition(" ")
    sheet, _, cell = place.partition("!")
    return code, sheet or None, cell or None


def shown(said: Said) -> str:
    code, sheet, cell = said
    return f"{code} {sheet}!{cell}" if cell else f"{code} {sheet or ''}".strip()


def draft(made: Sequence[Made]) -> str:
    """A manifest by what the messes announce, for a person to hold against the table before it is kept."""
    used: dict[str, dict[str, Any]] = {}
    entries = {}
    for one in made:
        book = one.book
        placed = grids_of(book)[1]
        said = expected_findings(book, placed)
        if any(not page_is_read(book, page) for page in book.pages) and book.stops is None:
            said = [finding for finding in said if finding[0][0] == "E"]
        rows, differs = {}, {}
        for page in book.pages:
            for line in page.data:
                place = f"{page.name}!{placed[id(page)].row_of[id(line)] + 1}"
                clean = _clean(line.source)
                used[line.source] = clean
                rows[place] = line.source
                other = {name: value for name, value in line.truth.items() if value != clean.get(name)}
                if other:
                    differs[place] = other
        entry: dict[str, Any] = {
            "mess": one.fixture.mess.number, "form": one.fixture.form, "writer": one.fixture.writer,
            "file": book.file_name, "outcome": one.outcome if one.reading else "?",
            "findings": [shown(finding) for finding in said], "true_rows": rows,
        }  # fmt: skip
        if differs:
            entry["true_values"] = differs
        entries[one.fixture.name] = entry
    document = {"rows": used, "fixtures": entries}
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=118, default_flow_style=None)


def _clean(source: str) -> dict[str, Any]:
    form, _, number = source.partition("/")
    page = clean_page(form, (int(number),))
    truth = page.data[0].truth
    assert true_row(form, int(number)) == {name: value for name, value in truth.items() if value is not None}
    return {name: value for name, value in truth.items() if value is not None}
