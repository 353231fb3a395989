"""Retention over a ledger made by hand: two closed months, one open, and what lies in the folders beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from include.backup.manifest import BackupError, DatabaseState, FileEntry, Manifest, write_manifest
from include.backup.saving import save
from include.intake.landing import LandingStore
from include.intake.reporters import load_reporters
from include.ledger.entries import input_hash
from include.ledger.removals import removed_originals
from include.retention.applying import apply, run_retention, survey
from include.retention.finding_out import GONE_ZH, Found
from include.retention.rules import RetentionError, Rule, load_retention
from include.returns.month import month_of
from include.settings import PROJECT_ROOT, get_settings
from include.trace.__main__ import verification_zh
from include.trace.measures import Measure, TraceError
from include.trace.tracing import Cell, Question, Trace
from include.trace.verifying import verify
from include.warehouse.connection import connect

RULES = PROJECT_ROOT / "include" / "config" / "retention.yaml"
TODAY = date(2026, 11, 29)
OLD, RECENT, OPEN = "2020-01", "2026-09", "2026-10"
CLOSES = {OLD: date(2020, 2, 14), RECENT: date(2026, 10, 20), OPEN: date(2026, 11, 30)}
REPORTER = "450721"


class Killed(BaseException):
    """Stands for SIGKILL: nothing that catches errors catches it."""


def silent(line: str) -> None:
    """Takes progress and shows none."""


@pytest.fixture
def place(clean_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A ledger with one file, one personal row, one held row and two findings each month, and full folders."""
    for name in ("LANDING", "WORK", "DRAFTS", "BACKUP"):
        monkeypatch.setenv(f"{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path / "logs"))
    rules_are(tmp_path, monkeypatch, landing_originals=60, personal_columns=36, held_rows=36, finding_details=36)
    with connect() as conn:
        fill(conn, tmp_path)
    for folder, day in (("work/2020-01/killed", OLD), ("work/2026-10/running", OLD), ("drafts/2020-01/1", OLD)):
        written(tmp_path / folder / "file", day)
    written(tmp_path / "logs" / "dag_id=build_warehouse" / "run_id=1" / "attempt=1.log", OLD)
    written(tmp_path / "logs" / "dag_id=build_warehouse" / "run_id=2" / "attempt=1.log", RECENT)
    yield tmp_path
    monkeypatch.undo()
    get_settings.cache_clear()


def rules_are(folder: Path, monkeypatch: pytest.MonkeyPatch, *, needs_backup: bool = False, **values: int) -> None:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    document["needs_backup"] = needs_backup
    for name, value in values.items():
        document["rules"][name]["value"] = value
    (folder / "retention.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("RETENTION_FILE", str(folder / "retention.yaml"))
    get_settings.cache_clear()


def written(path: Path, period: str) -> Path:
    """A file last written in a month."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    aged(path, period)
    aged(path.parent, period)
    return path


def aged(path: Path, period: str) -> None:
    moment = datetime(int(period[:4]), int(period[5:]), 10, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))


def fill(conn: psycopg.Connection[Any], folder: Path) -> None:
    store = LandingStore(folder / "landing")
    conn.execute(
        "insert into intake.reporter values (%s, '灵山县', '450721', '450700', '市级试点', '2019-01-01', null, true)",
        (REPORTER,),
    )
    for number, (period, closes_on) in enumerate(CLOSES.items(), start=1):
        source = written(folder / f"{period}.xlsx", period)
        source.write_bytes(period.encode())
        sha256 = store.put(source)
        aged(store.path_of(sha256), period)
        conn.execute(
            "insert into intake.reporting_period (period, due_on, closes_on, state) values (%s, %s, %s, %s)",
            (period, closes_on, closes_on, "open" if period == OPEN else "closed"),
        )
        conn.execute(
            "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
            " file_kind, period, reporter_code, outcome, outcome_zh)"
            " values (%s, %s, 'inbox', %s, 7, %s, 'xlsx', %s, %s, 'processed', '')",
            (sha256, f"{period}.xlsx", f"{period}.xlsx", closes_on, period, REPORTER),
        )
        conn.execute(
            "insert into intake.submission values (%s, %s, 'enterprise_status', %s, %s, '450721', 1, null, '{表}', %s,"
            " true, 'accepted_with_findings', 2, 1, 1, 9, 9, 0, 1, 1)",
            (period, number, period, REPORTER, closes_on),
        )
        conn.execute("insert into restricted.enterprise_status values (%s, '表', 5, '演示甲', '0000')", (period,))
        conn.execute("insert into intake.held_row values (%s, '表', 6, '{\"uscc\": \"x\"}')", (period,))
        for state in ("mended", "open"):
            conn.execute(
                "insert into intake.finding (receipt_id, submission_id, period, reporter_code, code, severity, value,"
                " message_zh, rule, first_seen, state, params)"
                " values (%s, %s, %s, %s, 'W-1', 'W', '填报的内容', '提示', 'r', now(), %s, '{\"n\": 1}')",
                (number, period, period, REPORTER, state),
            )
    conn.execute(
        "insert into intake.report_draft (period, draft_no, issue_no, maturity, reason_zh, coverage, input_hash,"
        " figures_sha256, printed_sha256, files_sha256, figures_checked, seconds, state, rendered_at)"
        " values (%s, 1, 0, 'final', '', 1, '', '', '', '', 0, 0, 'refused', '2020-02-20')",
        (OLD,),
    )


def counts() -> dict[str, Any]:
    """What is left, by kind."""
    queries = {
        "personal": "select submission_id from restricted.enterprise_status order by 1",
        "held": "select submission_id from intake.held_row order by 1",
        "values": "select period, state from intake.finding where value is not null order by 1, 2",
        "findings": "select count(*) from intake.finding",
    }
    with connect() as conn:
        found: dict[str, Any] = {name: conn.execute(query).fetchall() for name, query in queries.items()}
    root = get_settings().landing.parent
    found["files"] = sorted(
        str(path.relative_to(root)) for name in ("work", "drafts", "logs") for path in (root / name).rglob("*")
        if path.is_file()
    )  # fmt: skip
    found["landing"] = sum(path.is_file() for path in (root / "landing").rglob("*"))
    return found


def by_rule(found: list[Found]) -> dict[str, int]:
    return {one.rule.name: sum(removal.item_count for removal in one.removals) for one in found}


def records() -> list[Any]:
    with connect() as conn:
        return conn.execute(
            "select rule, subject, period, reporter_code, item_count, kept_for, run_key, removed_at is not null"
            " from intake.removal order by rule, subject"
        ).fetchall()


EVERYTHING = {
    "landing_originals": 1, "personal_columns": 1, "held_rows": 1, "finding_details": 1, "work_leftovers": 1,
    "old_drafts": 1, "task_logs": 1, "old_backups": 0,
}  # fmt: skip


def sha_of(period: str) -> str:
    with connect() as conn:
        row = conn.execute("select sha256 from intake.received_file where period = %s", (period,)).fetchone()
    assert row is not None
    return str(row[0])


def test_a_dry_run_shows_what_would_go_and_removes_nothing(place: Path) -> None:
    before = counts()
    assert by_rule(survey(TODAY)) == EVERYTHING
    assert counts() == before and records() == []


def test_what_went_is_recorded_and_no_month_is_built_again_for_it(place: Path) -> None:
    with connect() as conn:
        digests = {period: input_hash(conn, period) for period in CLOSES}
    old = sha_of(OLD)
    assert by_rule(apply("run 1", TODAY, say=silent)) == EVERYTHING
    assert counts() == {
        "personal": [(RECENT,), (OPEN,)],
        "held": [(RECENT,), (OPEN,)],
        "values": [(OLD, "open"), (RECENT, "mended"), (RECENT, "open"), (OPEN, "mended"), (OPEN, "open")],
        "findings": [(6,)],
        "files": ["logs/dag_id=build_warehouse/run_id=2/attempt=1.log", "work/2026-10/running/file"],
        "landing": 2,
    }
    assert records() == [
        ("finding_details", "intake.finding", OLD, REPORTER, 1, "36 月", "run 1", True),
        ("held_rows", "intake.held_row", OLD, REPORTER, 1, "36 月", "run 1", True),
        ("landing_originals", f"landing/{old}", OLD, REPORTER, 1, "60 月", "run 1", True),
        ("old_drafts", "drafts/2020-01/1", OLD, None, 1, "365 日", "run 1", True),
        ("personal_columns", "restricted.enterprise_status", OLD, REPORTER, 1, "36 月", "run 1", True),
        ("task_logs", "logs/dag_id=build_warehouse", None, None, 1, "400 日", "run 1", True),
        ("work_leftovers", "work/2020-01/killed", OLD, None, 1, "7 日", "run 1", True),
    ]
    with connect() as conn:
        assert {period: input_hash(conn, period) for period in CLOSES} == digests
        gone = conn.execute("select message_zh, params::text from intake.finding where value is null").fetchall()
    assert gone == [(GONE_ZH, "{}")]
    # Once more: nothing is left to be done, and nothing is recorded twice.
    assert set(by_rule(apply("run 2", TODAY, say=silent)).values()) == {0}
    assert len(records()) == 7


@pytest.mark.parametrize("call", [1, 2])
def test_killed_between_its_record_and_the_file_it_is_taken_up(
    place: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Before the file goes (1), and after it went but before the record has its end (2)."""
    original = LandingStore.remove

    def dying(store: LandingStore, sha256: str) -> None:
        if call == 2:
            original(store, sha256)
        raise Killed

    monkeypatch.setattr(LandingStore, "remove", dying)
    with pytest.raises(Killed):
        apply("killed", TODAY, say=silent)
    assert [(rule, done) for rule, *_, done in records()] == [("landing_originals", False)]
    monkeypatch.setattr(LandingStore, "remove", original)
    apply("again", TODAY, say=silent)
    assert all(done for *_, done in records()) and len(records()) == 7
    assert counts()["landing"] == 2


def test_a_month_that_is_reopened_or_waits_for_somebody_is_left_alone(place: Path) -> None:
    with connect() as conn:
        conn.execute("update intake.received_file set outcome = 'awaiting_approval' where period = %s", (OLD,))
    assert set(by_rule(survey(TODAY)).values()) == {0, 1} and by_rule(survey(TODAY))["task_logs"] == 1
    assert sum(by_rule(survey(TODAY)).values()) == 1
    with connect() as conn:
        conn.execute("update intake.received_file set outcome = 'processed'")
        conn.execute(
            "update intake.reporting_period set state = 'reopened', reopened_until = %s where period = %s", (TODAY, OLD)
        )
    assert sum(by_rule(survey(TODAY)).values()) == 1
    with connect() as conn:  # closed again: it counts from the day on which it closed last
        conn.execute("update intake.reporting_period set state = 'closed' where period = %s", (OLD,))
    assert by_rule(survey(TODAY))["landing_originals"] == 0


def test_the_same_bytes_received_in_a_newer_month_keep_the_original(place: Path) -> None:
    with connect() as conn:
        conn.execute(
            "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
            " period, reporter_code, outcome, outcome_zh)"
            " values (%s, 'x', 'inbox', 'x', 7, now(), %s, %s, 'processed', '')",
            (sha_of(OLD), RECENT, REPORTER),
        )
    assert by_rule(survey(TODAY))["landing_originals"] == 0


def backed_up(folder: Path, name: str, made_at: str, originals: list[str]) -> None:
    state = DatabaseState("labour", "labour", 180004, {}, {})
    files = {f"landing/{sha256[:2]}/{sha256}": FileEntry(sha256, 7) for sha256 in originals}
    (folder / "backup" / name).mkdir(parents=True)
    write_manifest(folder / "backup" / name, Manifest(1, made_at, {}, state, state, files))


def test_evidence_that_the_newest_backup_does_not_hold_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules_are(
        place, monkeypatch, needs_backup=True, landing_originals=60, personal_columns=36, held_rows=36,
        finding_details=36,
    )  # fmt: skip
    found = {one.rule.name: one for one in survey(TODAY)}
    assert found["landing_originals"].kept_back == "1 files are not in the newest backup"
    assert found["personal_columns"].kept_back == "1 months are not in the newest backup"
    assert by_rule(survey(TODAY)) == EVERYTHING | dict.fromkeys(
        ("landing_originals", "personal_columns", "held_rows", "finding_details"), 0
    )
    backed_up(place, "newest", "2026-11-01T02:00:00+08:00", [sha_of(OLD)])
    assert by_rule(survey(TODAY)) == EVERYTHING


def test_old_backups_go_but_never_the_last_few(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules_are(place, monkeypatch, backups_at_least=2)
    for number, day in enumerate(("2025-01-01", "2025-02-01", "2025-03-01", "2026-11-28")):
        backed_up(place, f"backup-{number}", f"{day}T02:00:00+08:00", [])
    apply("run", TODAY, say=silent)
    assert sorted(path.name for path in (place / "backup").iterdir()) == [".lock", "backup-2", "backup-3"]


def test_a_trace_says_that_the_original_was_removed(place: Path) -> None:
    old, now = sha_of(OLD), datetime(2026, 11, 29, 4, tzinfo=UTC)
    cell = Cell(
        f"{OLD}.xlsx", old, OLD, REPORTER, "450721", OLD, "表", "AJ5", 5, "AJ", "缺工", "shortage_now", None, None,
        None, now, 1,
    )  # fmt: skip
    measure = Measure.__new__(Measure)
    for name in Measure.__dataclass_fields__:
        object.__setattr__(measure, name, {"form": "enterprise_status", "form_columns": ("shortage_now",)}.get(name))
    trace = Trace(Question("mart_labour_shortage", "shortage_now_persons", OLD), measure, None, (cell,), 1, 1, None, 0)
    store = LandingStore(get_settings().landing)
    reporters = load_reporters(get_settings().reporters_file)
    apply("run", TODAY, say=silent)
    with pytest.raises(TraceError, match="is not in the landing store"):
        verify(trace, store, reporters)
    with connect() as conn:
        removals = removed_originals(conn, [old])
        assert removed_originals(conn, [sha_of(RECENT)]) == {}
    result = verify(trace, store, reporters, removals)
    assert (result.cells, result.files, result.differences) == (0, 0, ())
    day = f"{datetime.now().astimezone():%Y-%m}"
    said = verification_zh(result)
    assert f"{OLD}.xlsx（{old[:12]}）：原件已按保存期限于 {day}" in said and "清除，其中 1 格不能再逐格重读" in said


def test_what_goes_back_to_a_county_lists_its_problems_without_the_removed_sheet(place: Path) -> None:
    [reporter] = [one for one in load_reporters(get_settings().reporters_file) if one.reporter_code == REPORTER]
    apply("run", TODAY, say=silent)
    with connect() as conn:
        assert [file.file_kind for file in month_of(conn, OLD, reporter).files] == [None]
        assert [file.file_kind for file in month_of(conn, RECENT, reporter).files] == ["xlsx"]


def test_a_backup_does_not_miss_what_retention_removed(place: Path) -> None:
    apply("run", TODAY, say=silent)
    _, manifest = save(place / "backup" / "one", say=silent)
    assert sum(path.startswith("landing/") for path in manifest.files) == 2
    store = LandingStore(get_settings().landing)
    store.remove(sha_of(RECENT))
    with pytest.raises(BackupError, match="names 1 files that the landing store"):
        save(place / "backup" / "two", say=silent)


def test_the_dag_hands_on_how_long_airflow_keeps_its_records(place: Path) -> None:
    done = run_retention("manual__1", dry_run=True)
    assert done["metadata_days"] == 400 and done["removed"]["landing_originals"][0] == 1 and records() == []


def test_the_rules_as_shipped_keep_all_evidence_for_good() -> None:
    rules = load_retention(RULES)
    off = [name for name, rule in rules.by_name.items() if rule.value is None]
    assert off == ["landing_originals", "personal_columns", "held_rows", "finding_details"]
    assert rules.needs_backup and all(rule.reason_zh and rule.owner for rule in rules.by_name.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 0}, "needs a whole number from 1, or null"),
        ({"value": True}, "needs a whole number from 1, or null"),
        ({"unit": "年"}, "is counted in 月"),
        ({"reason_zh": " "}, "lacks reason_zh"),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    document["rules"]["held_rows"] |= change
    path = tmp_path / "retention.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with pytest.raises(RetentionError, match=f"held_rows .*{said}"):
        load_retention(path)
    del document["rules"]["held_rows"]
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with pytest.raises(RetentionError, match="held_rows: the rules must be exactly"):
        load_retention(path)


@pytest.mark.parametrize(
    ("value", "unit", "day"),
    [(6, "月", date(2026, 2, 28)), (12, "月", date(2025, 8, 31)), (30, "日", date(2026, 8, 1)), (None, "月", None)],
)
def test_a_time_is_counted_in_whole_months_or_days(value: int | None, unit: str, day: date | None) -> None:
    assert Rule("held_rows", "", value, unit, "", "").cutoff(date(2026, 8, 31)) == day
