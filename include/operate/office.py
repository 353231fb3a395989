"""What the command office decides by hand: ``make office ARGS="…"``, or ``python -m include.operate.office …``.

Without arguments it lists what waits for a decision. Texts are Chinese, for the office; errors of the system itself
are English, for engineers.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from datetime import datetime

import psycopg

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, PeriodError, check_period, load_rules
from include.intake.reporters import load_reporters
from include.intake.workers import Workers
from include.ledger.findings import decide_explanations
from include.ledger.periods import (
    PeriodRefused,
    WaitingCorrection,
    approve_correction,
    close_period,
    find_period,
    reject_correction,
    reopen_period,
    waiting_corrections,
)
from include.notify.wording import texts as channel_words
from include.operate.summary import table
from include.publishing.approval import DecisionRefused, waiting_drafts
from include.publishing.approval import resubmit as resubmit_draft
from include.publishing.wording import issue_zh, maturity_zh
from include.publishing.wording import texts as publishing_texts
from include.returns.month import return_reporter
from include.settings import get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.locking import alone
from include.warehouse.migrate import MigrationError, migrate

DIFFERENCES_SHOWN = 40
_STATES = {
    "open": "待处理",
    "explained": "已说明，待审核",
    "accepted": "说明已采纳",
    "mended": "已改正",
    "expired": "已失效",
}
_NEXT_RUN = "下一次收集（make up 时每半小时一次，或再次 make run）会读取并更新月报。"


_HOW_TO_APPROVE = (
    '  批准：make office ARGS="approve --period 报告期 --reporter 代码 --reason 理由"；不批准的用 reject 代替 approve'
)
_HOW_TO_ACCEPT = (
    '  采纳：make office ARGS="accept --period 报告期 --reporter 代码 --reason 理由"，一条规则的加 --code 规则；\n'
    "  不采纳的用 decline 代替 accept"
)
_HOW_TO_DECIDE = (
    "  待批准的在 Airflow 网页“3 发布月报”的“需要的操作”中决定；未批准而要再议的：\n"
    '  make office ARGS="resubmit --period 报告期 --reason 理由"，再以该报告期为分区键触发“3 发布月报”'
)
_HOW_TO_DECLINE = "  这类问题说明了也不能入库，仍须改正；看过后用 decline 注明意见，退回表会写明"


def waiting(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """What waits: corrections after closing, explanations to be reviewed (of what must be mended: to be read)."""
    corrections = waiting_corrections(conn, chosen.period)
    explained = _explained(conn, chosen.period, None)
    parts = []
    if corrections:
        listed = [(c.period, c.reporter_code, c.reporter_name, c.file_name, _text(c.received_at)) for c in corrections]
        parts.append("待批准的封账后更正\n" + table(("报告期", "代码", "报送单位", "文件", "收到时间"), listed))
        parts.append(_HOW_TO_APPROVE)
    headers = ("报告期", "报送单位", "规则", "单元格", "内容", "情况说明")
    for title, how, rows in (
        ("待审核的情况说明", _HOW_TO_ACCEPT, [r[1:] for r in explained if r[3][0] == "W"]),
        ("必须改正的问题上的情况说明", _HOW_TO_DECLINE, [r[1:] for r in explained if r[3][0] != "W"]),
    ):
        if rows:
            parts.append(f"{title}\n" + table(headers, rows))
            parts.append(how)
    drafts = waiting_drafts(conn, chosen.period)
    if drafts:
        listed_drafts = [
            (
                d.period, d.draft_no, issue_zh(d.issue_no) or "首次发布", maturity_zh(d.maturity),
                publishing_texts()["states"][d.state], _text(d.rendered_at), d.decided_by, d.decision_reason_zh,
            )
            for d in drafts
        ]  # fmt: skip
        of_drafts = ("报告期", "第几份稿", "期次", "性质", "状态", "生成时间", "经办", "理由")
        parts.append("待批准、未批准的月报\n" + table(of_drafts, listed_drafts))
        parts.append(_HOW_TO_DECIDE)
    return "\n".join(parts) if parts else "没有等待决定的事项"


def _explained(
    conn: psycopg.Connection, period: str | None, reporter: str | None, code: str | None = None
) -> list[tuple[int, str, str, str, str, str, str]]:
    return conn.execute(
        """
        select distinct on (finding.finding_id)
            finding.finding_id, finding.period, reporter.reporter_name, finding.code,
            concat_ws('!', finding.sheet, finding.cell), coalesce(finding.value, ''), explanation.text_zh
        from intake.finding
        join intake.reporter using (reporter_code)
        join intake.finding as asked
            on asked.finding_key = finding.finding_key and asked.value is not distinct from finding.value
        join intake.explanation on explanation.finding_id = asked.finding_id
        where
            (
                finding.state = 'explained'
                or finding.state = 'open' and finding.severity <> 'W' and explanation.decision is null
            )
            and finding.period = coalesce(%(period)s, finding.period)
            and (%(reporter)s::text is null or %(reporter)s in (reporter.reporter_code, reporter.reporter_name))
            and finding.code = coalesce(%(code)s, finding.code)
        order by finding.finding_id, explanation.explanation_id desc
        """,
        {"period": period, "reporter": reporter, "code": code},
    ).fetchall()


def reopen(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Reopen a closed month."""
    rules = load_rules(get_settings().reporting_file)
    until, taken = reopen_period(
        conn, chosen.period, rules, actor=chosen.actor, reason_zh=chosen.reason, now=datetime.now(SHANGHAI)
    )
    released = f"；等待中的 {taken} 份更正已放行" if taken else ""
    return f"{chosen.period} 重新开放到 {until}，过后自动封账{released}。{_NEXT_RUN}"


def close(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Close a reopened month."""
    close_period(conn, chosen.period, actor=chosen.actor, reason_zh=chosen.reason, now=datetime.now(SHANGHAI))
    return f"{chosen.period} 已封账；此后收到的文件须经批准。"


def _chosen_corrections(conn: psycopg.Connection, chosen: argparse.Namespace) -> list[WaitingCorrection]:
    corrections = waiting_corrections(conn, chosen.period)
    found = [c for c in corrections if chosen.reporter in (c.reporter_code, c.reporter_name)]
    if not found:
        raise PeriodRefused(f"{chosen.period} 没有“{chosen.reporter}”等待批准的更正；不带参数运行可列出全部")
    return found


def approve(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Approve a reporter's corrections of a month."""
    found = _chosen_corrections(conn, chosen)
    now = datetime.now(SHANGHAI)
    count = sum(approve_correction(conn, correction, chosen.actor, chosen.reason, now) for correction in found)
    return f"已批准 {found[0].reporter_name} {chosen.period} 的 {count} 份更正。{_NEXT_RUN}"


def reject(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Turn a reporter's corrections of a month down."""
    found = _chosen_corrections(conn, chosen)
    now = datetime.now(SHANGHAI)
    count = sum(reject_correction(conn, correction, chosen.actor, chosen.reason, now) for correction in found)
    return f"未批准 {found[0].reporter_name} {chosen.period} 的 {count} 份更正；原件保留，台账和退回表注明理由。"


def _decide(conn: psycopg.Connection, chosen: argparse.Namespace, accept: bool) -> str:
    found = _explained(conn, chosen.period, chosen.reporter, chosen.code)
    if accept:
        found = [row for row in found if row[3][0] == "W"]
    if not found:
        raise PeriodRefused("没有符合条件、等待审核的情况说明；不带参数运行可列出全部")
    decided = decide_explanations(
        conn,
        [row[0] for row in found],
        accept=accept,
        actor=chosen.actor,
        reason_zh=chosen.reason,
        now=datetime.now(SHANGHAI),
    )
    return f"{'采纳' if accept else '未采纳'}了 {decided} 条情况说明。"


def accept(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Accept explanations."""
    return _decide(conn, chosen, accept=True)


def decline(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Do not accept explanations: their findings are open again."""
    return _decide(conn, chosen, accept=False) + "相应问题重新待处理，退回表会写明。"


def _return_again(conn: psycopg.Connection, period: str, named: str) -> None:
    """Give the reporter its workbook with what was decided; the county looks there."""
    reporters = load_reporters(get_settings().reporters_file)
    with alone(f"load {period}"), Workers() as workers:
        for reporter in reporters:
            if named in (reporter.reporter_code, reporter.reporter_name):
                return_reporter(conn, period, reporter, workers)


def show(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """The ledger of a month, or of one reporter in it."""
    month = find_period(conn, check_period(chosen.period))
    if month is None:
        raise PeriodRefused(f"台账里没有 {chosen.period}：还没有收到过这个月的报表，请检查报告期是否写对")
    state = {"open": "报送中", "closed": "已封账", "reopened": f"重新开放到 {month.reopened_until}"}[month.state]
    note = "" if month.is_calendar_known else "（当年放假安排尚未公布，截止日暂按周一至周五推算）"
    if chosen.reporter:
        chosen.reporter = _code_of(conn, chosen.reporter)
    lines = [f"{chosen.period}  截止 {month.due_on}，封账 {month.closes_on}，{state}{note}"]
    for headers, statement in _SHOWN:
        rows = conn.execute(statement, {"period": chosen.period, "reporter": chosen.reporter}).fetchall()
        if rows:
            lines.append("\n" + table(headers, [[_text(cell) for cell in row] for row in rows]))
    if chosen.reporter:
        lines += _difference_lines(conn, chosen)
    return "\n".join(lines)


def _code_of(conn: psycopg.Connection, named: str) -> str:
    row = conn.execute(
        "select reporter_code from intake.reporter where %s in (reporter_code, reporter_name)", (named,)
    ).fetchone()
    if row is None:
        raise PeriodRefused(f"没有报送单位“{named}”，请写代码或全称")
    return str(row[0])


_SHOWN: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("收到时间", "报送单位", "文件", "处理结果"),
        """
        select file.received_at, reporter.reporter_name, file.file_name, file.outcome_zh
        from intake.received_file as file left join intake.reporter as reporter using (reporter_code)
        where file.period = %(period)s and (%(reporter)s::text is null or file.reporter_code = %(reporter)s)
        order by file.receipt_id
        """,
    ),
    (
        ("报送单位", "表种", "版本", "更正", "入库", "暂扣", "与上一版相比"),
        """
        select reporter.reporter_name, s.form, s.version,
            case when s.revision_no > 0 then '第' || s.revision_no || '次' end, s.rows_accepted, s.rows_held,
            case when s.outcome = 'refused' then '退回' when c.submission_id is not null then
                '改动' || c.cells_changed || '格，增' || c.rows_added || '行，减' || c.rows_removed || '行' end
        from intake.submission as s
        join intake.reporter using (reporter_code)
        left join intake.version_comparison as c using (submission_id)
        where s.period = %(period)s and s.reporter_code = coalesce(%(reporter)s, s.reporter_code)
            and (%(reporter)s is not null or s.version > 1 or s.outcome = 'refused')
        order by reporter.reporter_code, s.form, s.version
        """,
    ),
    (
        ("报送单位", "状态", "E", "R", "W"),
        """
        select reporter.reporter_name, finding.state, count(*) filter (where severity = 'E'),
            count(*) filter (where severity = 'R'), count(*) filter (where severity = 'W')
        from intake.finding join intake.reporter using (reporter_code)
        where finding.period = %(period)s and finding.reporter_code = coalesce(%(reporter)s, finding.reporter_code)
        group by reporter.reporter_code, reporter.reporter_name, finding.state
        order by reporter.reporter_code, position(finding.state in 'open explained accepted mended expired')
        """,
    ),
    (
        ("时间", "月报稿", "经过", "经办", "理由", "文件摘要"),
        """
        select happened_at, '第' || draft_no || '份', event, actor, reason_zh, left(files_sha256, 16)
        from intake.report_event where period = %(period)s and %(reporter)s::text is null order by event_id
        """,
    ),
    (
        ("版本", "渠道", "收件方", "状态", "次数", "最近", "结果"),
        """
        select edition, channel, recipient, state, attempts, tried_at, result_zh from intake.delivery
        where period = %(period)s and %(reporter)s::text is null and channel <> 'outbox'
            and draft_no = (select max(draft_no) from intake.publication where period = %(period)s)
        order by case when edition = 'province' then 0 else 1 end, edition, channel
        """,
    ),
    (
        ("时间", "事项", "经办", "理由"),
        """
        select happened_at, event, actor, reason_zh from intake.period_event
        where period = %(period)s and coalesce(reporter_code, '') = coalesce(%(reporter)s, reporter_code, '')
        order by event_id
        """,
    ),
)
_EVENTS = {
    "closed": "封账",
    "reopened": "重新开放",
    "correction_approved": "批准更正",
    "correction_rejected": "不批准更正",
}


def _text(cell: object) -> object:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    if isinstance(cell, str):
        words = publishing_texts()
        return (
            _STATES.get(cell)
            or _EVENTS.get(cell)
            or words["events"].get(cell)
            or words["delivery_states"].get(cell)
            or channel_words()["channels"].get(cell)
            or _form_zh(cell)
        )
    return cell


def _form_zh(name: str) -> str:
    form = load_forms().get(name)
    return form.title_zh if form else name


def _column_zh(form: str, column: str | None) -> str | None:
    known = load_forms()[form].columns.get(column or "")
    return known.label_zh if known else column


def _difference_lines(conn: psycopg.Connection, chosen: argparse.Namespace) -> list[str]:
    rows = conn.execute(
        """
        select s.form, s.version, d.change, d.row_label, d.column_name, d.cell_before, d.value_before, d.cell_after,
            d.value_after
        from intake.version_difference as d join intake.submission as s using (submission_id)
        where s.period = %s and s.reporter_code = %s order by s.form, s.version, d.difference_id
        """,
        (chosen.period, chosen.reporter),
    ).fetchall()
    if not rows:
        return []
    words = {"changed": "改动", "added": "增加", "removed": "减少"}
    shown = [
        (_form_zh(f), f"第{v}版", words[change], label, _column_zh(f, column), before_cell, before, after_cell, after)
        for f, v, change, label, column, before_cell, before, after_cell, after in rows[:DIFFERENCES_SHOWN]
    ]
    headers = ("表种", "版本", "变化", "行", "栏目", "原单元格", "原值", "新单元格", "新值")
    more = f"\n共 {len(rows)} 处，列出 {DIFFERENCES_SHOWN} 处；全部见 intake.version_difference"
    return ["\n" + table(headers, shown) + (more if len(rows) > DIFFERENCES_SHOWN else "")]


def resubmit(conn: psycopg.Connection, chosen: argparse.Namespace) -> str:
    """Let a report that was not approved be asked about again."""
    draft = resubmit_draft(conn, chosen.period, actor=chosen.actor, reason_zh=chosen.reason, now=datetime.now(SHANGHAI))
    return (
        f"{chosen.period} 第{draft.draft_no}份月报稿将重新请示："
        "下一次收集后自动进行，或以该报告期为分区键触发“3 发布月报”。"
    )


_COMMANDS: dict[str, Callable[[psycopg.Connection, argparse.Namespace], str]] = {
    "waiting": waiting,
    "show": show,
    "reopen": reopen,
    "close": close,
    "approve": approve,
    "reject": reject,
    "accept": accept,
    "decline": decline,
    "resubmit": resubmit,
}


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog='make office ARGS="…"', description="指挥部：待办事项、封账与更正、情况说明审核")
    commands = top.add_subparsers(dest="command", metavar="命令")
    helps = {
        "waiting": "列出待批准的更正和待审核的情况说明（不带参数时即此项）",
        "show": "一个月的台账：文件、版本、差异、问题状态",
        "reopen": "重新开放已封账的月份",
        "close": "提前结束重新开放",
        "approve": "批准封账后的更正",
        "reject": "不批准封账后的更正",
        "accept": "采纳情况说明",
        "decline": "不采纳情况说明",
        "resubmit": "未获批准的月报重新请示",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--period", required=name != "waiting", help="报告期，如 2026-10")
        if name in ("show", "approve", "reject", "accept", "decline"):
            command.add_argument("--reporter", required=name != "show", help="报送单位代码或名称")
        if name in ("accept", "decline"):
            command.add_argument("--code", help="规则代码，如 W-WAG-001；不写则为全部")
        if name not in ("waiting", "show"):
            command.add_argument("--reason", required=True, help="理由，记入台账")
            command.add_argument("--actor", default=getpass.getuser(), help="经办人，默认为当前用户")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 2 for a request that cannot be carried out."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = parser().parse_args(given or ["waiting"])
    try:
        with connect(autocommit=True) as conn:
            migrate(conn)
            with conn.transaction():
                said = _COMMANDS[chosen.command](conn, chosen)
            print(said)
            if chosen.command in ("reject", "accept", "decline"):
                _return_again(conn, chosen.period, chosen.reporter)
    except (DecisionRefused, PeriodRefused, PeriodError) as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    except (WarehouseUnreachableError, EmbeddedPostgresError, MigrationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
