"""Where a county's returned workbook lies, and what it is called."""

from __future__ import annotations

import re
from pathlib import Path

from include.settings import get_settings

UNPLACED = "未识别"
RETURNS = "退回表"
TO_MEND, TO_CHECK, RECEIPT = "退回表", "请核对", "回执"
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')
#: names that Windows keeps for devices
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))})


def return_folder(period: str | None, reporter_name: str | None) -> Path:
    """``outbox/<period>/退回表/<reporter>``; what could not be placed goes under ``未识别``."""
    folder = get_settings().outbox / (period or UNPLACED) / RETURNS
    return folder / (safe_name(reporter_name) if reporter_name else UNPLACED)


def return_file(folder: Path, period: str, kind: str) -> Path:
    """A reporter's workbook of a month in its folder; ``kind`` is one of 退回表, 请核对, 回执."""
    return folder / f"{folder.name}-{period}-{kind}.xlsx"


def safe_stem(file_name: str) -> str:
    """A name for a new file after a received one: no path, nothing that Windows does not take in a name, at most 80
    characters."""
    return safe_name(Path(file_name.replace("\\", "/")).name.rpartition(".")[0])


def safe_name(name: str) -> str:
    """The name with what no file name may hold replaced."""
    plain = _UNSAFE.sub("_", name).strip(". ")[:80].strip(". ") or "文件"
    return f"_{plain}" if plain.partition(".")[0].upper() in _DEVICES else plain
