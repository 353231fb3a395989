"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
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
from include.sample.province import write_inbox
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import migrate
from tests.integration.demo_province import PERIODS, DemoProvince, settings_of


@pytest.fixture(scope="session")
def demo_province(var_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProvince]:
    """Three months of the demonstration province collected, built and published, once for all tests that ask them."""
    embedded.start()
    name = f"province_{uuid4().hex[:12]}"
    root = tmp_path_factory.mktemp("province")
    environment = {f"{one}_DIR": str(root / one.lower()) for one in ("INBOX", "LANDING", "OUTBOX", "WORK", "DRAFTS")}
    environment["WAREHOUSE_URL"] = embedded.url(name)
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        with settings_of(environment):
            with connect() as conn:
                migrate(conn)
            manifest = write_inbox(root / "inbox", periods=PERIODS)
            assert collect().periods == list(PERIODS)
            reports = {}
            for period in PERIODS:
                load_batch(validate_batch(read_pending(period, "test")))
                build_marts(period)
                delivered = deliver(render(check_gate(period)))
                reports[period] = {kind: Path(path) for kind, path in delivered["files"].items()}
        yield DemoProvince(environment, manifest, reports)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
