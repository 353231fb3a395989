from collections import Counter
from pathlib import Path

import pytest

from include.intake.reporters import ReporterListError, expected_in, load_reporters
from include.settings import get_settings

HEAD = "reporter_code,reporter_name,region_code,city_code,pilot_level,valid_from,valid_to,is_sample\n"


def test_the_demo_list_has_one_city_pilot_a_city_and_six_provincial_pilots() -> None:
    reporters = load_reporters(get_settings().reporters_file)
    levels = Counter(reporter.pilot_level for reporter in reporters)
    assert levels == {"市级试点": 14, "自治区级试点": 6}
    assert len({r.city_code for r in reporters if r.pilot_level == "市级试点"}) == 14
    assert all(reporter.is_sample for reporter in reporters)


def test_a_reporter_is_expected_only_while_its_duty_lasts(tmp_path: Path) -> None:
    file = tmp_path / "reporters.csv"
    file.write_text(HEAD + "450721,灵山县,450721,450700,市级试点,2026-02-01,2026-03-31,true\n", encoding="utf-8")
    reporters = load_reporters(file)
    assert [len(expected_in(reporters, period)) for period in ("2026-01", "2026-02", "2026-03", "2026-04")] == [
        0,
        1,
        1,
        0,
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("450721,灵山县,459999,450700,市级试点,2026-02-01,,true\n", "line 2: region_code '459999'"),
        ("450721,灵山县,450721,450700,县级试点,2026-02-01,,true\n", "pilot_level must be one of"),
        ("450721,灵山县,450721,450700,市级试点,2026/2/1,,true\n", "dates must look like"),
        ("", "no reporter is listed"),
    ],
)
def test_a_list_that_cannot_be_used_says_where_and_why(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "reporters.csv"
    file.write_text(HEAD + line, encoding="utf-8")
    with pytest.raises(ReporterListError, match=says):
        load_reporters(file)


def test_one_code_on_two_lines_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "reporters.csv"
    line = "450721,灵山县,450721,450700,市级试点,2026-02-01,,true\n"
    file.write_text(HEAD + line + line, encoding="utf-8")
    with pytest.raises(ReporterListError, match="stands twice: 450721"):
        load_reporters(file)
