"""What goes back to the county: a returned workbook where something is to be mended, a receipt where nothing is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from include.intake.feedback import write_receipt, write_returned_workbook
from include.intake.landing import sha256_of
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


def return_file(
    data: bytes,
    file_name: str,
    file_kind: str | None,
    findings: Sequence[Finding],
    *,
    period: str | None,
    reporter: Reporter | None,
    is_sample: bool,
    summary: str = "",
) -> Path:
    """Write the returned workbook (or the receipt when there is no finding) of one received file.

    Its name ends with the first digits of the file's checksum, so that two files of one name do not overwrite each
    other's return.

    Args:
        period, reporter: ``None`` where they could not be told.
        summary: one line for the receipt: what was accepted.
    """
    folder = return_folder(period, reporter)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{safe_stem(file_name)}-{sha256_of(data)[:8]}"
    county_name = reporter.reporter_name if reporter else None
    if not findings:
        return write_receipt(
            folder / f"{stem}-回执.xlsx",
            file_name=file_name,
            summary=summary,
            county_name=county_name,
            period=period,
            is_sample=is_sample,
        )
    return write_returned_workbook(
        data,
        file_kind or "",
        findings,
        folder / f"{stem}-退回.xlsx",
        file_name=file_name,
        county_name=county_name,
        period=period,
        is_sample=is_sample,
    )
