"""The ledger: one row for every file received and every submission version.

All functions take an open psycopg connection and leave committing to the caller, so that a caller can put what
belongs together into one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from include.intake.channels import Arrival
from include.intake.reporters import Reporter

FileOutcome = Literal["pending", "processed", "refused", "duplicate", "awaiting_approval", "rejected"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A row of ``intake.received_file``."""

    receipt_id: int
    sha256: str
    file_name: str
    channel_path: str
    received_at: datetime
    period: str | None
    reporter_code: str | None
    is_sample: bool
    is_correction: bool
    outcome: str

    @property
    def folder(self) -> str:
        """The channel folders above the file, ``""`` at the root."""
        return self.channel_path.rpartition("/")[0]


_RECEIPT_COLUMNS = (
    "receipt_id, sha256, file_name, channel_path, received_at, period, reporter_code, is_sample, is_correction, outcome"
)


def sync_reporters(conn: psycopg.Connection, reporters: Sequence[Reporter]) -> None:
    """Mirror the configured list into ``intake.reporter``; one that left the list keeps its row, for its history."""
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.reporter
                (reporter_code, reporter_name, region_code, city_code, pilot_level, valid_from, valid_to, is_sample)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (reporter_code) do update set
                reporter_name = excluded.reporter_name, region_code = excluded.region_code,
                city_code = excluded.city_code, pilot_level = excluded.pilot_level,
                valid_from = excluded.valid_from, valid_to = excluded.valid_to, is_sample = excluded.is_sample
            """,
            [
                (
                    r.reporter_code,
                    r.reporter_name,
                    r.region_code,
                    r.city_code,
                    r.pilot_level,
                    r.valid_from,
                    r.valid_to,
                    r.is_sample,
                )
                for r in reporters
            ],
        )


def seen_arrivals(conn: psycopg.Connection, channel: str) -> set[tuple[str, datetime, int]]:
    """(path, time of change, size) of everything already in the ledger: these need not be read again."""
    rows = conn.execute(
        "select channel_path, coalesce(modified_at, received_at), size_bytes from intake.received_file"
        " where channel = %s",
        (channel,),
    )
    return {(path, changed_at, size) for path, changed_at, size in rows}


def same_content(
    conn: psycopg.Connection, sha256: str, channel: str, path: str, period: str | None, reporter_code: str | None
) -> Receipt | None:
    """The earliest receipt of the same bytes that was not refused and still stands.

    It counts for this period and reporter only, where they are known: an empty form told apart by its folder alone has
    the same bytes in every county. It no longer stands once other content came after it under ``path`` of the same
    channel: who sends the first file there again goes back to it. A copy through another channel does not.
    """
    with conn.cursor(row_factory=class_row(Receipt)) as cursor:
        return cursor.execute(
            f"""
            select {_RECEIPT_COLUMNS} from intake.received_file as file
            where sha256 = %(sha256)s and outcome in ('pending', 'processed', 'awaiting_approval')
                and period = coalesce(%(period)s, period) and reporter_code = coalesce(%(reporter_code)s, reporter_code)
                and not exists (
                    select 1 from intake.received_file as later
                    where later.channel = %(channel)s and later.channel_path = %(path)s and later.sha256 <> file.sha256
                        and later.receipt_id > file.receipt_id
                        and later.outcome in ('pending', 'processed', 'awaiting_approval')
                )
            order by receipt_id limit 1
            """,
            {"sha256": sha256, "channel": channel, "path": path, "period": period, "reporter_code": reporter_code},
        ).fetchone()


def record_file(
    conn: psycopg.Connection,
    arrival: Arrival,
    sha256: str,
    *,
    outcome: FileOutcome,
    outcome_zh: str,
    file_kind: str | None = None,
    period: str | None = None,
    reporter_code: str | None = None,
    is_sample: bool = False,
    is_correction: bool = False,
) -> int | None:
    """Enter a file; returns its receipt id, or ``None`` when this very sending is in the ledger already."""
    row = conn.execute(
        """
        insert into intake.received_file
            (sha256, file_name, channel, channel_path, size_bytes, received_at, file_kind, period, reporter_code,
             is_sample, is_correction, outcome, outcome_zh, modified_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (channel, channel_path, sha256, received_at) do nothing
        returning receipt_id
        """,
        (
            sha256, arrival.file_name, arrival.channel, arrival.path_in_channel, arrival.size_bytes,
            arrival.received_at, file_kind, period, reporter_code, is_sample, is_correction, outcome, outcome_zh,
            arrival.modified_at,
        ),
    ).fetchone()  # fmt: skip
    return row[0] if row else None


def set_file_outcome(conn: psycopg.Connection, receipt_id: int, outcome: FileOutcome, outcome_zh: str) -> None:
    """Write what became of a file."""
    conn.execute(
        "update intake.received_file set outcome = %s, outcome_zh = %s where receipt_id = %s",
        (outcome, outcome_zh, receipt_id),
    )


def pending_receipts(conn: psycopg.Connection, period: str) -> list[Receipt]:
    """Files of the period that wait to be read, in the order they were entered: of two files that a clerk sent one
    after the other the second is the correction, whatever time its copy carries."""
    with conn.cursor(row_factory=class_row(Receipt)) as cursor:
        return cursor.execute(
            f"select {_RECEIPT_COLUMNS} from intake.received_file where period = %s and outcome = 'pending'"
            " order by receipt_id",
            (period,),
        ).fetchall()


def receipts(conn: psycopg.Connection, receipt_ids: Sequence[int]) -> list[Receipt]:
    """The rows of these files, in the order they were entered."""
    with conn.cursor(row_factory=class_row(Receipt)) as cursor:
        return cursor.execute(
            f"select {_RECEIPT_COLUMNS} from intake.received_file where receipt_id = any(%s) order by receipt_id",
            (list(receipt_ids),),
        ).fetchall()


def pending_periods(conn: psycopg.Connection) -> list[str]:
    """Periods with files that wait to be read, oldest first."""
    rows = conn.execute("select distinct period from intake.received_file where outcome = 'pending' order by period")
    return [row[0] for row in rows]


def outdated_periods(conn: psycopg.Connection) -> list[str]:
    """Periods whose marts or issued report were made from other data than the ledger holds now, oldest first.

    A month of which nothing has arrived, known only because its counties are reminded, is not among them: there is
    nothing to report of it but who is missing, and that the reminders say. Nor is one whose report of these very data a
    person is being asked about, or did not approve.
    """
    rows = conn.execute(
        """
        select this.period
        from intake.period_input as this
        left join intake.build on build.period = this.period
        left join lateral (
            select p.input_hash from intake.publication as p
            where p.period = this.period order by p.issue_no desc limit 1
        ) as issued on true
        where
            (
                build.input_hash is distinct from this.input_hash
                or issued.input_hash is distinct from this.input_hash
                and not exists (
                    select 1 from intake.report_draft as draft
                    where draft.period = this.period and draft.input_hash = this.input_hash
                        and (draft.state in ('approved', 'releasing', 'refused')
                            or draft.state = 'waiting' and draft.asked_in is not null)
                )
            )
            and exists (select 1 from intake.received_file as file where file.period = this.period)
        order by this.period
        """
    )
    return [row[0] for row in rows]


def built_periods(conn: psycopg.Connection) -> list[str]:
    """Periods that have been built, oldest first."""
    return [row[0] for row in conn.execute("select period from intake.build order by period")]


def changed_builds(conn: psycopg.Connection) -> list[str]:
    """Periods whose marts were built from other data than the ledger holds now, oldest first."""
    rows = conn.execute(
        "select build.period from intake.build inner join intake.period_input as this on build.period = this.period"
        " where build.input_hash <> this.input_hash order by build.period"
    )
    return [row[0] for row in rows]


def built_input(conn: psycopg.Connection, period: str) -> str | None:
    """Digest of the ledger that the period's marts were last built from; ``None`` when they never were."""
    row = conn.execute("select input_hash from intake.build where period = %s", (period,)).fetchone()
    return None if row is None else str(row[0])


def input_hash(conn: psycopg.Connection, period: str) -> str:
    """Digest of the ledger that the period's marts are made from (view ``intake.period_input``)."""
    row = conn.execute("select input_hash from intake.period_input where period = %s", (period,)).fetchone()
    if row is None:
        raise LookupError(f"period {period} is not in the ledger; collect its files first")
    return str(row[0])


def record_build(
    conn: psycopg.Connection, period: str, run_key: str, digest: str, seconds: Mapping[str, float]
) -> None:
    """Write that the period's marts were built from the ledger state ``digest``; step times in seconds are merged."""
    conn.execute(
        """
        insert into intake.build (period, run_key, input_hash, seconds) values (%s, %s, %s, %s)
        on conflict (period) do update set
            run_key = excluded.run_key, input_hash = excluded.input_hash, seconds = excluded.seconds, built_at = now()
        """,
        (period, run_key, digest, Jsonb(dict(seconds))),
    )


def next_version(conn: psycopg.Connection, form: str, period: str, reporter_code: str) -> int:
    """Number of the next submission version of this report."""
    row = conn.execute(
        "select coalesce(max(version), 0) + 1 from intake.submission"
        " where form = %s and period = %s and reporter_code = %s",
        (form, period, reporter_code),
    ).fetchone()
    assert row is not None
    return int(row[0])
