"""Breaking a formula by one character turns a unit test red.

A copy of the dbt project is broken in several places at once, each in another model, and dbt's unit tests run over it:
every broken place must make the test named beside it fail (fail, not merely stop with an error). What one round would
mix up, such as a macro that many models use, has a round of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from include.settings import get_settings
from include.warehouse.dbt import MartBuildFailed, run_unit_tests

ROOT = get_settings().dbt_project


@dataclass(frozen=True, slots=True)
class Mutation:
    """One character of ``file`` changed: ``before`` (which stands there exactly once) becomes ``after``."""

    file: str
    before: str
    after: str
    caught_by: str


ROUNDS: tuple[tuple[Mutation, ...], ...] = (
    (
        Mutation("macros/measures.sql", "headcount ~ ' + ' ~ shortage_now", "headcount ~ ' - ' ~ shortage_now", "x"),
        Mutation("macros/working_days_between.sql", "else", "else", "x"),
    ),
)


def is_one_character(before: str, after: str) -> bool:
    """Whether the texts differ by one character put in, taken out or replaced."""
    if abs(len(before) - len(after)) > 1 or before == after:
        return False
    head = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    longer, shorter = sorted((before[head:], after[head:]), key=len, reverse=True)
    return longer[1:] in (shorter, shorter[1:])


def test_there_are_ten_mutations_of_one_character() -> None:
    mutations = [one for round_ in ROUNDS for one in round_]
    assert len(mutations) >= 10
    assert all(is_one_character(one.before, one.after) for one in mutations)


@pytest.mark.slow
@pytest.mark.parametrize("mutations", ROUNDS, ids=lambda mutations: f"{len(mutations)} in {mutations[0].file}")
def test_a_broken_formula_is_caught(
    mutations: tuple[Mutation, ...], built: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns("target", "logs"))
    for mutation in mutations:
        path = project / mutation.file
        text = path.read_text("utf-8")
        assert text.count(mutation.before) == 1, mutation
        path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")
    broken = replace(get_settings(), dbt_project=project, var=tmp_path / "var")
    monkeypatch.setattr("include.warehouse.dbt.get_settings", lambda: broken)
    with pytest.raises(MartBuildFailed) as caught:
        run_unit_tests("2026-03")
    failed = {node.name for node in caught.value.failed if node.status == "fail"}
    missed = [one for one in mutations if one.caught_by not in failed]
    assert not missed, f"not caught: {missed}; red were {sorted(failed)}"
