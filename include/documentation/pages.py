"""What dbt itself documents: models, columns, tests and lineage as one HTML file, and the manifest behind it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from include.settings import TIME_ZONE, get_settings
from include.warehouse.connection import connect, warehouse_url
from include.warehouse.dbt import connection_environment
from include.warehouse.migrate import migrate

Document = dict[str, Any]


class DocsNotWrittenError(RuntimeError):
    """dbt could not write its documentation; the message names what to run."""


@dataclass(frozen=True, slots=True)
class Described:
    """What dbt says of the project and of the warehouse.

    Attributes:
        manifest: the project as parsed (``manifest.json``, schema v12).
        catalog: relations and column types as they stand in the warehouse (``catalog.json``, schema v1).
    """

    manifest: Document
    catalog: Document


def write_pages(folder: Path) -> tuple[Path, Described]:
    """Write dbt's documentation into ``folder`` and return its path, with what it was made from.

    Types and sizes of tables come from the warehouse; before the first build these columns of the page are empty.

    Raises:
        DocsNotWrittenError: dbt failed; its last lines are in the message.
    """
    settings = get_settings()
    target = settings.var / "dbt" / "docs"
    target.mkdir(parents=True, exist_ok=True)
    with connect() as conn:
        migrate(conn)
        row = conn.execute("select max(period) from intake.reporting_period").fetchone()
    # Models cannot be compiled without a period; which one makes no difference to their documentation.
    period = (row and row[0]) or datetime.now(ZoneInfo(TIME_ZONE)).strftime("%Y-%m")
    page = target / "static_index.html"
    page.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "docs", "generate", "--static"],
        cwd=settings.dbt_project,
        env={
            **os.environ,
            **connection_environment(warehouse_url()),
            "DBT_PERIOD": period,
            "DBT_PROJECT_DIR": str(settings.dbt_project),
            "DBT_PROFILES_DIR": str(settings.dbt_project),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(settings.var / "dbt" / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )  # fmt: skip
    if done.returncode != 0 or not page.exists():
        last = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise DocsNotWrittenError(f"dbt docs failed; mend what it says and run `make docs` again:\n{last}")
    copied = folder / "dbt.html"
    shutil.copyfile(page, copied)
    manifest, catalog = (json.loads((target / f"{name}.json").read_text("utf-8")) for name in ("manifest", "catalog"))
    return copied, Described(manifest, catalog)
