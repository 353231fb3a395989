"""docs/scaling.md: its tables are what the program computes from the measurements, and its limits are the code's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from include.settings import PROJECT_ROOT
from tests.bench import model
from tests.bench.model import Line, Size, fit


def test_the_page_shows_what_the_program_computes() -> None:
    page = model.PAGE.read_text(encoding="utf-8")
    assert [name for name in model.TABLES if f"<!-- model: {name} -->" not in page] == []
    assert page == model.rendered(page), "a figure has changed: python -m tests.bench.model --write"


def test_a_line_through_exact_points_is_found() -> None:
    true = Line(5.0, 0.5, 0.001)
    points = [
        (places, rows, true.at(places, rows)) for places, rows in ((1, 1000), (10, 2000), (4, 50_000), (30, 9000))
    ]
    found = fit(points)
    assert (found.fixed, found.each, found.row) == pytest.approx((5.0, 0.5, 0.001), rel=1e-6)


def test_no_part_of_a_line_is_negative() -> None:
    found = fit([(1, 1000, 5.0), (2, 2000, 4.0), (4, 8000, 5.5)])
    assert min(found.fixed, found.each, found.row) >= 0


def test_the_model_is_near_every_run_it_was_made_from() -> None:
    for run in model.facts()["runs"]:
        size = Size(run["counties"], run["editions"] - 1 - run["counties"], run["rows"])
        measured = sum(sum(run["steps"][step][part] for part in model.PARTS) for step in model.STEPS)
        modelled = sum(sum(model.busy(step, size).values()) for step in model.STEPS)
        assert modelled == pytest.approx(measured, rel=0.2), run


def test_more_cores_never_take_longer_and_the_serial_part_stays() -> None:
    size = model.size_of({"counties": 111, "cities": 14})
    taken = [sum(model.wall(step, size, cores) for step in model.STEPS) for cores in (1, 2, 8, 32, 1000)]
    assert taken == sorted(taken, reverse=True)
    serial = sum(model.busy(step, size)["task"] for step in ("load", "reports"))
    assert taken[-1] > serial > 0
    # 111 counties x 1,000 enterprises x 5 rows
    assert size.rows == 555_000 and size.editions == 126


def test_the_assumptions_about_the_code_are_the_code_s() -> None:
    from include.quality.thresholds import limit
    from include.warehouse.dbt import THREADS, TIMEOUT_SECONDS

    facts = yaml.safe_load(Path(model.FACTS).read_text(encoding="utf-8"))
    assert facts["rows_a_chunk"] == int(limit("rows_per_chunk"))
    assert facts["task_seconds"] == TIMEOUT_SECONDS
    conventions = (PROJECT_ROOT / "plugins" / "labour_conventions.py").read_text(encoding="utf-8")
    assert '"execution_timeout": timedelta(hours=1)' in conventions
    # as text: importing the renderer takes seconds
    renderer = (PROJECT_ROOT / "include" / "report" / "render.py").read_text(encoding="utf-8")
    assert f"\nPROCESSES = {model.REPORT_PROCESSES}\n" in renderer
    assert model.DBT_THREADS == THREADS
