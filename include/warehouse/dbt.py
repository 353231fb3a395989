"""Running dbt: one ``dbt build`` a period, its results stored, its failures named.

dbt runs as a process of its own. Measured on two cores, importing dbt costs the same 2 to 3 s in either case, while in
process it would share logging, signal handlers and global flags with an Airflow task.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from include.intake.calendar import PeriodError, check_period
from include.settings import PROJECT_ROOT, get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect, warehouse_url
from include.warehouse.embedded import EmbeddedPostgresError

PREPARED = "tag:prepared"
MONTHLY = "tag:monthly"
THREADS = 4
TIMEOUT_SECONDS = 3600
_FAILED = frozenset({"error", "fail", "runtime error"})
# What the server says about a cause that passes by itself; the same build may simply be run again.
_PASSING = ("deadlock detected", "could not serialize", "terminating connection", "server closed the connection",
            "connection refused", "could not connect", "starting up", "shutting down", "too many clients",
            "recovery mode", "not yet accepting connections", "connection reset", "connection already closed",
            "eof detected", "canceling statement due to lock timeout")  # fmt: skip
_LOCK = "labour_reporting.dbt_build"
# A build of everything monthly always holds it; a build of a selection seldom does.
_LANDMARK = "model.labour_reporting.mart_labour_shortage_summary"


@dataclass(frozen=True, slots=True)
class NodeResult:
    """Outcome of one model, seed or test.

    Attributes:
        node_id: dbt's unique id, e.g. ``model.labour_reporting.mart_labour_shortage``.
        resource_type: ``model``, ``seed``, ``test`` or ``unit_test``.
        status: ``success``, ``pass``, ``warn``, ``error``, ``fail`` or ``skipped``.
        execution_s: seconds spent on the node.
        rows_affected: rows written by a model, where the database says so.
        failures: rows found by a test.
        message: what dbt says, ``None`` when it says nothing.
    """

    node_id: str
    resource_type: str
    status: str
    execution_s: float
    rows_affected: int | None
    failures: int | None
    message: str | None

    @property
    def name(self) -> str:
        """The name a person uses: the node id without type, project and hash."""
        return self.node_id.split(".")[2]

    @property
    def is_failed(self) -> bool:
        """Whether the node itself failed (a skipped one did not)."""
        return self.status in _FAILED


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A finished build.

    Attributes:
        period: reporting period ``YYYY-MM``.
        success: always true; a failed build raises.
        seconds: wall time in seconds, preparation included.
        prepared: whether seeds and relations without a period were set up first.
        nodes: results of the period's models and tests, in the order they finished.
        earlier: earlier periods that had to be built first, oldest first.
    """

    period: str
    success: bool
    seconds: float
    prepared: bool
    nodes: tuple[NodeResult, ...]
    earlier: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models built."""
        return tuple(node.name for node in self.nodes if node.resource_type == "model")


class MartBuildFailed(RuntimeError):
    """Models or tests failed; the message names them and says how to look.

    Attributes:
        period: the period that was built.
        waiting: periods that were not built because of it, oldest first.
        failed: results of the nodes that failed.
        is_passing: every failure comes from a lock or a lost connection, so the same build may be retried;
            otherwise the data or the SQL must be mended first.
    """

    def __init__(self, period: str, failed: Sequence[NodeResult], total: int, log: Path) -> None:
        self.period = period
        self.waiting: tuple[str, ...] = ()
        self.failed = tuple(failed)
        self.is_passing = all(_is_passing(node.message) for node in failed)
        named = "; ".join(f"{node.name} ({node.resource_type}: {_first_line(node.message)})" for node in failed)
        mend = (
            "The cause passes by itself: run the build again."
            if self.is_passing
            else "A failed test shows its rows when its compiled SQL (named in the log) is run by `make psql`; mend "
            "the submission or the model, then run the build again. The period's figures may be partly replaced."
        )
        super().__init__(
            f"dbt build of {period}: {len(failed)} of {total} nodes failed: {named}. Details: select * from "
            f"intake.model_result where period = '{period}' and status in ('error', 'fail'); log: {_shown(log)}. {mend}"
        )

    def __str__(self) -> str:
        if not self.waiting:
            return super().__str__()
        return (
            f"{super().__str__()} Not built because of it: {', '.join(self.waiting)}, which would look back at wrong "
            f"figures; the build that failed goes on with them when it is run again after {self.period} is mended."
        )


class MartBuildInterrupted(MartBuildFailed):
    """Every failure came from a lock or a lost connection: the DAGs try the same build again."""


class DbtNotRunError(RuntimeError):
    """dbt ended before it ran any node: the project does not parse, or the warehouse cannot be reached."""


class DbtInterrupted(DbtNotRunError):
    """The warehouse was away or going just then: the DAGs try the same build again."""


@contextmanager
def holding_back(periods: Sequence[str]) -> Iterator[None]:
    """A build that fails within names these periods as waiting for it."""
    try:
        yield
    except MartBuildFailed as error:
        error.waiting = tuple(sorted({*error.waiting, *periods} - {error.period}))
        raise


def dbt_build(period: str, *, select: str | None = None, full_refresh: bool = False) -> BuildResult:
    """Build and test the marts of one period.

    Seeds, staging and intermediate views and the dimensions without a period are set up first when the project has
    changed since the warehouse was last prepared. Builds of one warehouse wait for each other.

    A month reads what the marts hold of the months before it (how long a shortage has lasted, which version of an
    enterprise stands), so months are built oldest first. Earlier months of the ledger that have submissions but no
    finished build are therefore built here before the one asked for: on a gap its figures would be wrong without a
    sign. Later months that stand already are not rebuilt here; that is done by
    ``include.pipeline.build.build_marts``, which every run of the warehouse goes through.

    Args:
        period: reporting period ``YYYY-MM``; must stand in ``intake.reporting_period``.
        select: dbt selection instead of everything monthly, e.g. ``fct_training_need+``. What holds no period is left
            out whatever it says: to replace one view is to drop every view that stands on it.
        full_refresh: recreate the tables (after a change of column types or a new look-back) and build every period of
            the ledger anew, oldest first, analyses included: those of an older version may lack what the marts want.

    Raises:
        PeriodError: the period is not a month.
        MartBuildFailed: a model or a test failed, of this period or of an earlier one that had to be built first (the
            error's ``period`` says which); results are stored all the same.
        DbtNotRunError: dbt ended before any node ran.
    """
    check_period(period)
    started = time.monotonic()
    with connect(autocommit=True) as conn, _alone(conn):
        prepared = not _is_prepared(conn)
        if full_refresh:
            return _rebuild(conn, period, select, prepared, started)
        earlier = unbuilt_before(conn, period)
        for number, one in enumerate(earlier):
            with holding_back([*earlier[number + 1 :], period]):
                _first_build(conn, one, prepared and number == 0, None)
        done = _first_build(conn, period, prepared and not earlier, select)
    return BuildResult(period, True, round(time.monotonic() - started, 3), prepared, done, tuple(earlier))


def unbuilt_before(conn: psycopg.Connection[Any], period: str) -> list[str]:
    """Periods before this one, oldest first, that hold submissions but no build that went through.

    A month of which nothing was taken in needs no build: there is nothing in it to look back at.
    """
    rows = conn.execute(
        """
        select ledger.period
        from intake.reporting_period as ledger
        where
            ledger.period < %s
            and exists (select 1 from intake.submission as sent where sent.period = ledger.period)
            and not coalesce(
                (
                    select bool_and(result.status = 'success') and count(*) filter (where result.node_id = %s) > 0
                    from intake.model_result as result
                    where result.period = ledger.period and result.resource_type = 'model'
                ),
                false
            )
        order by ledger.period
        """,
        (period, _LANDMARK),
    )
    return [row[0] for row in rows]


def prepare(period: str) -> bool:
    """Set up what holds no period, if the project changed since; returns whether anything was done.

    Args:
        period: any period; what holds none is the same for all.
    """
    check_period(period)
    with connect(autocommit=True) as conn, _alone(conn):
        if _is_prepared(conn):
            return False
        _prepare(conn, period, PREPARED)
        return True


def run_unit_tests(period: str, *names: str) -> tuple[NodeResult, ...]:
    """Run dbt's unit tests against a prepared warehouse in which one period has been built.

    Args:
        names: run these alone.

    Raises:
        MartBuildFailed: a unit test failed.
    """
    nodes = _dbt(period, "test", "--select", *(names or ("test_type:unit",)))
    return _checked(period, nodes)


def project_fingerprint(project: Path) -> str:
    """sha256 over the files that decide how the warehouse is set up: project file, seeds, models and macros."""
    digest = hashlib.sha256()
    files = [project / "dbt_project.yml"]
    for folder in ("seeds", "models", "macros"):
        files += (path for path in (project / folder).rglob("*") if path.suffix in (".sql", ".yml", ".csv"))
    for path in sorted(files):
        digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def connection_environment(url: str) -> dict[str, str]:
    """The variables ``profiles.yml`` reads, from a libpq URL; a socket folder stands where a host may stand."""
    parameters = conninfo_to_dict(url)
    names = {"host": "DBT_HOST", "port": "DBT_PORT", "user": "DBT_USER", "password": "DBT_PASSWORD",
             "dbname": "DBT_DBNAME", "sslmode": "DBT_SSLMODE", "sslrootcert": "PGSSLROOTCERT",
             "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}  # fmt: skip
    environment = {"DBT_HOST": "localhost", "DBT_PORT": "5432", "DBT_PASSWORD": ""}
    # The profile names a mode, which would win over the one set for the whole installation.
    if os.environ.get("PGSSLMODE"):
        environment["DBT_SSLMODE"] = os.environ["PGSSLMODE"]
    environment |= {names[key]: str(value) for key, value in parameters.items() if key in names and value is not None}
    return environment


def _is_prepared(conn: psycopg.Connection[Any]) -> bool:
    known = conn.execute("select to_regclass('reference.project_state')").fetchone()
    if not known or not known[0]:
        return False
    row = conn.execute("select fingerprint from reference.project_state").fetchone()
    return row is not None and row[0] == project_fingerprint(get_settings().dbt_project)


def _prepare(conn: psycopg.Connection[Any], period: str, *selection: str) -> tuple[NodeResult, ...]:
    fingerprint = project_fingerprint(get_settings().dbt_project)
    # `cautious` leaves out tests that also need a relation not selected.
    arguments = ("--indirect-selection", "cautious", "--exclude-resource-type", "unit_test")
    nodes = _dbt(period, "build", "--select", *selection, *arguments)
    _record(conn, period, nodes)
    if all(node.status == "success" for node in nodes if node.resource_type in ("seed", "model")):
        with conn.transaction():
            conn.execute("create table if not exists reference.project_state (fingerprint text primary key)")
            conn.execute("comment on table reference.project_state is '上次建立基础关系时 dbt 项目的摘要'")
            conn.execute("delete from reference.project_state")
            conn.execute("insert into reference.project_state values (%s)", (fingerprint,))
    return _checked(period, nodes)


def _rebuild(
    conn: psycopg.Connection[Any], period: str, select: str | None, prepared: bool, started: float
) -> BuildResult:
    from include.analysis.run import analyse

    periods = sorted({period, *_ledger_periods(conn)})
    if prepared:
        _prepare(conn, periods[0], PREPARED)
    # Nothing counts as built any more until it has been built from the recreated tables.
    conn.execute("delete from intake.model_result where resource_type = 'model'")
    nodes = {}
    for number, one in enumerate(periods):
        with holding_back(periods[number + 1 :]):
            analyse(one)
            nodes[one] = _build(conn, one, select, full_refresh=number == 0)
    return BuildResult(period, True, round(time.monotonic() - started, 3), prepared, nodes[period])


def _first_build(
    conn: psycopg.Connection[Any], period: str, prepared: bool, select: str | None
) -> tuple[NodeResult, ...]:
    """The first build after the project changed: what holds no period is set up with it."""
    if prepared and select is None:
        return _prepare(conn, period, PREPARED, MONTHLY)
    if prepared:
        _prepare(conn, period, PREPARED)
    return _build(conn, period, select)


def _build(
    conn: psycopg.Connection[Any], period: str, select: str | None, full_refresh: bool = False
) -> tuple[NodeResult, ...]:
    arguments = ["build", "--select", *(select.split() if select else [MONTHLY])]
    arguments += ["--exclude-resource-type", "unit_test"]
    if select:
        arguments += ["--exclude", PREPARED]
    if full_refresh:
        arguments.append("--full-refresh")
    nodes = _dbt(period, *arguments)
    _record(conn, period, nodes)
    if select is None:
        _forget_gone(conn, period, nodes)
    return _checked(period, nodes)


def _forget_gone(conn: psycopg.Connection[Any], period: str, nodes: Iterable[NodeResult]) -> None:
    """Failures of models that the project no longer has would keep the period unbuilt for ever."""
    conn.execute(
        "delete from intake.model_result where period = %s and resource_type = 'model' and status <> 'success'"
        " and not node_id = any(%s)",
        (period, [node.node_id for node in nodes]),
    )


def _ledger_periods(conn: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in conn.execute("select period from intake.reporting_period order by period")]


@contextmanager
def _alone(conn: psycopg.Connection[Any]) -> Iterator[None]:
    # A session lock: it ends with the connection, whatever becomes of this process.
    conn.execute("select pg_advisory_lock(hashtext(%s))", (_LOCK,))
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(hashtext(%s))", (_LOCK,))


def _folder() -> Path:
    return get_settings().var / "dbt"


def _log() -> Path:
    return _folder() / "logs" / "dbt.log"


def _dbt(period: str, *arguments: str) -> tuple[NodeResult, ...]:
    project = get_settings().dbt_project
    target = _folder() / "target" / period
    target.mkdir(parents=True, exist_ok=True)
    _log().parent.mkdir(parents=True, exist_ok=True)
    results = target / "run_results.json"
    # Parsing takes longer than building a small month; every period's build starts from the last one's parsed project.
    parsed = _folder() / "partial_parse.msgpack"
    environment = {
        **os.environ,
        **connection_environment(warehouse_url()),
        "DBT_PERIOD": period,
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(_log().parent),
        "DBT_LOG_LEVEL_FILE": "info",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUTF8": "1",
    }
    environment.setdefault("DBT_THREADS", str(THREADS))
    verb, *rest = arguments
    command = [sys.executable, "-m", "dbt.cli.main", verb, *rest]
    # The lock goes on with the dbt process: where a killed task left one behind, the next try waits for it, since two
    # would each delete the period's rows and each insert them.
    with (_folder() / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results.unlink(missing_ok=True)
        if parsed.exists():
            shutil.copyfile(parsed, target / parsed.name)
        output = _run(command, environment, project, lock.fileno())
        if (target / parsed.name).exists():
            shutil.copyfile(target / parsed.name, parsed)
    if not results.exists():
        raise (DbtInterrupted if _is_passing(output) else DbtNotRunError)(
            f"dbt {verb} of {period} ended before any node ran. Check that the warehouse is up and that the project "
            f"parses (log: {_shown(_log())}). Last lines:\n{_tail(output)}"
        )
    return tuple(_read_results(json.loads(results.read_text(encoding="utf-8"))))


def _run(command: Sequence[str], environment: Mapping[str, str], folder: Path, lock: int) -> str:
    process = subprocess.Popen(
        command, env=dict(environment), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", errors="replace", pass_fds=(lock,),
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except BaseException:
        # A killed task must not leave a build running behind it: the next attempt would meet its locks.
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return output


def _read_results(document: Mapping[str, Any]) -> Iterator[NodeResult]:
    for result in document["results"]:
        rows = (result.get("adapter_response") or {}).get("rows_affected")
        yield NodeResult(
            node_id=result["unique_id"],
            resource_type=result["unique_id"].split(".")[0],
            status=result["status"],
            execution_s=round(float(result["execution_time"]), 3),
            # The server gives -1 where a statement counts no rows.
            rows_affected=None if rows is None or rows < 0 else int(rows),
            failures=result.get("failures"),
            message=result.get("message"),
        )


def _record(conn: psycopg.Connection[Any], period: str, nodes: Iterable[NodeResult]) -> None:
    rows = [{"period": period, **asdict(node)} for node in nodes]
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.model_result
                (period, node_id, resource_type, status, execution_s, rows_affected, failures, message)
            values (%(period)s, %(node_id)s, %(resource_type)s, %(status)s, %(execution_s)s, %(rows_affected)s,
                %(failures)s, %(message)s)
            on conflict (period, node_id) do update set
                resource_type = excluded.resource_type, status = excluded.status, execution_s = excluded.execution_s,
                rows_affected = excluded.rows_affected, failures = excluded.failures, message = excluded.message,
                recorded_at = now()
            """,
            rows,
        )


def _checked(period: str, nodes: tuple[NodeResult, ...]) -> tuple[NodeResult, ...]:
    failed = [node for node in nodes if node.is_failed]
    if failed:
        is_passing = all(_is_passing(node.message) for node in failed)
        raise (MartBuildInterrupted if is_passing else MartBuildFailed)(period, failed, len(nodes), _log())
    if not nodes:
        raise DbtNotRunError(f"dbt of {period} selected no node; check the selection (log: {_shown(_log())})")
    return nodes


def _is_passing(message: str | None) -> bool:
    text = (message or "").lower()
    return any(phrase in text for phrase in _PASSING)


def _first_line(message: str | None) -> str:
    lines = [line.strip() for line in (message or "no message").splitlines() if line.strip()]
    # dbt's first line only repeats the node; the database's own words follow it.
    return " ".join(lines[1:3] if len(lines) > 1 else lines[:1])


def _tail(output: str, count: int = 12) -> str:
    return "\n".join(output.strip().splitlines()[-count:])


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.warehouse.dbt 2026-03 [--select …] [--full-refresh]``."""
    parser = argparse.ArgumentParser(prog="python -m include.warehouse.dbt", description="build the marts of a period")
    parser.add_argument("period", help="reporting period, e.g. 2026-10")
    parser.add_argument("--select", help="dbt selection instead of everything monthly")
    parser.add_argument("--full-refresh", action="store_true", help="recreate the tables and build every period anew")
    options = parser.parse_args(arguments)
    try:
        result = dbt_build(options.period, select=options.select, full_refresh=options.full_refresh)
    except (
        PeriodError, MartBuildFailed, DbtNotRunError, WarehouseUnreachableError, EmbeddedPostgresError
    ) as error:  # fmt: skip
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{result.period}: {len(result.models)} models, {len(result.nodes)} nodes in {result.seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
