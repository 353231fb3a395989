"""How the warehouse is reached: the one place that turns settings into connections."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from include.settings import TIME_ZONE, get_settings
from include.warehouse import embedded

APPLICATION_NAME = "labour-reporting"
WAIT_SECONDS = 30.0

# libpq reports these without an SQLSTATE, since no session existed yet.
_PASSING = (
    "starting up", "shutting down", "recovery", "connection refused", "server closed the connection",
    "connection reset", "timeout", "timed out", "too many clients",
)  # fmt: skip


class WarehouseUnreachableError(RuntimeError):
    """No connection within the time allowed; the message ends with what to do about it."""


def warehouse_url() -> str:
    """``postgresql://`` URL of the warehouse: ``WAREHOUSE_URL``, else the embedded server, started if need be.

    Raises:
        EmbeddedPostgresError: the embedded server cannot be started.
    """
    configured = get_settings().warehouse_url
    if configured:
        return configured
    embedded.start()
    return embedded.url()


def airflow_metadata_url() -> str:
    """SQLAlchemy URL of Airflow's metadata: ``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN``, else the embedded server.

    Raises:
        EmbeddedPostgresError: the embedded server cannot be started.
    """
    configured = os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
    if configured:
        return configured
    embedded.start()
    return embedded.url(embedded.AIRFLOW_DATABASE, driver="postgresql+psycopg2")


def connect(*, wait_seconds: float = WAIT_SECONDS, **kwargs: Any) -> psycopg.Connection[Any]:
    """Open a psycopg 3 connection to the warehouse; the session's time zone is Asia/Shanghai.

    A server that is starting, restarting or full is waited for; a refused password or a missing database is not.

    Args:
        wait_seconds: how long to wait for a server that does not answer yet.
        **kwargs: passed on to :func:`psycopg.connect` (``autocommit``, ``row_factory``, ``dbname``, ...).

    Raises:
        WarehouseUnreachableError: no connection; the message says why, without the password.
        EmbeddedPostgresError: the embedded server cannot be started.
    """
    options = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": 10,
        "options": f"-c timezone={TIME_ZONE}",
        **kwargs,
    }
    deadline = time.monotonic() + wait_seconds
    pause = 0.05
    while True:
        try:
            return psycopg.connect(warehouse_url(), **options)
        except psycopg.OperationalError as error:
            reason = str(error).strip()
            passing = any(phrase in reason.lower() for phrase in _PASSING)
            if not passing or time.monotonic() + pause > deadline:
                raise WarehouseUnreachableError(
                    f"the warehouse cannot be reached: {reason}. Check that the server named by WAREHOUSE_URL runs "
                    f"and that its password is right; without WAREHOUSE_URL see `python -m include.warehouse.embedded "
                    f"status`"
                ) from error
        time.sleep(pause)
        pause = min(pause * 2, 1.0)


def client_environment(url: str) -> dict[str, str]:
    """Environment in which PostgreSQL's own programs reach this ``postgresql://`` URL. The login goes by environment,
    since other users can list the command lines of processes."""
    parameters = conninfo_to_dict(url)
    names = {
        "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
        "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
        "options": "PGOPTIONS",
    }  # fmt: skip
    # How encryption is checked may be set for the whole installation (PGSSLMODE, PGSSLROOTCERT): that stays.
    environment = {
        key: value for key, value in os.environ.items() if key not in names.values() or key.startswith("PGSSL")
    }
    environment |= {names[key]: str(value) for key, value in parameters.items() if key in names and value is not None}
    return environment | {"PGTZ": TIME_ZONE, "PGCLIENTENCODING": "UTF8"}


def _psql(arguments: Sequence[str]) -> None:
    """Become ``psql`` on the warehouse."""
    environment = client_environment(warehouse_url()) | {"PGAPPNAME": f"{APPLICATION_NAME}-psql"}
    program = str(embedded.client("psql"))
    if embedded.speaks_no_tls(program) and environment.get("PGSSLMODE") in ("require", "verify-ca", "verify-full"):
        raise embedded.EmbeddedPostgresError(embedded.NO_TLS)
    os.execve(program, [program, *arguments], environment)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.warehouse.connection psql [psql's own options]``."""
    parser = argparse.ArgumentParser(prog="python -m include.warehouse.connection")
    parser.add_argument("command", choices=("psql",))
    _, rest = parser.parse_known_args(arguments)
    try:
        _psql(rest)
    except embedded.EmbeddedPostgresError as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
