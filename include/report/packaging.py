"""Office files with the same bytes for the same content: fixed zip timestamps, order and compression."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

from include.report.model import ReportFigures

# The earliest instant a zip entry can carry; Office programs write it too.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def repack(package: bytes, rewrite: Callable[[str, bytes], bytes] | None = None) -> bytes:
    """The same zip package with fixed timestamps and attributes.

    Args:
        package: bytes of a .docx or .xlsx file. [Content_Types].xml is written first, as readers expect.
        rewrite: called with (name, content) of every entry, returns the content to write.
    """
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as out,
    ):
        for name in sorted(
            source.namelist(), key=lambda one: (one != "[Content_Types].xml", not one.startswith("_rels/"), one)
        ):
            content = source.read(name)
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            entry.create_system = 3
            out.writestr(entry, rewrite(name, content) if rewrite else content)
    return target.getvalue()


def document_instant(figures: ReportFigures) -> datetime:
    """The instant written into document properties (UTC, naive): the data cut-off, or the first of the next month."""
    if figures.data_cutoff is not None:
        return figures.data_cutoff.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    year, month = map(int, figures.period.split("-"))
    return datetime(year + month // 12, month % 12 + 1, 1)
