"""Whose mail is whose: role mailboxes (``senders.csv``) of the reporters, never of persons."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

HEADER = ("email", "reporter_code")


class SenderListError(ValueError):
    """The list of senders cannot be used; the message names the line and what to write."""


def load_senders(path: Path, known: Collection[str]) -> dict[str, str]:
    """Reporter by mailbox (lower case); a reporter may have several, a mailbox one reporter.

    Args:
        known: the codes of all reporters.

    Raises:
        SenderListError: there is no such file, a column is missing, a mailbox is none or stands twice, a code is
            unknown; names the line.
    """
    if not path.is_file():
        raise SenderListError(f"there is no list of senders {path}: write one with the columns {','.join(HEADER)}")
    found: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        missing = [name for name in HEADER if name not in (reader.fieldnames or [])]
        if missing:
            raise SenderListError(f"{path.name}: columns missing: {', '.join(missing)}; expected {','.join(HEADER)}")
        for number, row in enumerate(reader, start=2):
            where = f"{path.name} line {number}"
            email, code = (row["email"] or "").strip().lower(), (row["reporter_code"] or "").strip()
            name, at, domain = email.partition("@")
            if not name or not at or "@" in domain or "." not in domain or any(letter.isspace() for letter in email):
                raise SenderListError(f"{where}: {email!r} is not a mailbox like rsj@example.cn")
            if code not in known:
                raise SenderListError(f"{where}: reporter_code {code!r} is not in the list of reporters")
            if email in found:
                raise SenderListError(f"{where}: {email} stands twice; a mailbox belongs to one reporter")
            found[email] = code
    return found
