"""Two months of the demonstration province through the whole chain, held against its manifest and against hand SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.publish import check_gate, deliver, render
from include.pipeline.validate import validate_batch
from include.sample.manifest import ExpectedReport, Manifest
from include.sample.province import write_inbox
from include.settings import get_settings
from include.warehouse.connection import connect
from tests.databases import empty_warehouse

# January: a late county, a file nobody can read, a resubmission; February: three counties missing.
PERIODS = ("2026-01", "2026-02")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Built:
    manifest: Manifest
    reports: dict[str, dict[str, Path]]


@pytest.fixture(scope="module")
def built(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The months collected, built and published once for all tests of this module."""
    empty_warehouse()
    root = tmp_path_factory.mktemp("province")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("INBOX", "LANDING", "OUTBOX", "WORK"):
            patch.setenv(f"{name}_DIR", str(root / name.lower()))
        get_settings.cache_clear()
        manifest = write_inbox(root / "inbox", periods=PERIODS)
        assert collect().periods == list(PERIODS)
        reports = {}
        for period in PERIODS:
            load_batch(validate_batch(read_pending(period, "test")))
            build_marts(period)
            rendered = render(check_gate(period))
            deliver(rendered)
            reports[period] = {kind: Path(path) for kind, path in rendered["files"].items()}
        yield Built(manifest, reports)
    get_settings.cache_clear()


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def test_every_file_has_a_row_and_the_outcome_the_manifest_says(built: Built) -> None:
    recorded = dict(query("select channel_path, outcome from intake.received_file"))
    assert recorded.keys() == {file.path for file in built.manifest.files}
    for file in built.manifest.files:
        if file.outcome == "duplicate":
            assert recorded[file.path] == "duplicate"
        elif file.outcome == "refused" or all(form.outcome == "refused" for form in file.forms):
            assert recorded[file.path] == "refused", file.path
        else:
            assert recorded[file.path] == "processed", file.path


def test_exactly_the_planted_findings_are_found(built: Built) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    for file in built.manifest.files:
        for finding in file.findings:
            expected[file.path, finding.code, finding.form, finding.sheet, finding.cell] += finding.count
    found: Counter[tuple[Any, ...]] = Counter(
        query(
            """
            select file.channel_path, finding.code, finding.form, finding.sheet, finding.cell
            from intake.finding inner join intake.received_file as file using (receipt_id)
            """
        )
    )
    assert found == expected


def test_submissions_end_as_expected(built: Built) -> None:
    recorded = {
        (period, reporter, form): (outcome, on_time)
        for period, reporter, form, outcome, on_time in query(
            "select period, reporter_code, form, outcome, is_on_time from marts.fct_submission where is_expected"
        )
    }
    assert len(recorded) == 2 * 20 * 3
    for report in built.manifest.expected:
        outcome, on_time = recorded[report.period, report.reporter_code, report.form]
        assert outcome == report.outcome, report
        assert bool(on_time) == report.is_on_time, report


def _sums(built: Built, form: str, key: str) -> dict[tuple[str, str], float]:
    def of(report: ExpectedReport) -> bool:
        return report.form == form and bool(report.sums)

    return {(report.period, report.reporter_code): report.sums[key] for report in built.manifest.expected if of(report)}


@pytest.mark.parametrize(
    ("mart", "column", "form", "key"),
    [
        ("mart_labour_shortage", "headcount_persons", "enterprise_status", "headcount"),
        ("mart_labour_shortage", "shortage_now_persons", "enterprise_status", "shortage_now"),
        ("mart_labour_shortage", "shortage_expansion_persons", "enterprise_status", "shortage_expansion"),
        ("mart_labour_shortage_by_post", "shortage_now_persons", "labour_demand", "shortage_now"),
        ("mart_labour_shortage_by_post", "shortage_expansion_persons", "labour_demand", "shortage_expansion"),
        ("mart_training_demand", "needed_persons", "labour_demand", "training_persons"),
        ("mart_subsidy_disbursement", "applied_yuan", "subsidy_payment", "applied"),
        ("mart_subsidy_disbursement", "paid_yuan", "subsidy_payment", "paid"),
        ("mart_subsidy_disbursement", "recovered_yuan", "subsidy_payment", "recovered"),
    ],
)
def test_marts_equal_what_was_written_into_the_workbooks(
    built: Built, mart: str, column: str, form: str, key: str
) -> None:
    totals = {
        (period, county): float(total)
        for period, county, total in query(
            f"select period, county_code, sum({column}) from marts.{mart}"
            f" group by 1, 2 having sum({column}) is not null"
        )
    }
    expected = _sums(built, form, key)
    assert {place: total for place, total in totals.items() if total} == {
        place: pytest.approx(total) for place, total in expected.items() if total
    }


# The newest accepted version of each report, said without dbt.
ACCEPTED = """
    with accepted as (
        select distinct on (form, period, reporter_code) submission_id
        from intake.submission where outcome <> 'refused'
        order by form, period, reporter_code, version desc
    )
"""


def test_the_shortage_mart_equals_a_hand_computation_over_accepted_rows(built: Built) -> None:
    by_hand = query(
        ACCEPTED
        + """
        select period, county_code, count(*), count(*) filter (where shortage_now > 0), sum(headcount),
            sum(shortage_now),
            round(sum(shortage_now)::numeric / (sum(headcount) + sum(shortage_now)), 6)
        from raw.enterprise_status where submission_id in (select submission_id from accepted)
        group by 1, 2 order by 1, 2
        """
    )
    mart = query(
        """
        select period, county_code, sum(enterprises), sum(short_enterprises), sum(headcount_persons),
            sum(shortage_now_persons),
            round(sum(shortage_now_persons)::numeric / (sum(headcount_persons) + sum(shortage_now_persons)), 6)
        from marts.mart_labour_shortage group by 1, 2 having sum(enterprises) > 0 order by 1, 2
        """
    )
    assert mart == by_hand
    summary = query(
        "select period, region_code, enterprises, short_enterprises, headcount_persons, shortage_now_persons,"
        " round(shortage_rate, 6) from marts.mart_labour_shortage_summary where level = 'county' and enterprises > 0"
        " order by 1, 2"
    )
    assert summary == by_hand


def test_like_for_like_leaves_out_the_counties_missing_in_either_month(built: Built) -> None:
    [(change, this, last)] = query(
        ACCEPTED
        + """
        , county as (
            select period, county_code, sum(shortage_now) as short
            from raw.enterprise_status where submission_id in (select submission_id from accepted) group by 1, 2
        )
        select round((sum(feb.short) - sum(jan.short)) / sum(jan.short), 6), sum(feb.short), sum(jan.short)
        from county as feb inner join county as jan using (county_code)
        where feb.period = '2026-02' and jan.period = '2026-01'
        """
    )
    assert query(
        "select round(shortage_change_rate_lfl, 6), lfl_shortage_now_persons, lfl_previous_shortage_now_persons"
        " from marts.mart_labour_shortage_summary where level = 'province' and period = '2026-02'"
    ) == [(change, this, last)]
    [(plain,)] = query(
        "select shortage_change_rate_plain from marts.mart_labour_shortage_summary"
        " where level = 'province' and period = '2026-02'"
    )
    assert float(plain) != pytest.approx(float(change))


def test_missing_counties_are_named_and_lower_the_coverage_in_the_report(built: Built) -> None:
    text = built.reports["2026-02"]["html"].read_text(encoding="utf-8")
    assert "东兴市、容县、田阳区" in text
    assert "未报送" in text
    assert "85.0%" in text  # 17 of 20
    assert "演示数据" in text


def test_personal_data_stay_out_of_findings_marts_and_reports(built: Built) -> None:
    numbers = [
        row[0]
        for row in query(
            "select distinct person_id from restricted.subsidy_payment where person_id is not null limit 300"
        )
    ]
    assert len(numbers) > 100
    findings = "\n".join(row[0] for row in query("select concat_ws(' ', value, message_zh) from intake.finding"))
    held = "\n".join(row[0] for row in query("select row_values::text from intake.held_row"))
    reports = "\n".join(paths["html"].read_text(encoding="utf-8") for paths in built.reports.values())
    for number in numbers:
        assert number not in findings and number not in held and number not in reports
    columns = {
        row[0] for row in query("select column_name from information_schema.columns where table_schema = 'marts'")
    }
    assert columns.isdisjoint({"person_id", "person_name", "account", "phone", "contact"})


def test_building_again_changes_no_mart_and_no_report_byte(built: Built) -> None:
    def checksums() -> list[tuple[Any, ...]]:
        names = [
            row[0] for row in query("select table_name from information_schema.tables where table_schema = 'marts'")
        ]
        return [
            (name, *query(f"select count(*), md5(string_agg(t::text, '|' order by t::text)) from marts.{name} as t")[0])
            for name in sorted(names)
        ]

    before = checksums()
    files = {path: path.read_bytes() for paths in built.reports.values() for path in paths.values()}
    assert collect().new == 0
    load_batch(validate_batch(read_pending("2026-01", "again")))
    build_marts("2026-01")
    deliver(render(check_gate("2026-01")))
    assert checksums() == before
    assert {path: path.read_bytes() for path in files} == files
    assert query("select period, issue_no from intake.publication order by 1") == [("2026-01", 0), ("2026-02", 0)]
