"""Where things lie and how the system is reached: the one place that reads environment variables.

Every setting has a default that makes the embedded system work from a plain checkout; production sets the
variables (see ``.env.example``). Paths are absolute ``pathlib.Path`` objects.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
TIME_ZONE = "Asia/Shanghai"


@dataclass(frozen=True)
class Settings:
    """Resolved settings.

    Attributes:
        var: folder of all changing state (``VAR_DIR``, default ``<project>/var``).
        inbox, landing, outbox, work: the folders of the flow, under ``var`` unless set one by one
            (``INBOX_DIR``, ``LANDING_DIR``, ``OUTBOX_DIR``, ``WORK_DIR``).
        warehouse_url: ``WAREHOUSE_URL`` (``postgresql://user:password@host:port/database``) or ``None``: then the
            embedded PostgreSQL under ``var/postgres`` is used.
        reporters_file: CSV of who must report (``REPORTERS_FILE``).
        reporting_file: YAML of due days and thresholds (``REPORTING_FILE``).
    """

    var: Path
    inbox: Path
    landing: Path
    outbox: Path
    work: Path
    warehouse_url: str | None
    reporters_file: Path
    reporting_file: Path
    dbt_project: Path = PROJECT_ROOT / "dbt_project"
    expectations: Path = PROJECT_ROOT / "expectations"


def _path(name: str, default: Path) -> Path:
    value = os.environ.get(name)
    return Path(value).expanduser().resolve() if value else default


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Settings of this process, read once from the environment."""
    var = _path("VAR_DIR", PROJECT_ROOT / "var")
    config = PROJECT_ROOT / "include" / "config"
    return Settings(
        var=var,
        inbox=_path("INBOX_DIR", var / "inbox"),
        landing=_path("LANDING_DIR", var / "landing"),
        outbox=_path("OUTBOX_DIR", var / "outbox"),
        work=_path("WORK_DIR", var / "work"),
        warehouse_url=os.environ.get("WAREHOUSE_URL") or None,
        reporters_file=_path("REPORTERS_FILE", config / "reporters.csv"),
        reporting_file=_path("REPORTING_FILE", config / "reporting.yaml"),
    )
