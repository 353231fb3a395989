"""How long the pages inside Airflow's UI take over a ledger of the size designed for.

``python -m tests.bench.bench_status_page [--months 36]`` fills a ledger with made-up rows, by SQL: 111 reporters, three
forms each, 100 findings a reporter and month, and a report of 126 editions that three channels delivered. Prints a line
per page: bytes, the first answer and the median of twenty further ones in milliseconds, and the processor time of one,
of the page and of the database (of its backend, to the hundredth of a second, averaged). Ends with 1 when both together
exceed 100 ms for one page: unlike waiting, processor time says little of what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

REPORTERS, FINDINGS, LIMIT_MS, REPEATS = 111, 100, 100.0, 20
PAGES = (
    "/", "/?page=3", "/month?period={0}", "/month?period={0}&only=problems", "/findings?period={0}",
    "/findings?period={0}&severity=R&page=2", "/findings?period={0}&code=W-VAL-020",
    "/reporter?period={0}&reporter=450050", "/reports?period={0}", "/waiting",
)  # fmt: skip

_FILL = """
create temp table month as
select to_char(date '2026-12-01' - make_interval(months => back), 'YYYY-MM') as period,
    (date '2027-01-08' - make_interval(months => back))::date as due_on,
    (date '2027-01-15' - make_interval(months => back))::date as closes_on
from generate_series(0, {months} - 1) as back;
create temp table form (form text);
insert into form values ('enterprise_status'), ('labour_demand'), ('subsidy_payment');

insert into intake.reporter (reporter_code, reporter_name, region_code, city_code, pilot_level, valid_from, is_sample)
select (450000 + n)::text, '演示县' || n, (450000 + n)::text, '450100', '市级试点', date '2020-01-01', true
from generate_series(1, {reporters}) as n;
insert into intake.reporting_period (period, due_on, closes_on, state)
select period, due_on, closes_on, case when period < '2026-12' then 'closed' else 'open' end from month;
insert into intake.expected_report (period, reporter_code, form, due_on)
select period, reporter_code, form, due_on from month, intake.reporter, form;

-- One reporter in twenty sends nothing, every fifth form comes twice, one version in thirty is refused.
insert into intake.received_file
    (sha256, file_name, channel, channel_path, size_bytes, received_at, file_kind, period, reporter_code, outcome,
     outcome_zh)
select
    encode(sha256((period || reporter_code || form || version)::bytea), 'hex'), reporter_name || form || '.xlsx',
    'local', concat_ws('/', period, reporter_code, form, version), 1, due_on - 3 + version, 'xlsx', period,
    reporter_code, 'processed', '已读取'
from month, intake.reporter, form, generate_series(1, 2) as version
where
    (version = 1 or hashtext(period || reporter_code || form) % 5 = 0)
    and hashtext(period || reporter_code) % 20 <> 0;
insert into intake.submission
    (submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, outcome,
     rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w)
select
    's' || receipt_id, receipt_id, split_part(channel_path, '/', 3), period, reporter_code, reporter_code,
    split_part(channel_path, '/', 4)::integer, '{{Sheet1}}', received_at,
    case when receipt_id % 30 = 0 then 'refused' else 'accepted_with_findings' end, 1000, 990, 10, 30000, 30000, 0, 1, 9
from intake.received_file;
insert into intake.finding
    (receipt_id, submission_id, period, reporter_code, code, severity, form, sheet, source_row, column_name, cell,
     value, message_zh, rule, first_seen, state)
select
    receipt_id, submission_id, period, reporter_code,
    case n % 9 when 0 then 'R-VAL-001' when 1 then 'E-TBL-001' else 'W-VAL-02' || n % 9 end,
    case n % 9 when 0 then 'R' when 1 then 'E' else 'W' end, form, 'Sheet1', 4 + n, 'headcount', 'Q' || 4 + n, '49',
    '“职工总数”有若干个单元格把数字存成了文本或带了单位，已按数字读取。请以后把单元格格式设为“数值”，只填数字。',
    '数字以文本保存', received_at, case when n % 4 = 0 then 'mended' else 'open' end
from intake.submission cross join generate_series(1, {findings} / 3) as n;

-- Every month was issued and corrected once; three files an edition, mail and webhook.
insert into intake.report_draft
    (period, draft_no, issue_no, maturity, reason_zh, coverage, input_hash, figures_sha256, printed_sha256,
     files_sha256, figures_checked, seconds, state, rendered_at)
select period, 1 + issue_no, issue_no, 'final', '达到90%的定稿标准', 0.95, '', '', '', '', 1600, 9, 'issued', now()
from month, generate_series(0, 1) as issue_no;
insert into intake.publication
    (period, issue_no, maturity, reason_zh, coverage, input_hash, figures_sha256, figures_checked, seconds, draft_no)
select period, issue_no, maturity, reason_zh, coverage, '', '', 1600, 9, draft_no from intake.report_draft;
create temp table edition as
select 'province' as edition, '' as folder
union all select 'city.' || 450000 + 100 * n, '分市/演示市' || n || '/' from generate_series(1, 14) as n
union all select 'county.' || reporter_code, '分县/' || reporter_name || '/' from intake.reporter;
insert into intake.publication_file (period, issue_no, edition, file_name, sha256)
select
    period, issue_no, edition, folder || '月报（' || period || '）.' || suffix,
    encode(sha256((edition || suffix)::bytea), 'hex')
from intake.report_draft, edition, unnest(array['docx', 'html', 'xlsx']) as suffix;
insert into intake.publication_figure (period, issue_no, edition, key, position, label, printed)
select
    period, issue_no, edition, 'figure.' || n, n, '指标' || n,
    (n + case when n % 40 = 0 then issue_no else 0 end)::text
from intake.report_draft, edition, generate_series(1, case edition when 'province' then 1600 else 60 end) as n;
insert into intake.delivery
    (period, draft_no, issue_no, edition, channel, recipient, message_id, sha256, state, attempts, result_zh,
     entered_at)
select
    period, draft_no, issue_no, edition, channel, edition || '@example.cn',
    concat_ws('.', period, draft_no, edition, channel), '',
    case when hashtext(edition) % 40 = 0 then 'refused' else 'sent' end, 1, '已送达', now()
from intake.report_draft, edition, unnest(array['smtp', 'webhook']) as channel;
"""


@contextmanager
def made_ledger(months: int) -> Iterator[None]:
    """A ledger of so many months in an embedded PostgreSQL of its own."""
    folder = Path(tempfile.mkdtemp(prefix="labour-bench-"))
    folder.chmod(0o711)
    os.environ["VAR_DIR"] = str(folder / "var")
    os.environ.pop("WAREHOUSE_URL", None)
    from include.warehouse import embedded
    from include.warehouse.connection import connect
    from include.warehouse.migrate import migrate

    try:
        with connect() as conn:
            migrate(conn)
            fill(conn, months)
        yield
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


def fill(conn: psycopg.Connection[Any], months: int) -> None:
    """The made-up rows, and what the server knows of their number."""
    conn.execute(_FILL.format(months=months, reporters=REPORTERS, findings=FINDINGS).encode())
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    tables = ("submission", "finding", "publication_file", "publication_figure", "delivery")
    rows = [conn.execute(f"select count(*) from intake.{table}".encode()).fetchone() for table in tables]
    print(", ".join(f"{row[0]} {table}" for table, row in zip(tables, rows, strict=True) if row))


async def measure(period: str) -> bool:
    """Ask for each page twenty-one times; whether each takes no more processor time than allowed."""
    import httpx
    import psutil

    from include.status.app import create_app, warehouse
    from include.status.reading import reading

    of_database = 0.0

    def watched() -> Iterator[psycopg.Connection[Any]]:
        nonlocal of_database
        with reading() as conn:
            yield conn
            spent = psutil.Process(conn.info.backend_pid).cpu_times()
            of_database += spent.user + spent.system

    app = create_app(lambda: None)
    app.dependency_overrides[warehouse] = watched
    quick = True
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:
        print(f"{'page':45} {'bytes':>8} {'first ms':>8} {'median ms':>9} {'page cpu':>8} {'database cpu':>12}")
        for page in (each.format(period) for each in PAGES):
            waited = []
            for number in range(1 + REPEATS):
                if number == 1:
                    of_database, of_page = 0.0, time.process_time()
                started = time.perf_counter()
                answer = await client.get(page)
                waited.append(1000 * (time.perf_counter() - started))
                assert answer.status_code == 200, f"{page}: {answer.status_code}"
            page_ms = 1000 * (time.process_time() - of_page) / REPEATS
            database_ms = 1000 * of_database / REPEATS
            quick = quick and page_ms + database_ms <= LIMIT_MS
            median = statistics.median(waited[1:])
            times = f"{waited[0]:>8.1f} {median:>9.1f} {page_ms:>8.1f} {database_ms:>12.1f}"
            print(f"{page:45} {len(answer.content):>8} {times}")
    return quick


def main() -> int:
    """Entry point; 1 when a page is slower than it may be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_status_page", description=__doc__)
    parser.add_argument("--months", type=int, default=36)
    options = parser.parse_args()
    with made_ledger(options.months):
        return 0 if asyncio.run(measure("2026-11")) else 1


if __name__ == "__main__":
    sys.exit(main())
