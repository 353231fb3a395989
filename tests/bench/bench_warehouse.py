"""Three years of a province: does a month cost the same with history behind it, and is an office answered at once?

``python -m tests.bench.bench_warehouse [--months 36] [--counties 111] [--enterprises 60] [--limit 1.15]
[--query-limit-ms 50] [--queries docs/querying.md]`` writes the same number of rows of every form for every month
straight into raw and ledger (server-side SQL: nothing is read from workbooks), and then

* builds every month, oldest first, as every run does (``build_marts``), and prints for each the seconds of its models
  (as dbt measured them, without its start-up, parsing and tests; models run side by side, so they add up to more than
  the wall time), the processor seconds of the database server for the whole build, tests included, and the wall time;
* compares the median of the last months with the median of the first ones. The very first is left out, since it
  creates the tables and has no month before it; its own ratio is printed beside. The limit is on the ratio of the
  server's processor seconds, each divided by those of a fixed piece of work measured right before and after: a machine
  that is slower in the second half of the run does not count as history. The ratios of the plain server seconds, the
  models' seconds and the wall time stand beside it;
* runs the queries of ``docs/querying.md`` (every block fenced as ``sql``; ``:'period'`` is the last month) 20 times
  each, prints the 50th and 95th percentile of each in milliseconds (client side, rows fetched), and compares with a
  bare look-up by primary key over the same connection. The limit is on the 95th percentile over all runs.

Statistics are refreshed after the rows were written and before the queries, as autovacuum does in the month between.
Everything lies in a folder of its own, with an embedded PostgreSQL of its own, removed at the end. Ends with 1 beyond a
limit, or when a query does not run.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from tests.bench.bench_province import write_reporters

FIRST_PERIOD = "2024-01"
RUNS = 20
LOOKUPS = 200
#: Months at either end of which the median is taken; fewer where there are not that many.
ENDS = 5

# Rows of one month, for every reporter and every enterprise number; %(number)s is the month's place from 0, and every
# fiftieth enterprise changes its size in it. Form 1 first, then the others of the same enterprises.
_ENTERPRISES = """
insert into raw.enterprise_status (
    submission_id, sheet, source_row, period, county_code, enterprise_name, uscc, locality, industry, ownership,
    size_class, is_above_scale, is_key, operating_state, revenue_wan_yuan, headcount, managers, professionals, workers,
    women, local_county, other_county, other_province, lifted_poverty, dispatched, skill_junior, skill_intermediate,
    skill_senior, skill_technician, skill_senior_technician, skill_master, skill_chief, skilled_total, insured, hired,
    leavers, wage_general, wage_skilled, shortage_now, shortage_expansion, training_needed
)
select
    'enterprise_status-' || %(period)s || '-' || code, '表', 4 + n, %(period)s, region_code,
    '演示' || n || '号有限公司', code || lpad(n::text, 12, '0'), '演示园区',
    (array['13', '14', '17', '18', '20', '21', '26', '30', '32', '38', '39', '36'])[1 + n %% 12], '民营企业',
    case when n %% 50 <> %(number)s %% 50 then '小型' else '微型' end,
    n %% 3 = 0, n %% 10 = 0, case when n %% 40 = 0 then '停产' else '正常' end,
    800 + n %% 977, 78 + n %% 83 + m %% 2, 6, 12, 60 + n %% 83 + m %% 2, 30, 60 + n %% 83, 12, 6 + m %% 2, n %% 9,
    n %% 4,
    8, 5, 3, 2, 1, 0, 0, 19, 70, n %% 8, n %% 6, 3000 + 10 * (n %% 120), 4500 + 10 * (n %% 180),
    case when (n + m) %% 4 = 0 then 0 else 3 + (n + m) %% 7 end, n %% 6, 9
from unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code)
cross join generate_series(1, %(enterprises)s) as n
cross join (values (%(number)s)) as months (m)
"""
_POSTS = """
insert into raw.labour_demand (
    submission_id, sheet, source_row, period, county_code, enterprise_name, uscc, post, post_category, employed,
    shortage_now, planned_hires, shortage_expansion, education, skill_level, wage_min, wage_max, training_post,
    training_type, training_level, training_persons, training_mode, training_subsidised
)
select
    'labour_demand-' || %(period)s || '-' || code, '表', 4 + n * 3 + place, %(period)s, region_code,
    '演示' || n || '号有限公司', code || lpad(n::text, 12, '0'),
    (array['焊工', '电工', '车工', '缝纫工', '叉车司机', '包装工', '质检员'])[1 + (n + place) %% 7],
    case when (n + place) %% 7 > 4 then '普工' else '技工' end, 10 + n %% 20, (n + %(number)s + place) %% 4,
    5, n %% 3, '不限', '不限', 3000 + 10 * (n %% 90), 5000 + 10 * (n %% 90),
    (array['焊工', '电工', '车工', '缝纫工'])[1 + n %% 4], '岗位技能提升培训', '中级工',
    case when place = 0 then 3 + n %% 4 end, '脱产', place = 0
from unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code)
cross join generate_series(1, %(enterprises)s) as n
cross join generate_series(0, 2) as place
"""
_CLAIMS = """
insert into raw.subsidy_payment (
    submission_id, sheet, source_row, period, county_code, item, fund, batch_no, payee_name, payee_uscc, person_group,
    standard, quantity, applied, approved, paid, applied_on, accepted_on, reviewed_on, notice_from, notice_to,
    decided_on, paid_on, payment_type, status, person_key
)
select
    'subsidy_payment-' || %(period)s || '-' || code, '表', 4 + n, %(period)s, region_code, %(item)s, %(fund)s,
    replace(%(period)s, '-', '') || '-01', '演示' || n || '号有限公司', code || lpad(n::text, 12, '0'), '企业职工',
    %(amount)s, 1, %(amount)s, %(amount)s, %(amount)s, first_day, first_day + 1, first_day + 4, first_day + 6,
    first_day + 14, first_day + 15, first_day + 20, '核拨', '已拨付',
    encode(sha256((%(period)s || code || n)::bytea), 'hex')
from unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code)
cross join generate_series(2, %(enterprises)s, 2) as n
cross join (values ((%(period)s || '-01')::date)) as months (first_day)
"""
_PROGRESS = """
insert into raw.programme_progress (
    submission_id, sheet, source_row, period, county_code, programme, indicator, indicator_group, unit, done_this_month,
    done_to_date
)
select
    'programme_progress-' || %(period)s || '-' || code, '表', 4 + place::integer, %(period)s, region_code, programme,
    indicator, series, '人次', 10 + place, (10 + place) * (%(number)s + 1)
from unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code)
cross join (
    values
    ('打造“八桂系列”劳务品牌促进就业实施方案', '累计培训', '八桂家政', 1),
    ('打造“八桂系列”劳务品牌促进就业实施方案', '带动就业创业', '八桂家政', 2),
    ('打造“八桂系列”劳务品牌促进就业实施方案', '累计培训', '八桂建工', 3),
    ('打造“八桂系列”劳务品牌促进就业实施方案', '带动就业创业', '八桂建工', 4)
) as targets (programme, indicator, series, place)
"""
_BRANDS = """
insert into raw.brand_registry (
    submission_id, sheet, source_row, period, county_code, brand_name, category, county, recognised_level,
    cultivator_name, employed, agreement_persons, trained_person_times, employment_driven, entered_on, status
)
select
    'brand_registry-' || %(period)s || '-' || code, '表', 4 + place, %(period)s, region_code, '演示品牌' || place,
    '民生保障型', code, '县级', '演示培育单位' || place,
    500 + (%(number)s + place) %% 50, 20, 100, 80, '2023-06-01', '在库'
from unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code)
cross join generate_series(1, 2) as place
"""
_CLASSES = """
insert into raw.apprenticeship (
    submission_id, sheet, source_row, period, county_code, filing_no, enterprise_name, uscc, training_institution,
    occupation, level, materials_on, filed_on, filed_persons, started_on, training_persons, left_persons
)
select
    'apprenticeship-' || %(period)s || '-' || code, '表', 4 + n, %(period)s, region_code,
    code || '-' || (m / 12) || '-' || n, '演示' || n || '号有限公司', code || lpad(n::text, 12, '0'),
    '演示技工学校', '焊工', '中级工', make_date(2024 + m / 12, 1, 2),
    make_date(2024 + m / 12, 1, 8), 30, make_date(2024 + m / 12, 1, 15), 30, 0
from unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code)
cross join generate_series(20, %(enterprises)s, 20) as n
cross join (values (%(number)s)) as months (m)
"""
_FORMS = {
    "enterprise_status": _ENTERPRISES,
    "labour_demand": _POSTS,
    "subsidy_payment": _CLAIMS,
    "programme_progress": _PROGRESS,
    "brand_registry": _BRANDS,
    "apprenticeship": _CLASSES,
}
_RECEIVED = """
insert into intake.received_file (
    sha256, file_name, channel, channel_path, size_bytes, received_at, period, reporter_code, outcome, outcome_zh
)
select key, 'f.xlsx', 'folder', key, 1, %(received_at)s, %(period)s, code, 'processed', '已处理'
from unnest(%(codes)s::text[]) as reporters (code)
cross join lateral (values (%(form)s || '-' || %(period)s || '-' || code)) as keys (key)
"""
_SUBMITTED = """
insert into intake.submission (
    submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, is_sample,
    outcome, rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w
)
select
    files.sha256, files.receipt_id, %(form)s, %(period)s, files.reporter_code, reporters.region_code, 1, array['表'],
    files.received_at, true, 'accepted', sent.rows, sent.rows, 0, sent.rows * 20, sent.rows * 18, 0, 0, 0
from intake.received_file as files
inner join unnest(%(codes)s::text[], %(regions)s::text[]) as reporters (code, region_code) on files.reporter_code = code
inner join (
    select submission_id, count(*) as rows from raw.{} where period = %(period)s group by submission_id
) as sent on files.sha256 = sent.submission_id
"""


@dataclass(frozen=True, slots=True)
class Month:
    """What building one month took, in seconds; ``pace`` is what the fixed piece of work took around it."""

    period: str
    models: float
    slowest: str
    server: float
    wall: float
    pace: float

    @property
    def work(self) -> float:
        """Processor time of the server in units of the fixed piece of work."""
        return self.server / self.pace


def periods(months: int) -> list[str]:
    """That many months from the first one on."""
    first = date.fromisoformat(f"{FIRST_PERIOD}-01")
    return [f"{first.year + place // 12}-{place % 12 + 1:02d}" for place in range(months)]


def write_month(conn: psycopg.Connection[Any], period: str, number: int, counties: int, enterprises: int) -> int:
    """Rows of every form and their ledger; returns the number of rows. The caller commits."""
    from include.intake.calendar import SHANGHAI, load_rules, nth_working_day
    from include.intake.reporters import load_reporters
    from include.ledger.entries import sync_reporters
    from include.ledger.periods import open_period
    from include.sample.claims import standards
    from include.settings import get_settings

    settings = get_settings()
    reporters = load_reporters(settings.reporters_file)
    assert len(reporters) == counties
    sync_reporters(conn, reporters)
    open_period(conn, period, reporters, load_rules(settings.reporting_file), datetime.now(SHANGHAI))
    standard = next(one for one in standards() if one.kind == "fixed" and one.covers(date(2026, 10, 31)))
    parameters = {
        "period": period,
        "number": number,
        "enterprises": enterprises,
        "codes": [reporter.reporter_code for reporter in reporters],
        "regions": [reporter.region_code for reporter in reporters],
        "received_at": datetime.combine(nth_working_day(period, 2), datetime.min.time(), SHANGHAI),
        "item": standard.title.partition("(")[0],
        "fund": standard.fund,
        "amount": standard.amount,
    }
    rows = 0
    for form, statement in _FORMS.items():
        conn.execute(
            sql.SQL("create table raw.{} partition of raw.{} for values in ({})").format(
                sql.Identifier(f"{form}_{period.replace('-', '_')}"), sql.Identifier(form), sql.Literal(period)
            )
        )
        rows += conn.execute(statement.encode(), parameters).rowcount
        conn.execute(_RECEIVED, {**parameters, "form": form})
        conn.execute(sql.SQL(_SUBMITTED).format(sql.Identifier(form)), {**parameters, "form": form})
    return rows


def server_seconds() -> float:
    """Processor seconds of the database server and of its sessions that have ended."""
    from include.warehouse.connection import connect

    with connect() as conn:
        server = psutil.Process(conn.info.backend_pid).parent()
    assert server is not None
    deadline = time.monotonic() + 10
    while _has_sessions(server) and time.monotonic() < deadline:
        time.sleep(0.05)  # the session of a moment ago is still going
    return sum(server.cpu_times()[:4])


def _has_sessions(server: psutil.Process) -> bool:
    for child in server.children():
        # a session that ends between the list and the look is none
        with contextlib.suppress(psutil.NoSuchProcess):
            if "idle" in "".join(child.cmdline()):
                return True
    return False


def pace() -> float:
    """Processor seconds of the server for a fixed piece of work: sorting, hashing and joining rows made on the spot."""
    from include.warehouse.connection import connect

    before = server_seconds()
    with connect() as conn:
        conn.execute("set max_parallel_workers_per_gather = 0")
        conn.execute(
            "select count(*), max(total) from ("
            "select md5((n % 50000)::text) as key, sum(n) as total from generate_series(1, 400000) as n group by 1"
            ") as sums inner join (select md5(n::text) as key from generate_series(1, 50000) as n) as keys using (key)"
        )
    return server_seconds() - before


def build(period: str) -> Month:
    """Builds the month as every run does."""
    from include.pipeline.build import build_marts
    from include.warehouse.connection import connect

    paces = [pace()]
    before, started = server_seconds(), time.monotonic()
    assert build_marts(period, "bench")["periods"] == [period]
    wall = time.monotonic() - started
    server = server_seconds() - before
    paces.append(pace())
    with connect() as conn:
        found = conn.execute(
            "select node_id, execution_s from intake.model_result where period = %s and resource_type = 'model'"
            " and node_id !~ '[.](stg_|int_[a-z_]+$)' order by execution_s desc",
            (period,),
        ).fetchall()
    return Month(
        period, sum(row[1] for row in found), str(found[0][0]).rpartition(".")[2], server, wall, statistics.mean(paces)
    )


def questions(path: Path, period: str) -> list[tuple[str, str]]:
    """(heading, statement) of every sql block of the page, the month filled in."""
    text = path.read_text("utf-8")
    found = re.findall(r"^### ([^\n]+)\n(?:(?!^### ).)*?^```sql\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(heading, statement.replace(":'period'", f"'{period}'")) for heading, statement in found]


def timed(conn: psycopg.Connection[Any], statement: str, runs: int) -> list[float]:
    """Milliseconds of each run, rows fetched; one before them is not counted."""
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        conn.execute(statement.encode()).fetchall()
        taken.append((time.perf_counter() - started) * 1000)
    return taken[1:]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(len(ordered) * share * 100) // 100) - 1)]


def measure_builds(months: int, counties: int, enterprises: int) -> float:
    """Prints each month; returns last months : first months, in processor time of the server at an even pace."""
    from include.settings import get_settings
    from include.warehouse.connection import connect
    from include.warehouse.dbt import prepare
    from include.warehouse.migrate import migrate

    names = write_reporters(get_settings().reporters_file, counties)
    chosen = periods(months)
    started = time.monotonic()
    with connect() as conn:
        migrate(conn)
        rows = [write_month(conn, period, n, len(names), enterprises) for n, period in enumerate(chosen)]
        conn.commit()
        conn.execute("analyze")
        conn.commit()
    assert len(set(rows)) == 1, "months differ in size"
    print(
        f"bench_warehouse: {len(names)} counties x {enterprises} enterprises x {months} months: "
        f"{rows[0]} rows a month, {sum(rows)} in all; written in {time.monotonic() - started:.1f} s",
        flush=True,
    )
    prepare(chosen[0])
    built = []
    for number, period in enumerate(chosen, start=1):
        month = build(period)
        built.append(month)
        print(
            f"bench_warehouse: month {number:2} {period}: models {month.models:.2f} s (slowest {month.slowest}), "
            f"server busy {month.server:.2f} s = {month.work:.2f} x the fixed work, wall {month.wall:.1f} s",
            flush=True,
        )
    ends = max(1, min(ENDS, (months - 1) // 2))
    ratios = {}
    for name in ("work", "server", "models", "wall"):
        first, last = (
            statistics.median(getattr(one, name) for one in part) for part in (built[1 : 1 + ends], built[-ends:])
        )
        ratios[name] = last / first
        print(
            f"bench_warehouse: {name}: median of the last {ends} months {last:.2f} : of months 2 to {1 + ends} "
            f"{first:.2f} = ratio {last / first:.3f} (to month 1 alone {last / getattr(built[0], name):.3f})"
        )
    return ratios["work"]


def measure_queries(page: Path, period: str) -> tuple[float, int]:
    """Prints each query; returns (95th percentile of all runs in ms, number of queries that do not run)."""
    from include.warehouse.connection import connect

    with connect(autocommit=True) as conn:
        conn.execute("vacuum (analyze)")
        lookup = statistics.median(
            timed(
                conn,
                "select * from marts.mart_labour_shortage_summary"
                f" where period = '{period}' and region_code = '450000'",
                LOOKUPS,
            )
        )
        everything, broken = [], 0
        asked = questions(page, period)
        for heading, statement in asked:
            try:
                taken = timed(conn, statement, RUNS)
            except psycopg.Error as error:
                broken += 1
                print(f"bench_warehouse: does not run: {heading}: {str(error).splitlines()[0]}")
                continue
            everything += taken
            print(
                f"bench_warehouse: p50 {percentile(taken, 0.5):6.1f}  p95 {percentile(taken, 0.95):6.1f} ms  {heading}"
            )
    if not everything:
        return float("inf"), broken
    p50, p95 = percentile(everything, 0.5), percentile(everything, 0.95)
    print(
        f"bench_warehouse: {len(asked)} queries x {RUNS}: p50 {p50:.1f} ms, p95 {p95:.1f} ms; a bare look-up by key "
        f"{lookup:.2f} ms: p50 is {p50 / lookup:.1f} x, p95 {p95 / lookup:.1f} x that"
    )
    return p95, broken


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark in a folder of its own; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description="cost of a month with history, and of an office's queries")
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--counties", type=int, default=111)
    parser.add_argument("--enterprises", type=int, default=60, help="enterprises a county")
    parser.add_argument("--limit", type=float, default=1.15, help="largest ratio of last to first months")
    parser.add_argument("--query-limit-ms", type=float, default=50, help="largest 95th percentile of all queries")
    parser.add_argument("--queries", type=Path, default=Path("docs/querying.md"), help="page with the queries")
    given = parser.parse_args(arguments)
    if not 3 <= given.months <= 36:
        parser.error("--months: from 3 (one to compare with another) to 36 (what the calendar of working days covers)")
    page = given.queries.resolve()
    if not page.is_file():
        parser.error(f"--queries: {given.queries} is not there; run from the project's folder or name the page")
    # The server's own user must be able to reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="labour-bench-")).resolve()
    folder.chmod(0o711)
    os.environ |= {"VAR_DIR": str(folder / "var"), "REPORTERS_FILE": str(folder / "reporters.csv")}
    for name in ("WAREHOUSE_URL", "INBOX_DIR", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR"):
        os.environ.pop(name, None)
    logging.basicConfig(level=logging.ERROR)
    from include.warehouse import embedded

    try:
        ratio = measure_builds(given.months, given.counties, given.enterprises)
        p95, broken = measure_queries(page, periods(given.months)[-1])
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
    beyond = ratio > given.limit or p95 > given.query_limit_ms
    if beyond:
        print(f"bench_warehouse: beyond the limit of {given.limit:g} x or {given.query_limit_ms:g} ms")
    return int(beyond or broken > 0)


if __name__ == "__main__":
    sys.exit(main())
