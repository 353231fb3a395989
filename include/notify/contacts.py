"""Role mailboxes (``include/config/contacts.csv``) of reporters, city bureaus and the command office: never of persons.

A city bureau stands under its city's code (``450700``), the command office under the province's (``450000``).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from pathlib import Path

from include.intake.reporters import Reporter
from include.notify.message import NotifierConfigError
from include.notify.smtp import check_address

HEADER = ("reporter_code", "email")


def province_of(city_code: str) -> str:
    """The province's code of a city's: ``450000`` of ``450700``."""
    return f"{city_code[:2]}0000"


def known_codes(reporters: Iterable[Reporter]) -> set[str]:
    """Whoever may have a mailbox: the reporters, their cities, their province."""
    codes = set()
    for reporter in reporters:
        codes |= {reporter.reporter_code, reporter.city_code, province_of(reporter.city_code)}
    return codes


def load_contacts(path: Path, known: Collection[str]) -> dict[str, str]:
    """Mailbox by code; empty when there is no such file. Who has no line gets no mail.

    Args:
        known: the codes that may stand there; see :func:`known_codes`.

    Raises:
        NotifierConfigError: a column is missing, a code is unknown or stands twice, a mailbox is none; names the line.
    """
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        missing = [name for name in HEADER if name not in (reader.fieldnames or [])]
        if missing:
            raise NotifierConfigError(
                f"{path.name}: columns missing: {', '.join(missing)}; expected {','.join(HEADER)}"
            )
        for number, row in enumerate(reader, start=2):
            where = f"{path.name} line {number}"
            code, email = (row["reporter_code"] or "").strip(), (row["email"] or "").strip()
            if code not in known:
                raise NotifierConfigError(
                    f"{where}: reporter_code {code!r} is not in the list of reporters, nor a city's or the province's"
                )
            if code in found:
                raise NotifierConfigError(f"{where}: reporter_code {code} stands twice; keep one mailbox each")
            found[code] = check_address(email, where)
    return found
