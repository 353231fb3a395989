"""What the status page shows, read from the ledger. All functions take an open psycopg connection; moments are aware.

How a reporter stands in a month is :func:`include.ledger.standing.standings`, the same that reminders are written from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

#: Months on one page of the overview.
MONTHS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class MonthLine:
    """A reporting period at a glance; reporters are counted, not forms.

    Attributes:
        state: ``open``, ``closed`` or ``reopened`` (until ``reopened_until``).
        expected: reporters that owe forms.
        covered: every form owed has an accepted version; what the coverage of the report means.
        missing: a form owed was never read. ``refused``: the newest version of one was refused. ``late``: the first
            accepted version of one came after the due day.
        to_mend: reporters with an open finding that refuses a form or holds a row back. ``to_answer``: with a warning
            and nothing graver.
        awaiting_approval: files that came after the month had closed and wait for the office.
        build_run: key of the run that built the marts, ``None`` before the first build.
        issue_no: of the report last issued, ``None`` before the first; 0 is the first issue, N the N-th correction.
        maturity: ``provisional`` or ``final``.
        coverage: share of reporters covered when it was issued, 0 to 1.
        draft_state: of a report that is not out yet: ``waiting`` for a decision, ``approved`` or ``releasing``.
        unsent: editions of the report last issued that a channel has not taken.
    """

    period: str
    state: str
    due_on: date
    closes_on: date
    reopened_until: date | None
    expected: int
    covered: int
    missing: int
    refused: int
    late: int
    to_mend: int
    to_answer: int
    awaiting_approval: int
    build_run: str | None
    built_at: datetime | None
    issue_no: int | None
    maturity: str | None
    coverage: Decimal | None
    published_at: datetime | None
    draft_state: str | None
    unsent: int


@dataclass(frozen=True, slots=True)
class Version:
    """A form that somebody sent: its newest version. Outcomes as in the ledger."""

    reporter_code: str
    form: str
    version: int
    outcome: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file and what became of it."""

    file_name: str
    channel: str
    received_at: datetime
    outcome: str
    outcome_zh: str
    period: str | None
    reporter_name: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A report that was rendered.

    Attributes:
        issue_no: the issue it would be, or is: 0 for the first, N for the N-th correction.
        state: ``waiting`` for a decision, ``approved``, ``releasing``, ``issued``, ``refused`` or ``superseded``.
        missing: names of the reporters whose forms are not all accepted.
        asked_in: key of the run that asked a person, ``None`` where nobody is asked.
        decided_by: who decided, ``None`` when nobody did.
    """

    period: str
    draft_no: int
    issue_no: int
    maturity: str
    reason_zh: str
    coverage: Decimal
    missing: list[str]
    figures_checked: int
    state: str
    rendered_at: datetime
    asked_in: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason_zh: str | None


@dataclass(frozen=True, slots=True)
class Released:
    """A file of an issue: the edition it belongs to, its place below the month's folder of the outbox, its bytes."""

    edition: str
    file_name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One edition over one channel.

    Attributes:
        draft_no: the draft that was sent; an issue that was upgraded from provisional to final has had several.
        state: ``pending``, ``sending``, ``sent``, ``refused`` by the receiver, or ``superseded`` by a later report.
        attempts: how often it was tried.
    """

    draft_no: int
    edition: str
    channel: str
    recipient: str
    state: str
    attempts: int
    result_zh: str
    tried_at: datetime | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of a month's report.

    Attributes:
        issue_no: 0 for the first, N for the N-th correction.
        draft_no: the draft that it is.
        coverage: share of reporters covered, 0 to 1.
        approved_by: ``None`` where no approval is asked for.
    """

    period: str
    issue_no: int
    draft_no: int | None
    maturity: str
    reason_zh: str
    coverage: Decimal
    data_cutoff: datetime | None
    figures_checked: int
    published_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    files: tuple[Released, ...]
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A figure that a correction prints otherwise; ``None`` where an issue does not print it."""

    label: str
    before: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """Explanations of one rule by one reporter that wait for the office; what they say is left to ``make office``."""

    period: str
    reporter_code: str
    reporter_name: str
    code: str
    rule_zh: str
    findings: int


def month_names(conn: psycopg.Connection[Any]) -> list[str]:
    """All reporting periods, newest first."""
    return [period for (period,) in conn.execute("select period from intake.reporting_period order by period desc")]


def month_lines(
    conn: psycopg.Connection[Any], *, period: str | None = None, offset: int = 0, limit: int = MONTHS_SHOWN
) -> list[MonthLine]:
    """Periods at a glance, newest first; with ``period`` that one alone (none when the ledger does not know it)."""
    with conn.cursor(row_factory=class_row(MonthLine)) as cursor:
        return cursor.execute(
            """
            with month as materialized (
                select * from intake.reporting_period
                where period = coalesce(%(period)s, period)
                order by period desc offset %(offset)s limit %(limit)s
            ),
            sent as (
                select
                    period, reporter_code, form,
                    min(received_at) filter (where outcome <> 'refused') as accepted_at,
                    (array_agg(outcome order by version desc))[1] as newest
                from intake.submission
                where period in (select period from month)
                group by period, reporter_code, form
            ),
            reporter as (
                select
                    owed.period,
                    bool_and(sent.accepted_at is not null) as is_covered,
                    bool_or(sent.newest is null) as is_missing,
                    bool_or(sent.newest = 'refused') as is_refused,
                    bool_or(sent.accepted_at::date > owed.due_on) as is_late
                from intake.expected_report as owed
                left join sent using (period, reporter_code, form)
                where owed.period in (select period from month)
                group by owed.period, owed.reporter_code
            ),
            counted as (
                select
                    period,
                    count(*) as expected,
                    count(*) filter (where is_covered) as covered,
                    count(*) filter (where is_missing) as missing,
                    count(*) filter (where is_refused) as refused,
                    count(*) filter (where is_late) as late
                from reporter
                group by period
            ),
            asked as (
                select
                    period,
                    count(*) filter (where is_grave) as to_mend,
                    count(*) filter (where not is_grave) as to_answer
                from (
                    select period, bool_or(severity <> 'W') as is_grave
                    from intake.finding
                    where state = 'open' and reporter_code is not null and period in (select period from month)
                    group by period, reporter_code
                ) as one
                group by period
            ),
            waiting as (
                select period, count(*) as files
                from intake.received_file
                where outcome = 'awaiting_approval' and period in (select period from month)
                group by period
            )
            select
                month.period, month.state, month.due_on, month.closes_on, month.reopened_until,
                coalesce(counted.expected, 0) as expected,
                coalesce(counted.covered, 0) as covered,
                coalesce(counted.missing, 0) as missing,
                coalesce(counted.refused, 0) as refused,
                coalesce(counted.late, 0) as late,
                coalesce(asked.to_mend, 0) as to_mend,
                coalesce(asked.to_answer, 0) as to_answer,
                coalesce(waiting.files, 0) as awaiting_approval,
                build.run_key as build_run, build.built_at,
                issue.issue_no, issue.maturity, issue.coverage, issue.published_at,
                draft.state as draft_state, coalesce(sent.left_over, 0) as unsent
            from month
            left join counted using (period)
            left join asked using (period)
            left join waiting using (period)
            left join intake.build using (period)
            left join lateral (
                select issue_no, draft_no, maturity, coverage, published_at from intake.publication
                where publication.period = month.period order by issue_no desc limit 1
            ) as issue on true
            left join intake.report_draft as draft
                on draft.period = month.period and draft.state in ('waiting', 'approved', 'releasing')
            left join lateral (
                select count(*) as left_over from intake.delivery
                where delivery.period = month.period and delivery.draft_no = issue.draft_no
                    and delivery.state in ('pending', 'sending', 'refused')
            ) as sent on true
            order by month.period desc
            """,
            {"period": period, "offset": offset, "limit": limit},
        ).fetchall()


def not_owed(conn: psycopg.Connection[Any], period: str) -> dict[str, list[Version]]:
    """By reporter: the newest versions of forms that it sent without owing them."""
    with conn.cursor(row_factory=class_row(Version)) as cursor:
        rows = cursor.execute(
            """
            select distinct on (reporter_code, form) reporter_code, form, version, outcome, received_at
            from intake.submission
            where
                period = %(period)s
                and not exists (
                    select 1 from intake.expected_report as owed
                    where owed.period = submission.period and owed.reporter_code = submission.reporter_code
                        and owed.form = submission.form
                )
            order by reporter_code, form, version desc
            """,
            {"period": period},
        ).fetchall()
    by_reporter: dict[str, list[Version]] = defaultdict(list)
    for row in rows:
        by_reporter[row.reporter_code].append(row)
    return dict(by_reporter)


def files_of(conn: psycopg.Connection[Any], period: str, reporter_code: str) -> list[ReceivedFile]:
    """Every file of a reporter's month, newest first."""
    return _files(conn, "file.period = %s and file.reporter_code = %s", (period, reporter_code))


def files_unplaced(conn: psycopg.Connection[Any], limit: int) -> list[ReceivedFile]:
    """Refused files that belong to no month or no reporter, newest first: somebody has to ask who sent them."""
    return _files(
        conn, "file.outcome = 'refused' and (file.period is null or file.reporter_code is null)", (), limit=limit
    )


def _files(
    conn: psycopg.Connection[Any], condition: str, values: tuple[Any, ...], limit: int | None = None
) -> list[ReceivedFile]:
    with conn.cursor(row_factory=class_row(ReceivedFile)) as cursor:
        return cursor.execute(
            f"""
            select file.file_name, file.channel, file.received_at, file.outcome, file.outcome_zh, file.period,
                reporter.reporter_name
            from intake.received_file as file
            left join intake.reporter as reporter using (reporter_code)
            where {condition}
            order by file.received_at desc, file.receipt_id desc
            limit %s
            """.encode(),
            (*values, limit),
        ).fetchall()


def drafts(conn: psycopg.Connection[Any], period: str | None, states: Sequence[str] | None = None) -> list[Draft]:
    """Drafts of a month, or of all; in these states, or in any. Newest first."""
    with conn.cursor(row_factory=class_row(Draft)) as cursor:
        return cursor.execute(
            """
            select period, draft_no, issue_no, maturity, reason_zh, coverage, missing, figures_checked, state,
                rendered_at, asked_in, decided_by, decided_at, decision_reason_zh
            from intake.report_draft
            where period = coalesce(%s, period) and (%s::text[] is null or state = any(%s))
            order by period desc, draft_no desc
            """,
            (period, states, states),
        ).fetchall()


def issues(conn: psycopg.Connection[Any], period: str) -> list[Issue]:
    """Every issue of a month's report, newest first, with its files and where they went."""
    files: dict[int, list[Released]] = defaultdict(list)
    for issue_no, *facts in conn.execute(
        "select issue_no, edition, file_name, sha256 from intake.publication_file where period = %s order by file_name",
        (period,),
    ):
        files[issue_no].append(Released(*facts))
    deliveries: dict[int, list[Delivery]] = defaultdict(list)
    for issue_no, *facts in conn.execute(
        """
        select issue_no, draft_no, edition, channel, recipient, state, attempts, result_zh, tried_at, sent_at
        from intake.delivery where period = %s
        order by issue_no, draft_no desc, channel, edition <> 'province', edition
        """,
        (period,),
    ):
        deliveries[issue_no].append(Delivery(*facts))
    with conn.cursor(row_factory=dict_row) as cursor:
        published = cursor.execute(
            """
            select period, issue_no, draft_no, maturity, reason_zh, coverage, data_cutoff, figures_checked,
                published_at, approved_by, approved_at
            from intake.publication where period = %s
            order by issue_no desc
            """,
            (period,),
        ).fetchall()
    return [
        Issue(**facts, files=tuple(files[facts["issue_no"]]), deliveries=tuple(deliveries[facts["issue_no"]]))
        for facts in published
    ]


def changed(conn: psycopg.Connection[Any], period: str, issue_no: int) -> list[Changed]:
    """Figures of the province that an issue prints otherwise than the one before it, in the order of the report; none
    when the figures of one of the two were not kept."""
    with conn.cursor(row_factory=class_row(Changed)) as cursor:
        return cursor.execute(
            """
            with printed as (
                select issue_no, key, position, label, printed from intake.publication_figure
                where period = %(period)s and edition = 'province' and issue_no in (%(before)s, %(now)s)
            ),
            before as (select * from printed where issue_no = %(before)s),
            now as (select * from printed where issue_no = %(now)s)
            select coalesce(now.label, before.label) as label, before.printed as before, now.printed as now
            from now full join before using (key)
            where
                now.printed is distinct from before.printed
                and (select count(distinct issue_no) from printed) = 2
            order by coalesce(now.position, before.position), key
            """,
            {"period": period, "before": issue_no - 1, "now": issue_no},
        ).fetchall()


def explained(conn: psycopg.Connection[Any]) -> list[Explained]:
    """Findings that a county explained and nobody has judged yet, newest month first."""
    with conn.cursor(row_factory=class_row(Explained)) as cursor:
        return cursor.execute(
            """
            select finding.period, finding.reporter_code, reporter.reporter_name, finding.code,
                min(finding.rule) as rule_zh, count(distinct finding.finding_id) as findings
            from intake.explanation as explanation
            join intake.finding as asked using (finding_id)
            join intake.finding as finding
                on finding.finding_key = asked.finding_key and finding.value is not distinct from asked.value
            join intake.reporter as reporter on reporter.reporter_code = finding.reporter_code
            where
                explanation.decision is null
                and (finding.state = 'explained' or finding.state = 'open' and finding.severity <> 'W')
            group by finding.period, finding.reporter_code, reporter.reporter_name, finding.code
            order by finding.period desc, finding.reporter_code, finding.code
            """
        ).fetchall()
