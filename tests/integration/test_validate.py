"""Validation in chunks: the same findings whether reporters are seen together, one by one, or in child processes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.intake.calendar import SHANGHAI
from include.pipeline.batch import (
    READ,
    VALIDATED,
    Batch,
    Submission,
    batch_folder,
    read_batch,
    write_batch,
    write_frame,
)
from include.pipeline.validate import chunks_of, validate_batch
from include.quality import thresholds
from include.quality.findings import Finding
from include.settings import get_settings
from tests.unit.test_quality_runner import frame
from tests.workbooks import uscc

PERIOD = "2026-02"
COUNTIES = ("450721", "450722", "450126")


@pytest.fixture
def batch(warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Forms 1 and 2 of three reporters, one with a shortage that the forms tell differently, and a refused form."""
    monkeypatch.setenv("WORK_DIR", str(tmp_path))
    forget()
    folder = batch_folder(PERIOD, "test")
    submissions = []
    for number, code in enumerate(COUNTIES):
        for form in ("enterprise_status", "labour_demand"):
            rows = frame(form, {"uscc": uscc(code, 1)}, {"uscc": uscc(code, 2), "enterprise_name": "乙公司"})
            rows["shortage_now"] = 8 + number * (form == "labour_demand")
            submission = a_submission(f"{code}-{form}", code, form, len(rows))
            rows = rows.assign(submission_id=submission.submission_id, county_code=code).drop(columns="county")
            write_frame(folder, submission.submission_id, rows)
            submissions.append(submission)
    refused = a_submission("refused", COUNTIES[0], "subsidy_payment", 0)
    refused.log.add(Finding("E-TBL-002", form="subsidy_payment"))
    write_batch(folder, READ, Batch(PERIOD, "test", [*submissions, refused], {}))
    yield {"period": PERIOD, "folder": str(folder), "seconds": {}}
    monkeypatch.undo()
    forget()


def a_submission(submission_id: str, code: str, form: str, rows: int) -> Submission:
    return Submission(
        submission_id=submission_id,
        receipt_id=1,
        form=form,
        period=PERIOD,
        reporter_code=code,
        county_code=code,
        template_version="2026.1",
        sheets=["表"],
        layout={"表": {"uscc": (2, "统一社会信用代码"), "shortage_now": (30, "当期生产缺工")}},
        received_at=datetime(2026, 3, 2, tzinfo=SHANGHAI),
        is_sample=True,
        rows_read=rows,
        cells_read=0,
        cells_filled=0,
    )


def forget() -> None:
    get_settings.cache_clear()
    thresholds.current.cache_clear()


def outcome(batch: dict[str, Any]) -> tuple[Any, list[Submission]]:
    result = validate_batch(batch)
    return result["findings"], read_batch(Path(batch["folder"]), VALIDATED).submissions


def test_chunks_and_processes_change_nothing(
    batch: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally, together = outcome(batch)
    path = tmp_path / "thresholds.yaml"
    entry = {"value": 1, "unit": "行", "owner": "数据治理组", "reason_zh": "逐个填报单位核验"}
    path.write_text(yaml.safe_dump({"thresholds": {"rows_per_chunk": entry}}), encoding="utf-8")
    monkeypatch.setenv("THRESHOLDS_FILE", str(path))
    forget()
    # one reporter a chunk: three chunks, which go to processes of their own
    assert outcome(batch) == (tally, together)

    by_id = {submission.submission_id: submission for submission in together}
    assert tally == {"E": 1, "R": 0, "W": 4}
    # 8 against 8, 9 and 10, of two enterprises each
    assert [dict(by_id[f"{code}-enterprise_status"].log.counts) for code in COUNTIES] == [
        {},
        {"W-CRS-002": 2},
        {"W-CRS-002": 2},
    ]
    first = by_id["450722-enterprise_status"].log.detail[0]
    assert (first.cell, first.value, first.params["demand_shortage_now"]) == ("AE5", "8", "9")


def test_every_rule_has_a_result_of_every_submission(batch: dict[str, Any]) -> None:
    _, submissions = outcome(batch)
    for submission in submissions:
        keys = [(r.suite, r.code, r.column) for r in submission.rule_results]
        assert keys and len(set(keys)) == len(keys)
        assert {r.submission_id for r in submission.rule_results} == {submission.submission_id}
    states = {r.code: r.state for s in submissions if s.form == "enterprise_status" for r in s.rule_results}
    # no earlier month is in the warehouse; the rules ran all the same
    assert (states["W-FLW-001"], states["W-VAN-001"], states["W-OUT-002"]) == ("no_data", "no_data", "no_data")
    refused = submissions[-1].rule_results
    assert {(r.state, r.detail) for r in refused} == {("did_not_run", "refused when it was read")}


def test_a_blank_column_is_not_judged(batch: dict[str, Any]) -> None:
    _, submissions = outcome(batch)
    results = {(r.code, r.column): r for r in submissions[0].rule_results}
    assert results["R-CTY-001", "county"].state == "no_data"
    assert (results["W-ADD-001", "headcount"].state, results["W-ADD-001", "headcount"].checked) == ("pass", 2)


def test_chunks_are_of_one_size_and_as_many_for_each_process() -> None:
    submissions = [a_submission(f"{number}", f"4507{number:02d}", "enterprise_status", 10) for number in range(1, 12)]
    sizes = {
        (rows, processes): [sum(s.rows_read for s in chunk) for chunk in chunks_of(submissions, rows, processes)]
        for rows, processes in ((110, 2), (100, 2), (50, 2), (40, 3), (1, 4))
    }
    assert sizes[110, 2] == [110]
    assert sizes[100, 2] == [60, 50]
    # two would be over 50
    assert sizes[50, 2] == [30, 30, 30, 20]
    assert sizes[40, 3] == [40, 40, 30]
    # no reporter is split
    assert sizes[1, 4] == [10] * 11
    assert chunks_of([], 100, 2) == []
