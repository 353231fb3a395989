"""Fetching: what lies in a channel and is not in the ledger goes into the landing store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from include.intake.calendar import SHANGHAI
from include.intake.channels import Arrival, ChangedWhileRead, Channel, ChannelDown, Delivery, Known, Sighting
from include.intake.channels.folders import FolderChannel
from include.intake.landing import LandingStore, LandingTooLarge, LandingUnwritable
from include.intake.workbook import too_large
from include.quality.findings import Finding

log = logging.getLogger(__name__)

#: Seconds between the attempts of one collection at a channel that does not answer; the next collection is another.
PAUSES: Sequence[float] = (1.0, 4.0)
_SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True)
class Landed:
    """A file in the landing store. ``refusal``: why nobody need look into it."""

    arrival: Arrival
    sha256: str
    refusal: Finding | None = None


@dataclass(slots=True)
class Gathered:
    """What one channel gave.

    Attributes:
        tried_at: when it was asked.
        present: files (or mails) lying there.
        landed: those fetched this time.
        waiting: files seen and not fetched: still being written, or changed while they were read.
        unreadable: files that the channel would not hand over; they are tried again at the next collection.
        down: why the channel could not be read as a whole, or not to its end; ``None`` when it was.
    """

    channel: Channel
    tried_at: datetime
    present: int = 0
    landed: list[Landed] = field(default_factory=list)
    waiting: int = 0
    unreadable: int = 0
    down: ChannelDown | None = None


def gather_all(
    channels: Sequence[Channel],
    store: LandingStore,
    known: Mapping[str, Known],
    looked_at: Mapping[str, datetime],
    file_bytes: int,
) -> list[Gathered]:
    """:func:`gather` for every channel, side by side: one that is slow or down keeps no other waiting.

    Args:
        known: what the ledger has, by channel.
        looked_at: the last look that succeeded, by channel.
        file_bytes: what one file may have.
    """
    if len(channels) == 1:
        [channel] = channels
        return [gather(channel, store, known[channel.name], looked_at.get(channel.name), file_bytes)]
    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE, thread_name_prefix="channel") as pool:
        return list(
            pool.map(
                lambda channel: gather(channel, store, known[channel.name], looked_at.get(channel.name), file_bytes),
                channels,
            )
        )


def gather(
    channel: Channel, store: LandingStore, known: Known, seen_before: datetime | None, file_bytes: int
) -> Gathered:
    """Fetch what is new in a channel; a channel that does not answer is asked again a few times."""
    result = Gathered(channel, datetime.now(SHANGHAI))
    for pause in (*PAUSES, None):
        result.waiting = result.unreadable = 0
        try:
            with channel.session():
                # What an earlier attempt fetched is not fetched again.
                _fetch_new(
                    channel,
                    store,
                    known | {item.arrival.key for item in result.landed},
                    seen_before,
                    file_bytes,
                    result,
                )
            result.down = _closed_folders(channel)
            if result.down is not None:
                log.error("channel %s: %s", channel.name, result.down)
            return result
        except ChannelDown as down:
            result.down = down
        except LandingUnwritable as error:
            result.down = ChannelDown("disk", detail=error)
        except Exception as error:  # what no test foresaw in one channel must not stop the others
            log.exception("%s: unforeseen", channel.name)
            result.down = ChannelDown("answer", where=channel.name, detail=f"{type(error).__name__}: {error}")
        log.error("channel %s: %s", channel.name, result.down)
        if pause is None or not result.down.passes:
            break
        log.info("channel %s is asked again in %g s", channel.name, pause)
        time.sleep(pause)
    return result


def _closed_folders(channel: Channel) -> ChannelDown | None:
    """Folders that the account may not look into: what lies there is known to nobody, so somebody must be told. All
    else was fetched."""
    closed = channel.unreadable if isinstance(channel, FolderChannel) else []
    if not closed:
        return None
    where = getattr(channel, "where", channel.name)
    return ChannelDown("forbidden", where=where, folder=", ".join(sorted(closed)[:5]), detail=len(closed))


def _fetch_new(
    channel: Channel,
    store: LandingStore,
    known: Known,
    seen_before: datetime | None,
    file_bytes: int,
    result: Gathered,
) -> None:
    for sighting in _at_rest(channel, known, result):
        try:
            for delivery in channel.take(sighting, seen_before):
                if delivery.arrival.key not in known:
                    result.landed.append(_landed(delivery, store, file_bytes))
        except (ChangedWhileRead, LandingTooLarge) as change:
            result.waiting += 1
            log.info("%s: %s; it is taken at a later look", channel.name, change)
        except OSError as error:
            result.unreadable += 1
            log.error(
                "%s: %s cannot be read: %s; mend its permissions", channel.name, sighting.key, error.strerror or error
            )


def _at_rest(channel: Channel, known: Known, result: Gathered) -> list[Sighting]:
    """What is new and was the same at two looks."""
    first = channel.look(known)
    result.present = first.present
    if all(sighting.is_settled for sighting in first.fresh):
        return list(first.fresh)
    time.sleep(channel.settle_seconds)
    second = channel.look(known)
    result.present = second.present
    before = {sighting.key: sighting.state for sighting in first.fresh}
    ready = [sighting for sighting in second.fresh if before.get(sighting.key) == sighting.state]
    result.waiting += len(second.fresh) - len(ready)
    return ready


def _landed(delivery: Delivery, store: LandingStore, file_bytes: int) -> Landed:
    arrival = delivery.arrival
    if delivery.content is None or arrival.size_bytes > file_bytes:
        # Not fetched, so that nobody fills the disk. What the ledger points to says so in its place.
        refusal = delivery.refusal or too_large(arrival.size_bytes, arrival.file_name).finding
        return Landed(arrival, store.put((_note(arrival),)), refusal)
    return Landed(arrival, store.put(delivery.content, limit=file_bytes), delivery.refusal)


def _note(arrival: Arrival) -> bytes:
    return (
        "原件过大，未收取。The original was too large and was not fetched.\n"
        f"渠道 channel: {arrival.channel}\n路径 path: {arrival.path_in_channel}\n"
        f"字节 bytes: {arrival.size_bytes}\n收到时间 received: {arrival.received_at.isoformat()}\n"
    ).encode()
