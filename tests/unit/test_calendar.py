from datetime import date
from pathlib import Path

import pytest

from include.intake.calendar import (
    PeriodError,
    ReportingConfigError,
    check_period,
    is_calendar_known,
    is_working_day,
    last_day,
    load_rules,
    month_after,
    nth_working_day,
    working_day_after,
)
from include.settings import get_settings

DEADLINES = "due_working_day: 5\nclose_working_day: 10\nreopen_working_days: 5\nfindings_expire_after_days: 90\n"


def test_due_day_skips_national_day_and_counts_the_saturday_worked_for_it() -> None:
    # 2026: 1 to 7 October are holidays, Saturday 10 October is worked: 8, 9, 10, 12, 13
    assert nth_working_day("2026-09", 5) == date(2026, 10, 13)


def test_due_day_of_an_ordinary_month() -> None:
    assert nth_working_day("2026-10", 5) == date(2026, 11, 6)
    assert nth_working_day("2026-10", 10) == date(2026, 11, 13)


def test_a_year_not_yet_announced_counts_monday_to_friday() -> None:
    assert is_working_day(date(2099, 1, 5))  # Monday
    assert not is_working_day(date(2099, 1, 4))


def test_months_across_the_year() -> None:
    assert month_after("2026-12") == "2027-01"
    assert month_after("2026-01", -1) == "2025-12"
    assert last_day("2028-02") == date(2028, 2, 29)


@pytest.mark.parametrize("wrong", ["2026-13", "2026-1", "202610", "2026年10月", ""])
def test_a_period_that_is_no_month_is_refused(wrong: str) -> None:
    with pytest.raises(PeriodError, match="write it like 2026-10"):
        check_period(wrong)


def test_the_shipped_rules_load() -> None:
    rules = load_rules(get_settings().reporting_file)
    assert rules.due_working_day <= rules.close_working_day
    assert rules.forms == ("enterprise_status", "labour_demand", "subsidy_payment")


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    file = tmp_path / "reporting.yaml"
    file.write_text(f"{DEADLINES}forms: [a]\n")
    with pytest.raises(ReportingConfigError, match="coverage_threshold"):
        load_rules(file)


def test_a_threshold_in_per_cent_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "reporting.yaml"
    file.write_text(f"{DEADLINES}coverage_threshold: 90\nforms: [a]\n")
    with pytest.raises(ReportingConfigError, match=r"between 0 and 1"):
        load_rules(file)


def test_a_year_without_a_published_holiday_arrangement_says_so() -> None:
    assert is_calendar_known(2026)
    assert not is_calendar_known(2099)
    # 1 January 2099 is a Thursday: the fifth weekday after the month is the 7th, the first being the holiday itself
    assert nth_working_day("2098-12", 5) == date(2099, 1, 7)


def test_working_days_after_a_day_skip_holidays_and_take_make_up_days() -> None:
    # National Day 2026: 1 to 7 October off, Saturday 10 October worked
    assert working_day_after(date(2026, 9, 30), 1) == date(2026, 10, 8)
    assert working_day_after(date(2026, 9, 30), 3) == date(2026, 10, 10)
