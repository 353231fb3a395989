"""What was written into the demo inbox and what the system should make of it, for tests to hold it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ExpectedFinding:
    """A finding that must be made, ``count`` times at that place.

    Attributes:
        defect: key of the planted defect, or ``habit`` for a harmless habit that leaves a note.
        cell: A1 address, ``None`` when it is about no single cell.
    """

    code: str
    form: str | None
    sheet: str | None
    cell: str | None
    column: str | None
    defect: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class ExpectedForm:
    """One form in one file: its expected outcome (``accepted``, ``accepted_with_findings``, ``refused``)."""

    form: str
    outcome: str
    sheet: str | None
    rows: int
    rows_held: int


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of the inbox.

    Attributes:
        path: below the inbox, with ``/``.
        received_at: its modification time, ISO 8601 with the offset of Shanghai.
        outcome: ``read``, ``refused`` (the whole file), ``duplicate`` (bytes already sent under another name) or
            ``awaiting_approval`` (sent after the month had closed: not read).
        findings: every finding expected, planted or harmless.
    """

    path: str
    period: str
    reporter_code: str
    sending: int
    received_at: str
    sha256: str
    outcome: str
    forms: tuple[ExpectedForm, ...]
    findings: tuple[ExpectedFinding, ...]


@dataclass(frozen=True, slots=True)
class PlantedDefect:
    """One planted mistake. ``file`` is ``None`` when its point is that nothing was sent; ``alert`` names the rule of
    supervision that the warehouse must find broken, where the mistake shows only there."""

    key: str
    kind: str
    period: str
    reporter_code: str
    form: str | None
    file: str | None
    outcome: str
    findings: tuple[ExpectedFinding, ...]
    alert: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectedReport:
    """What a reporter's form of a month comes to once everything is processed.

    Attributes:
        outcome: of the latest accepted version, else ``refused`` or ``not_received``.
        versions: how many times the form was sent with new content in a file that names its form and month.
        rows, rows_accepted, rows_held: of the latest accepted version; 0 when there is none.
        sums: over the accepted rows of that version, by column (persons or yuan); empty when there is none. Money taken
            back (追回) is ``recovered`` and in no other sum.
    """

    period: str
    reporter_code: str
    form: str
    outcome: str
    versions: int
    is_on_time: bool
    rows: int
    rows_accepted: int
    rows_held: int
    sums: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole inbox: files written, defects planted, results expected. ``made_by`` is the generator's fingerprint."""

    label: str
    made_by: str
    seed: int
    periods: tuple[str, ...]
    files: tuple[WrittenFile, ...]
    planted: tuple[PlantedDefect, ...]
    expected: tuple[ExpectedReport, ...]

    def to_json(self) -> str:
        """The manifest as indented JSON, the same text for the same inbox."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"


def read_manifest(path: Path) -> Manifest:
    """A manifest written before; raises ``OSError`` or ``ValueError`` when it is not one."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Manifest(
        label=document["label"],
        made_by=document["made_by"],
        seed=document["seed"],
        periods=tuple(document["periods"]),
        files=tuple(
            WrittenFile(
                **{
                    **entry,
                    "forms": tuple(ExpectedForm(**one) for one in entry["forms"]),
                    "findings": _findings(entry["findings"]),
                }
            )
            for entry in document["files"]
        ),
        planted=tuple(
            PlantedDefect(**{**entry, "findings": _findings(entry["findings"])}) for entry in document["planted"]
        ),
        expected=tuple(ExpectedReport(**entry) for entry in document["expected"]),
    )


def _findings(entries: list[dict[str, Any]]) -> tuple[ExpectedFinding, ...]:
    return tuple(ExpectedFinding(**entry) for entry in entries)
