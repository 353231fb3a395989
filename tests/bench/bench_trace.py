"""How long tracing a figure takes in a warehouse of the size designed for.

``python -m tests.bench.bench_trace [--months 36]`` fills dbt's own tables with made-up rows of 111 counties, 1,000
enterprises and 300 claims each, by SQL; the sums of the marts are computed from them. Prints a line per figure: its
cells, seconds of the first and the median of five further traces in the server, seconds of the same by
``include.trace`` with the first 40 cells, and whether they add up. Ends with 1 when one does not. Then what pages
of the report embed: seconds to read a month's cells for all editions, and to cut out a province's, city's, county's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

PERIOD = "2026-03"
CLAIMS_PER_COUNTY = 300
_DEFAULTS = {"text": "'x'", "integer": "n % 7", "bigint": "1", "boolean": "false", "date": "date '2026-03-02'"}
_FIGURES = (
    ("mart_labour_shortage_summary", "shortage_now_persons", None),
    ("mart_labour_shortage_summary", "enterprises", None),
    ("mart_labour_shortage_summary", "high_skilled_persons", None),
    ("mart_labour_shortage_summary", "lfl_previous_shortage_now_persons", None),
    ("mart_labour_shortage", "shortage_now_persons", None),
    ("mart_labour_shortage", "shortage_now_persons", "450700"),
    ("mart_labour_shortage_summary", "high_skilled_persons", "450721"),
    ("mart_subsidy_disbursement", "paid_yuan", None),
    ("mart_subsidy_disbursement", "outstanding_advance_yuan", None),
    ("mart_reporting_performance", "findings_w", None),
)


def fill(conn: psycopg.Connection[Any], months: int) -> None:
    """Made-up rows of every county in ``months`` months up to March 2026, in facts and marts."""
    conn.execute(
        """
        create temp table place as
        select region_code as county_code, city_code from marts.dim_region where level = 'county';
        create temp table month as
        select to_char(date '2026-03-01' - make_interval(months => back), 'YYYY-MM') as period
        from generate_series(0, %s - 1) as back
        """.replace("%s", str(months)).encode()
    )
    place = "from place cross join month cross join generate_series(1, {}) as n"
    submission = "'{}-' || place.county_code || '-' || month.period"
    known = {"period": "month.period", "county_code": "place.county_code", "city_code": "place.city_code",
             "reporter_code": "place.county_code", "data_maturity": "'final'", "sheet": "'Sheet1'"}  # fmt: skip
    for table in ("fct_enterprise_month", "fct_subsidy_claim", "fct_source_file", "fct_source_column",
                  "mart_labour_shortage", "mart_labour_shortage_summary", "mart_subsidy_disbursement",
                  "mart_reporting_performance"):  # fmt: skip
        conn.execute(sql.SQL("truncate marts.{}").format(sql.Identifier(table)))
    _insert(conn, "fct_enterprise_month", place.format(1000), known | {
        "uscc": "'91' || place.county_code || n", "source_row": "4 + n", "is_short": "n % 7 > 0",
        "industry_code": "(10 + n % 30)::text", "submission_id": submission.format("enterprise_status"),
    })  # fmt: skip
    _insert(conn, "fct_subsidy_claim", place.format(CLAIMS_PER_COUNTY), known | {
        "source_row": "4 + n", "source_column": "''", "submission_id": submission.format("subsidy_payment"),
        "item_code": "'item' || n % 12", "item": "'item' || n % 12", "fund": "'就业补助资金'", "status": "'已拨付'",
        "payment_type": "case n % 10 when 0 then '预支' when 1 then '结算' else '核拨' end",
        "advanced_yuan": "case when n % 10 < 2 then n end", "paid_yuan": "n * 10",
    })  # fmt: skip
    forms = "cross join (values ('enterprise_status'), ('labour_demand'), ('subsidy_payment')) as known (form)"
    _insert(conn, "fct_source_file", f"{place.format(1)} {forms}", known | {
        "receipt_id": "row_number() over ()", "form": "known.form", "sha256": "sha256(place.county_code::bytea)::text",
        "submission_id": "known.form || '-' || place.county_code || '-' || month.period", "is_in_use": "true",
        "is_comparable": "true", "is_expected": "true", "is_counted": "true", "received_at": "timestamptz '2026-04-02'",
        "file_name": "place.county_code || '企业情况表.xlsx'", "findings_w": "3",
    })  # fmt: skip
    names = ["uscc", "shortage_now", "paid", "advanced", "skill_senior", "skill_technician", "skill_senior_technician",
             "skill_master", "skill_chief", *(f"other_{number}" for number in range(31))]  # fmt: skip
    listed = ", ".join(f"('{name}')" for name in names)
    columns_of = f"{place.format(1)} {forms} cross join (values {listed}) as col (name)"
    _insert(conn, "fct_source_column", columns_of, known | {
        "submission_id": "known.form || '-' || place.county_code || '-' || month.period", "column_name": "col.name",
        "column_letter": "'AB'", "header_text": "'表头/' || col.name",
    })  # fmt: skip
    # the sums, as the models make them
    sums = "count(*) as enterprises, sum(shortage_now_persons) as shortage_now_persons"
    high = (
        "sum(skill_senior_persons + skill_technician_persons + skill_senior_technician_persons + skill_master_persons"
    )
    high += " + skill_chief_persons)"
    conn.execute(f"create temp table by_industry as select period, county_code, city_code, industry_code, {sums}"
                 " from marts.fct_enterprise_month group by 1, 2, 3, 4".encode())  # fmt: skip
    _insert(conn, "mart_labour_shortage", "from by_industry as b cross join (select 1 as n) as one", {
        **{name: f"b.{name}" for name in ("period", "county_code", "city_code", "industry_code", "enterprises",
                                          "shortage_now_persons")},
        "data_maturity": "'final'",
    })  # fmt: skip
    conn.execute(f"create temp table by_place as select period, county_code, city_code, {sums}, {high} as high"
                 " from marts.fct_enterprise_month group by 1, 2, 3".encode())  # fmt: skip
    for level, code in (("province", "'450000'"), ("city", "city_code"), ("county", "county_code")):
        grouped = (
            f"from (select period, {code} as region_code, sum(enterprises) as enterprises, sum(high) as high,"
            f" sum(shortage_now_persons) as now from by_place group by 1, 2) as g cross join (select 1 as n) as one"
        )
        _insert(conn, "mart_labour_shortage_summary", grouped, {
            "period": "g.period", "region_code": "g.region_code", "level": f"'{level}'", "data_maturity": "'final'",
            "enterprises": "g.enterprises", "high_skilled_persons": "g.high", "shortage_now_persons": "g.now",
            "lfl_previous_shortage_now_persons": "g.now",  # every month is like the one before
        })  # fmt: skip
    conn.execute(
        b"""
        create temp table by_item as
        select period, county_code, city_code, fund, item_code, sum(paid_yuan) as paid,
            sum(sum(case when payment_type = '\xe9\xa2\x84\xe6\x94\xaf' then advanced_yuan else -advanced_yuan end))
                over (partition by county_code, fund, item_code order by period) as outstanding
        from marts.fct_subsidy_claim group by 1, 2, 3, 4, 5
        """
    )
    _insert(conn, "mart_subsidy_disbursement", "from by_item as b cross join (select 1 as n) as one", {
        **{name: f"b.{name}" for name in ("period", "county_code", "city_code", "fund", "item_code")},
        "paid_yuan": "b.paid", "outstanding_advance_yuan": "coalesce(b.outstanding, 0)", "data_maturity": "'final'",
    })  # fmt: skip
    _insert(conn, "mart_reporting_performance", place.format(1), known | {"findings_w": "9"})
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")


def _insert(conn: psycopg.Connection[Any], table: str, source: str, values: dict[str, str]) -> None:
    columns = conn.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'marts' and table_name = %s",
        (table,),
    ).fetchall()
    names = [name for name, _ in columns]
    chosen = [values.get(name) or _DEFAULTS.get(data_type, "1") for name, data_type in columns]
    conn.execute(f"insert into marts.{table} ({', '.join(names)}) select {', '.join(chosen)} {source}".encode())


def measure(conn: psycopg.Connection[Any]) -> bool:
    """Trace each figure six times; returns whether all added up."""
    from include.trace.measures import find_measure, load_measures
    from include.trace.tracing import Question, described, trace

    right = True
    measures = load_measures(conn)
    print(f"{'figure':75} {'cells':>8} {'first s':>8} {'median s':>8} {'shown s':>7}  sum")
    for mart, name, region in _FIGURES:
        question = Question(mart, name, PERIOD, region)
        spent = []
        for _ in range(6):
            started = time.perf_counter()
            row = conn.execute(
                "select count(*), sum(contribution) from marts.trace(%s, %s, %s, %s)", (mart, name, PERIOD, region)
            ).fetchone()
            spent.append(time.perf_counter() - started)
        assert row is not None
        found = trace(conn, question, find_measure(measures, mart, name), limit=40)
        equal = found.is_equal and row[1] == found.figure
        right = right and equal
        median = statistics.median(spent[1:])
        times = f"{spent[0]:>8.3f} {median:>8.3f} {found.seconds:>7.3f}"
        print(f"{described(question):75} {row[0]:>8} {times}  {'equal' if equal else 'DIFFERS'}")
    return right


def measure_pages(conn: psycopg.Connection[Any]) -> None:
    """What the pages of all editions of a month take."""
    from include.report.chart_library import pack
    from include.report.model import Edition, Figure, ReportFigures
    from include.report.tracing import read_sources, traces

    started = time.perf_counter()
    sources = read_sources(conn, PERIOD)
    print(f"cells of {PERIOD} read for all editions in {time.perf_counter() - started:.1f} s")
    keys = [f"region.{name}" for name in ("shortage_now", "headcount", "enterprises", "high_skilled")]
    keys += [f"industry.{code}.shortage_now" for code in range(10, 40)]
    figures = {key: Figure(key, 1, "persons") for key in keys}
    for edition in (
        Edition("province", "450000", "全区"),
        Edition("city", "450700", "钦州市"),
        Edition("county", "450721", "灵山县", "450721"),
    ):
        started = time.perf_counter()
        found = traces(sources, ReportFigures(PERIOD, "2026-02", edition, figures, {}, (), True, None))
        packed = len(pack(json.dumps(found.payload(), ensure_ascii=False, separators=(",", ":"))))
        spent = time.perf_counter() - started
        summed = f", by workbook: {', '.join(found.summed)}" if found.summed else ""
        print(f"{edition.level:9} {found.cell_count:>8} cells, {packed / 1000:>6.0f} kB in {spent:.2f} s{summed}")


def main() -> int:
    """Entry point; 1 when a sum differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_trace", description=__doc__)
    parser.add_argument("--months", type=int, default=36)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="labour-bench-"))
    folder.chmod(0o711)
    os.environ["VAR_DIR"] = str(folder / "var")
    os.environ.pop("WAREHOUSE_URL", None)
    from include.warehouse import embedded
    from include.warehouse.connection import connect
    from include.warehouse.dbt import dbt_build
    from include.warehouse.migrate import migrate
    from tests.dbt.province import fill as fill_small

    try:
        with connect() as conn:
            migrate(conn)
            fill_small(conn)
            conn.commit()
        dbt_build(PERIOD)
        with connect() as conn:
            started = time.perf_counter()
            fill(conn, options.months)
            print(f"{options.months} months filled in {time.perf_counter() - started:.0f} s")
            right = measure(conn)
            measure_pages(conn)
            return 0 if right else 1
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
