"""What a drive prints at its end: who reported what, what was found, what was published, how long it took."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from include.ledger.periods import waiting_corrections
from include.operate.airflow import DAG_IDS
from include.operate.client import DagRun
from include.publishing.approval import waiting_drafts
from include.publishing.drafts import latest_draft
from include.returns.places import RECEIPT, RETURNS, TO_CHECK, TO_MEND

FINDINGS_SHOWN = 30
# What still stands: neither mended nor gone on with in a newer version.
_STANDING = """
    select finding.* from intake.finding
    where finding.period = %(period)s and finding.state in ('open', 'explained', 'accepted')
"""


def width(text: str) -> int:
    """Columns that a text takes on a terminal: wide and full-width characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text filled up with blanks to a number of terminal columns."""
    blanks = " " * max(0, columns - width(text))
    return blanks + text if right else text + blanks


def _one_line(text: str) -> str:
    """What counties write is shown as text: no line breaks, nothing that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[int] = ()) -> str:
    """A plain table whose columns stand under one another, also where the texts are Chinese.

    Args:
        right: positions of columns aligned to the right.
    """
    texts = [["" if value is None else _one_line(str(value)) for value in row] for row in rows]
    to_right = set(right)
    columns = [max(map(width, column)) for column in zip(headers, *texts, strict=True)]
    lines = [
        "  ".join(pad(cell, columns[i], right=i in to_right) for i, cell in enumerate(row)).rstrip()
        for row in [list(headers), *texts]
    ]
    lines.insert(1, "  ".join("-" * size for size in columns))
    return "\n".join(lines)


def reporter_rows(conn: psycopg.Connection, period: str) -> list[tuple[Any, ...]]:
    """One row per expected reporter: name, forms received, on time, result, rows loaded, rows held, findings E/R/W.

    Of each form the latest version counts, with the findings that still stand; "on time" is decided by the first.
    """
    rows = conn.execute(
        f"""
        with latest as (
            select distinct on (reporter_code, form) reporter_code, form, outcome, rows_accepted, rows_held
            from intake.submission where period = %(period)s
            order by reporter_code, form, version desc
        ),
        first_seen as (
            select reporter_code, min(received_at) as received_at, count(*) as files
            from intake.received_file as file
            where period = %(period)s and outcome <> 'duplicate'
                -- a file of forms that are not owed is no part of what is
                and (
                    not exists (select 1 from intake.submission as any_form where any_form.receipt_id = file.receipt_id)
                    or exists (
                        select 1 from intake.submission as owed
                        join intake.expected_report using (period, reporter_code, form)
                        where owed.receipt_id = file.receipt_id
                    )
                )
            group by reporter_code
        ),
        problem as (
            select
                reporter_code,
                count(*) filter (where severity = 'E') as e,
                count(*) filter (where severity = 'R') as r,
                count(*) filter (where severity = 'W') as w
            from ({_STANDING}) as standing group by reporter_code
        )
        select
            reporter.reporter_name,
            count(distinct expected.form) as expected_forms,
            count(latest.form) as received_forms,
            coalesce(max(first_seen.files), 0) as files,
            max(first_seen.received_at)::date as received_on,
            max(expected.due_on) as due_on,
            bool_and(exists (
                select 1 from intake.submission as s
                where s.period = expected.period and s.reporter_code = expected.reporter_code and s.form = expected.form
                    and s.received_at::date <= expected.due_on
            )) as is_on_time,
            count(*) filter (where latest.outcome in ('accepted', 'accepted_with_findings')) as accepted_forms,
            coalesce(sum(latest.rows_accepted), 0) as rows_accepted,
            coalesce(sum(latest.rows_held), 0) as rows_held,
            coalesce(max(problem.e), 0), coalesce(max(problem.r), 0), coalesce(max(problem.w), 0)
        from intake.expected_report as expected
        join intake.reporter using (reporter_code)
        left join latest using (reporter_code, form)
        left join first_seen using (reporter_code)
        left join problem using (reporter_code)
        where expected.period = %(period)s
        group by reporter.reporter_code, reporter.reporter_name
        order by reporter.reporter_code
        """,
        {"period": period},
    ).fetchall()
    shown: list[tuple[Any, ...]] = []
    for name, expected, received, files, received_on, due_on, on_time, accepted, loaded, held, e, r, w in rows:
        if not files and not received:
            shown.append((name, f"0/{expected}", "—", "未报送", "—", "—", "—"))
            continue
        if not received:
            punctual = "—"
        elif on_time:
            punctual = "按时"
        elif received_on > due_on:
            punctual = f"迟报 {received_on.month}-{received_on.day}"
        else:
            punctual = "未按时报齐"
        if accepted == expected:
            verdict = "通过" if not (e or r or w) else "通过（有问题）"
        elif accepted:
            verdict = f"部分通过 {accepted}/{expected}"
        else:
            verdict = "退回"
        shown.append((name, f"{received}/{expected}", punctual, verdict, loaded, held, f"{e}/{r}/{w}"))
    return shown


def reporter_table(conn: psycopg.Connection, period: str) -> str:
    """The period's reporters as a table, with a total line."""
    rows = reporter_rows(conn, period)
    numbers = [[int(part) for part in str(row[6]).split("/")] for row in rows if row[6] != "—"]
    sums = [sum(column) for column in zip(*numbers, strict=True)] if numbers else [0, 0, 0]
    total = (
        f"合计 {len(rows)} 个单位",
        "",
        f"按时 {sum(row[2] == '按时' for row in rows)}",
        f"通过 {sum(str(row[3]).startswith('通过') for row in rows)}",
        sum(row[4] for row in rows if row[4] != "—"),
        sum(row[5] for row in rows if row[5] != "—"),
        "/".join(map(str, sums)),
    )
    headers = ("报送单位", "收到表数", "按时", "结果", "入库行数", "暂扣行数", "问题数 E/R/W")
    return table(headers, [*rows, total], right=(4, 5, 6))


def file_line(conn: psycopg.Connection, periods: Sequence[str]) -> str:
    """How many files were received for the periods and what became of them, in one line."""
    rows = conn.execute(
        "select outcome, count(*) from intake.received_file where period = any(%s) or period is null group by outcome",
        (list(periods),),
    ).fetchall()
    counts: dict[str, int] = {outcome: number for outcome, number in rows}
    words = {
        "processed": "已处理",
        "refused": "退回",
        "duplicate": "重复",
        "pending": "待读",
        "awaiting_approval": "待批准的更正",
        "rejected": "未批准的更正",
    }
    parts = "，".join(f"{label} {key} {counts[key]}" for key, label in words.items() if counts.get(key))
    return f"收到文件 files received: {sum(counts.values())}（{parts or '无 none'}）"


def waiting_line(conn: psycopg.Connection) -> str | None:
    """What the office has to decide, in one line with the command that lists it; ``None`` when there is nothing."""
    corrections = len(waiting_corrections(conn))
    reports = len(waiting_drafts(conn))
    explained = _one(conn, "select count(distinct finding_key) from intake.finding where state = 'explained'", ())
    if not corrections and not explained and not reports:
        return None
    return (
        f"等待指挥部决定 for the office to decide: 封账后更正 {corrections} 份，情况说明 {explained} 条，"
        f"月报稿 {reports} 份；列出 list: make office"
    )


def unplaced_table(conn: psycopg.Connection, periods: Sequence[str]) -> str | None:
    """Files of the periods that belong to no reporter, and files of no period; ``None`` when there is none."""
    rows = conn.execute(
        "select channel_path, outcome_zh from intake.received_file"
        " where (period is null or (period = any(%s) and reporter_code is null)) and outcome = 'refused'"
        " order by channel_path",
        (list(periods),),
    ).fetchall()
    return table(("文件", "原因"), rows) if rows else None


def findings_table(conn: psycopg.Connection, period: str, cap: int = FINDINGS_SHOWN) -> str:
    """The period's standing findings with file, sheet, cell and message, the gravest first; the totals are said."""
    ever = _one(conn, "select count(*) from intake.finding where period = %s", (period,))
    total = _one(conn, f"select count(*) from ({_STANDING}) as standing", {"period": period})
    gone = f"；另有 {ever - total} 条已在后来的版本中改正或由新版本接续，不再列出" if ever > total else ""
    if not total:
        return f"没有发现问题 / no findings{gone}"
    rows = conn.execute(
        f"""
        select standing.code, file.file_name, standing.sheet, standing.cell, standing.message_zh
        from ({_STANDING}) as standing join intake.received_file as file using (receipt_id)
        order by
            position(standing.severity in 'ERW'), file.file_name, standing.sheet, standing.source_row,
            standing.finding_id
        limit %(cap)s
        """,
        {"period": period, "cap": cap},
    ).fetchall()
    shown = table(("代码", "文件", "工作表", "单元格", "问题和改法"), rows)
    listed = f"，列出前 {len(rows)} 条，其余见退回表" if total > len(rows) else ""
    more = f"（共 {total} 条{listed}{gone}）"
    return f"{shown}\n{more}"


def run_table(runs: Sequence[DagRun], periods: Sequence[str]) -> str:
    """Airflow's own account: the latest run of each DAG and period, in the order of the flow."""
    latest: dict[tuple[str, int], DagRun] = {}
    for run in sorted(runs, key=lambda run: run.run_after):
        if run.period in periods:
            latest[run.period or "", DAG_IDS.index(run.dag_id)] = run
    rows = [
        (run.dag_id, run.period, run.run_type, run.state, f"{run.seconds:.1f}" if run.seconds is not None else "")
        for _, run in sorted(latest.items())
    ]
    return table(("DAG", "分区 partition", "触发 type", "状态 state", "秒 s"), rows, right=(4,))


def timing_table(conn: psycopg.Connection, periods: Sequence[str]) -> str:
    """Seconds inside the steps of each period, as the pipeline measured them."""
    rows = []
    for period in periods:
        build = conn.execute("select seconds from intake.build where period = %s", (period,)).fetchone()
        spent: Mapping[str, float] = build[0] if build else {}
        report = conn.execute(
            "select seconds, figures_checked from intake.publication where period = %s order by issue_no desc limit 1",
            (period,),
        ).fetchone()
        rows.append(
            (
                period,
                *(f"{spent[step]:.1f}" if step in spent else "" for step in ("read", "validate", "load", "dbt")),
                f"{report[0]:.1f}" if report else "",
                report[1] if report else "",
            )
        )
    headers = ("报告期", "读取 read", "校验 validate", "入库 load", "集市 dbt", "报告 report", "核对数字 figures")
    return table(headers, rows, right=range(1, 7))


def refusal_line(conn: psycopg.Connection, period: str) -> str | None:
    """Who did not approve the period's report, and why; ``None`` when nobody did that."""
    draft = latest_draft(conn, period)
    if draft is None or draft.state != "refused":
        return None
    return f"未获批准 refused（{draft.decided_by}：{draft.decision_reason_zh}）；再议 ask again: make office"


def publication_rows(conn: psycopg.Connection, periods: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """period -> (issue number, maturity, reason, figures reconciled) of the report last issued."""
    rows = conn.execute(
        """
        select distinct on (period) period, issue_no, maturity, reason_zh, figures_checked
        from intake.publication where period = any(%s) order by period, issue_no desc
        """,
        (list(periods),),
    ).fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


def report_files(conn: psycopg.Connection, outbox: Path, period: str) -> list[Path]:
    """Files of the province's report last issued, those that lie in the outbox."""
    names = conn.execute(
        """
        select file_name from intake.publication_file
        where period = %(period)s and edition = 'province'
            and issue_no = (select max(issue_no) from intake.publication where period = %(period)s)
        order by file_name
        """,
        {"period": period},
    ).fetchall()
    return [path for (name,) in names if (path := outbox / period / name).is_file()]


def edition_line(conn: psycopg.Connection, period: str) -> str | None:
    """How many editions of cities and counties the last issue has and what was sent; ``None`` without any."""
    issue = (
        "period = %(period)s and issue_no = (select max(issue_no) from intake.publication where period = %(period)s)"
    )
    counts: dict[str, int] = dict(
        conn.execute(
            f"select split_part(edition, '.', 1), count(distinct edition) from intake.publication_file where {issue}"
            " group by 1",
            {"period": period},
        ).fetchall()
    )
    sent = conn.execute(
        f"select channel, count(*) filter (where state = 'sent'), count(*) from intake.delivery where {issue}"
        " and channel <> 'outbox' group by channel order by channel",
        {"period": period},
    ).fetchall()
    parts = [f"{word} {counts[level]}" for level, word in (("city", "分市"), ("county", "分县")) if counts.get(level)]
    parts += [f"{channel} {done}/{all_}" for channel, done, all_ in sent]
    return "，".join(parts) or None


def returned_line(outbox: Path, period: str) -> str:
    """How many workbooks went back to the counties, by what they ask for."""
    folder = outbox / period / RETURNS
    parts = []
    for kind in (TO_MEND, TO_CHECK, RECEIPT):
        number = sum(1 for path in folder.rglob(f"*-{kind}.xlsx") if path.is_file())
        if number:
            parts.append(f"{kind} {number}")
    return "，".join(parts) or "无 none"


def _one(conn: psycopg.Connection, query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Any:
    row = conn.execute(query, parameters).fetchone()
    return row[0] if row else None
