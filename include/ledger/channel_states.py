"""How each channel answered when it was last asked: ``intake.channel_state``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import psycopg


def last_looks(conn: psycopg.Connection) -> dict[str, datetime]:
    """When each channel was last looked at with success."""
    rows = conn.execute("select channel, last_success_at from intake.channel_state where last_success_at is not null")
    return {channel: looked_at for channel, looked_at in rows}


def record_channel(
    conn: psycopg.Connection, channel: str, kind: str, tried_at: datetime, *, waiting: int, error_zh: str | None
) -> None:
    """Write how a channel answered.

    Args:
        tried_at: when it was first asked in this collection.
        waiting: files seen and not taken.
        error_zh: why it is down; ``None`` when it is not.
    """
    conn.execute(
        """
        insert into intake.channel_state as state
            (channel, kind, last_tried_at, last_success_at, down_since, failures, error_zh, waiting)
        values (
            %(channel)s, %(kind)s, %(at)s,
            case when %(error)s::text is null then %(at)s::timestamptz end,
            case when %(error)s::text is not null then %(at)s::timestamptz end,
            case when %(error)s::text is null then 0 else 1 end, %(error)s, %(waiting)s
        )
        on conflict (channel) do update set
            kind = excluded.kind, last_tried_at = excluded.last_tried_at, error_zh = excluded.error_zh,
            waiting = excluded.waiting,
            last_success_at = coalesce(excluded.last_success_at, state.last_success_at),
            down_since = case when excluded.failures > 0 then coalesce(state.down_since, excluded.down_since) end,
            failures = case when excluded.failures > 0 then state.failures + 1 else 0 end
        """,
        {"channel": channel, "kind": kind, "at": tried_at, "error": error_zh, "waiting": waiting},
    )


def forget_other_channels(conn: psycopg.Connection, channels: Collection[str]) -> None:
    """Take away the state of channels that are not configured any more: nobody can mend those."""
    conn.execute("delete from intake.channel_state where channel <> all(%s)", (list(channels),))


def channels_down(conn: psycopg.Connection) -> dict[str, str]:
    """Why each channel is down that is, in Chinese."""
    rows = conn.execute(
        "select channel, error_zh from intake.channel_state where down_since is not null order by channel"
    )
    return {channel: error_zh for channel, error_zh in rows}
