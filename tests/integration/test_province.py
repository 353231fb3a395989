"""Three months of the demonstration province through the whole chain, against its manifest and against hand SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.sample.manifest import ExpectedReport
from include.sample.province import FORMS
from include.warehouse.connection import connect
from tests.integration.demo_province import FULL, PERIODS, DemoProvince, publish

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def built(demo_province: DemoProvince) -> Iterator[DemoProvince]:
    """The province, with settings leading to it."""
    with demo_province.settings():
        yield demo_province


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def test_every_file_has_a_row_and_the_outcome_the_manifest_says(built: DemoProvince) -> None:
    recorded = dict(query("select channel_path, outcome from intake.received_file"))
    assert recorded.keys() == {file.path for file in built.manifest.files}
    for file in built.manifest.files:
        if file.outcome == "duplicate":
            assert recorded[file.path] == "duplicate"
        elif file.outcome == "refused" or all(form.outcome == "refused" for form in file.forms):
            assert recorded[file.path] == "refused", file.path
        else:
            assert recorded[file.path] == "processed", file.path


def test_exactly_the_planted_findings_are_found(built: DemoProvince) -> None:
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


def test_submissions_end_as_expected(built: DemoProvince) -> None:
    recorded = {
        (period, reporter, form): (outcome, on_time)
        for period, reporter, form, outcome, on_time in query(
            "select period, reporter_code, form, outcome, is_on_time from marts.fct_submission"
        )
    }
    assert len(recorded) == len(built.manifest.expected)
    owed = query("select count(*) from marts.fct_submission where is_expected")
    assert owed == [(len(PERIODS) * 20 * len(FORMS),)]
    for report in built.manifest.expected:
        outcome, on_time = recorded[report.period, report.reporter_code, report.form]
        assert outcome == report.outcome, report
        assert bool(on_time) == report.is_on_time, report


def _sums(built: DemoProvince, form: str, key: str) -> dict[tuple[str, str], float]:
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
        ("fct_brand_month", "employed_persons", "brand_registry", "employed"),
        ("fct_brand_month", "trained_person_times", "brand_registry", "trained_person_times"),
        ("fct_brand_month", "employment_driven_persons", "brand_registry", "employment_driven"),
        ("fct_apprenticeship_month", "training_persons", "apprenticeship", "training_persons"),
    ],
)
def test_marts_equal_what_was_written_into_the_workbooks(
    built: DemoProvince, mart: str, column: str, form: str, key: str
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


def test_the_shortage_mart_equals_a_hand_computation_over_accepted_rows(built: DemoProvince) -> None:
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


def test_brands_and_their_coverage_equal_a_hand_computation_over_accepted_rows(built: DemoProvince) -> None:
    by_hand = query(
        ACCEPTED
        + """
        , sent as (
            select period, county_code, brand_name, status, employed, category
            from raw.brand_registry where submission_id in (select submission_id from accepted)
        )
        -- the demo writes a brand's name alike in every month; January's brands stay known afterwards
        , known as (
            select distinct on (months.period, sent.county_code, sent.brand_name)
                months.period, sent.county_code, sent.brand_name, sent.status
            from (select distinct period from sent) as months
            inner join sent on sent.period <= months.period
            order by months.period, sent.county_code, sent.brand_name, sent.period desc
        )
        select period, county_code, count(*) from known where status in ('在库', '预警') group by 1, 2 order by 1, 2
        """
    )
    assert by_hand == query(
        "select period, region_code, brands_in_library from marts.mart_brand_coverage"
        " where level = 'county' and brands_in_library > 0 order by 1, 2"
    )
    # one of 450223's lists is empty: reported, and covered by no brand
    assert query(
        "select period, counties, covered_counties, reporting_counties, round(coverage_rate, 6)"
        " from marts.mart_brand_coverage where level = 'province' order by 1"
    ) == [(one, 111, 11, 12, Decimal("0.099099")) for one in PERIODS]
    assert query(
        "select brand_name, months_without_report, last_known_status, employed_persons from marts.fct_brand_month"
        " where period = '2026-02' and not is_reported"
    ) == [("演示荔乡编织娘", 1, "在库", None)]


def test_planted_brands_meet_the_rules_they_are_planted_for(built: DemoProvince) -> None:
    met = {
        (brand, rule): suggested
        for brand, rule, suggested in query(
            "select brand_name, rule, suggested_status from marts.mart_brand_supervision"
            " where period = '2026-02' and is_met"
        )
    }
    assert met["演示蚝乡海工", "award_signed"] == "在库"
    assert met["演示刮粉师傅", "entry_employment"] == "建议推荐入库"
    assert ("演示老窑陶工", "employed_falling") not in met  # two months are not three
    streak = query(
        "select employed_falling_months, untrained_months from marts.fct_brand_month"
        " where period = '2026-02' and brand_name = '演示老窑陶工'"
    )
    assert streak == [(1, 2)]


def test_planted_lines_raise_their_alerts(built: DemoProvince) -> None:
    planted = {(one.period, one.reporter_code, one.alert) for one in built.manifest.planted if one.alert}
    assert {rule for _, _, rule in planted} == {
        "apprentice_or_upgrade",
        "notice_working_days",
        "amount_equals_standard",
        "review_working_days",
        "duplicate_payment",
        "paid_not_over_approved",
    }
    assert planted <= set(query("select period, county_code, rule from marts.mart_subsidy_alerts"))


def test_apprenticeship_classes_run_as_their_claims_say(built: DemoProvince) -> None:
    """Every advance names a class of the ledger, of the same enterprise and number of apprentices."""
    advances = query(
        ACCEPTED
        + """
        select claim.period, claim.batch_no, claim.payee_uscc = class.uscc, claim.quantity = class.filed_persons
        from raw.subsidy_payment as claim
        left join raw.apprenticeship as class
            on class.filing_no = claim.batch_no and class.period = claim.period
            and class.submission_id in (select submission_id from accepted)
        where claim.payment_type = '预支' and claim.submission_id in (select submission_id from accepted)
            and claim.county_code in (select county_code from raw.apprenticeship)
        """
    )
    assert Counter(period for period, *_ in advances) == {"2026-01": 2, "2026-02": 4, "2026-03": 2}
    assert all(same_enterprise and same_persons for _, _, same_enterprise, same_persons in advances), advances


def test_progress_is_reported_against_targets(built: DemoProvince) -> None:
    rows = query(
        ACCEPTED
        + """
        select period, count(*), count(*) filter (where unit = '人次')
        from raw.programme_progress where submission_id in (select submission_id from accepted) group by 1 order by 1
        """
    )
    assert [row[0] for row in rows] == list(PERIODS) and all(row[2] > 50 for row in rows)
    assert query(
        "select distinct programme from marts.fct_indicator_progress where done_to_date is not null order by 1"
    ) == [("gx_bagui_brand_2021",), ("gx_workforce_2022",), ("qz_bagui_brand_2022",)]


def test_like_for_like_leaves_out_the_counties_missing_in_either_month(built: DemoProvince) -> None:
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


def test_missing_counties_are_named_and_lower_the_coverage_in_the_report(built: DemoProvince) -> None:
    text = built.reports["2026-02"]["html"].read_text(encoding="utf-8")
    assert "东兴市、容县、田阳区" in text
    assert "未报送" in text
    assert "85.0%" in text  # 17 of 20
    assert "演示数据" in text


def test_personal_data_stay_out_of_findings_marts_and_reports(built: DemoProvince) -> None:
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


def test_building_again_changes_no_mart_and_no_report_byte(built: DemoProvince) -> None:
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
    for period in ("2026-01", FULL):
        publish(period)
    assert checksums() == before
    assert {path: path.read_bytes() for path in files} == files
    assert query("select period, issue_no from intake.publication order by 1") == [(one, 0) for one in PERIODS]
