"""What one step of a build leaves, the next one finds."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from include.intake.calendar import SHANGHAI
from include.intake.landing import LandingDamaged, LandingStore
from include.intake.workers import Workers
from include.pipeline.batch import READ, Batch, Submission, read_batch, read_frame, write_batch, write_frame
from include.pipeline.frames import frame_path
from include.pipeline.reading_job import ReadTask, ReceivedFile, read_submissions
from include.quality.findings import DETAIL_PER_CODE, Finding, FindingLog
from include.quality.runner import RuleResult
from tests.unit.sheets import CLAIM, ENTERPRISE, REPORTERS, lay_out, to_xlsx

KEY = b"a key for tests"
PUBLIC = {
    "submission_id": "text", "sheet": "text", "source_row": "integer", "period": "text", "county_code": "text",
}  # fmt: skip
TYPES = {
    "enterprise_status": {**PUBLIC, "headcount": "integer", "wage_general": "numeric", "is_key": "boolean"},
    "subsidy_payment": {**PUBLIC, "applied_on": "date", "person_key": "text", "person_id": "text"},
}


def submission(log: FindingLog, results: list[RuleResult]) -> Submission:
    return Submission(
        submission_id="abc-1-enterprise_status",
        receipt_id=7,
        form="enterprise_status",
        period="2026-10",
        reporter_code="450721",
        county_code="450721",
        template_version="2026.1",
        sheets=["企业情况表", "续表"],
        layout={"企业情况表": {"headcount": (12, "职工人数/合计")}},
        received_at=datetime(2026, 11, 3, 9, 30, tzinfo=SHANGHAI),
        is_sample=True,
        rows_read=3,
        cells_read=123,
        cells_filled=100,
        log=log,
        rule_results=results,
    )


def test_a_batch_comes_back_as_it_was_left(tmp_path: Path) -> None:
    log = FindingLog()
    for row in range(5, 5 + DETAIL_PER_CODE + 3):
        log.add(Finding("R-VAL-001", "enterprise_status", "企业情况表", row, "headcount", f"M{row}", params={"n": 1}))
    log.add(Finding("W-VAL-002", "enterprise_status", "续表", 9, "workers", "P9", "约30", {"header": "生产操作人员"}))
    result = RuleResult("abc-1-enterprise_status", "enterprise_status", "W-CON-001", "headcount", "fail", 3, 1, "")
    whole = FindingLog()
    whole.add(Finding("W-FILE-001", params={"file": "a.xls"}))
    batch = Batch("2026-10", "manual__1", [submission(log, [result])], {7: whole, 8: FindingLog()})
    batch.late_findings.append(("earlier", Finding("W-XFM-001", row=5)))
    batch.explanations[7] = [("k1", "已核实")]

    write_batch(tmp_path, READ, batch)
    back = read_batch(tmp_path, READ)

    assert back == batch
    (one,) = back.submissions
    # beyond what is kept one by one, the count and the rows held back are exact
    assert len(one.log.detail) == DETAIL_PER_CODE + 1
    assert one.count("R") == DETAIL_PER_CODE + 3 and one.count("W") == 1 and not one.refused
    assert one.held == {("企业情况表", row) for row in range(5, 5 + DETAIL_PER_CODE + 3)}
    assert one.layout["企业情况表"]["headcount"] == (12, "职工人数/合计")
    one.log.add(Finding("E-HDR-001", form="enterprise_status"))
    assert one.refused


def test_rows_keep_their_types_and_blanks(tmp_path: Path) -> None:
    """As a reading process writes them, and as pandas does."""
    reader = pa.table(
        {
            "submission_id": pa.array(["s", "s"], pa.large_string()),
            "source_row": pa.array([5, 6], pa.int64()),
            "headcount": pa.array([3, None], pa.int64()),
            "is_key": pa.array([None, True], pa.bool_()),
            "applied_on": pa.array([date(2026, 3, 2), None], pa.date32()),
            "remark": pa.array([None, None], pa.large_string()),
        }
    )
    parquet.write_table(reader, frame_path(tmp_path, "s"))
    frame = read_frame(tmp_path, "s")
    assert [str(kind) for kind in frame.dtypes] == ["str", "int64", "Int64", "boolean", "object", "str"]
    assert frame["headcount"].isna().tolist() == [False, True] and frame["applied_on"][0] == date(2026, 3, 2)
    write_frame(tmp_path, "t", frame)
    pd.testing.assert_frame_equal(read_frame(tmp_path, "t"), frame)
    assert read_frame(tmp_path, "refused").empty
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.parquet", "t.parquet"]


def task(tmp_path: Path) -> ReadTask:
    return ReadTask(tmp_path / "landing", tmp_path, "2026-10", TYPES, REPORTERS, KEY)


def received(sha256: str, stem: str = "stem") -> ReceivedFile:
    return ReceivedFile(sha256, "报表.xlsx", "2026-10/灵山县", "450721", stem)


def landed(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "sent.xlsx").write_bytes(data)
    return LandingStore(tmp_path / "landing").put(tmp_path / "sent.xlsx")


def test_a_reading_process_writes_the_rows_and_passes_back_what_is_remembered(tmp_path: Path) -> None:
    claim = CLAIM | {"person_id": "450721199001011234", "applied_on": "2026年3月2日"}
    data = to_xlsx(
        lay_out(rows=[ENTERPRISE | {"wage_general": 3500.5, "is_key": "是"}, ENTERPRISE | {"headcount": ""}]),
        lay_out("subsidy_payment", [claim]),
    )
    sha256 = landed(tmp_path, data)
    with Workers(1) as workers:
        reading = workers.run(read_submissions, task(tmp_path), received(sha256))
    assert not reading.log.counts and reading.explanations == []
    status, payment = reading.forms
    assert (status.form, status.rows_read, status.submission_id) == ("enterprise_status", 2, "stem-enterprise_status")
    assert status.log.held == {(status.sheets[0], 6)} and status.layout[status.sheets[0]]["headcount"][1].endswith(
        "合计"
    )
    frame = read_frame(tmp_path, status.submission_id)
    assert list(frame.columns) == list(TYPES["enterprise_status"])
    assert frame.iloc[0].tolist() == [status.submission_id, status.sheets[0], 5, "2026-10", "450721", 100, 3500.5, True]
    assert pd.isna(frame.iloc[1]["headcount"])
    claims = read_frame(tmp_path, payment.submission_id)
    assert claims.iloc[0]["applied_on"] == date(2026, 3, 2) and len(claims.iloc[0]["person_key"]) == 32


def test_a_refused_form_has_no_rows(tmp_path: Path) -> None:
    sha256 = landed(tmp_path, to_xlsx(lay_out(rows=[])))
    reading = read_submissions(task(tmp_path), received(sha256))
    (form,) = reading.forms
    assert form.log.refused and list(tmp_path.glob("*.parquet")) == []


def test_a_damaged_file_of_the_landing_store_stops_the_build(tmp_path: Path) -> None:
    store = LandingStore(tmp_path / "landing")
    sha256 = landed(tmp_path, to_xlsx(lay_out()))
    store.path_of(sha256).chmod(0o600)
    store.path_of(sha256).write_bytes(b"something else")
    with Workers(1) as workers, pytest.raises(LandingDamaged, match="restore it from backup"):
        workers.run(read_submissions, task(tmp_path), received(sha256))
