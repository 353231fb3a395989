"""What has outlived its time. Nothing is changed here.

Months count from the day on which a month closed (or closed again, when it had been reopened). A month counts only when
it is closed and nothing of it waits: no file, no correction, no report.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.backup.manifest import Manifest, backups_in
from include.intake.calendar import SHANGHAI
from include.intake.landing import LandingStore
from include.ledger.removals import Removal
from include.publishing.drafts import folder_of
from include.retention.rules import Rule, Rules
from include.settings import Settings

_PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
GONE_ZH = "（填报内容已按保存期限清除）"
#: States in which nobody asks about a finding any more.
SETTLED = ("mended", "accepted", "expired")


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule would remove.

    Attributes:
        removals: one a file, folder, or table, month and reporter.
        kept_back: why evidence stays although its time is over (no backup holds it); empty otherwise.
    """

    rule: Rule
    removals: tuple[Removal, ...] = ()
    kept_back: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the rules look at."""

    conn: psycopg.Connection[Any]
    settings: Settings
    rules: Rules
    today: date

    def cutoff(self, name: str) -> date | None:
        return self.rules[name].cutoff(self.today)


def closed_before(conn: psycopg.Connection[Any], cutoff: date) -> list[str]:
    """Months that closed before the day and of which nothing waits, oldest first."""
    rows = conn.execute(
        """
        select month.period from intake.reporting_period as month
        where
            month.state = 'closed' and greatest(month.closes_on, month.reopened_until) < %s
            and not exists (
                select 1 from intake.received_file as file
                where file.period = month.period and file.outcome in ('pending', 'awaiting_approval')
            )
            and not exists (
                select 1 from intake.report_draft as draft
                where draft.period = month.period and draft.state in ('waiting', 'approved', 'releasing')
            )
        order by month.period
        """,
        (cutoff,),
    )
    return [period for (period,) in rows.fetchall()]


def find_all(scene: Scene) -> list[Found]:
    """What each rule would remove, in the order of the rules."""
    newest = next(iter(reversed(backups_in(scene.settings.backup))), None)
    manifest = newest[1] if newest else None
    return [
        find(scene, manifest)
        for find in (
            _originals, _personal_columns, _held_rows, _finding_details, _work_leftovers, _old_drafts, _task_logs,
            _old_backups,
        )
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------ evidence of a month


def _originals(scene: Scene, backup: Manifest | None) -> Found:
    rule = scene.rules["landing_originals"]
    if (cutoff := scene.cutoff(rule.name)) is None:
        return Found(rule)
    store = LandingStore(scene.settings.landing)
    rows = scene.conn.execute(
        """
        select sha256, min(period), case when count(distinct reporter_code) = 1 then min(reporter_code) end
        from intake.received_file
        group by sha256
        having bool_and(
            case
                when period is null then received_at < %(cutoff)s and outcome not in ('pending', 'awaiting_approval')
                else period = any(%(periods)s)
            end
        )
        order by 2 nulls first, 3, 1
        """,
        {"cutoff": cutoff, "periods": closed_before(scene.conn, cutoff)},
    ).fetchall()
    present = [
        Removal(rule.name, f"landing/{sha256}", 1, store.path_of(sha256).stat().st_size, period, reporter, sha256)
        for sha256, period, reporter in rows
        if store.path_of(sha256).is_file() and not is_fresh(store.path_of(sha256), scene.today)
    ]
    if not scene.rules.needs_backup:
        return Found(rule, tuple(present))
    held = [
        one
        for one in present
        if backup and f"landing/{one.sha256[:2]}/{one.sha256}" in backup.files  # type: ignore[index]
    ]
    kept = len(present) - len(held)
    return Found(rule, tuple(held), f"{kept} files are not in the newest backup" if kept else "")


def _personal_columns(scene: Scene, backup: Manifest | None) -> Found:
    tables = scene.conn.execute(
        "select relname from pg_class where relnamespace = 'restricted'::regnamespace and relkind = 'r' order by 1"
    ).fetchall()
    return _rows(scene, backup, "personal_columns", [("restricted", name) for (name,) in tables])


def _held_rows(scene: Scene, backup: Manifest | None) -> Found:
    return _rows(scene, backup, "held_rows", [("intake", "held_row")])


def _rows(scene: Scene, backup: Manifest | None, name: str, tables: Sequence[tuple[str, str]]) -> Found:
    """Rows of closed months that belong to a submission."""
    rule = scene.rules[name]
    if (cutoff := scene.cutoff(name)) is None:
        return Found(rule)
    periods, kept_back = _backed_up(scene, backup, closed_before(scene.conn, cutoff))
    found = []
    for table in tables:
        counted = scene.conn.execute(
            sql.SQL(
                "select submission.period, submission.reporter_code, count(*), sum(pg_column_size(line.*))"
                " from {} as line inner join intake.submission as submission using (submission_id)"
                " where submission.period = any(%s) group by 1, 2 order by 1, 2"
            ).format(sql.Identifier(*table)),
            (periods,),
        )
        found += [Removal(name, ".".join(table), rows, int(size), p, r) for p, r, rows, size in counted.fetchall()]
    return Found(rule, tuple(found), kept_back)


def _finding_details(scene: Scene, backup: Manifest | None) -> Found:
    rule = scene.rules["finding_details"]
    if (cutoff := scene.cutoff(rule.name)) is None:
        return Found(rule)
    periods, kept_back = _backed_up(scene, backup, closed_before(scene.conn, cutoff))
    counted = scene.conn.execute(
        """
        select period, reporter_code, count(*),
            sum(coalesce(octet_length(value), 0) + octet_length(params::text) + octet_length(message_zh))
        from intake.finding
        where period = any(%s) and state = any(%s) and message_zh <> %s group by 1, 2 order by 1, 2
        """,
        (periods, list(SETTLED), GONE_ZH),
    )
    return Found(
        rule,
        tuple(Removal(rule.name, "intake.finding", rows, size, p, r) for p, r, rows, size in counted.fetchall()),
        kept_back,
    )


def _backed_up(scene: Scene, backup: Manifest | None, periods: list[str]) -> tuple[list[str], str]:
    """The months whose rows the newest backup holds: it was made after they had closed."""
    if not scene.rules.needs_backup or not periods:
        return periods, ""
    made = datetime.fromisoformat(backup.made_at).astimezone(SHANGHAI).date() if backup else date.min
    held = [period for period in closed_before(scene.conn, made) if period in periods]
    kept = len(periods) - len(held)
    return held, f"{kept} months are not in the newest backup" if kept else ""


# ------------------------------------------------------------------------------------------------- files and folders


def _work_leftovers(scene: Scene, backup: Manifest | None) -> Found:
    rule = scene.rules["work_leftovers"]
    if (cutoff := scene.cutoff(rule.name)) is None:
        return Found(rule)
    found = []
    for period in closed_before(scene.conn, date.max):
        place = scene.settings.work / period
        for folder in sorted(place.iterdir()) if place.is_dir() and _PERIOD.fullmatch(period) else ():
            count, size, newest = _measured([folder])
            if newest < cutoff:
                found.append(Removal(rule.name, f"work/{period}/{folder.name}", count, size, period))
    return Found(rule, tuple(found))


def _old_drafts(scene: Scene, backup: Manifest | None) -> Found:
    rule = scene.rules["old_drafts"]
    if (cutoff := scene.cutoff(rule.name)) is None:
        return Found(rule)
    rows = scene.conn.execute(
        "select period, draft_no from intake.report_draft where state in ('refused', 'superseded')"
        " and coalesce(decided_at, rendered_at) < %s and period = any(%s) order by 1, 2",
        (cutoff, closed_before(scene.conn, date.max)),
    ).fetchall()
    found = []
    for period, number in rows:
        folder = folder_of(scene.settings.drafts, period, number)
        if folder.is_dir():
            count, size, _ = _measured([folder])
            found.append(Removal(rule.name, f"drafts/{period}/{number}", count, size, period))
    return Found(rule, tuple(found))


def _task_logs(scene: Scene, backup: Manifest | None) -> Found:
    rule = scene.rules["task_logs"]
    if (cutoff := scene.cutoff(rule.name)) is None or not scene.settings.logs.is_dir():
        return Found(rule)
    found = []
    for folder in sorted(path for path in scene.settings.logs.iterdir() if path.is_dir() and not path.is_symlink()):
        old = list(old_files(folder, cutoff))
        if old:
            count, size, _ = _measured(old)
            found.append(Removal(rule.name, f"logs/{folder.name}", count, size))
    return Found(rule, tuple(found))


def _old_backups(scene: Scene, backup: Manifest | None) -> Found:
    rule = scene.rules["old_backups"]
    if (cutoff := scene.cutoff(rule.name)) is None:
        return Found(rule)
    complete = backups_in(scene.settings.backup)
    beyond = complete[: max(len(complete) - (scene.rules["backups_at_least"].value or len(complete)), 0)]
    return Found(
        rule,
        tuple(
            Removal(rule.name, f"backup/{path.name}", len(manifest.files), manifest.size)
            for path, manifest in beyond
            if datetime.fromisoformat(manifest.made_at).astimezone(SHANGHAI).date() < cutoff
        ),
    )


def is_fresh(path: Path, today: date) -> bool:
    """Whether an original came (again) yesterday or later: its row of the ledger may not be written yet."""
    return _day(path) >= today - timedelta(days=1)


def old_files(folder: Path, cutoff: date) -> Iterator[Path]:
    """Files below a folder last written before the day."""
    for base, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(base) / name
            try:
                if _day(path) < cutoff:
                    yield path
            except FileNotFoundError:
                continue  # rotated away meanwhile


def _measured(paths: Sequence[Path]) -> tuple[int, int, date]:
    """Number and bytes of the files below these, and the day on which the last was written."""
    files = [path for path in paths if not path.is_dir()]
    for path in paths:
        files += [Path(base) / name for base, _, names in os.walk(path) for name in names]
    days = [_day(path) for path in [*files, *paths]]
    return len(files), sum(path.lstat().st_size for path in files), max(days, default=date.min)


def _day(path: Path) -> date:
    return datetime.fromtimestamp(path.lstat().st_mtime, SHANGHAI).date()


def summed(found: Sequence[Found]) -> Mapping[str, tuple[int, int]]:
    """Rule to number and bytes of what it would remove."""
    return {
        one.rule.name: (sum(r.item_count for r in one.removals), sum(r.byte_count for r in one.removals))
        for one in found
    }
