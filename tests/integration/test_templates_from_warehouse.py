"""Templates filled in beforehand from what a county reported last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import psycopg
import pytest

from include.intake.reporters import load_reporters
from include.ledger import entries
from include.settings import get_settings
from include.templates import write as templates
from include.templates.write import write_templates
from include.warehouse.connection import connect
from include.warehouse.loading import load_rows
from tests.workbooks import enterprise, uscc

LINGSHAN = "450721"


def report(
    conn: psycopg.Connection[Any],
    form: str,
    period: str,
    rows: list[dict[str, Any]],
    *,
    version: int = 1,
    outcome: str = "accepted",
) -> None:
    """Enter an accepted report into the ledger and its rows into ``raw``."""
    submission = f"{form}-{period}-{version}"
    receipt = conn.execute(
        """
        insert into intake.received_file
            (sha256, file_name, channel, channel_path, size_bytes, received_at, outcome, outcome_zh)
        values (%(id)s, '报表.xlsx', 'inbox', %(id)s, 1, now(), 'processed', '已接收') returning receipt_id
        """,
        {"id": submission},
    ).fetchone()
    assert receipt is not None
    conn.execute(
        """
        insert into intake.submission
            (submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, outcome,
             rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w)
        values (%s, %s, %s, %s, %s, %s, %s, '{第二张,第一张}', now(), %s, 0, 0, 0, 0, 0, 0, 0, 0)
        """,
        (submission, receipt[0], form, period, LINGSHAN, LINGSHAN, version, outcome),
    )
    frame = pd.DataFrame(
        [
            {"sheet": "第一张", "source_row": 5 + number, **row}
            | {"submission_id": submission, "period": period, "county_code": LINGSHAN}
            for number, row in enumerate(rows)
        ]
    )
    load_rows(conn, form, frame)


def named(number: int, **changes: Any) -> dict[str, Any]:
    row = enterprise("灵山县", LINGSHAN, number, **changes)
    return {name: row[name] for name in ("enterprise_name", "uscc", "county", "industry")} | {
        name: changes[name] for name in changes
    }


@pytest.fixture
def outbox(clean_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTBOX_DIR", str(tmp_path / "outbox"))
    get_settings.cache_clear()
    with connect() as conn:
        entries.sync_reporters(conn, load_reporters(get_settings().reporters_file))
    yield tmp_path / "outbox"
    monkeypatch.undo()
    get_settings.cache_clear()


def sheet_rows(folder: Path, form_zh: str, columns: int) -> list[tuple[Any, ...]]:
    [path] = folder.glob(f"*{form_zh}*.xlsx")
    page = openpyxl.load_workbook(path).worksheets[0]
    return [row[:columns] for row in page.iter_rows(min_row=6, values_only=True) if row[1]]


def test_the_latest_accepted_version_of_the_latest_month_before_is_filled_in(
    outbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect() as conn:
        report(conn, "enterprise_status", "2026-08", [named(9)])
        report(conn, "enterprise_status", "2026-09", [named(1)])
        # 糖 is a county's own word: it is given back under the official name of its division
        report(conn, "enterprise_status", "2026-09", [named(1), named(2, industry="糖")], version=2)
        report(conn, "enterprise_status", "2026-09", [], version=3, outcome="refused")
        report(conn, "enterprise_status", "2026-11", [named(8)])
        report(
            conn,
            "brand_registry",
            "2026-10",
            [
                {"brand_name": "灵山演示品牌", "category": "民生保障型", "recognised_level": "市级", "status": "在库"},
            ],
        )
    assert templates.main(["--period", "2026-11", "--reporter", LINGSHAN]) == 0
    assert "; 2 enterprises of 1 reporter filled in from the last report accepted before" in capsys.readouterr().out
    folder = outbox / "2026-11" / "报表模板" / LINGSHAN
    assert sheet_rows(folder, "企业情况表", 6) == [
        (1, "灵山县演示1号木业有限公司", uscc(LINGSHAN, 1), "灵山县", None, "木材加工和木、竹、藤、棕、草制品业"),
        (2, "灵山县演示2号木业有限公司", uscc(LINGSHAN, 2), "灵山县", None, "农副食品加工业"),
    ]
    assert sheet_rows(folder, "企业用工需求表", 3) == []
    assert sheet_rows(folder, "劳务品牌资源库表", 4) == [("灵山演示品牌", "民生保障型", "灵山县", "市级")]
    [path] = folder.glob("*企业用工需求表*.xlsx")
    book = openpyxl.load_workbook(path)
    codes = [row[1] for row in book["代码表"].iter_rows(min_row=5, values_only=True)]
    assert codes == ["灵山县演示1号木业有限公司", "灵山县演示2号木业有限公司"]
    assert book["代码表"]["A3"].value == "2026年9月报表中的企业"


def test_a_warehouse_without_rows_gives_blank_templates(outbox: Path) -> None:
    written = write_templates("2026-11", [LINGSHAN])
    assert written.enterprises == {LINGSHAN: 0}
    assert sheet_rows(outbox / "2026-11" / "报表模板" / LINGSHAN, "企业情况表", 6) == []


def test_an_empty_database_gives_blank_templates(scratch_database: str, outbox: Path) -> None:
    with psycopg.connect(scratch_database) as conn:
        assert templates._last_reports(conn, "enterprise_status", ["uscc"], "2026-11") == {}
