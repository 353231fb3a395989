"""Where each reporter stands in a month: what is missing, refused, held back, or waits for an answer.

Reads the ledger and changes nothing. All functions take an open psycopg connection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.rows import class_row

from include.intake.calendar import end_of

FormOutcome = Literal["missing", "refused", "accepted"]


@dataclass(frozen=True, slots=True)
class FormStanding:
    """One form that a reporter owes.

    Attributes:
        outcome: of the newest version; ``missing`` when none was read.
        version: newest version, 0 when there is none.
        version_in_use: newest version that was accepted, 0 when there is none.
        rows_held: rows of the version in use that are held back.
        is_late: the first accepted version came after the due day.
        received_at: when the newest version came, ``None`` when there is none.
    """

    form: str
    outcome: FormOutcome
    version: int
    version_in_use: int
    rows_held: int
    is_late: bool
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding is: sheet, cell and row (1-based) of the file as sent; ``None`` where it is about more."""

    sheet: str | None
    cell: str | None
    row: int | None


@dataclass(frozen=True, slots=True)
class OpenFindings:
    """The open findings of one code in one form of one file.

    Attributes:
        form: ``None`` for the file as a whole.
        number: how many, exact.
        message_zh: of the first of them: what is wrong and what to do, masked where personal.
        places: the first of them.
    """

    form: str | None
    file_name: str
    code: str
    severity: Literal["E", "R", "W"]
    rule_zh: str
    message_zh: str
    number: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One reporter in one month.

    Attributes:
        forms: the forms owed, in the order given.
        findings: open ones, gravest first.
        files_waiting: files received and not read yet.
        files_awaiting_approval: files that came after the month had closed and wait for the office.
    """

    reporter_code: str
    reporter_name: str
    is_sample: bool
    forms: tuple[FormStanding, ...]
    findings: tuple[OpenFindings, ...]
    files_waiting: int
    files_awaiting_approval: int

    def in_state(self, outcome: FormOutcome) -> tuple[FormStanding, ...]:
        """The forms whose newest version has this outcome."""
        return tuple(form for form in self.forms if form.outcome == outcome)

    def of_severity(self, severity: str) -> tuple[OpenFindings, ...]:
        """The open findings of a severity; of a form that was refused only those that refused it, since it must be
        sent anew as a whole."""
        refused = {form.form for form in self.in_state("refused")}
        return tuple(
            finding
            for finding in self.findings
            if finding.severity == severity and (severity == "E" or finding.form not in refused)
        )

    @property
    def rows_held(self) -> int:
        """Rows held back of the forms that are not refused."""
        return sum(form.rows_held for form in self.in_state("accepted"))

    @property
    def is_late(self) -> bool:
        return any(form.is_late for form in self.forms)

    @property
    def is_settled(self) -> bool:
        """Every form accepted in its newest version and nothing open: there is nothing to remind of."""
        return all(form.outcome == "accepted" for form in self.forms) and not self.findings


@dataclass(frozen=True, slots=True)
class _FormRow:
    reporter_code: str
    reporter_name: str
    is_sample: bool
    form: str
    due_at: datetime
    outcome: str | None
    version: int
    version_in_use: int
    rows_held: int
    received_at: datetime | None
    first_accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class _FindingRow:
    reporter_code: str
    receipt_id: int
    submission_id: str | None
    form: str | None
    file_name: str
    code: str
    severity: Literal["E", "R", "W"]
    rule: str
    message_zh: str
    sheet: str | None
    cell: str | None
    source_row: int | None
    number: int


@dataclass(frozen=True, slots=True)
class OpenCount:
    """How many findings of one code are open in the forms of one kind of one reporter; exact.

    Attributes:
        form: ``None`` for files as a whole.
    """

    reporter_code: str
    form: str | None
    severity: Literal["E", "R", "W"]
    code: str
    number: int


def standings(
    conn: psycopg.Connection,
    period: str,
    form_order: Sequence[str],
    *,
    places: int,
    reporters: Collection[str] | None = None,
) -> tuple[Standing, ...]:
    """Every reporter expected in the month, by code.

    Args:
        form_order: names of the forms in the order in which they are to be told; others follow by name.
        places: how many places of each code to name; 0 leaves the findings out, where :func:`open_counts` says enough.
        reporters: codes of those wanted; without, all.
    """
    chosen = None if reporters is None else list(reporters)
    forms: dict[str, list[_FormRow]] = defaultdict(list)
    for row in _form_rows(conn, period, chosen):
        forms[row.reporter_code].append(row)
    findings: dict[str, list[_FindingRow]] = defaultdict(list)
    for found in _finding_rows(conn, period, places, chosen) if places else ():
        findings[found.reporter_code].append(found)
    waiting = _files(conn, period)
    rank = {form: position for position, form in enumerate(form_order)}
    return tuple(
        Standing(
            reporter_code=code,
            reporter_name=rows[0].reporter_name,
            is_sample=rows[0].is_sample,
            forms=tuple(
                _form_standing(row) for row in sorted(rows, key=lambda row: (rank.get(row.form, len(rank)), row.form))
            ),
            findings=_grouped(findings[code]),
            files_waiting=waiting.get((code, "pending"), 0),
            files_awaiting_approval=waiting.get((code, "awaiting_approval"), 0),
        )
        for code, rows in sorted(forms.items())
    )


def open_counts(conn: psycopg.Connection, period: str) -> list[OpenCount]:
    """The open findings of known reporters in a month, counted: the numbers that :func:`standings` tells, summed over
    the files of a form."""
    with conn.cursor(row_factory=class_row(OpenCount)) as cursor:
        return cursor.execute(
            """
            with listed as (
                select reporter_code, form, severity, code, count(*) as number
                from intake.finding
                where period = %(period)s and state = 'open' and reporter_code is not null
                group by reporter_code, form, severity, code
            ),
            -- Of each code no more than so many are kept one by one; the tally has the rest.
            beyond as (
                select reporter_code, form, severity, code, sum(more) as number
                from (
                    select distinct finding.reporter_code, finding.form, finding.severity, finding.code, tally.tally_id,
                        tally.found - tally.stored as more
                    from intake.finding_tally as tally
                    join intake.finding as finding
                        on finding.receipt_id = tally.receipt_id and finding.code = tally.code
                            and finding.submission_id is not distinct from tally.submission_id
                    where
                        tally.found > tally.stored
                        and finding.period = %(period)s and finding.state = 'open' and finding.reporter_code is not null
                ) as one
                group by reporter_code, form, severity, code
            )
            select reporter_code, form, severity, code, sum(number)::integer as number
            from (select * from listed union all select * from beyond) as each_way
            group by reporter_code, form, severity, code
            order by reporter_code, position(severity in 'ERW'), form nulls last, code
            """,
            {"period": period},
        ).fetchall()


def _form_standing(row: _FormRow) -> FormStanding:
    outcome: FormOutcome = "missing"
    if row.outcome is not None:
        outcome = "refused" if row.outcome == "refused" else "accepted"
    return FormStanding(
        form=row.form,
        outcome=outcome,
        version=row.version,
        version_in_use=row.version_in_use,
        rows_held=row.rows_held,
        is_late=row.first_accepted_at is not None and row.first_accepted_at > row.due_at,
        received_at=row.received_at,
    )


def _form_rows(conn: psycopg.Connection, period: str, reporters: list[str] | None) -> list[_FormRow]:
    with conn.cursor() as cursor:
        cursor.execute(
            """
            select
                expected.reporter_code, reporter.reporter_name, reporter.is_sample, expected.form, expected.due_on,
                newest.outcome, coalesce(newest.version, 0), coalesce(used.version, 0), coalesce(used.rows_held, 0),
                newest.received_at, first_accepted.received_at
            from intake.expected_report as expected
            join intake.reporter as reporter using (reporter_code)
            left join lateral (
                select s.version, s.outcome, s.received_at from intake.submission as s
                where s.period = expected.period and s.reporter_code = expected.reporter_code and s.form = expected.form
                order by s.version desc limit 1
            ) as newest on true
            left join lateral (
                select s.version, s.rows_held from intake.submission as s
                where s.period = expected.period and s.reporter_code = expected.reporter_code and s.form = expected.form
                    and s.outcome <> 'refused'
                order by s.version desc limit 1
            ) as used on true
            left join lateral (
                select min(s.received_at) as received_at from intake.submission as s
                where s.period = expected.period and s.reporter_code = expected.reporter_code and s.form = expected.form
                    and s.outcome <> 'refused'
            ) as first_accepted on true
            where expected.period = %(period)s
                and (%(reporters)s::text[] is null or expected.reporter_code = any(%(reporters)s))
            order by expected.reporter_code, expected.form
            """,
            {"period": period, "reporters": reporters},
        )
        return [
            _FormRow(code, name, is_sample, form, end_of(due_on), *rest)
            for code, name, is_sample, form, due_on, *rest in cursor.fetchall()
        ]


def _finding_rows(conn: psycopg.Connection, period: str, places: int, reporters: list[str] | None) -> list[_FindingRow]:
    """The first open findings of each code, each with the exact number of its code: of a code with more findings than
    the ledger keeps one by one, those it does not keep count as open as long as one that it keeps is."""
    with conn.cursor(row_factory=class_row(_FindingRow)) as cursor:
        return cursor.execute(
            """
            with numbered as (
                select finding.*, count(*) over same as listed, row_number() over (
                    partition by finding.reporter_code, finding.receipt_id, finding.submission_id, finding.form,
                        finding.code
                    order by finding.sheet, finding.source_row, finding.column_name, finding.finding_id
                ) as position
                from intake.finding as finding
                where finding.period = %(period)s and finding.state = 'open' and finding.reporter_code is not null
                    and (%(reporters)s::text[] is null or finding.reporter_code = any(%(reporters)s))
                window same as (
                    partition by finding.reporter_code, finding.receipt_id, finding.submission_id, finding.form,
                        finding.code
                )
            )
            select
                numbered.reporter_code, numbered.receipt_id, numbered.submission_id, numbered.form, file.file_name,
                numbered.code, numbered.severity, numbered.rule, numbered.message_zh, numbered.sheet, numbered.cell,
                numbered.source_row,
                (numbered.listed + coalesce(tally.found - tally.stored, 0))::integer as number
            from numbered
            join intake.received_file as file using (receipt_id)
            left join intake.finding_tally as tally
                on tally.receipt_id = numbered.receipt_id and tally.code = numbered.code
                    and tally.submission_id is not distinct from numbered.submission_id
            where numbered.position <= %(places)s
            order by numbered.reporter_code, position(numbered.severity in 'ERW'), numbered.form nulls last,
                numbered.receipt_id, numbered.code, numbered.position
            """,
            {"period": period, "places": places, "reporters": reporters},
        ).fetchall()


def _grouped(rows: Sequence[_FindingRow]) -> tuple[OpenFindings, ...]:
    groups: dict[tuple[int, str | None, str | None, str], list[_FindingRow]] = defaultdict(list)
    for row in rows:
        groups[row.receipt_id, row.submission_id, row.form, row.code].append(row)
    return tuple(
        OpenFindings(
            form=first.form,
            file_name=first.file_name,
            code=first.code,
            severity=first.severity,
            rule_zh=first.rule,
            message_zh=first.message_zh,
            number=first.number,
            places=tuple(Place(row.sheet, row.cell, row.source_row) for row in (first, *rest)),
        )
        for first, *rest in groups.values()
    )


def _files(conn: psycopg.Connection, period: str) -> dict[tuple[str, str], int]:
    rows = conn.execute(
        """
        select reporter_code, outcome, count(*) from intake.received_file
        where period = %s and outcome in ('pending', 'awaiting_approval') and reporter_code is not null
        group by reporter_code, outcome
        """,
        (period,),
    )
    return {(code, outcome): number for code, outcome, number in rows}
