"""The findings in the ledger, from the day they are met to the day they are settled.

A finding carries a key (问题编号) that stays the same from version to version: the reporter, the month, the form, the
rule, the column, and the row known by the form's ``row_key``. By it a new version tells what was mended, what stands
as before, and which problem an explanation of the county answers.

States: ``open`` -> ``explained`` (the county wrote 情况说明) -> ``accepted`` (the office agreed); ``mended`` (no longer
found in a newer version); ``expired`` (the same problem goes on in a newer version, or nobody asks any more).

All functions take an open psycopg connection and leave committing to the caller. Running any of them again with the
same arguments changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from include.quality.findings import Finding, FindingLog, entry
from include.warehouse.person_key import person_hash_key

LIVING = ("open", "explained", "accepted")
_KEY_DIGITS = 12
#: Characters of a value or fact that are kept; a cell can hold 32,767.
_TEXT_CHARACTERS = 500
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
RowIdentities = Mapping[tuple[str, int], str]
"""(sheet, row) -> the values of the form's ``row_key``, joined."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose findings they are: the file, the submission in it (``None``: the file itself), the month, the reporter."""

    receipt_id: int
    submission_id: str | None
    period: str | None
    reporter_code: str | None


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding as the ledger has it, with the newest explanation given under its key."""

    finding_id: int
    finding_key: str
    receipt_id: int
    submission_id: str | None
    code: str
    form: str | None
    sheet: str | None
    source_row: int | None
    column_name: str | None
    cell: str | None
    value: str | None
    params: Mapping[str, Any]
    state: str
    explanation: str | None
    decision: str | None
    decision_reason_zh: str | None

    @property
    def finding(self) -> Finding:
        """The finding itself."""
        return Finding(
            self.code,
            form=self.form,
            sheet=self.sheet,
            row=self.source_row,
            column=self.column_name,
            cell=self.cell,
            value=self.value,
            params=self.params,
        )


def finding_keys(findings: Sequence[Finding], owner: Owner, identities: RowIdentities) -> list[str]:
    """Keys of the findings of one owner, in their order; twelve hex digits each.

    A finding that blocks the form is about the form; others are about their row (where the row has no identity: about
    its place). Of several with the same key the second is told apart by its number. The digest is keyed, since the
    identity of a row may name a person.
    """
    seen: Counter[str] = Counter()
    keys = []
    secret = person_hash_key()
    for finding in findings:
        identity = ""
        if finding.severity != "E" and finding.row is not None:
            identity = identities.get((finding.sheet or "", finding.row)) or f"{finding.sheet}!{finding.row}"
        parts = (owner.reporter_code, owner.period, finding.form, finding.code, finding.column, identity)
        text = "\x1f".join(part or "" for part in parts)
        if finding.form is None:
            text += f"\x1f{finding.params.get('file', '')}\x1f{finding.sheet or ''}"
        seen[text] += 1
        digest = hmac.new(secret, f"{text}\x1f{seen[text]}".encode(), hashlib.sha256).hexdigest()
        keys.append(digest[:_KEY_DIGITS])
    return keys


def record_log(
    conn: psycopg.Connection, log: FindingLog, owner: Owner, first_seen: datetime, identities: RowIdentities
) -> None:
    """Enter the findings of a file or of a form in it: the detail kept, and the exact count of each code.

    A key that lives in the same reporter's month already gives the new finding its first sight, and, where the value is
    the same, its explanation's standing; the older one then is followed by the new one.
    """
    keys = finding_keys(log.detail, owner, identities)
    older = _living(conn, owner, keys)
    rows = []
    for finding, key in zip(map(_as_stored, log.detail), keys, strict=True):
        before = older.get(key)
        state = before[2] if before is not None and before[3] == finding.value else "open"
        rows.append(_row(finding, key, owner, before[1] if before is not None else first_seen, state))
    if rows:
        columns = list(rows[0])
        with conn.cursor() as cursor:
            cursor.executemany(
                f"insert into intake.finding ({', '.join(columns)}) values ({', '.join(f'%({c})s' for c in columns)})",
                rows,
            )
    if older:
        conn.execute(
            """
            update intake.finding as older set
                state = 'expired', followed_by = newer.finding_id, state_at = %(at)s,
                state_reason_zh = '后来的版本中仍有此问题，以新版本的为准'
            from intake.finding as newer
            where older.finding_id = any(%(ids)s) and newer.finding_key = older.finding_key
                and newer.finding_id > older.finding_id and newer.receipt_id = %(receipt)s
                and newer.submission_id is not distinct from %(submission)s
            """,
            {
                "at": first_seen,
                "ids": [before[0] for before in older.values()],
                "receipt": owner.receipt_id,
                "submission": owner.submission_id,
            },
        )
    _add_tallies(conn, log, owner)


def _living(
    conn: psycopg.Connection, owner: Owner, keys: Sequence[str]
) -> dict[str, tuple[int, datetime, str, str | None]]:
    if owner.period is None or owner.reporter_code is None or not keys:
        return {}  # two files that belong to nobody are not versions of each other, whatever their names
    rows = conn.execute(
        """
        select distinct on (finding_key) finding_key, finding_id, first_seen, state, value from intake.finding
        where finding_key = any(%s) and state = any(%s)
            and (receipt_id, submission_id) is distinct from (%s::bigint, %s::text)
        order by finding_key, finding_id desc
        """,
        (list(keys), list(LIVING), owner.receipt_id, owner.submission_id),
    )
    return {key: (finding_id, first_seen, state, value) for key, finding_id, first_seen, state, value in rows}


def storable(text: str) -> str:
    """The text without what PostgreSQL does not take: NUL, which the strings of old binary workbooks can carry, and
    halves of surrogate pairs."""
    return _UNSTORABLE.sub("", text)


def _as_stored(finding: Finding) -> Finding:
    """The finding with texts that the ledger takes, and of a length that a person reads."""
    return replace(
        finding,
        sheet=None if finding.sheet is None else storable(finding.sheet),
        value=None if finding.value is None else _short(finding.value),
        params={name: _storable_fact(fact) for name, fact in finding.params.items()},
    )


def _storable_fact(fact: Any) -> Any:
    if isinstance(fact, float) and not math.isfinite(fact):
        return str(fact)  # JSON has no such number
    return _short(fact) if isinstance(fact, str) else fact


def _short(text: str) -> str:
    kept = storable(text)
    return kept if len(kept) <= _TEXT_CHARACTERS else f"{kept[:_TEXT_CHARACTERS]}……"


def _row(finding: Finding, key: str, owner: Owner, first_seen: datetime, state: str) -> dict[str, Any]:
    return {
        "receipt_id": owner.receipt_id,
        "submission_id": owner.submission_id,
        "period": owner.period,
        "reporter_code": owner.reporter_code,
        "code": finding.code,
        "severity": finding.severity,
        "form": finding.form,
        "sheet": finding.sheet,
        "source_row": finding.row,
        "column_name": finding.column,
        "cell": finding.cell,
        "value": finding.value,
        "params": Jsonb(dict(finding.params)),
        "message_zh": finding.message_zh,
        "rule": entry(finding.code).title_zh,
        "first_seen": first_seen,
        "state": state,
        "finding_key": key,
    }


def _add_tallies(conn: psycopg.Connection, log: FindingLog, owner: Owner) -> None:
    stored = Counter(finding.code for finding in log.detail)
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.finding_tally (receipt_id, submission_id, code, severity, found, stored)
            values (%s, %s, %s, %s, %s, %s)
            on conflict (receipt_id, submission_id, code) do update set
                found = finding_tally.found + excluded.found, stored = finding_tally.stored + excluded.stored
            """,
            [
                (owner.receipt_id, owner.submission_id, code, code[0], found, stored[code])
                for code, found in sorted(log.counts.items())
            ],
        )


def has_tallies(conn: psycopg.Connection, owner: Owner) -> bool:
    """Whether the findings of this owner were entered already."""
    row = conn.execute(
        "select 1 from intake.finding_tally where receipt_id = %s and submission_id is not distinct from %s limit 1",
        (owner.receipt_id, owner.submission_id),
    ).fetchone()
    return row is not None


def settle_replaced(conn: psycopg.Connection, submission_id: str, at: datetime) -> None:
    """End what a newer version, read and not refused, no longer shows: the living findings of the same report's older
    versions are mended. Where the new version has more of a code than are kept one by one, nothing can be said of the
    single ones: they expire."""
    conn.execute(
        """
        with capped as (
            select distinct code from intake.finding_tally
            where submission_id = %(submission)s and found > stored
        )
        update intake.finding as older set
            state = case when older.code in (select code from capped) then 'expired' else 'mended' end,
            state_at = %(at)s,
            state_reason_zh = case
                when older.code in (select code from capped) then '第' || this.version || '版中此类问题过多，未逐条对照'
                else '第' || this.version || '版中已改正'
            end
        from intake.submission as this
        join intake.submission as previous using (form, period, reporter_code)
        where this.submission_id = %(submission)s and this.outcome <> 'refused'
            and previous.version < this.version and older.submission_id = previous.submission_id
            and older.state = any(%(living)s)
        """,
        {"submission": submission_id, "at": at, "living": list(LIVING)},
    )


def settle_files(conn: psycopg.Connection, period: str, reporter_code: str, at: datetime) -> None:
    """End the findings about whole files of a reporter's month that later files made good: a refused file when a later
    one came under its name, or once every form owed has an accepted version; notes on a file when its forms have newer
    versions."""
    conn.execute(
        """
        update intake.finding as older set
            state = 'mended', state_at = %(at)s, state_reason_zh = '已由后来的文件代替'
        from intake.received_file as file
        where older.receipt_id = file.receipt_id and older.submission_id is null and older.state = any(%(living)s)
            and file.period = %(period)s and file.reporter_code = %(reporter)s and file.outcome <> 'duplicate'
            and (
                exists (
                    select 1 from intake.received_file as later
                    where later.period = file.period and later.reporter_code = file.reporter_code
                        and later.receipt_id > file.receipt_id and later.outcome <> 'duplicate'
                        and (later.channel_path = file.channel_path or later.file_name = file.file_name)
                        and exists (
                            select 1 from intake.submission as s
                            where s.receipt_id = later.receipt_id and s.outcome <> 'refused'
                        )
                )
                or case
                    when exists (select 1 from intake.submission as s where s.receipt_id = file.receipt_id) then
                        not exists (
                            select 1 from intake.submission as s
                            where s.receipt_id = file.receipt_id and not exists (
                                select 1 from intake.submission as newer
                                where newer.form = s.form and newer.period = s.period
                                    and newer.reporter_code = s.reporter_code and newer.version > s.version
                            )
                        )
                    else
                        not exists (
                            select 1 from intake.expected_report as owed
                            where owed.period = file.period and owed.reporter_code = file.reporter_code
                                and not exists (
                                    select 1 from intake.submission as s
                                    where s.period = owed.period and s.reporter_code = owed.reporter_code
                                        and s.form = owed.form and s.outcome <> 'refused'
                                )
                        )
                        and exists (
                            select 1 from intake.submission as s
                            where s.period = file.period and s.reporter_code = file.reporter_code
                                and s.receipt_id > file.receipt_id and s.outcome <> 'refused'
                        )
                end
            )
        """,
        {"period": period, "reporter": reporter_code, "at": at, "living": list(LIVING)},
    )


def refresh_compared(
    conn: psycopg.Connection, submission_id: str, findings: Mapping[str, Finding], at: datetime
) -> set[str]:
    """Give living findings of a loaded form the facts of a comparison made anew; returns the keys that live.

    One whose facts changed waits for the county again: what was said of it was said of other figures.

    Args:
        findings: key -> finding, as the comparison gave it this time.
    """
    living = conn.execute(
        "select finding_id, finding_key, message_zh from intake.finding where submission_id = %s and state = any(%s)",
        (submission_id, list(LIVING)),
    ).fetchall()
    for finding_id, key, message_zh in living:
        if key not in findings:
            continue
        finding = _as_stored(findings[key])
        if finding.message_zh == message_zh:
            continue
        conn.execute(
            """
            update intake.finding set
                value = %s, params = %s, message_zh = %s, state = 'open', state_at = %s,
                state_reason_zh = '另一张表更正后对比结果有变化'
            where finding_id = %s
            """,
            (finding.value, Jsonb(dict(finding.params)), finding.message_zh, at, finding_id),
        )
    return {key for _, key, _ in living}


def settle_compared(
    conn: psycopg.Connection, submission_id: str, codes: Collection[str], still: Collection[str], at: datetime
) -> None:
    """End findings of a loaded form that came from comparing it with another form, when the comparison was made anew.

    Args:
        codes: codes that the comparison may give.
        still: keys of the findings that it gave this time.
    """
    conn.execute(
        """
        update intake.finding set state = 'mended', state_at = %s, state_reason_zh = '另一张表更正后已一致'
        where submission_id = %s and code = any(%s) and state = any(%s) and not finding_key = any(%s)
        """,
        (at, submission_id, list(codes), list(LIVING), list(still)),
    )


def record_explanations(
    conn: psycopg.Connection,
    answers: Iterable[tuple[str, str]],
    *,
    receipt_id: int,
    period: str,
    reporter_code: str,
    received_at: datetime,
) -> list[str]:
    """Keep what a county wrote into 情况说明, as (key, text); returns the keys that none of its findings of the month
    carries: those answers are not kept.

    An answer belongs to the newest finding of its key; a warning that is still open is then explained. The same text
    given before for the same value is no new answer: a returned workbook carries it along, and it must not undo what
    the office said to it. Two texts under one key are one answer.
    """
    texts: dict[str, list[str]] = {}
    for key, text in answers:
        if (said := storable(text)) and said not in texts.setdefault(key, []):
            texts[key].append(said)
    unknown = []
    for key, parts in texts.items():
        text = "；".join(parts)
        row = conn.execute(
            """
            select finding_id, value, state, severity from intake.finding
            where finding_key = %s and period = %s and reporter_code = %s order by finding_id desc limit 1
            """,
            (storable(key), period, reporter_code),
        ).fetchone()
        if row is None:
            unknown.append(storable(key))
            continue
        finding_id, value, state, severity = row
        known = conn.execute(
            """
            select text_zh, decision from intake.explanation join intake.finding using (finding_id)
            where finding_key = %s and value is not distinct from %s order by explanation_id desc limit 1
            """,
            (storable(key), value),
        ).fetchone()
        # open although explained: the other form of a comparison changed, and the same words are said of new figures
        is_reset = state == "open" and severity == "W" and known is not None and known[1] != "rejected"
        if known is not None and known[0] == text and not is_reset:
            continue
        entered = conn.execute(
            """
            insert into intake.explanation (finding_id, receipt_id, text_zh, received_at) values (%s, %s, %s, %s)
            on conflict (finding_id, receipt_id) do nothing returning explanation_id
            """,
            (finding_id, receipt_id, text, received_at),
        ).fetchone()
        if entered is not None:
            conn.execute(
                """
                update intake.finding set
                    state = 'explained', state_at = %s, state_reason_zh = '填报单位已写情况说明'
                where finding_id = %s and state = 'open' and severity = 'W'
                """,
                (received_at, finding_id),
            )
    return unknown


def current_findings(conn: psycopg.Connection, period: str, reporter_code: str) -> list[StoredFinding]:
    """The living findings of a reporter's month, gravest first, then by file, sheet and row; each with what the county
    wrote about this very value, since an explanation given for one does not cover another."""
    with conn.cursor(row_factory=class_row(StoredFinding)) as cursor:
        return cursor.execute(
            """
            select finding.finding_id, coalesce(finding.finding_key, '') as finding_key, finding.receipt_id,
                finding.submission_id, finding.code, finding.form, finding.sheet, finding.source_row,
                finding.column_name, finding.cell, finding.value, finding.params, finding.state,
                case when is_said then given.text_zh end as explanation,
                case when is_said then given.decision end as decision,
                case when is_said then given.decision_reason_zh end as decision_reason_zh
            from intake.finding
            left join lateral (
                select explanation.text_zh, explanation.decision, explanation.decision_reason_zh
                from intake.explanation join intake.finding as asked using (finding_id)
                where asked.finding_key = finding.finding_key and asked.value is not distinct from finding.value
                order by explanation_id desc limit 1
            ) as given on true
            -- of an open warning only what was not accepted: else the facts changed since it was said
            cross join lateral (
                select finding.state <> 'open' or finding.severity <> 'W' or given.decision = 'rejected'
            ) as shown (is_said)
            where period = %s and reporter_code = %s and state = any(%s)
            order by position(severity in 'ERW'), receipt_id, sheet, source_row, column_name, finding_id
            """,
            (period, reporter_code, list(LIVING)),
        ).fetchall()


def decide_explanations(
    conn: psycopg.Connection,
    finding_ids: Sequence[int],
    *,
    accept: bool,
    actor: str,
    reason_zh: str,
    now: datetime,
) -> int:
    """Accept the explanations of these findings, or send them back; returns how many were decided.

    A warning is then accepted or open again. What blocks the form or holds the row back stays open whatever is said of
    it, so its explanation can only be sent back.
    """
    decided = conn.execute(
        """
        update intake.finding set state = %(state)s, state_at = %(at)s, state_reason_zh = %(reason)s
        where finding_id = any(%(ids)s) and (
            state = 'explained'
            or not %(accept)s and state = 'open' and severity <> 'W' and exists (
                select 1 from intake.explanation join intake.finding as asked using (finding_id)
                where asked.finding_key = finding.finding_key and asked.value is not distinct from finding.value
                    and decision is null
            )
        )
        returning finding_key
        """,
        {
            "state": "accepted" if accept else "open",
            "at": now,
            "reason": f"说明已采纳：{reason_zh}" if accept else f"说明未采纳：{reason_zh}",
            "ids": list(finding_ids),
            "accept": accept,
        },
    ).fetchall()
    conn.execute(
        """
        update intake.explanation set decision = %s, decided_by = %s, decided_at = %s, decision_reason_zh = %s
        where decision is null and finding_id in (select finding_id from intake.finding where finding_key = any(%s))
        """,
        ("accepted" if accept else "rejected", actor, now, reason_zh, [row[0] for row in decided]),
    )
    return len(decided)


def expire_findings(conn: psycopg.Connection, closed_before: datetime, now: datetime) -> int:
    """Expire what nobody answered in months whose closing day lies before ``closed_before``; returns how many."""
    cursor = conn.execute(
        """
        update intake.finding as asked set
            state = 'expired', state_at = %s, state_reason_zh = '封账后不再追问'
        from intake.reporting_period as month
        where month.period = asked.period and month.state = 'closed' and month.closes_on < %s and asked.state = 'open'
        """,
        (now, closed_before.date()),
    )
    return cursor.rowcount
