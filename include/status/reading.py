"""The connection of the status page: reads the ledger, may do nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from include.settings import TIME_ZONE
from include.warehouse.connection import connect

#: Who may read the ledger, but neither whole rows as sent nor anything personal (docs/roles.md).
ROLE = "auditor"
STATEMENT_TIMEOUT = "5s"
# A person waits for the page: a server that does not answer by then is reported as such.
WAIT_SECONDS = 2.0

_SESSION = (
    f"-c timezone={TIME_ZONE} -c statement_timeout={STATEMENT_TIMEOUT} -c default_transaction_read_only=on "
    r"-c default_transaction_isolation=repeatable\ read"
)


@contextmanager
def reading() -> Iterator[psycopg.Connection[Any]]:
    """A connection for one page: one snapshot, read only, as :data:`ROLE` where the login may take that role.

    With docker-compose the page has a login of its own in that role; the embedded server's login takes it on. A login
    that may not (an owner that only gives it away) reads as itself, in a read-only transaction all the same.

    Raises:
        WarehouseUnreachableError: the warehouse does not answer.
        EmbeddedPostgresError: the embedded server cannot be started.
    """
    with connect(wait_seconds=WAIT_SECONDS, application_name="labour-status-page", options=_SESSION) as conn:
        conn.execute(
            "select set_config('role', rolname, false) from pg_roles where rolname = %s"
            " and pg_has_role(current_user, oid, 'set')",
            (ROLE,),
        )
        conn.commit()  # a rollback would give the role back
        yield conn
