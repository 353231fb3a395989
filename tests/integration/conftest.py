"""Three months of the demonstration province in a database of their own, built once for all tests that ask them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.publish import check_gate, deliver, render
from include.pipeline.validate import validate_batch
from include.sample.manifest import Manifest
from include.sample.province import write_inbox
from include.settings import get_settings
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import migrate

# January: a late county, a file nobody can read, a resubmission; February: three counties missing; March: enterprises
# that have been short for three months.
PERIODS = ("2026-01", "2026-02", "2026-03")


@dataclass(frozen=True)
class DemoProvince:
    """Where the province lies, what was written into it, and the reports of each period by kind."""

    environment: dict[str, str]
    manifest: Manifest
    reports: dict[str, dict[str, Path]]

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Settings lead to the province meanwhile."""
        with _settings(self.environment):
            yield


@contextmanager
def _settings(environment: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    get_settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        get_settings.cache_clear()


@pytest.fixture(scope="session")
def demo_province(var_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProvince]:
    """The months collected, built and published, one after the other."""
    embedded.start()
    name = f"province_{uuid4().hex[:12]}"
    root = tmp_path_factory.mktemp("province")
    environment = {f"{one}_DIR": str(root / one.lower()) for one in ("INBOX", "LANDING", "OUTBOX", "WORK")}
    environment["WAREHOUSE_URL"] = embedded.url(name)
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        with _settings(environment):
            with connect() as conn:
                migrate(conn)
            manifest = write_inbox(root / "inbox", periods=PERIODS)
            assert collect().periods == list(PERIODS)
            reports = {}
            for period in PERIODS:
                load_batch(validate_batch(read_pending(period, "test")))
                build_marts(period)
                rendered = render(check_gate(period))
                deliver(rendered)
                reports[period] = {kind: Path(path) for kind, path in rendered["files"].items()}
        yield DemoProvince(environment, manifest, reports)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
