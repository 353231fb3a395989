"""One at a time: work that two processes must not do at once, whatever machine they run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from include.warehouse.connection import connect


@contextmanager
def alone(work: str) -> Iterator[None]:
    """Hold the warehouse's lock of this name for the block, waiting for whoever holds it.

    The lock belongs to a connection of its own: it ends with this process, whatever becomes of it, and the work's own
    transactions are not touched by it.

    Args:
        work: what is done, e.g. ``load 2026-03``.

    Raises:
        WarehouseUnreachableError: no connection.
    """
    with connect(autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"labour_reporting.{work}",))
        yield
