"""The report of hand-made months through the real marts: reconciled, released, stopped by a planted wrong figure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.report.figures import collect_editions, collect_figures, editions
from include.report.model import edition_key
from include.report.reconcile import ReconciliationFailed, compare, recompute, reconcile
from include.report.render import render_reports
from include.report.tracing import read_sources, traces
from include.warehouse.connection import connect
from include.warehouse.dbt import dbt_build
from tests.databases import empty_warehouse
from tests.trace_sums import differing, lines

NOW, LAST = "2026-04", "2026-03"
BINYANG, HENGZHOU, LINGSHAN = "450126", "450181", "450721"
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
REPORTERS = ((BINYANG, "宾阳县", "450100"), (HENGZHOU, "横州市", "450100"), (LINGSHAN, "灵山县", "450700"))

pytestmark = pytest.mark.slow


def insert(conn: psycopg.Connection[Any], table: str, **values: Any) -> None:
    marks = ", ".join(["%s"] * len(values))
    conn.execute(f"insert into {table} ({', '.join(values)}) values ({marks})".encode(), list(values.values()))


def submit(
    conn: psycopg.Connection[Any],
    county: str,
    period: str,
    form: str,
    received: str,
    outcome: str = "accepted",
    version: int = 1,
) -> str:
    name = f"{county}-{period}-{form}-{version}"
    insert(
        conn,
        "intake.received_file",
        sha256=name,
        file_name=name,
        channel="folder",
        channel_path=name,
        size_bytes=1,
        received_at=received,
        collected_at=received,
        period=period,
        reporter_code=county,
        is_sample=True,
        outcome="processed",
        outcome_zh="已处理",
    )
    insert(
        conn,
        "intake.submission",
        submission_id=name,
        form=form,
        period=period,
        reporter_code=county,
        county_code=county,
        receipt_id=conn.execute("select max(receipt_id) from intake.received_file").fetchone()[0],  # type: ignore[index]
        version=version,
        sheets=["表"],
        received_at=received,
        is_sample=True,
        outcome=outcome,
        rows_read=3,
        rows_accepted=3,
        rows_held=0,
        cells_read=100,
        cells_filled=90,
        findings_e=int(outcome == "refused"),
        findings_r=0,
        findings_w=2,
    )
    return name


def raw(conn: psycopg.Connection[Any], form: str, submission: str, rows: list[dict[str, Any]]) -> None:
    county, year, month = submission.split("-")[:3]
    for number, row in enumerate(rows, start=4):
        insert(
            conn,
            f"raw.{form}",
            submission_id=submission,
            sheet="表",
            source_row=number,
            period=f"{year}-{month}",
            county_code=county,
            **row,
        )


def enterprise(
    code: str, head: int, short: int, expansion: int = 0, industry: str = "纺织业", size: str = "中型"
) -> dict[str, Any]:
    return {
        "enterprise_name": code,
        "uscc": code,
        "county": "县",
        "industry": industry,
        "size_class": size,
        "operating_state": "正常",
        "headcount": head,
        "managers": 0,
        "professionals": 0,
        "workers": head,
        "skill_junior": head // 10,
        "skill_senior": head // 10,
        "skilled_total": 2 * (head // 10),
        "hired": 3,
        "leavers": 1,
        "shortage_now": short,
        "shortage_expansion": expansion,
        "training_needed": 0,
    }


def post(code: str, name: str, short: int, **training: Any) -> dict[str, Any]:
    return {
        "enterprise_name": code,
        "uscc": code,
        "county": "县",
        "post": name,
        "post_category": "技工",
        "employed": 10,
        "shortage_now": short,
        "planned_hires": short,
        "shortage_expansion": 0,
    } | training


def claim(item: str, fund: str, person: str, paid: str, **more: Any) -> dict[str, Any]:
    return {
        "item": item,
        "fund": fund,
        "occupation": "电工",
        "level": "高级工",
        "applied": paid,
        "approved": paid,
        "paid": paid,
        "payment_type": "核拨",
        "status": "已拨付",
        "person_key": person,
    } | more


@pytest.fixture(scope="module")
def months(warehouse: str) -> Iterator[None]:
    """Two months of three counties. April: 宾阳县 in time, 横州市 late, 灵山县 refused; March: all but 横州市."""
    empty_warehouse(is_prepared=True)
    with connect() as conn:
        for period, due, closes in ((LAST, "2026-04-08", "2026-04-15"), (NOW, "2026-05-12", "2026-05-19")):
            insert(conn, "intake.reporting_period", period=period, due_on=due, closes_on=closes, state="open")
            for form in FORMS:
                name = f"raw.{form}_{period.replace('-', '_')}"
                conn.execute(
                    f"create table if not exists {name} partition of raw.{form} for values in ('{period}')".encode()
                )
        for code, name, city in REPORTERS:
            insert(
                conn,
                "intake.reporter",
                reporter_code=code,
                reporter_name=name,
                region_code=code,
                city_code=city,
                pilot_level="市级试点",
                valid_from="2022-02-25",
                is_sample=True,
            )
            for period, due in ((LAST, "2026-04-08"), (NOW, "2026-05-12")):
                for form in FORMS:
                    insert(conn, "intake.expected_report", period=period, reporter_code=code, form=form, due_on=due)
        status = FORMS[0]
        raw(
            conn,
            status,
            submit(conn, BINYANG, LAST, status, "2026-04-02 09:00+08"),
            [enterprise("A", 100, 10), enterprise("B", 200, 0)],
        )
        raw(conn, status, submit(conn, LINGSHAN, LAST, status, "2026-04-02 09:00+08"), [enterprise("L", 700, 50)])
        # A first version that was replaced, and must not be counted.
        raw(conn, status, submit(conn, BINYANG, NOW, status, "2026-05-06 09:00+08"), [enterprise("A", 9999, 999)])
        raw(
            conn,
            status,
            submit(conn, BINYANG, NOW, status, "2026-05-07 10:30+08", version=2),
            [
                enterprise("A", 100, 12, 40),
                enterprise("B", 180, 0),
                enterprise("C", 20, 3, 5, industry="说不清", size="微型"),
            ],
        )
        raw(
            conn,
            status,
            submit(conn, HENGZHOU, NOW, status, "2026-05-14 16:05+08"),
            [enterprise("H", 500, 25, industry="食品制造业", size="大型")],
        )
        submit(conn, LINGSHAN, NOW, status, "2026-05-08 09:00+08", outcome="refused")
        raw(
            conn,
            FORMS[1],
            submit(conn, BINYANG, NOW, FORMS[1], "2026-05-06 09:00+08"),
            [
                post(
                    "A",
                    "电工",
                    9,
                    training_post="电工",
                    training_type="岗位技能提升培训",
                    training_level="高级工",
                    training_persons=30,
                    training_subsidised=True,
                ),
                post("A", "没有这个岗位", 3),
                post(
                    "B",
                    "电工",
                    0,
                    training_post="电工",
                    training_type="岗前培训",
                    training_level="初级工",
                    training_persons=10,
                    training_subsidised=None,
                ),
            ],
        )
        raw(
            conn,
            FORMS[2],
            submit(conn, BINYANG, NOW, FORMS[2], "2026-05-06 09:00+08"),
            [
                claim(
                    "岗位技能提升培训补贴",
                    "就业补助资金",
                    "p1",
                    "1000.10",
                    accepted_on="2026-03-02",
                    reviewed_on="2026-04-20",
                ),
                claim(
                    "岗位技能提升培训补贴",
                    "就业补助资金",
                    "p1",
                    "500.00",
                    accepted_on="2026-03-02",
                    reviewed_on="2026-03-09",
                ),
                claim("社保补贴", "失业保险基金", "p2", "2000.00"),
                claim("社保补贴", "失业保险基金", "p3", "300.00", payment_type="追回", status="已追回"),
            ],
        )
        conn.commit()
    dbt_build(LAST)
    dbt_build(NOW)
    yield


def test_every_figure_of_the_real_marts_reconciles(months: None) -> None:
    with connect() as conn:
        for period, least in ((LAST, 500), (NOW, 1000)):
            figures = list(collect_editions(conn, period))
            assert [edition_key(one.edition) for one in figures] == [
                "province",
                "city.450100",
                "city.450700",
                f"county.{BINYANG}",
                f"county.{HENGZHOU}",
                f"county.{LINGSHAN}",
            ]
            assert editions(conn, period) == tuple(one.edition for one in figures)
            found = recompute(conn, period, [one.edition for one in figures])
            results = [compare(one, found[one.edition]) for one in figures]
            assert [result.mismatches for result in results] == [()] * 6
            assert sum(result.checked for result in results) > least


def test_every_figure_of_every_edition_leads_to_its_cells(months: None) -> None:
    with connect() as conn:
        for period, least in ((LAST, 100), (NOW, 300)):
            sources = read_sources(conn, period)
            editions = list(collect_editions(conn, period))
            checked = 0
            for figures in editions:
                wrong, count = differing(figures, traces(sources, figures).payload())
                assert wrong == [], edition_key(figures.edition)
                checked += count
            assert checked > least
        # The same cells as marts.trace finds, in the same places.
        province = traces(sources, editions[0]).payload()
        behind = list(lines(province, province["entries"]["region.shortage_now"]))
        found = conn.execute(
            "select sheet, source_row, column_letter from marts.trace("
            "'mart_labour_shortage_summary', 'shortage_now_persons', %s)",
            (NOW,),
        ).fetchall()
    places = [
        (one.block["s"], int(one.block["r"].split(",")[one.at]), one.block.get("h", {}).get("shortage_now", [None])[0])
        for one in behind
    ]
    assert sorted(places, key=str) == sorted(found, key=str) and len(places) == 4


def test_the_figures_are_what_a_person_computes(months: None) -> None:
    with connect() as conn:
        figures = collect_figures(conn, NOW)
    values = {key: figure.value for key, figure in figures.figures.items()}
    assert values["region.headcount"] == 100 + 180 + 20 + 500
    assert values["region.shortage_now"] == 12 + 3 + 25
    assert values["region.shortage_expansion"] == 45
    assert values["region.shortage_rate"] == Decimal(40) / Decimal(840)
    # Only 宾阳县 reported in both months: 15 against 10; plainly 40 against 60.
    assert values["region.shortage_now.change_lfl"] == Decimal("0.5")
    assert round(values["region.shortage_now.change_plain"], 4) == Decimal("-0.3333")  # type: ignore[arg-type, call-overload]
    assert values["industry.00.shortage_now"] == 3 and values["industry.00.rank"] is None
    assert [values[f"industry.{code}.rank"] for code in ("14", "17")] == [1, 2]
    assert values["size.large.shortage_now"] == 25
    assert figures.figures[f"county.{LINGSHAN}.headcount"].absence == "refused"
    assert values["reporting.late_names"] == ("横州市",)
    assert values["reporting.refused_names"] == ("灵山县",)
    assert values["reporting.partial_names"] == ("横州市", "灵山县")
    assert (values["reporting.received_forms"], values["reporting.first_pass_forms"]) == (5, 4)
    assert str(values["reporting.data_cutoff"]).startswith("2026-05-14 16:05")
    # One person on two lines of the same training counts once; 30 + 10 persons were asked for.
    assert (values["training.needed"], values["training.delivered"], values["training.needed_subsidised"]) == (
        40,
        1,
        30,
    )
    assert values["subsidy.paid"] == Decimal("3500.10") and values["subsidy.claims"] == 4
    assert values["subsidy_item.upgrade_training.over_limit_claims"] == 1


def test_an_edition_counts_its_own_place_only(months: None) -> None:
    with connect() as conn:
        reports = {edition_key(one.edition): one for one in collect_editions(conn, NOW)}
    headcount = {key: one.figures["region.headcount"] for key, one in reports.items()}
    assert headcount["city.450100"].value == 800 and headcount[f"county.{HENGZHOU}"].value == 500
    assert (headcount["city.450700"].value, headcount["city.450700"].absence) == (None, "not_received")
    here = reports[f"county.{BINYANG}"].figures
    assert here["region.shortage_now"].value == 15 and here["industry.17.rank"].value == 1
    assert "industry.14.rank" not in here and here["subsidy.paid"].value == Decimal("3500.10")
    assert str(here["reporting.data_cutoff"].value).startswith("2026-05-07 10:30")
    # The only industry of 横州市 is not among those of 宾阳县; of the city both are.
    assert reports["city.450100"].figures["industry.14.rank"].value == 1


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_planted_wrong_figure_stops_the_release_of_all(
    months: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with connect() as conn:
        released = render_reports(conn, NOW, tmp_path, maturity="provisional", maturity_reason="报告期未封账")
        before = _content(tmp_path)
        assert {str(path.relative_to(tmp_path)) for one in released.editions.values() for path in one.values()} == set(
            before
        )
        assert len(before) == 18 and {path.parent for path in released.paths.values()} == {tmp_path}
        assert released.editions[f"county.{BINYANG}"]["docx"].parent == tmp_path / "分县" / "宾阳县"
        assert released.editions["city.450700"]["html"].parent == tmp_path / "分市" / "钦州市"
        assert f"report {NOW}: 6 of 6 editions written" in caplog.text
        conn.commit()
        # Only the report of 宾阳县 prints how many the county's enterprises hired.
        conn.execute(
            "update marts.mart_labour_shortage_summary set hired_persons = hired_persons + 1"
            " where period = %s and region_code = %s",
            (NOW, BINYANG),
        )
        with pytest.raises(ReconciliationFailed, match=r"宾阳县 region\.hired: printed 10, recomputed 9") as stopped:
            render_reports(conn, NOW, tmp_path, maturity="final", maturity_reason="x")
        assert [edition_key(one) for one in stopped.value.results] == [f"county.{BINYANG}"]
        assert _content(tmp_path) == before
        conn.rollback()
        again = render_reports(conn, NOW, tmp_path, maturity="provisional", maturity_reason="报告期未封账")
        assert again.figures_sha256 == released.figures_sha256
        assert _content(tmp_path) == before


@pytest.mark.parametrize(
    ("statement", "key"),
    [
        (
            "update marts.mart_labour_shortage set shortage_now_persons = 0 where industry_code = '14'",
            "industry.14.shortage_now",
        ),
        ("delete from marts.mart_labour_shortage where industry_code = '14'", "industry.14.shortage_now"),
        ("update marts.fct_submission set is_on_time = true", "reporting.on_time_forms"),
        ("update marts.dim_reporter set reporter_name = '甲县' where reporter_code = '450181'", "reporting.late_names"),
        ("update marts.mart_subsidy_disbursement set paid_yuan = paid_yuan + 0.01", "subsidy.paid"),
        (
            "update marts.mart_training_demand set delivered_persons = 2 where delivered_persons = 1",
            "training.delivered",
        ),
        (
            "update marts.mart_labour_shortage_summary set lfl_previous_shortage_now_persons = 0",
            "region.shortage_now.change_lfl",
        ),
        (
            "update marts.fct_enterprise_month set size_class = '小型' where size_class = '大型'",
            "size.large.shortage_now",
        ),
        (
            "update marts.mart_programme_progress set done_value = 0"
            " where target_id = 'gx_workforce_2022.city_pilot_county' and region_code = '450100'",
            "target.450100.gx_workforce_2022.city_pilot_county.done",
        ),
        (
            "update marts.mart_programme_progress set status = 'behind'"
            " where target_id = 'gx_workforce_2022.city_pilot_county' and region_code = '450100'",
            "target.450100.gx_workforce_2022.city_pilot_county.state",
        ),
        ("update marts.mart_reporting_performance set rank = null", "ranking.ranked_reporters"),
        ("delete from marts.mart_subsidy_alerts", "alerts.alert"),
    ],
)
def test_any_mart_that_drifts_is_caught(months: None, statement: str, key: str) -> None:
    with connect() as conn:
        conn.execute(statement.encode())
        result = reconcile(conn, collect_figures(conn, NOW))
        conn.rollback()
    assert key in {mismatch.key for mismatch in result.mismatches}


def test_a_budget_is_set_against_what_raw_says_was_paid_of_it(months: None) -> None:
    with connect() as conn:
        for region in ("450000", "450100", BINYANG):
            conn.execute(
                "insert into reference.subsidy_budgets (budget_year, region_code, fund, item_code, budget_yuan)"
                " values (2026, %s, '就业补助资金', 'upgrade_training', 6000)",
                (region,),
            )
        for table in ("mart_subsidy_disbursement", "mart_subsidy_disbursement_summary"):
            statement = f"update marts.{table} set budget_yuan = 6000 where period = %s and item_code = %s"
            conn.execute(statement.encode(), (NOW, "upgrade_training"))
        figures = list(collect_editions(conn, NOW))
        found = recompute(conn, NOW, [one.edition for one in figures])
        assert [compare(one, found[one.edition]).mismatches for one in figures] == [()] * 6
        conn.rollback()
    # 1000.10 + 500.00 of 6000
    assert figures[0].figures["execution.rate"].value == Decimal("1500.10") / 6000
    assert [edition_key(one.edition) for one in figures if "subsidy_execution" in one.tables] == [
        "province",
        "city.450100",
        f"county.{BINYANG}",
    ]
