"""Workbooks saved anew by LibreOffice: another program's idea of the same book.

It is asked for once for all books of a kind, since starting it costs seconds; where it is not installed, the books
that need it are reported as not made.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

_FILTERS = {"xlsx": "xlsx:Calc MS Excel 2007 XML", "xls": "xls:MS Excel 97", "ods": "ods:calc8", "fods": "fods"}
_SECONDS = 300


def program() -> str | None:
    """Path of LibreOffice, ``None`` where it is not installed."""
    return shutil.which("soffice") or shutil.which("libreoffice")


def convert(books: Mapping[str, bytes], to: str) -> tuple[dict[str, bytes], str | None]:
    """The books, named by id, converted to ``xlsx``, ``xls``, ``ods`` or ``fods``.

    Returns:
        Converted bytes by id, and why the rest was not made (``None``: all were).
    """
    soffice = program()
    if soffice is None:
        return {}, "LibreOffice is not installed"
    if not books:
        return {}, None
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for key, data in books.items():
            (folder / "in" / f"{key}.xlsx").write_bytes(data)
        command = [
            soffice, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--norestore",
            "--convert-to", _FILTERS[to], "--outdir", str(folder / "out"),
            *(str(path) for path in sorted((folder / "in").iterdir())),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            return {}, f"LibreOffice did not convert them: {type(error).__name__}"
        made = {path.stem: path.read_bytes() for path in (folder / "out").glob(f"*.{to}")}
    missing = books.keys() - made.keys()
    return made, f"LibreOffice made no file of {len(missing)} books" if missing else None
