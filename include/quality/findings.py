"""One kind of finding for every problem met in a submission, and the catalogue that puts it into words.

A finding carries a stable code and the facts; the words (Chinese, for clerks and the office) come from the YAML files
in ``include/quality/catalogue/``. The first letter of a code is its severity: ``E`` blocks the form of that file,
``R`` holds the row back, ``W`` lets the row pass and is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

Severity = Literal["E", "R", "W"]
#: Findings of one code kept one by one for one form of one file. A clerk mends a thousand at a time; the count beyond
#: is exact all the same, and is said.
DETAIL_PER_CODE = 1_000
CATALOGUE = Path(__file__).parent / "catalogue"


class UnknownFindingCode(KeyError):
    """A code that no catalogue file defines: add it to ``include/quality/catalogue/``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place.

    Attributes:
        code: stable code of the catalogue, e.g. ``R-VAL-001``.
        form: form name (``enterprise_status`` …) or ``None`` for the whole file.
        sheet: sheet title as in the workbook, ``None`` for the whole file.
        row: 1-based row of the sheet, ``None`` when not about one row.
        column: column name of the form's YAML (or ``None``).
        cell: A1 address (``None`` when not about one cell).
        value: what stood there, as text; masked already where personal.
        params: facts for the message template (JSON-able values).
    """

    code: str
    form: str | None = None
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    cell: str | None = None
    value: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return severity_of(self.code)

    @property
    def message_zh(self) -> str:
        """What is wrong, what was found, what to write instead."""
        return describe(self)


@dataclass(slots=True)
class FindingLog:
    """The findings of one form of one file (or of the file itself): every one is counted, not every one is kept.

    Attributes:
        detail: findings kept one by one, at most :data:`DETAIL_PER_CODE` of a code.
        counts: code -> findings met, exact.
        held: (sheet, row) of every row that an ``R`` finding holds back, exact.
    """

    detail: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    held: set[tuple[str, int]] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        """Count a finding, hold its row back when it is an ``R``, keep it while there is room."""
        self.counts[finding.code] += 1
        if finding.severity == "R" and finding.sheet is not None and finding.row is not None:
            self.held.add((finding.sheet, finding.row))
        if self.counts[finding.code] <= DETAIL_PER_CODE:
            self.detail.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """:meth:`add` each of them."""
        for finding in findings:
            self.add(finding)

    def merge(self, other: FindingLog) -> None:
        """Take over what another log counted, held and kept."""
        kept = Counter(finding.code for finding in self.detail)
        for finding in other.detail:
            if kept[finding.code] < DETAIL_PER_CODE:
                kept[finding.code] += 1
                self.detail.append(finding)
        self.counts.update(other.counts)
        self.held |= other.held

    def count(self, severity: Severity) -> int:
        """Findings met of a severity, exact."""
        return sum(number for code, number in self.counts.items() if severity_of(code) == severity)

    @property
    def refused(self) -> bool:
        """Whether any finding blocks the form."""
        return self.count("E") > 0


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A rule as people read it: ``title_zh`` names it, ``message_zh`` is a ``str.format`` template over
    ``value``, ``cell``, ``header`` and the finding's params, ``mend_zh`` says what to do."""

    code: str
    title_zh: str
    message_zh: str
    mend_zh: str
    owner: str


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, CatalogueEntry]:
    """All codes, from every YAML file of the catalogue folder. A code defined twice raises ``ValueError``."""
    entries: dict[str, CatalogueEntry] = {}
    for path in sorted(CATALOGUE.glob("*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for code, texts in document["codes"].items():
            if code in entries:
                raise ValueError(f"finding code {code} is defined twice (second time in {path.name})")
            if code[0] not in "ERW":
                raise ValueError(f"finding code {code} in {path.name} must begin with E, R or W")
            entries[code] = CatalogueEntry(
                code=code,
                title_zh=texts["title"],
                message_zh=texts["message"],
                mend_zh=texts["mend"],
                owner=texts.get("owner", document["owner"]),
            )
    return entries


def severity_of(code: str) -> Severity:
    """Severity by the code's first letter."""
    letter = code[0]
    if letter == "E":
        return "E"
    if letter == "R":
        return "R"
    if letter == "W":
        return "W"
    raise UnknownFindingCode(code)


def entry(code: str) -> CatalogueEntry:
    """Catalogue entry of a code; raises :class:`UnknownFindingCode`."""
    try:
        return catalogue()[code]
    except KeyError:
        raise UnknownFindingCode(code) from None


def describe(finding: Finding) -> str:
    """The finding's message in Chinese, ending with what to do."""
    texts = entry(finding.code)
    facts = {"value": finding.value if finding.value not in (None, "") else "（空）", "cell": finding.cell or ""}
    facts.update(finding.params)
    return f"{texts.message_zh.format_map(facts).rstrip('。')}。{texts.mend_zh.format_map(facts)}"


def column_letter(column_index: int) -> str:
    """Letters of a 0-based column: ``column_letter(27) == 'AB'``."""
    letters = ""
    index = column_index + 1
    while index:
        index, remainder = divmod(index - 1, 26)
        letters = chr(65 + remainder) + letters
    return letters


def column_index(letters: str) -> int:
    """0-based column of its letters: the inverse of :func:`column_letter`."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def cell_address(row: int, column_index: int) -> str:
    """A1 address from a 1-based row and a 0-based column: ``cell_address(5, 27) == 'AB5'``."""
    return f"{column_letter(column_index)}{row}"
