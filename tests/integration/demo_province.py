"""Three months of the demonstration province in a database of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from include.pipeline.publish import _Report, check_gate, deliver, render
from include.sample.manifest import Manifest
from tests.databases import settings_of

# January: a late county, a file nobody can read, a resubmission; February: three counties missing; March: enterprises
# that have been short for three months.
PERIODS = ("2026-01", "2026-02", "2026-03")
# Of this month every edition is written, those of the counties that are missing among them: two seconds each, 35 times.
FULL = "2026-02"


@dataclass(frozen=True)
class DemoProvince:
    """Where the province lies, what was written into it, and the reports of each period by kind."""

    environment: dict[str, str]
    manifest: Manifest
    reports: dict[str, dict[str, Path]]

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Settings lead to the province meanwhile."""
        with settings_of(self.environment):
            yield


class _ProvinceWritten(_Report):
    """Figures of all 35 editions are collected and reconciled, the province's is written."""

    def collect_issue(self, conn: Any, period: str) -> Any:
        collected = super().collect_issue(conn, period)
        assert len(collected.editions) == 35
        return replace(collected, editions=collected.editions[:1])


def publish(period: str) -> dict[str, Any]:
    """Gate, report and delivery of one month; settings must lead to the province."""
    reports = None if period == FULL else _ProvinceWritten()
    return deliver(render(check_gate(period), reports))
