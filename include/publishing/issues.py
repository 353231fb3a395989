"""Which issue a set of figures is, and what it corrects: decided by what was printed, not by how it came about.

* the first report of a month is issue 0;
* a provisional report is replaced by the next one, provisional or final, under the same number: it said that it would
  be. The same figures made final are the same issue upgraded;
* figures that differ from those of a final issue are the next one, 第n次更正, with each difference listed. Once final,
  a month stays final.

Two sets of figures differ when a figure that both print reads otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import psycopg

from include.publishing.wording import texts
from include.report.model import Correction
from include.report.printed import Printed

PrintedByEdition = Mapping[str, Mapping[str, Printed]]
Change = Literal["first", "replaces", "upgrade", "corrected", "unknown"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a set of figures would be issued as.

    Attributes:
        issue_no: 0, or n of 第n次更正.
        is_issued: it is what was issued last; there is nothing to do.
        corrections: by edition, what it printed otherwise last time; empty unless it is a correction.
        change: against the last issue; ``unknown`` where that one did not keep what it printed.
        differing: number of figures that read otherwise, over all editions.
    """

    issue_no: int
    maturity: str
    is_issued: bool
    change: Change
    differing: int
    corrections: Mapping[str, tuple[Correction, ...]]


def plan_issue(
    conn: psycopg.Connection[Any], period: str, maturity: str, input_hash: str, printed: PrintedByEdition
) -> Plan:
    """Compare with the issue last published of ``period``.

    Args:
        maturity: what the gate says.
        input_hash: of the ledger that the figures were made from; decides where the last issue kept no figures.
    """
    last = conn.execute(
        "select issue_no, maturity, input_hash from intake.publication where period = %s"
        " order by issue_no desc limit 1",
        (period,),
    ).fetchone()
    if last is None:
        return Plan(0, maturity, False, "first", 0, {})
    issue_no, last_maturity, last_hash = last
    before = printed_before(conn, period, issue_no)
    differences = {edition: differences_of(before.get(edition, {}), now) for edition, now in printed.items()}
    if before:
        differing = sum(one.before != one.now for found in differences.values() for one in found if _in_both(one))
        is_same = differing == 0
    else:
        differing, is_same = 0, last_hash == input_hash
    if last_maturity == "final":
        if is_same:
            return Plan(issue_no, "final", True, "corrected", 0, {})
        return Plan(issue_no + 1, "final", False, "corrected" if before else "unknown", differing, differences)
    if is_same:
        return Plan(issue_no, maturity, maturity == last_maturity, "upgrade", 0, {})
    return Plan(issue_no, maturity, False, "replaces" if before else "unknown", differing, {})


def printed_before(conn: psycopg.Connection[Any], period: str, issue_no: int) -> dict[str, dict[str, Printed]]:
    """What an issue printed, by edition and key; empty for one published before such was kept."""
    found: dict[str, dict[str, Printed]] = {}
    for edition, key, label, text in conn.execute(
        "select edition, key, label, printed from intake.publication_figure where period = %s and issue_no = %s"
        " order by edition, position",
        (period, issue_no),
    ):
        found.setdefault(edition, {})[key] = Printed(label, text)
    return found


def differences_of(before: Mapping[str, Printed], now: Mapping[str, Printed]) -> tuple[Correction, ...]:
    """Figures that read otherwise, in today's order; then those that are gone. An edition that is new has none."""
    if not before:
        return ()
    found = [
        Correction(key, printed.label, before[key].text if key in before else None, printed.text)
        for key, printed in now.items()
        if is_compared(key) and (key not in before or before[key].text != printed.text)
    ]
    found += [
        Correction(key, printed.label, printed.text, None)
        for key, printed in before.items()
        if key not in now and is_compared(key)
    ]
    return tuple(found)


def is_compared(key: str) -> bool:
    """Whether a figure that reads otherwise was corrected (``not_compared``)."""
    return not any(fnmatchcase(key, pattern) for pattern in texts()["not_compared"])


def _in_both(correction: Correction) -> bool:
    """A figure of one issue alone is no proof of a change: a newer version of the report may print more."""
    return correction.before is not None and correction.now is not None


def printed_digest(printed: PrintedByEdition) -> str:
    """sha256 over every printed figure but those that nobody calls corrected (``not_compared``)."""
    lines = [
        [edition, key, one.text]
        for edition, figures in sorted(printed.items())
        for key, one in sorted(figures.items())
        if is_compared(key)
    ]
    return hashlib.sha256(json.dumps(lines, ensure_ascii=False).encode()).hexdigest()
