"""Backups of a real warehouse with a built month and Airflow's real metadata: into an empty machine and back to work.

The machine that a backup is restored on is a ``VAR_DIR`` with nothing in it: its own PostgreSQL, its own folders.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from include.backup.checking import check
from include.backup.manifest import (
    CHECKSUM,
    MANIFEST,
    BackupError,
    Manifest,
    backups_in,
    read_manifest,
    write_manifest,
)
from include.backup.restoring import Restored, restore
from include.backup.saving import save
from include.ledger.entries import built_input, changed_builds, input_hash
from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.settings import PROJECT_ROOT, get_settings
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import MIGRATIONS, migrate
from include.warehouse.readers import add_reader, remove_reader
from tests.databases import database, settings_of
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, enterprise, post, write_form

PERIOD = "2026-03"
READER = f"reader_{uuid4().hex[:8]}"
#: Settings of a machine on which nothing is configured.
NOTHING = dict.fromkeys(
    ("WAREHOUSE_URL", "INBOX_DIR", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR", "DRAFTS_DIR", "BACKUP_DIR",
     "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"), "",
)  # fmt: skip


@dataclass(frozen=True)
class Living:
    """The installation that is backed up: its settings, the password of its reader, and its first backup."""

    environment: Mapping[str, str]
    password: str
    backup: Path
    manifest: Manifest


def silent(line: str) -> None:
    """Takes progress and shows none."""


def send(inbox: Path, county: str, code: str, *, shortage: int = 7) -> None:
    rows = [enterprise(county, code, 1, shortage_now=shortage), enterprise(county, code, 2)]
    folder = inbox / PERIOD / county
    write_form(folder / "企业情况表.xlsx", "企业情况表", county, PERIOD, STATUS_HEADERS, rows)
    posts = [post(row, "木工") for row in rows]
    write_form(folder / "企业用工需求表.xlsx", "企业用工需求表", county, PERIOD, DEMAND_HEADERS, posts)


def work() -> dict[str, Any]:
    """Collect and build what waits; what collecting and reading found."""
    collected = collect()
    read = read_pending(PERIOD, "test")
    load_batch(validate_batch(read))
    return {"new": collected.new, "files": read["files"]}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "include.backup", *map(str, arguments)]


@pytest.fixture(scope="module")
def living(var_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    root = tmp_path_factory.mktemp("living")
    names = ("INBOX", "LANDING", "OUTBOX", "WORK", "DRAFTS", "BACKUP")
    environment = {f"{name}_DIR": str(root / name.lower()) for name in names}
    with database("living") as url, empty_database("metadata") as metadata:
        environment["WAREHOUSE_URL"] = url
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = metadata.replace("postgresql:", "postgresql+psycopg2:")
        with settings_of(environment):
            airflow = subprocess.Popen(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=os.environ | {"AIRFLOW_HOME": str(root / "airflow")},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            send(root / "inbox", "宾阳县", "450126")
            work()
            build_marts(PERIOD)
            (root / "drafts" / PERIOD / "1").mkdir(parents=True)
            (root / "drafts" / PERIOD / "1" / "月报.html").write_text("演示数据", encoding="utf-8")
            with connect() as conn:
                # What the migration does to a database, and a copy of it made by the server lacks.
                name = sql.Identifier(conn.info.dbname)
                conn.execute(sql.SQL("revoke all on database {} from public").format(name))
                conn.execute(sql.SQL("grant connect on database {} to city_reader, auditor").format(name))
                password = add_reader(conn, READER, "city_reader", "450100")
            assert airflow.wait(timeout=180) == 0
            try:
                backup, manifest = save(root / "backup" / "first", say=silent)
                yield Living(environment, password, backup, manifest)
            finally:
                with connect() as conn:
                    remove_reader(conn, READER)


@contextmanager
def empty_database(prefix: str) -> Iterator[str]:
    """URL of an empty database of the session's server, dropped at the end."""
    name = sql.Identifier(f"{prefix}_{uuid4().hex[:12]}")
    embedded.start()
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(name))
        yield embedded.url(name.as_string().strip('"'))
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def settings(living: Living) -> Iterator[None]:
    """The settings of the living installation."""
    with settings_of(living.environment):
        yield


@pytest.fixture
def copy_of_backup(living: Living, tmp_path: Path) -> Path:
    """The backup where it may be damaged."""
    return Path(shutil.copytree(living.backup, tmp_path / "copy"))


@pytest.fixture
def machine(var_dir: Path) -> Iterator[Mapping[str, str]]:
    """Settings of a machine with nothing on it; its server ends with the test."""
    var = var_dir.parent / f"machine-{uuid4().hex[:8]}"
    environment = NOTHING | {"VAR_DIR": str(var)}
    yield environment
    with settings_of(environment):
        embedded.stop()
    shutil.rmtree(var, ignore_errors=True)


def rows_of(conn: psycopg.Connection[Any], table: str) -> list[Any]:
    return conn.execute(f"select line::text from {table} as line order by 1".encode()).fetchall()


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


COMPARED = (
    "intake.received_file", "intake.submission", "intake.finding", "intake.build", "intake.ledger_digest",
    "intake.reader_city", "raw.enterprise_status", "restricted.enterprise_status", "marts.mart_labour_shortage",
    "marts.fct_labour_demand", "reference.region",
)  # fmt: skip


def existing(conn: psycopg.Connection[Any]) -> list[str]:
    found = [name for name in COMPARED if conn.execute("select to_regclass(%s)", (name,)).fetchone() != (None,)]
    assert len(found) >= 9
    return found


def test_an_empty_machine_comes_back_from_the_backup_alone_though_killed_on_the_way(
    living: Living, machine: Mapping[str, str], tmp_path: Path
) -> None:
    with settings_of(living.environment), connect() as conn:
        before = {table: rows_of(conn, table) for table in existing(conn)}
        files = {tree: files_of(getattr(get_settings(), tree)) for tree in ("landing", "outbox", "drafts")}
        key = (get_settings().var / "secrets" / "person_hash_key").read_bytes()
    assert before["raw.enterprise_status"] and before["marts.mart_labour_shortage"] and all(files.values())
    for moment in ("restoring warehouse.dump", "restoring airflow.dump"):
        killed_restore(living.backup, machine, moment)
    with settings_of(machine):
        assert restored(living.backup).differences == ()
        with connect() as conn:
            assert {table: rows_of(conn, table) for table in before} == before
            assert changed_builds(conn) == []
            assert built_input(conn, PERIOD) == input_hash(conn, PERIOD)
        settings = get_settings()
        assert {tree: files_of(getattr(settings, tree)) for tree in files} == files
        assert (settings.var / "secrets" / "person_hash_key").read_bytes() == key
        assert all(path.stat().st_mode & 0o777 == 0o400 for path in settings.landing.rglob("*") if path.is_file())
        reads_its_city_alone(living.password)

        # The very files again: nothing is to be done. One more county: the month goes on.
        shutil.copytree(living.environment["INBOX_DIR"], settings.inbox)
        assert work() == {"new": 0, "files": 0}
        send(settings.inbox, "灵山县", "450721", shortage=11)
        assert work() == {"new": 2, "files": 2}
        build_marts(PERIOD)
        with connect() as conn:
            shortages = dict(
                conn.execute(
                    "select county_code, sum(shortage_now_persons) from marts.mart_labour_shortage"
                    " where period = %s group by 1",
                    (PERIOD,),
                ).fetchall()
            )
        assert {code: int(total) for code, total in shortages.items()} == {"450126": 14, "450721": 18}

        # There are data now that the backup does not have: they are replaced only when asked for.
        (settings.outbox / "新.txt").write_text("此后写入", encoding="utf-8")
        with pytest.raises(BackupError, match=r"holds data that are not this backup's.*--replace"):
            restored(living.backup)
        assert restored(living.backup, replace=True).differences == ()
        [aside] = settings.outbox.glob(".before-restore-*")
        assert (aside / "新.txt").exists() and not (settings.outbox / "新.txt").exists()
        with connect() as conn:
            assert rows_of(conn, "raw.enterprise_status") == before["raw.enterprise_status"]


def restored(backup: Path, *, replace: bool = False) -> Restored:
    return restore(backup, replace=replace, say=silent)


def killed_restore(backup: Path, machine: Mapping[str, str], moment: str) -> None:
    """A restore that is killed by SIGKILL when it says this."""
    process = subprocess.Popen(
        command("restore", backup), env=os.environ | machine, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT
    )
    assert process.stdout is not None
    seen = [line for line in iter(process.stdout.readline, "") if moment in line and not process.kill()]
    assert seen and process.wait() == -signal.SIGKILL


def reads_its_city_alone(password: str) -> None:
    url = embedded.url().replace(embedded.url().partition("://")[2].partition("@")[0], f"{READER}:{password}")
    with psycopg.connect(url) as conn:
        cities = conn.execute("select distinct city_code from marts.mart_labour_shortage").fetchall()
        assert cities == [("450100",)]
        assert conn.execute("show statement_timeout").fetchone() == ("30s",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select 1 from restricted.enterprise_status")
    with psycopg.connect(url) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("set transaction read write")
        conn.execute("create temporary table mine (one text)")


def test_the_backup_is_closed_to_others_and_holds_what_pg_dump_leaves_out(living: Living) -> None:
    for path in [living.backup, *living.backup.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    logins = json.loads((living.backup / "logins.json").read_text(encoding="utf-8"))
    [login] = [one for one in logins["logins"] if one["name"] == READER]
    assert login["roles"] == ["city_reader"] and login["verifier"].startswith("SCRAM-SHA-256$")
    assert living.password not in (living.backup / "logins.json").read_text(encoding="utf-8")
    assert (living.backup / "secrets" / "var" / "secrets" / "person_hash_key").is_file()
    # Airflow's own tables, whatever their content.
    assert {"public.dag_run", "public.task_instance", "public.connection"} <= set(living.manifest.airflow.tables)
    assert living.manifest.warehouse.tables["raw.enterprise_status_2026_03"].rows == 2
    assert check(living.backup)[1] == []


def test_the_next_backup_copies_only_what_is_new_and_trusts_no_damaged_file(living: Living, settings: None) -> None:
    _, second = save(living.backup.parent / "second", say=silent)
    landed = [path for path in second.files if path.startswith("landing/")]
    assert len(landed) == 2
    for path in landed:
        assert os.path.samefile(living.backup / path, living.backup.parent / "second" / path)
    damaged = living.backup.parent / "second" / landed[0]
    damaged.unlink()
    damaged.write_bytes(b"x" * second.files[landed[0]].size)
    third, _ = save(living.backup.parent / "third", say=silent)
    assert check(third)[1] == []
    assert (third / landed[0]).stat().st_nlink == 1
    assert [path.name for path, _ in backups_in(third.parent)] == ["first", "second", "third"]
    for made in ("second", "third"):
        shutil.rmtree(third.parent / made)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_one_flipped_byte_of_a_dump_is_found_and_nothing_is_restored(
    copy_of_backup: Path, machine: Mapping[str, str]
) -> None:
    flip(copy_of_backup / "warehouse.dump")
    assert check(copy_of_backup)[1] == ["warehouse.dump is damaged: its checksum is not the manifest's"]
    with settings_of(machine):
        with pytest.raises(BackupError, match=r"nothing was restored: warehouse\.dump is damaged"):
            restored(copy_of_backup)
        assert not get_settings().var.exists()


def test_a_missing_an_added_and_a_shortened_file_are_each_named(copy_of_backup: Path) -> None:
    landed = next(path for path in (copy_of_backup / "landing").rglob("*") if path.is_file())
    landed.unlink()
    (copy_of_backup / "drafts" / PERIOD / "1" / "月报.html").write_bytes(b"")
    (copy_of_backup / "outbox" / "added.txt").write_text("x", encoding="utf-8")
    assert check(copy_of_backup)[1] == [
        f"drafts/{PERIOD}/1/月报.html has 0 bytes instead of 12",
        f"{landed.relative_to(copy_of_backup)} is missing",
        "outbox/added.txt is not in the manifest: it was put there later",
    ]


def test_an_edited_manifest_is_no_manifest(copy_of_backup: Path) -> None:
    path = copy_of_backup / MANIFEST
    path.write_text(path.read_text(encoding="utf-8").replace('"rows": 2', '"rows": 3', 1), encoding="utf-8")
    with pytest.raises(BackupError, match="changed or damaged after the backup was made"):
        check(copy_of_backup)
    (copy_of_backup / CHECKSUM).unlink()
    with pytest.raises(BackupError, match="no complete backup"):
        check(copy_of_backup)
    assert backups_in(copy_of_backup.parent) == []


def rewritten(backup: Path, **changes: Any) -> None:
    manifest = read_manifest(backup)
    for name in (MANIFEST, CHECKSUM):
        (backup / name).unlink()
    write_manifest(backup, replace(manifest, **changes))


def test_a_backup_of_a_newer_version_is_refused_clearly(copy_of_backup: Path, living: Living) -> None:
    migrations = {**living.manifest.migrations, "9999_of_the_future.sql": "0" * 64}
    rewritten(copy_of_backup, migrations=migrations)
    with pytest.raises(BackupError, match=r"9999_of_the_future\.sql.*the checkout that made it or a newer one"):
        restored(copy_of_backup)


def test_other_secrets_than_the_backups_are_refused(
    living: Living, machine: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSON_HASH_KEY", "another one")
    with settings_of(machine), pytest.raises(BackupError, match="PERSON_HASH_KEY is another one here: persons of"):
        restored(living.backup)


def test_an_older_backup_is_migrated_and_a_wrong_content_is_named(tmp_path: Path, var_dir: Path) -> None:
    """Between databases of one server: the backup lacks the newest migration, and later one row of its table sums."""
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    newest = max((tmp_path / "migrations").glob("*.sql"))
    newest.unlink()
    with empty_database("older") as older, empty_database("airflow") as airflow:
        with psycopg.connect(older) as conn:
            migrate(conn, tmp_path / "migrations")
        here = NOTHING | {
            "WAREHOUSE_URL": older, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow,
            **{f"{name}_DIR": str(tmp_path / name.lower()) for name in ("LANDING", "OUTBOX", "DRAFTS")},
        }  # fmt: skip
        with settings_of(here):
            backup, manifest = save(tmp_path / "backup", say=silent)
    assert newest.name not in manifest.migrations
    with empty_database("newer") as newer, empty_database("airflow") as airflow:
        here |= {"WAREHOUSE_URL": newer, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow}
        with settings_of(here):
            done = restored(backup)
            assert (done.differences, done.migrated) == ((), (newest.name,))
            # A table whose rows are not those of the manifest: here the manifest is made to lie about it.
            tables = dict(manifest.warehouse.tables)
            tables["intake.schema_migration"] = replace(tables["intake.schema_migration"], digest="1")
            rewritten(backup, warehouse=replace(manifest.warehouse, tables=tables))
            shown = restored(backup, replace=True).differences
    count = len(manifest.migrations)
    assert shown == (f"warehouse: table intake.schema_migration: the content of its {count} rows differs",)


def test_a_ledger_that_names_a_lost_original_gives_no_backup(living: Living, settings: None, tmp_path: Path) -> None:
    landed = next(path for path in get_settings().landing.rglob("*") if path.is_file())
    moved = landed.rename(tmp_path / "aside")
    try:
        with pytest.raises(
            BackupError, match=f"names 1 files that the landing store .* lacks, the first {landed.name}"
        ):
            save(tmp_path / "backups" / "one", say=silent)
        landed.write_bytes(b"not what was received")
        with pytest.raises(BackupError, match="is damaged: its bytes do not have the checksum"):
            save(tmp_path / "backups" / "one", say=silent)
    finally:
        landed.unlink(missing_ok=True)
        moved.rename(landed)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]


def test_a_backup_killed_on_the_way_is_none_and_the_next_one_clears_it_away(
    living: Living, settings: None, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    process = subprocess.Popen(command("save", folder / "one"), cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (folder / ".one.partial" / "warehouse.dump").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (folder / ".one.partial").is_dir() and backups_in(folder) == []
    said: list[str] = []
    made, _ = save(folder / "two", say=said.append)
    assert said[0] == "removing .one.partial, left by a backup that was interrupted"
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "two"]
    assert check(made)[1] == []


def test_a_full_disk_leaves_nothing_and_says_so(living: Living, settings: None, tmp_path: Path) -> None:
    """On a file system of 200 KB where this user may make one; else under a limit on the size of one file."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], capture_output=True, check=False
    )
    limited = [] if mounted.returncode == 0 else ["prlimit", "--fsize=100000"]
    try:
        done = subprocess.run(
            [*limited, *command("save", small / "one")], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done.stdout
        assert "nothing was left of it. Free space" in done.stderr
        assert limited or "the disk is full" in done.stderr
        assert [path.name for path in small.iterdir()] == [".lock"]
    finally:
        if not limited:
            subprocess.run(["umount", str(small)], check=True)
