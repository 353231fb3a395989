"""What goes back to the county: a returned workbook where something is to be mended, a receipt where nothing is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from include.intake.feedback import write_receipt, write_returned_workbook
from include.intake.reading import Identification
from include.intake.reporters import Reporter
from include.quality.findings import Finding
from include.settings import get_settings

UNPLACED = "未识别"
RETURNS = "退回表"
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def return_folder(period: str | None, reporter: Reporter | None) -> Path:
    """``outbox/<period>/退回表/<reporter>``; what could not be placed goes under ``未识别``."""
    folder = get_settings().outbox / (period or UNPLACED) / RETURNS
    return folder / (reporter.reporter_name if reporter else UNPLACED)


def safe_stem(file_name: str) -> str:
    """A name for a new file after a received one: no path, no control or reserved characters, at most 80 characters."""
    stem = _UNSAFE.sub("_", Path(file_name.replace("\\", "/")).name).rpartition(".")[0] or "文件"
    return stem.strip(". ")[:80] or "文件"


def return_unplaced_file(
    data: bytes, file_name: str, found: Identification, reporters: Sequence[Reporter]
) -> Path:
    """Return a file that was refused before its rows were read."""
    reporter = next((r for r in reporters if r.reporter_code == found.reporter_code), None)
    return return_file(data, file_name, found.file_kind, found.findings, folder=return_folder(found.period, reporter))


def return_file(
    data: bytes,
    file_name: str,
    file_kind: str | None,
    findings: Sequence[Finding],
    *,
    folder: Path,
    tag: str = "",
    summary: str = "",
) -> Path:
    """Write the returned workbook (or the receipt when there is no finding) of one received file.

    Args:
        folder: where it goes; made when missing.
        tag: put into the file name to keep apart files of the same name.
        summary: one line of the receipt: what was accepted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = safe_stem(file_name) + (f"-{tag}" if tag else "")
    if not findings:
        return write_receipt(folder / f"{stem}-回执.xlsx", file_name=file_name, summary=summary)
    return write_returned_workbook(data, file_kind or "", findings, folder / f"{stem}-退回.xlsx", file_name=file_name)
