"""Role mailboxes of the reporters (``include/config/contacts.csv``): never those of persons."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from include.notify.message import NotifierConfigError
from include.notify.smtp import check_address

HEADER = ("reporter_code", "email")


def load_contacts(path: Path, known: Collection[str]) -> dict[str, str]:
    """Mailbox by reporter code; empty when there is no such file. A reporter without a line gets no mail.

    Args:
        known: the codes of the configured reporters.

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
                raise NotifierConfigError(f"{where}: reporter_code {code!r} is not in the list of reporters")
            if code in found:
                raise NotifierConfigError(f"{where}: reporter_code {code} stands twice; keep one mailbox each")
            found[code] = check_address(email, where)
    return found
