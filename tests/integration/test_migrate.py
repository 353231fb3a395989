"""The migration runner against a real, empty PostgreSQL."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from include.warehouse.migrate import MIGRATIONS, Migration, MigrationError, migrate, pending, read_migrations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("create schema a; create table a.t (n int);", encoding="utf-8")
    (tmp_path / "0002_second.sql").write_text("insert into a.t values (1), (2);", encoding="utf-8")
    return tmp_path


def rows(url: str, query: str) -> list[tuple]:
    with psycopg.connect(url) as conn:
        return conn.execute(query).fetchall()


def test_the_projects_own_migrations_apply_once(scratch_database: str) -> None:
    names = [path.name for path in sorted(MIGRATIONS.glob("*.sql"))]
    with psycopg.connect(scratch_database) as conn:
        assert migrate(conn) == names
        assert migrate(conn) == []
    assert names[:2] == ["0001_intake.sql", "0002_raw.sql"]
    applied = rows(scratch_database, "select file_name, length(checksum) from intake.schema_migration order by 1")
    assert applied == [(name, 64) for name in names]


def test_a_new_file_is_applied_alone(scratch_database: str, folder: Path) -> None:
    with psycopg.connect(scratch_database, row_factory=dict_row) as conn:
        migrate(conn, folder)
        (folder / "0003_third.sql").write_text("insert into a.t values (3);", encoding="utf-8")
        assert migrate(conn, folder) == ["0003_third.sql"]
    assert rows(scratch_database, "select sum(n) from a.t") == [(6,)]


def test_a_failing_file_leaves_nothing_and_keeps_the_ones_before(scratch_database: str, folder: Path) -> None:
    (folder / "0003_third.sql").write_text("insert into a.t values (3); select 1 / 0;", encoding="utf-8")
    with psycopg.connect(scratch_database) as conn:
        with pytest.raises(MigrationError, match=r"0003_third\.sql failed and was rolled back: division by zero"):
            migrate(conn, folder)
        (folder / "0003_third.sql").write_text("insert into a.t values (4);", encoding="utf-8")
        assert migrate(conn, folder) == ["0003_third.sql"]
    assert rows(scratch_database, "select sum(n) from a.t") == [(7,)]


def test_a_changed_file_is_refused(scratch_database: str, folder: Path) -> None:
    with psycopg.connect(scratch_database) as conn:
        migrate(conn, folder)
        (folder / "0001_first.sql").write_text("create schema b;", encoding="utf-8")
        with pytest.raises(MigrationError, match=r"0001_first\.sql was changed after it had been applied"):
            migrate(conn, folder)


def test_line_ends_do_not_change_the_checksum(folder: Path) -> None:
    (folder / "0002_second.sql").write_bytes(b"select 1;\nselect 2;\n")
    unix = read_migrations(folder)[1].checksum
    (folder / "0002_second.sql").write_bytes(b"select 1;\r\nselect 2;\r\n")
    assert read_migrations(folder)[1].checksum == unix


def test_an_older_checkout_and_a_late_number_are_refused() -> None:
    first, third = Migration("0001_a.sql", "", "x"), Migration("0003_c.sql", "", "z")
    with pytest.raises(MigrationError, match=r"0002_b\.sql, which this checkout lacks"):
        pending([first], {"0001_a.sql": "x", "0002_b.sql": "y"})
    with pytest.raises(MigrationError, match=r"0001_a\.sql would run after 0003_c\.sql"):
        pending([first, third], {"0003_c.sql": "z"})


def test_names_and_numbers_are_checked(folder: Path) -> None:
    (folder / "0002_again.sql").write_text("select 1", encoding="utf-8")
    with pytest.raises(MigrationError, match="have the same number"):
        read_migrations(folder)
    (folder / "0002_again.sql").unlink()
    (folder / "third.sql").write_text("select 1", encoding="utf-8")
    with pytest.raises(MigrationError, match="is not named like"):
        read_migrations(folder)


def test_two_at_once_apply_every_file_once(scratch_database: str, folder: Path) -> None:
    (folder / "0003_slow.sql").write_text("select pg_sleep(0.3); insert into a.t values (10);", encoding="utf-8")
    applied: list[list[str]] = []

    def run() -> None:
        with psycopg.connect(scratch_database) as conn:
            applied.append(migrate(conn, folder))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 0, 3]
    assert rows(scratch_database, "select sum(n) from a.t") == [(13,)]


def test_within_a_transaction_is_refused(scratch_database: str, folder: Path) -> None:
    with psycopg.connect(scratch_database) as conn:
        conn.execute("select 1")
        with pytest.raises(MigrationError, match="within a transaction"):
            migrate(conn, folder)
