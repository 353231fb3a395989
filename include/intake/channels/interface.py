"""What every channel can do, and what passes between a channel and the collection."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml

from include.quality.findings import Finding

Kind = Literal["local", "sftp", "s3", "imap"]

Known = AbstractSet[tuple[str, datetime, int]]
"""(path in the channel, time of change as the channel shows it, bytes) of every file that the ledger has."""

BLOCK_BYTES = 1 << 20
_REASONS = Path(__file__).with_name("reasons.yaml")


class ChannelDown(RuntimeError):
    """A channel cannot be reached or read as a whole.

    Attributes:
        reason_zh: what is wrong and what to do, for the ledger and the status page; the message is the same in English.
        passes: whether asking again within the same minute may help. A refused login may not: servers lock accounts
            after a few.
    """

    def __init__(self, code: str, *, passes: bool = False, **params: Any) -> None:
        texts = _reasons()[code]
        super().__init__(texts["en"].format_map(params))
        self.reason_zh: str = texts["zh"].format_map(params)
        self.passes = passes


@lru_cache(maxsize=1)
def _reasons() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load(_REASONS.read_text(encoding="utf-8"))
    return found


class ChangedWhileRead(RuntimeError):
    """A file is not any more what it was when reading it began: it is taken at a later look."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file as it lies in a channel.

    Attributes:
        path_in_channel: stable path below the channel's root, with ``/``.
        folder: the folders above the file (may name period and county), ``""`` at the root.
        received_at: when it arrived (Shanghai time).
        modified_at: when it was last changed, as the channel shows it, by which it is known again; ``None`` where that
            is ``received_at``.
    """

    channel: str
    path_in_channel: str
    file_name: str
    folder: str
    received_at: datetime
    size_bytes: int
    modified_at: datetime | None = None

    @property
    def key(self) -> tuple[str, datetime, int]:
        """What it is known by; see :data:`Known`."""
        return self.path_in_channel, self.modified_at or self.received_at, self.size_bytes


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something not in the ledger yet that lies in a channel: a file, or a mail with its attachments.

    Attributes:
        key: names it within the channel.
        state: equal at two looks when it has not changed in between: size, time of change, tag of the server.
        is_settled: nothing writes to it any more, for certain: no second look is needed.
        handle: the channel's own.
    """

    key: str
    state: Hashable
    received_at: datetime
    is_settled: bool
    handle: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What lies in a channel: how many files (or mails) in all, and those not in the ledger yet, oldest first."""

    present: int
    fresh: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file on its way into the landing store.

    Attributes:
        content: its bytes, piece by piece, to be read once and before the next delivery is asked for; ``None`` where
            they are not to be had. Reading raises :class:`ChangedWhileRead` at the end when the file changed meanwhile,
            ``OSError`` when this one file cannot be read, :class:`ChannelDown` when the channel is lost.
        refusal: why the file may not enter a county's data, known before anybody looked into it.
    """

    arrival: Arrival
    content: Iterable[bytes] | None = field(repr=False)
    refusal: Finding | None = None


class Channel(Protocol):
    """A place that can be looked at again and again. Nothing in it is changed or deleted, unless it is asked for.

    Every method raises :class:`ChannelDown` when the place cannot be reached or read.

    Attributes:
        name: stable; the ledger names every file's channel.
        kind: what it is, see :data:`Kind`.
        settle_seconds: a file is taken when two looks so far apart find it the same; 0 where files appear as a whole.
        marks: :meth:`finish` has something to do.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def settle_seconds(self) -> float: ...

    @property
    def marks(self) -> bool: ...

    def session(self) -> AbstractContextManager[None]:
        """Connect for the ``with`` block; the methods below need it."""
        ...

    def look(self, known: Known) -> Look:
        """What lies there now. No file is read, and of what is known nothing is asked but the listing."""
        ...

    def take(self, sighting: Sighting, seen_before: datetime | None) -> Iterator[Delivery]:
        """What was sighted, as files.

        Args:
            seen_before: the last look that succeeded before this collection. What it did not see came later, whatever
                its time of change says; ``None``: there was none.
        """
        ...

    def finish(self, known: Known) -> None:
        """Mark or move what the ledger has now, where the channel is set to."""
        ...
