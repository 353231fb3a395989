"""What one month costs, step by step, in processor seconds and bytes: the measurements behind docs/scaling.md.

``python -m tests.bench.bench_scale [--counties 4] [--enterprises 100]`` writes forms 1 to 3 of a month for every county
(3.5 posts and half a claim an enterprise) and takes them the whole way: collect, read, validate, load, marts, reports.
The month before is a copy of the same rows, so that the marts have a month to compare with, as they have every month
but the first. It prints one document for the ``runs`` of ``tests/bench/scaling.yaml``, from which
``python -m tests.bench.model`` computes the table of the page.

Processor seconds, not wall time, so that a machine which does other things as well gives the same figures:

* ``task``: the process of the task itself, where only one core can help;
* ``helpers``: the processes it starts (reading, validating, dbt, rendering), which work side by side;
* ``server``: PostgreSQL, its sessions included.

Everything lies in a folder of its own, with an embedded PostgreSQL of its own, removed at the end.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import yaml

from tests.bench.bench_province import PERIOD, Watch, write_county, write_reporters
from tests.bench.bench_warehouse import server_seconds

BEFORE = "2026-09"
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")

_COPY_LEDGER = """
insert into intake.received_file (
    sha256, file_name, channel, channel_path, size_bytes, received_at, collected_at, period, reporter_code, outcome,
    outcome_zh, is_sample
)
select
    sha256 || '-before', file_name, channel, channel_path || '-before', size_bytes, received_at - interval '1 month',
    collected_at, %(before)s, reporter_code, outcome, outcome_zh, is_sample
from intake.received_file where period = %(period)s;
insert into intake.submission (
    submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, is_sample,
    outcome, rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w
)
select
    sent.submission_id || '-before', copied.receipt_id, sent.form, %(before)s, sent.reporter_code, sent.county_code,
    sent.version, sent.sheets, copied.received_at, sent.is_sample, sent.outcome, sent.rows_read, sent.rows_accepted,
    sent.rows_held, sent.cells_read, sent.cells_filled, sent.findings_e, sent.findings_r, sent.findings_w
from intake.submission as sent
inner join intake.received_file as files using (receipt_id)
inner join intake.received_file as copied on files.sha256 || '-before' = copied.sha256
where sent.period = %(period)s;
insert into intake.sheet_layout
select layout.submission_id || '-before', layout.sheet, layout.column_name, layout.column_letter, layout.header_text
from intake.sheet_layout as layout
inner join intake.submission as sent using (submission_id)
where sent.period = %(period)s
"""


class Meter:
    """Keeps what each step cost."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, float]] = {}
        self.watch = Watch()
        self.watch.start()

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        """Calls the step; its result."""
        self.watch.peak()
        server, own, below = server_seconds(), time.process_time(), _children()
        result = step()
        self.steps[name] = {
            "task": round(time.process_time() - own, 2),
            "helpers": round(_children() - below, 2),
            "server": round(server_seconds() - server, 2),
            "peak_mb": round(self.watch.peak() / 1e6),
        }
        print(f"bench_scale: {name}: {self.steps[name]}", file=sys.stderr, flush=True)
        return result


def _children() -> float:
    """Processor seconds of the children that ended (each step ends its own)."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def copy_month(conn: psycopg.Connection[Any]) -> None:
    """The month's rows and ledger once more, for the month before. The caller commits."""
    from include.intake.calendar import SHANGHAI, load_rules
    from include.intake.reporters import load_reporters
    from include.ledger.periods import open_period
    from include.settings import get_settings
    from include.warehouse.loading import _ensure_partition, column_types

    settings = get_settings()
    reporters, rules = load_reporters(settings.reporters_file), load_rules(settings.reporting_file)
    open_period(conn, BEFORE, reporters, rules, _moment().astimezone(SHANGHAI))
    for statement in _COPY_LEDGER.split(";"):
        conn.execute(statement.encode(), {"before": BEFORE, "period": PERIOD})
    for form in FORMS:
        _ensure_partition(conn, form, BEFORE)
        kept = [name for name in column_types(conn, "raw", form) if name not in ("submission_id", "period")]
        columns = ", ".join(kept)
        statement = (
            f"insert into raw.{form} (submission_id, period, {columns})"
            f" select submission_id || '-before', '{BEFORE}', {columns} from raw.{form} where period = '{PERIOD}'"
        )
        conn.execute(statement.encode())


def _moment() -> Any:
    from datetime import datetime

    return datetime.fromisoformat("2026-11-03T09:00:00+08:00")


def _size(folder: Path, pattern: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def table_bytes(conn: psycopg.Connection[Any], schema: str) -> int:
    """Bytes of all tables of a schema with their indexes."""
    row = conn.execute(
        "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class as c"
        " where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'm')",
        (schema,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def measure(counties: int, enterprises: int) -> dict[str, Any]:
    """One run: ``{"counties", "enterprises", "rows", "files", "editions", "steps": {...}, "mb": {...}}``."""
    from include.intake.limits import load_limits
    from include.intake.workers import Workers
    from include.pipeline.build import build_marts, read_pending
    from include.pipeline.collect import collect
    from include.pipeline.load import load_batch
    from include.pipeline.validate import validate_batch
    from include.report.render import collect_issue, write_issue
    from include.settings import get_settings
    from include.warehouse.connection import connect
    from include.warehouse.dbt import prepare
    from include.warehouse.migrate import migrate

    settings = get_settings()
    names = write_reporters(settings.reporters_file, counties)
    patient = replace(load_limits(), seconds=3600.0, memory_bytes=4 << 30)
    with Workers(2, patient) as workers:
        written = workers.map(write_county, ((settings.inbox, name, code, enterprises) for name, code in names))
        rows = sum(outcome.get() for outcome in written)
    files = list(settings.inbox.rglob("*.xlsx"))
    with connect() as conn:
        migrate(conn)
        ledger = table_bytes(conn, "intake")
    prepare(BEFORE)

    meter = Meter()
    meter.run("collect", collect)
    batch = meter.run("read", lambda: read_pending(PERIOD, "bench"))
    batch = meter.run("validate", lambda: validate_batch(batch))
    meter.run("load", lambda: load_batch(batch))
    with connect() as conn:
        mb = {
            "workbooks": sum(path.stat().st_size for path in files),
            "landing": _size(settings.landing),
            "raw": table_bytes(conn, "raw") + table_bytes(conn, "restricted"),
            "ledger": table_bytes(conn, "intake") - ledger,
            "returned": _size(settings.outbox, "*.xlsx"),
        }
        copy_month(conn)
        conn.commit()
        conn.execute("analyze")
        conn.commit()
    build_marts(BEFORE, "bench")
    with connect() as conn:
        marts = table_bytes(conn, "marts")
    meter.run("marts", lambda: build_marts(PERIOD, "bench"))
    with connect() as conn:
        mb["marts"] = table_bytes(conn, "marts") - marts

    def figures() -> Any:
        # A session of its own that ends with the step: the server's seconds count when their session has ended.
        with connect() as own:
            return collect_issue(own, PERIOD)

    collected = meter.run("figures", figures)
    folder = settings.work / "reports"
    meter.run("reports", lambda: write_issue(collected, folder, maturity="final", maturity_reason="测"))
    mb["reports"] = _size(folder)
    meter.watch.stop()
    return {
        "counties": len(names),
        "enterprises": enterprises,
        "files": len(files),
        "rows": rows,
        "editions": len(collected.editions),
        "steps": meter.steps,
        "mb": {name: round(size / 1e6, 2) for name, size in mb.items()},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark in a folder of its own and prints the run as YAML."""
    parser = argparse.ArgumentParser(description="what each step of a month costs")
    parser.add_argument("--counties", type=int, default=4)
    parser.add_argument("--enterprises", type=int, default=100, help="enterprises a county")
    given = parser.parse_args(arguments)
    # The server's own user must be able to reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="labour-bench-")).resolve()
    folder.chmod(0o711)
    os.environ |= {"VAR_DIR": str(folder / "var"), "REPORTERS_FILE": str(folder / "reporters.csv")}
    for name in ("WAREHOUSE_URL", "INBOX_DIR", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR", "DRAFTS_DIR"):
        os.environ.pop(name, None)
    logging.basicConfig(level=logging.ERROR)
    from include.warehouse import embedded

    try:
        run = measure(given.counties, given.enterprises)
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(yaml.safe_dump([run], sort_keys=False, width=120, default_flow_style=None), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
