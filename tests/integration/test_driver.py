"""What drives a month outlives a restart of the warehouse."""

from __future__ import annotations

from typing import Any

import psycopg

from include.operate.chain import _states, period_states
from include.operate.session import Session
from include.warehouse.connection import connect


def test_a_driver_that_lost_its_connection_takes_another(warehouse: str) -> None:
    client: Any = None  # not asked
    opened = Session(client, 0.0, connect(autocommit=True))
    before = opened.conn.info.backend_pid
    with psycopg.connect(warehouse, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s, 5000)", (before,))
        expected = period_states(admin)
    assert _states(lambda: opened.conn) == expected
    assert opened.conn.info.backend_pid != before
    opened.conn.close()
