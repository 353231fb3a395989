"""The models, their columns, tests and lineage as one HTML file: ``make docs``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from include.settings import TIME_ZONE, get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect, warehouse_url
from include.warehouse.dbt import connection_environment
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.migrate import MigrationError, migrate


class DocsNotWrittenError(RuntimeError):
    """dbt could not write its documentation; the message names what to run."""


def write_docs() -> Path:
    """Write the documentation of the dbt project and return its path.

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
        [
            sys.executable, "-m", "dbt.cli.main", "docs", "generate", "--static",
            "--vars", json.dumps({"period": period}),
        ],
        cwd=settings.dbt_project,
        env={
            **os.environ,
            **connection_environment(warehouse_url()),
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
    return page


def main() -> int:
    """``python -m include.warehouse.docs``: write the page and print where it is."""
    try:
        print(write_docs())
    except (DocsNotWrittenError, MigrationError, WarehouseUnreachableError, EmbeddedPostgresError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
