"""The thresholds file: complete entries, no name without a rule, no rule without a name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from include.quality import runner, thresholds
from include.quality.season import comparable_months, is_spring_festival_month, months_needed, season_zh
from include.quality.thresholds import THRESHOLDS, ThresholdError, check_use, limit, load_thresholds
from include.settings import get_settings

ENTRY = {"value": 5, "unit": "人", "reason_zh": "理由"}


def written(folder: Path, entries: dict[str, Any], owner: str | None = "数据治理组") -> Path:
    path = folder / "local.yaml"
    path.write_text(yaml.safe_dump({"owner": owner, "thresholds": entries}, allow_unicode=True), encoding="utf-8")
    return path


def test_every_threshold_has_a_unit_an_owner_and_a_reason() -> None:
    known = load_thresholds()
    assert known["wage_lowest_yuan"].value == 1000
    for threshold in known.values():
        assert threshold.unit and threshold.owner and len(threshold.reason_zh) >= 10, threshold.name


def test_every_threshold_is_used_and_every_used_one_exists() -> None:
    runner.check_thresholds.cache_clear()
    runner.check_thresholds()


def test_an_unknown_name_is_refused_with_the_place_that_uses_it() -> None:
    with pytest.raises(ThresholdError, match=r"labour_demand.json \(W-WAG-001\) uses threshold wage_low, which"):
        check_use(load_thresholds(), {"wage_low": "labour_demand.json (W-WAG-001)"})


def test_an_unused_threshold_is_refused() -> None:
    known = load_thresholds()
    used = dict.fromkeys(set(known) - {"wage_lowest_yuan"}, "somewhere")
    with pytest.raises(ThresholdError, match="defines wage_lowest_yuan, which no suite and no helper column uses"):
        check_use(known, used)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({**ENTRY, "value": "many"}, "must have a number as its value, not 'many'"),
        ({**ENTRY, "value": True}, "must have a number"),
        ({**ENTRY, "value": float("nan")}, "must have a number"),
        ({**ENTRY, "value": float("inf")}, "must have a number"),
        ({"unit": "人", "reason_zh": "理由"}, "must have a number as its value, not None"),
        ({"value": 5, "reason_zh": "理由"}, "lacks unit"),
        ({"value": 5, "unit": "人"}, "lacks reason_zh"),
        ({**ENTRY, "owner": " "}, "lacks owner"),
        (5, "must give value, unit, owner and reason_zh"),
    ],
)
def test_incomplete_entries_are_refused(tmp_path: Path, entry: Any, complaint: str) -> None:
    with pytest.raises(ThresholdError, match=complaint):
        load_thresholds(written(tmp_path, {"x": entry}))


@pytest.mark.parametrize("text", ["", "thresholds: [1]", "thresholds: {", "a: 1"])
def test_files_of_another_shape_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "local.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ThresholdError):
        load_thresholds(path)


def test_a_local_file_changes_known_thresholds_only(tmp_path: Path) -> None:
    changed = load_thresholds(THRESHOLDS, written(tmp_path, {"wage_lowest_yuan": {**ENTRY, "value": 1800}}))
    assert (changed["wage_lowest_yuan"].value, changed["wage_highest_yuan"].value) == (1800, 30000)
    with pytest.raises(ThresholdError, match="threshold wage_low is not one of"):
        load_thresholds(THRESHOLDS, written(tmp_path, {"wage_low": ENTRY}))


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Settings and thresholds read anew, before and after."""
    get_settings.cache_clear()
    thresholds.current.cache_clear()
    yield
    get_settings.cache_clear()
    thresholds.current.cache_clear()


def test_the_local_file_reaches_the_rule_and_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    path = written(tmp_path, {"wage_lowest_yuan": {**ENTRY, "value": 1800}})
    with monkeypatch.context() as patch:
        patch.setenv("THRESHOLDS_FILE", str(path))
        assert limit("wage_lowest_yuan") == 1800
        row = {"submission_id": "S1", "sheet": "表", "source_row": 5, "county_code": "450721", "period": "2026-04"}
        found = runner.examine("labour_demand", pd.DataFrame([row | {"wage_min": 1799, "wage_max": 1800}])).findings
        texts = [one.finding.message_zh for one in found if one.finding.code == "W-WAG-001"]
        assert len(texts) == 1
        assert "1799元，不在1800元至30000元之间" in texts[0]


def suite(folder: Path, *entries: dict[str, Any]) -> Path:
    (folder / "bad.json").write_text(json.dumps({"name": "bad", "expectations": entries}), encoding="utf-8")
    return folder


def expectation(code: str = "W-WAG-001", **kwargs: Any) -> dict[str, Any]:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "women", **kwargs},
        "meta": {"code": code, "column": "women"},
    }


def test_a_literal_limit_in_a_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(runner.SuiteError, match=r"max_value must be .* of a threshold in include/config/thresholds"):
        runner.load_suite("bad", suite(tmp_path, expectation(max_value=5)))


def test_a_rule_that_stands_twice_in_a_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(runner.SuiteError, match="code W-WAG-001 and column women stand twice"):
        runner.load_suite("bad", suite(tmp_path, expectation(), expectation()))


def test_a_condition_that_nobody_understands_is_refused(tmp_path: Path) -> None:
    condition = {"type": "comparison", "column": {"name": "county"}, "operator": ">", "parameter": 1}
    with pytest.raises(runner.SuiteError, match="only a row_condition that compares a column with =="):
        runner.load_suite("bad", suite(tmp_path, expectation(row_condition=condition)))


# ---------------------------------------------------------------------------------------------------------- seasons


@pytest.mark.parametrize(
    ("year", "months"),
    [
        (2022, [1, 2]),  # holiday 01-31..02-06, span 01-16..02-21: 16 days of January, 21 of February
        (2023, [1]),  # 01-21..01-27, span 01-06..02-11: 26 and 11
        (2024, [2]),  # 02-10..02-17, span 01-26..03-03: 6, 29 and 3
        (2025, [1, 2]),  # 01-28..02-04, span 01-13..02-19: 19 and 19
        (2026, [2]),  # 02-15..02-23, span 01-31..03-10: 1, 28 and 10
        (2090, [1, 2]),  # not announced: both months in which the lunar new year can fall
    ],
)
def test_months_touched_by_spring_festival(year: int, months: list[int]) -> None:
    touched = [month for month in range(1, 13) if is_spring_festival_month(f"{year}-{month:02d}")]
    assert touched == months


def test_like_is_compared_with_like() -> None:
    assert season_zh("2026-02") == "春节所在月份"
    # three years back at most: 2023-02 is the oldest month, and it was an ordinary one
    assert comparable_months("2026-02") == ["2025-02", "2025-01", "2024-02"]
    assert months_needed("2026-02") == 3
    assert season_zh("2026-04") == "平常月份"
    assert comparable_months("2026-04")[:5] == ["2026-03", "2026-01", "2025-12", "2025-11", "2025-10"]
    assert len(comparable_months("2026-04")) == 12
    assert months_needed("2026-04") == 6
