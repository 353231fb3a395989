"""Three months of the demonstration province in a database of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.sample.manifest import Manifest
from tests.databases import settings_of

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
        with settings_of(self.environment):
            yield
