"""Fixtures shared by all tests.

Nothing a test does reaches the checkout's own ``var/``: before any test module is imported, ``VAR_DIR`` (and
``AIRFLOW_HOME``) point into a folder of this pytest session, and settings of the developer's environment that would
lead elsewhere (``WAREHOUSE_URL``, ``INBOX_DIR``, ...) are taken away. The folder, and the PostgreSQL server that was
started in it, are gone when the session ends.

Which fixture to ask for:

* ``conn`` - a connection to the migrated warehouse, rolled back after the test: for anything that runs in the caller's
  transaction;
* ``clean_warehouse`` - the warehouse emptied and migrated anew, for code that commits or opens its own connections;
* ``prepared_warehouse`` - the same with seeds, views and dimensions without a period in place, for what runs dbt;
* ``inbox`` - the prepared warehouse with an empty inbox and state folders of the test alone, for the whole chain;
* ``warehouse`` - the URL of the session's warehouse, migrated, in whatever state earlier tests left it;
* ``scratch_database`` - the URL of an empty database of its own, dropped afterwards;
* ``var_dir`` - the session's ``VAR_DIR``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from psycopg import sql

PROJECT_ROOT = Path(__file__).resolve().parent.parent

_LEADING_ELSEWHERE = (
    "WAREHOUSE_URL", "INBOX_DIR", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR", "REPORTERS_FILE", "REPORTING_FILE",
    "THRESHOLDS_FILE", "LIMITS_FILE", "READ_WORKERS", "CHANNELS_FILE",
    "CONTACTS_FILE", "SMTP_URL", "MAIL_FROM", "WEBHOOK_URL", "WEBHOOK_SECRET", "WEBHOOK_STYLE",
    "DRAFTS_DIR", "REPORT_APPROVAL", "BACKUP_DIR", "RETENTION_FILE",
    "HEALTH_FILE", "HEALTH_MAIL", "METRICS_URL", "AIRFLOW_HEALTH_USER", "AIRFLOW_HEALTH_PASSWORD",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "PGSSLMODE", "PGSSLROOTCERT", "POSTGRES_PROGRAMS",
)  # fmt: skip

# Not one of pytest's folders: those are closed to others, and the server's user must be able to reach it.
SESSION_FOLDER = Path(tempfile.mkdtemp(prefix="labour-test-")).resolve()
SESSION_FOLDER.chmod(0o711)
# Processes of `pytest -n` are started by one that has read this already, and find its folder here.
os.environ.setdefault("LABOUR_TEST_SHARED", str(SESSION_FOLDER / "shared"))
for _name in _LEADING_ELSEWHERE:
    os.environ.pop(_name, None)
os.environ |= {
    "VAR_DIR": str(SESSION_FOLDER / "var"),
    "AIRFLOW_HOME": str(SESSION_FOLDER / "var" / "airflow"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
    "DO_NOT_TRACK": "1",
}

# Random examples, but the same ones in every run: a red test must be red again when it is run alone.
hypothesis.settings.register_profile("project", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("project")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.scheduling import GroupScheduling

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # a process of `pytest -n`
        from tests.scheduling import in_order

        items[:] = in_order(items)


def pytest_unconfigure() -> None:
    from include.warehouse import embedded

    embedded.stop()
    shutil.rmtree(SESSION_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def var_dir() -> Path:
    """The session's ``VAR_DIR``."""
    folder = SESSION_FOLDER / "var"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def warehouse(var_dir: Path) -> str:
    """URL of the session's warehouse: an embedded PostgreSQL of its own, migrated."""
    from include.warehouse.connection import connect, warehouse_url
    from include.warehouse.migrate import migrate
    from tests.databases import start_server

    start_server()
    with connect() as connection:
        migrate(connection)
    return warehouse_url()


@pytest.fixture
def conn(warehouse: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the migrated warehouse whose work is rolled back after the test."""
    from include.warehouse.connection import connect

    with connect() as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def clean_warehouse(warehouse: str) -> str:
    """The session's warehouse, emptied; its URL."""
    from tests.databases import empty_warehouse

    empty_warehouse()
    return warehouse


@pytest.fixture
def prepared_warehouse(warehouse: str) -> str:
    """The session's warehouse, emptied, with everything set up that holds no period; its URL."""
    from tests.databases import empty_warehouse

    empty_warehouse(is_prepared=True)
    return warehouse


@pytest.fixture
def inbox(prepared_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty inbox, an empty warehouse, and landing store, outbox and work folder of this test alone."""
    from include.settings import get_settings

    for name in ("INBOX", "LANDING", "OUTBOX", "WORK", "DRAFTS"):
        monkeypatch.setenv(f"{name}_DIR", str(tmp_path / name.lower()))
    get_settings.cache_clear()
    (tmp_path / "inbox").mkdir()
    yield tmp_path / "inbox"
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def scratch_database(var_dir: Path) -> Iterator[str]:
    """URL of an empty database of its own on the session's server, not migrated, dropped after the test."""
    from include.warehouse import embedded

    embedded.start()
    name = f"scratch_{uuid4().hex[:12]}"
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        yield embedded.url(name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
