"""What a failed build says: which month, and which ones wait for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from include.warehouse.dbt import MartBuildFailed, MartBuildInterrupted, NodeResult, _checked, holding_back

BROKEN = NodeResult("model.labour_reporting.fct_training_need", "model", "error", 0.1, None, None, "Error\n  overflow")


def failed(period: str) -> MartBuildFailed:
    return MartBuildFailed(period, [BROKEN], 9, Path("dbt.log"))


def test_the_months_after_a_broken_one_are_named_as_waiting() -> None:
    with pytest.raises(MartBuildFailed) as caught, holding_back(["2026-03", "2026-04"]), holding_back(["2026-02"]):
        raise failed("2026-01")
    assert caught.value.waiting == ("2026-02", "2026-03", "2026-04")
    assert str(caught.value).startswith(
        "dbt build of 2026-01: 1 of 9 nodes failed: fct_training_need (model: overflow)"
    )
    assert "Not built because of it: 2026-02, 2026-03, 2026-04," in str(caught.value)


def test_a_month_does_not_wait_for_itself() -> None:
    with pytest.raises(MartBuildFailed) as caught, holding_back(["2026-04"]):
        raise failed("2026-04")
    assert caught.value.waiting == ()
    assert "Not built" not in str(caught.value)


def test_only_a_build_that_met_nothing_but_locks_is_tried_again() -> None:
    locked = replace(BROKEN, message="Database Error\n  deadlock detected")
    with pytest.raises(MartBuildInterrupted, match="run the build again"):
        _checked("2026-04", (locked,))
    with pytest.raises(MartBuildFailed) as caught:
        _checked("2026-04", (locked, BROKEN))
    assert not isinstance(caught.value, MartBuildInterrupted)
