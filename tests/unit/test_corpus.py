"""The corpus of spoilt workbooks against its manifest (those that LibreOffice makes are left to ``make corpus``)."""

from collections import Counter
from dataclasses import replace

import pytest

from include.intake.reading import identify_workbook
from include.quality.findings import catalogue
from include.settings import PROJECT_ROOT
from tests.corpus.__main__ import judge, report, unknown_names
from tests.corpus.fixtures import Made, fixtures, load_manifest, make, read_all
from tests.corpus.messes import MESSES, TITLES
from tests.unit.sheets import REPORTERS


@pytest.fixture(scope="module")
def corpus() -> list[Made]:
    made = make(fixtures(), with_libreoffice=False)
    read_all(made)
    return made


def test_every_fixture_comes_out_as_the_manifest_says(corpus: list[Made]) -> None:
    manifest = load_manifest()
    results = judge(corpus, manifest)
    assert [(one.made.fixture.name, one.differences, one.wrong) for one in results if not one.equal] == []
    assert unknown_names(corpus, manifest) == []
    text = report(results, [], 0)
    assert "silently wrong values: 0" in text and f"fixtures: {len(corpus)}" in text


def test_identifying_a_file_says_what_reading_it_says(corpus: list[Made]) -> None:
    for one in corpus:
        if one.data is not None and one.reading is not None:
            found = identify_workbook(one.data, one.book.file_name, one.book.folder, REPORTERS)
            assert found == one.reading.identification, one.fixture.name


def test_the_same_corpus_comes_out_of_every_run(corpus: list[Made]) -> None:
    again = make([one.fixture for one in corpus[::9]], with_libreoffice=False)
    assert [one.data for one in again] == [one.data for one in corpus[::9]]


def test_every_row_of_the_table_has_fixtures_by_two_programs() -> None:
    listed = fixtures()
    assert len(listed) >= 80 and len({one.name for one in listed}) == len(listed)
    assert set(TITLES) == {one.mess.number for one in listed}
    programs = {number: {one.writer for one in listed if one.mess.number == number} for number in TITLES}
    # the bytes of row 7 are the same whoever wrote the workbook before: they are web pages and texts
    assert [number for number, names in programs.items() if len(names) < 2 and number != 7] == []
    assert min(Counter(one.mess.number for one in listed).values()) >= 2
    assert {key for key in MESSES} == {f"{one.mess.number:02d}-{one.mess.name}" for one in listed}


def test_the_tests_named_for_the_ledger_and_the_rules_exist() -> None:
    for test in {test for one in MESSES.values() for test in one.elsewhere}:
        path, _, name = test.partition("::")
        text = (PROJECT_ROOT / path).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text, test


def test_the_manifest_names_known_codes_only() -> None:
    codes = {code for expected in load_manifest().values() for code, _, _ in expected.findings}
    assert codes <= catalogue().keys()


def test_a_silently_wrong_value_is_counted(corpus: list[Made]) -> None:
    """The judge itself: a changed figure, a lost row and a made-up row are all called wrong."""
    made = next(one for one in corpus if one.fixture.name.startswith("03-headers"))
    true_rows = load_manifest()[made.fixture.name].true_rows
    (form,) = true_rows
    first, *rest = true_rows[form]
    name = "applied" if form == "subsidy_payment" else "shortage_now"
    assert made.wrong(true_rows) == []
    other = replace(first, values={**first.values, name: first.values[name] + 1})
    assert len(made.wrong({form: [other, *rest]})) == 1
    assert len(made.wrong({form: rest})) == 1
    assert len(made.wrong({form: [first, *rest, replace(first, row=99)]})) == 1
