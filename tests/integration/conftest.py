"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.sample.province import write_inbox
from tests.databases import database, settings_of
from tests.integration.demo_province import PERIODS, DemoProvince, publish


@pytest.fixture(scope="session")
def demo_province(var_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProvince]:
    """Three months of the demonstration province collected, built and published, once for all tests that ask them."""
    root = tmp_path_factory.mktemp("province")
    environment = {f"{one}_DIR": str(root / one.lower()) for one in ("INBOX", "LANDING", "OUTBOX", "WORK", "DRAFTS")}
    with database("province") as url:
        environment["WAREHOUSE_URL"] = url
        with settings_of(environment):
            manifest = write_inbox(root / "inbox", periods=PERIODS)
            assert collect().periods == list(PERIODS)
            reports = {}
            for period in PERIODS:
                load_batch(validate_batch(read_pending(period, "test")))
                build_marts(period)
                delivered = publish(period)
                reports[period] = {kind: Path(path) for kind, path in delivered["files"].items()}
        yield DemoProvince(environment, manifest, reports)
