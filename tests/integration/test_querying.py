"""docs/querying.md: every query runs as a reader would run it, and returns what the ledger and the raw rows say.

The expected figures come from queries of their own over ``intake`` and ``raw`` (and from Python), not from the marts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.intake.calendar import is_working_day
from include.settings import PROJECT_ROOT
from include.warehouse.connection import connect
from tests.integration.demo_province import DemoProvince

pytestmark = pytest.mark.slow

PERIOD = "2026-03"
PAGE = PROJECT_ROOT / "docs" / "querying.md"
# The latest accepted version, found without the marts.
ACCEPTED = """
with accepted as (
    select distinct on (form, period, reporter_code)
        submission_id, form, period, submission.reporter_code, county_code, city_code
    from intake.submission inner join intake.reporter using (reporter_code)
    where outcome <> 'refused'
    order by form, period, reporter_code, version desc
)
"""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the page: its number, its words and its query (``:'period'`` unfilled)."""

    number: int
    title: str
    sql: str


def questions() -> list[Question]:
    """The questions of the page in order."""
    parts = re.split(r"^### (\d+)\. (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    found = []
    for number, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        queries = re.findall(r"```sql\n(.*?)```", body, flags=re.DOTALL)
        assert len(queries) == 1, title
        found.append(Question(int(number), title, queries[0]))
    return found


@pytest.fixture(scope="module")
def conn(demo_province: DemoProvince) -> Any:
    with demo_province.settings(), connect() as connection:
        connection.row_factory = dict_row
        yield connection


def ask(conn: psycopg.Connection[Any], number: int, period: str = PERIOD) -> list[Row]:
    question = next(one for one in questions() if one.number == number)
    return conn.execute(question.sql.replace(":'period'", f"'{period}'")).fetchall()


def raw(conn: psycopg.Connection[Any], query: str, period: str = PERIOD) -> list[Row]:
    return conn.execute(ACCEPTED + query, {"period": period}).fetchall()


def test_the_page_has_twenty_numbered_questions() -> None:
    assert [one.number for one in questions()] == list(range(1, 21))


@pytest.mark.parametrize("question", questions(), ids=lambda one: str(one.number))
def test_every_query_reads_only_what_readers_may(question: Question) -> None:
    assert set(re.findall(r"(?:from|join)\s+(\w+)\.", question.sql)) == {"marts"}
    assert "*" not in re.sub(r"\bcount\(\*\)|\* 100|/ 100", "", question.sql)


def test_1_shortage_of_the_province(conn: psycopg.Connection[Any]) -> None:
    (row,) = ask(conn, 1)
    (sums,) = raw(
        conn,
        """
        select count(*) as enterprises, sum(headcount) as headcount_persons, sum(shortage_now) as shortage_now_persons,
            count(distinct accepted.reporter_code) as covered_reporters
        from accepted inner join raw.enterprise_status as sent using (submission_id)
        where accepted.period = %(period)s
        """,
    )
    assert {key: row[key] for key in sums} == sums
    short, head = sums["shortage_now_persons"], sums["headcount_persons"]
    assert row["shortage_rate_percent"] == round(Decimal(short) * 100 / (head + short), 2)
    assert row["expected_reporters"] == 20


def test_2_shortage_by_city(conn: psycopg.Connection[Any]) -> None:
    rows = ask(conn, 2)
    sums = raw(
        conn,
        """
        select regions.region_name, sum(shortage_now) as shortage_now_persons
        from accepted
        inner join raw.enterprise_status as sent using (submission_id)
        inner join reference.regions as regions on accepted.city_code = regions.region_code
        where accepted.period = %(period)s
        group by regions.region_name
        """,
    )
    expected = {one["region_name"]: one["shortage_now_persons"] for one in sums}
    assert {row["region_name"]: row["shortage_now_persons"] for row in rows if row["covered_reporters"]} == expected
    figures = [row["shortage_now_persons"] for row in rows if row["covered_reporters"]]
    assert figures == sorted(figures, reverse=True)


def test_3_industries(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select industries.division_name as industry_name, sum(shortage_now) as shortage_now_persons
        from accepted
        inner join raw.enterprise_status as sent using (submission_id)
        inner join intermediate.int_industry_name as named
            on replace(normalize(sent.industry, nfkc), ' ', '') = named.written_as
        inner join reference.industries as industries on named.industry_code = industries.division_code
        where accepted.period = %(period)s
        group by industries.division_code, industries.division_name
        order by 2 desc, industries.division_code
        limit 10
        """,
    )
    rows = [row for row in ask(conn, 3) if row["industry_name"] != "未归类"]
    pairs = [(row["industry_name"], row["shortage_now_persons"]) for row in rows]
    assert pairs == [(one["industry_name"], one["shortage_now_persons"]) for one in sums][: len(pairs)]
    assert len(pairs) >= 9


def test_4_occupations(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select occupations.occupation_name, sum(sent.shortage_now) as shortage_now_persons, count(*) as posts
        from accepted
        inner join raw.labour_demand as sent using (submission_id)
        inner join intermediate.int_occupation_name as named
            on replace(normalize(sent.post, nfkc), ' ', '') = named.written_as
        inner join reference.occupations as occupations using (occupation_code)
        where accepted.period = %(period)s
        group by occupations.occupation_code, occupations.occupation_name
        """,
    )
    expected = {one["occupation_name"]: (one["shortage_now_persons"], one["posts"]) for one in sums}
    rows = ask(conn, 4)
    assert len(rows) == 10
    for row in rows:
        if row["occupation_name"] != "未归类":
            assert (row["shortage_now_persons"], row["posts"]) == expected[row["occupation_name"]]


def test_5_counties_rising_like_for_like(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select regions.region_name,
            sum(shortage_now) filter (where accepted.period = '2026-01') as last_month,
            sum(shortage_now) filter (where accepted.period = '2026-02') as this_month
        from accepted
        inner join raw.enterprise_status as sent using (submission_id)
        inner join reference.regions as regions on accepted.county_code = regions.region_code
        where accepted.period in ('2026-01', '2026-02')
        group by regions.region_code, regions.region_name
        having count(distinct accepted.period) = 2
        """,
    )
    rising = {
        one["region_name"]: (one["last_month"], one["this_month"])
        for one in sums
        if one["last_month"] and one["this_month"] > one["last_month"]
    }
    rows = ask(conn, 5, "2026-02")  # after the Spring Festival every county is short of more
    assert len(rows) == min(10, len(rising)) > 0
    for row in rows:
        assert (row["last_month_persons"], row["this_month_persons"]) == rising[row["region_name"]]


def test_6_persistent_shortages(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select max(sent.shortage_now) filter (where accepted.period = %(period)s) as shortage_now_persons
        from accepted inner join raw.enterprise_status as sent using (submission_id)
        where accepted.period in ('2026-01', '2026-02', '2026-03') and sent.shortage_now > 0
        group by accepted.reporter_code, sent.uscc
        having count(distinct accepted.period) = 3
        order by 1 desc limit 50
        """,
    )
    rows = ask(conn, 6)
    assert [row["shortage_now_persons"] for row in rows] == [one["shortage_now_persons"] for one in sums]
    assert {row["short_streak_months"] for row in rows} == {3}


def test_7_trend(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select accepted.period, sum(shortage_now) as shortage_now_persons,
            sum(shortage_expansion) as shortage_expansion_persons
        from accepted inner join raw.enterprise_status as sent using (submission_id)
        where accepted.period <= %(period)s
        group by accepted.period order by 1
        """,
    )
    keys = ("period", "shortage_now_persons", "shortage_expansion_persons")
    assert [tuple(row[key] for key in keys) for row in ask(conn, 7)] == [
        tuple(one[key] for key in keys) for one in sums
    ]


def test_8_missing_late_refused(conn: psycopg.Connection[Any], demo_province: DemoProvince) -> None:
    good = {
        (one.reporter_code, one.form)
        for one in demo_province.manifest.expected
        if one.period == PERIOD and one.is_on_time and one.outcome in ("accepted", "accepted_with_findings")
    }
    expected = raw(
        conn,
        """
        select reporter.reporter_name, expected.reporter_code, expected.form
        from intake.expected_report as expected inner join intake.reporter as reporter using (reporter_code)
        where expected.period = %(period)s
        """,
    )
    wanted = {
        (one["reporter_name"], one["form"]) for one in expected if (one["reporter_code"], one["form"]) not in good
    }
    assert {(row["reporter_name"], row["form"]) for row in ask(conn, 8)} == wanted
    assert wanted


def test_9_ranking(conn: psycopg.Connection[Any]) -> None:
    rows = ask(conn, 9)
    assert len(rows) == 20
    ranked = [row for row in rows if row["rank"] is not None]
    keys = [(-row["on_time_forms"], -row["first_pass_forms"], row["findings_per_1000_cells"]) for row in ranked]
    assert keys == sorted(keys)
    assert ranked[0]["rank"] == 1
    complete = raw(
        conn,
        """
        select count(*) as complete from (
            select reporter_code from accepted
            where period = %(period)s and form in ('enterprise_status', 'labour_demand', 'subsidy_payment')
            group by reporter_code having count(*) = 3
        ) as reporters
        """,
    )
    assert len(ranked) == complete[0]["complete"]


def test_10_training_needed(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select occupations.occupation_name, sum(sent.training_persons) as needed_persons
        from accepted
        inner join raw.labour_demand as sent using (submission_id)
        inner join intermediate.int_occupation_name as named
            on replace(normalize(sent.training_post, nfkc), ' ', '') = named.written_as
        inner join reference.occupations as occupations using (occupation_code)
        where accepted.period = %(period)s
        group by occupations.occupation_name
        """,
    )
    expected = {one["occupation_name"]: one["needed_persons"] for one in sums}
    rows = [row for row in ask(conn, 10) if row["occupation_name"] != "未归类"]
    assert rows
    assert {row["occupation_name"]: row["needed_persons"] for row in rows} == {
        row["occupation_name"]: expected[row["occupation_name"]] for row in rows
    }


def test_11_subsidies_by_item(conn: psycopg.Connection[Any]) -> None:
    (sums,) = raw(
        conn,
        """
        select count(*) as claims, sum(paid) filter (where payment_type is distinct from '追回') as paid_yuan
        from accepted inner join raw.subsidy_payment as sent using (submission_id)
        where accepted.period = %(period)s
        """,
    )
    rows = ask(conn, 11)
    assert sum(row["claims"] for row in rows) == sums["claims"]
    total = sum(row["paid_wan_yuan"] or 0 for row in rows)
    assert abs(total - sums["paid_yuan"] / 10000) <= Decimal("0.005") * len(rows)


def test_12_outstanding_advances(conn: psycopg.Connection[Any]) -> None:
    sums = raw(
        conn,
        """
        select regions.region_name,
            sum(case when payment_type = '预支' then advanced else -abs(advanced) end) as outstanding_advance_yuan
        from accepted
        inner join raw.subsidy_payment as sent using (submission_id)
        inner join reference.regions as regions on accepted.county_code = regions.region_code
        where
            accepted.period <= %(period)s
            and advanced is not null
            and status in ('已拨付', '已追回')
            and payment_type in ('预支', '核拨', '结算', '追回')
            and exists (
                select 1 from accepted as now
                where now.county_code = accepted.county_code and now.period = %(period)s
                    and now.form = 'subsidy_payment'
            )
        group by regions.region_name
        """,
    )
    expected = {one["region_name"]: one["outstanding_advance_yuan"] for one in sums if one["outstanding_advance_yuan"]}
    assert expected
    assert {row["county"]: row["outstanding_advance_yuan"] for row in ask(conn, 12)} == expected


def working_days(first: date, last: date) -> int:
    return sum(is_working_day(first + timedelta(days=n)) for n in range((last - first).days + 1))


def test_13_and_14_alerts_and_their_lines(conn: psycopg.Connection[Any]) -> None:
    lines = raw(
        conn,
        """
        select sent.* from accepted inner join raw.subsidy_payment as sent using (submission_id)
        where accepted.period = %(period)s
        """,
    )
    # one rule worked out in Python: a notice of less than five working days, or money paid before its end
    short = [
        line
        for line in lines
        if line["payment_type"] != "追回"
        and (
            (line["notice_from"] and line["notice_to"] and working_days(line["notice_from"], line["notice_to"]) < 5)
            or (line["paid_on"] and line["notice_to"] and line["paid_on"] <= line["notice_to"])
        )
    ]
    summary = {row["rule_zh"]: row for row in ask(conn, 13)}
    notice = next((row for title, row in summary.items() if title.startswith("公示")), None)
    assert (notice["claims"] if notice else 0) == len(short)
    classes = raw(conn, "select sheet, source_row, period from raw.apprenticeship where period = %(period)s")
    by_place = {(line["sheet"], line["source_row"], line["period"]) for line in [*lines, *classes]}
    shown = ask(conn, 14)
    assert shown
    for row in shown:
        if row["line_period"] == PERIOD:
            assert (row["sheet"], row["source_row"], PERIOD) in by_place
    keys = {line["person_key"] for line in lines if line["person_key"]}
    assert not {row["person_mark"] for row in shown} & keys


def test_15_targets_behind_schedule(conn: psycopg.Connection[Any]) -> None:
    rows = ask(conn, 15)
    assert rows
    for row in rows:
        assert row["done_value"] is not None
        lag = row["completion_percent"] - row["time_elapsed_percent"]
        assert abs(lag - row["lead_lag_points"]) <= Decimal("0.2")
    assert [row["lead_lag_points"] for row in rows] == sorted(row["lead_lag_points"] for row in rows)
    # a county's own figure of form 4 stands behind every county row
    sent = raw(
        conn,
        """
        select regions.region_name, sent.done_to_date
        from accepted
        inner join raw.programme_progress as sent using (submission_id)
        inner join reference.regions as regions on accepted.county_code = regions.region_code
        where accepted.period = %(period)s
        """,
    )
    assert sent


def test_16_brands_to_warn(conn: psycopg.Connection[Any]) -> None:
    names = {one["brand_name"] for one in raw(conn, "select brand_name from raw.brand_registry")}
    rows = ask(conn, 16)
    assert rows
    assert {row["brand_name"] for row in rows} <= names
    falling = raw(
        conn,
        """
        select sent.brand_name
        from accepted inner join raw.brand_registry as sent using (submission_id)
        where accepted.period in ('2026-01', '2026-02', '2026-03') and sent.status in ('在库', '预警')
        group by accepted.county_code, sent.brand_name
        having max(employed) filter (where accepted.period = '2026-03')
            < max(employed) filter (where accepted.period = '2026-02') * 0.8
        """,
    )
    assert {one["brand_name"] for one in falling} <= {row["brand_name"] for row in rows}


def test_17_apprenticeship_classes(conn: psycopg.Connection[Any]) -> None:
    sent = raw(
        conn,
        """
        select count(*) as classes, sum(filed_persons) as filed_persons
        from accepted inner join raw.apprenticeship as sent using (submission_id)
        where accepted.period = %(period)s
        """,
    )
    rows = ask(conn, 17)
    assert sum(row["classes"] for row in rows) == sent[0]["classes"] + sum(row["unreported_classes"] for row in rows)
    assert sent[0]["classes"] > 0


def test_18_cooperation_is_a_suggestion_within_the_shortage(conn: psycopg.Connection[Any]) -> None:
    rows = ask(conn, 18)
    assert {row["label_zh"][:2] for row in rows} <= {"建议"}
    short = raw(
        conn,
        """
        select occupations.occupation_name, regions.region_name, sum(sent.shortage_now) as short
        from accepted
        inner join raw.labour_demand as sent using (submission_id)
        inner join reference.regions as regions on accepted.city_code = regions.region_code
        inner join intermediate.int_occupation_name as named
            on replace(normalize(sent.post, nfkc), ' ', '') = named.written_as
        inner join reference.occupations as occupations using (occupation_code)
        where accepted.period = %(period)s
        group by occupations.occupation_name, regions.region_name
        """,
    )
    limits = {(one["occupation_name"], one["region_name"]): one["short"] for one in short}
    for row in rows:
        assert 0 < row["suggested_persons"] <= limits[row["occupation_name"], row["short_city"]]
        assert row["short_city"] != row["offering_city"]


def test_19_a_forecast_says_that_three_months_are_too_few(conn: psycopg.Connection[Any]) -> None:
    rows = ask(conn, 19)
    assert rows
    assert {row["status"] for row in rows} == {"history_insufficient"}
    assert {row["forecast_persons"] for row in rows} == {None}
    assert max(row["months_available"] for row in rows) <= 3 < min(row["months_needed"] for row in rows)


def test_20_changed_enterprises(conn: psycopg.Connection[Any]) -> None:
    changed = raw(
        conn,
        """
        select accepted.reporter_code, sent.uscc
        from accepted inner join raw.enterprise_status as sent using (submission_id)
        left join intermediate.int_industry_name as named
            on replace(normalize(sent.industry, nfkc), ' ', '') = named.written_as
        where accepted.city_code = '450700' and accepted.period <= %(period)s
        group by accepted.reporter_code, sent.uscc
        having count(distinct (sent.enterprise_name, named.industry_code, sent.ownership, sent.size_class,
            sent.operating_state, sent.is_above_scale, sent.is_key)) > 1
        """,
    )
    rows = ask(conn, 20)
    first = [row for row in rows if row["version_no"] == 1]
    assert len(first) == len(changed) or len(rows) == 50
    for row in rows:
        assert row["valid_to_period"] is None or row["valid_from_period"] <= row["valid_to_period"]


CHECKED: Sequence[Callable[..., None]] = [
    value for name, value in sorted(globals().items()) if re.match(r"test_\d+_", name)
]


def test_every_question_is_checked() -> None:
    numbers = {int(n) for check in CHECKED for n in re.findall(r"(?<=_)\d+(?=_)", f"_{check.__name__}")}
    assert numbers == set(range(1, 21))
