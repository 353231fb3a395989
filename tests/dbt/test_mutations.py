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
PARSED = "partial_parse.msgpack"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One character of ``file`` changed: ``before`` (which stands there exactly once) becomes ``after``."""

    file: str
    before: str
    after: str
    caught_by: str


_INT, _DIM, _FCT, _MART = (
    f"models/{layer}" for layer in ("intermediate", "marts/dimensions", "marts/facts", "marts/reporting")
)
ROUNDS: tuple[tuple[Mutation, ...], ...] = (
    (
        Mutation(f"{_FCT}/fct_submission.sql", "}} <= coalesce(expected", "}} < coalesce(expected",
                 "on_time_is_the_first_arrival_and_first_pass_the_first_version"),
        Mutation(f"{_FCT}/fct_enterprise_month.sql", "0) + 1 as short", "0) + 2 as short",
                 "a_streak_goes_on_from_the_month_before"),
        Mutation(f"{_DIM}/dim_enterprise.sql", "interval '1 month'", "interval '2 month'",
                 "a_version_ends_the_month_before_the_next_begins"),
        Mutation(f"{_MART}/mart_training_demand.sql", "needed_persons - measured", "needed_persons + measured",
                 "training_unknown_is_not_zero"),
        Mutation(f"{_MART}/mart_programme_progress.sql", "completion_rate - time", "completion_rate + time",
                 "every_status_at_its_edge"),
        Mutation(f"{_INT}/int_period_maturity.sql", "revision_no > 0", "revision_no < 0",
                 "a_month_corrected_after_closing_is_revised"),
        Mutation(f"{_INT}/int_subsidy_breach_notice_working_days.sql", "paid_on <= coalesce", "paid_on < coalesce",
                 "notice_is_long_enough_and_over_before_payment"),
        Mutation(f"{_INT}/int_subsidy_breach_advance_share.sql", "advanced_yuan > (rules", "advanced_yuan >= (rules",
                 "advances_of_a_claim_add_up"),
        Mutation(f"{_FCT}/fct_apprenticeship_month.sql", "filed_on + limits.start", "filed_on - limits.start",
                 "a_class_starts_within_sixty_days"),
        Mutation("macros/working_days_between.sql", "number + {{ first }}", "number - {{ first }}",
                 "working_days_skip_holidays_and_count_make_up_days"),
    ),
    (
        Mutation("macros/measures.sql", "headcount ~ ' + ' ~", "headcount ~ ' - ' ~",
                 "a_rate_is_null_when_it_means_nothing"),
        Mutation(f"{_INT}/int_subsidy_breach_amount_equals_standard.sql", "standard_yuan * claims",
                 "standard_yuan / claims", "amount_is_standard_times_quantity_to_a_cent"),
    ),
    (
        Mutation("macros/measures.sql", "this_month ~ ' - ' ~", "this_month ~ ' + ' ~",
                 "a_new_enterprise_counts_in_like_for_like"),
        Mutation(f"{_INT}/int_labour_supply.sql", "remainder_rank <= ranked", "remainder_rank < ranked",
                 "leavers_are_apportioned_by_largest_remainder"),
    ),
)  # fmt: skip


def is_one_character(before: str, after: str) -> bool:
    """Whether the texts differ by one character put in, taken out or replaced."""
    if abs(len(before) - len(after)) > 1 or before == after:
        return False
    head = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
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
    # Only what was broken is parsed anew.
    parsed = get_settings().var / "dbt" / PARSED
    (broken.var / "dbt").mkdir(parents=True)
    shutil.copyfile(parsed, broken.var / "dbt" / PARSED)
    monkeypatch.setattr("include.warehouse.dbt.get_settings", lambda: broken)
    with pytest.raises(MartBuildFailed) as caught:
        run_unit_tests("2026-03", *(mutation.caught_by for mutation in mutations))
    # unit_test.<project>.<model>.<test>
    failed = {node.node_id.split(".")[-1] for node in caught.value.failed if node.status == "fail"}
    missed = [one for one in mutations if one.caught_by not in failed]
    assert not missed, f"not caught: {missed}; red were {sorted(failed)}"
