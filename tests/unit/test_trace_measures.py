"""Every number of the marts says where it comes from: seed trace_measures against models and forms."""

from __future__ import annotations

import csv
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from include.forms.model import load_forms
from include.settings import PROJECT_ROOT

PROJECT = PROJECT_ROOT / "dbt_project"
NUMERIC = re.compile(r"(small|big)?int(eger)?\b|numeric|decimal|real|double|float")
#: Where a row stands, and the tables that lead there: places and their own counts, no figures.
PLACES = {"source_row", "line_no"}
SOURCES = {"fct_source_file", "fct_source_column"}


def models() -> dict[str, dict[str, str]]:
    """Model of the marts -> column -> type."""
    found = {}
    for path in sorted((PROJECT / "models/marts").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text("utf-8")).get("models", ()):
            found[model["name"]] = {column["name"]: column["data_type"] for column in model["columns"]}
    return found


def measures() -> list[dict[str, Any]]:
    with (PROJECT / "seeds/trace_measures.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_numeric_column_of_every_mart_has_a_row() -> None:
    numeric = {
        (model, column)
        for model, columns in models().items()
        if model not in SOURCES
        for column, data_type in columns.items()
        if NUMERIC.match(data_type) and column not in PLACES
    }
    listed = Counter((row["mart"], row["measure"]) for row in measures())
    assert numeric == set(listed), sorted(numeric ^ set(listed))
    assert set(listed.values()) == {1}
    assert ("mart_labour_shortage", "shortage_now_persons") in numeric and len(numeric) > 150


def test_each_kind_has_what_it_needs() -> None:
    for row in measures():
        where = f"{row['mart']}.{row['measure']}"
        assert bool(row["made_of"]) or row["kind"] not in ("ratio", "difference"), where
        assert not row["made_of"] or row["kind"] in ("ratio", "difference", "derived"), where
        assert (row["kind"] in ("additive", "distinct", "statistic", "value")) == bool(row["fact"]), where
        assert (row["kind"] == "additive") == bool(row["contribution"]), where
        assert bool(row["form"]) == bool(row["form_columns"]) == bool(row["fact_columns"]), where
        if row["fact"]:
            assert row["condition"] and row["like_for_like"] in ("", "last_month", "last_year"), where
            assert int(row["first_month"] or -999) <= int(row["last_month"]) <= 0, where
            assert bool(row["form"]) != (row["fact"] == "fct_source_file"), where


def test_what_is_made_of_other_measures_names_them() -> None:
    known = {(row["mart"], row["measure"]): row for row in measures()}
    for row in measures():
        for part in filter(None, row["made_of"].split("|")):
            assert row["measure"] not in known[row["mart"], part]["made_of"].split("|"), (row["measure"], part)


def test_lines_lead_to_columns_that_exist_and_are_not_personal() -> None:
    forms, tables = load_forms(), models()
    for row in measures():
        if not row["fact"]:
            continue
        columns = tables[row["fact"]]
        for known in filter(None, row["keys"].split("|")):
            of_mart, of_fact = known.split("=")
            assert of_mart in tables[row["mart"]] and of_fact in columns, row
        for used in re.findall(r"\bline\.([a-z_]+)", row["condition"] + " " + row["contribution"]):
            assert used in columns, (row["mart"], row["measure"], used)
        if not row["form"]:
            continue
        form_columns, fact_columns = row["form_columns"].split("|"), row["fact_columns"].split("|")
        assert len(form_columns) == len(fact_columns)
        assert set(fact_columns) <= set(columns), row
        for name in form_columns:
            assert not forms[row["form"]].columns[name].personal, row


@pytest.mark.parametrize("column", ["person_key", "person_id", "person_name", "phone", "contact"])
def test_no_rule_touches_personal_columns(column: str) -> None:
    """Readers have no right on the mark of a person: a rule that used it would fail for them."""
    for row in measures():
        assert column not in " ".join((row["condition"], row["contribution"], row["fact_columns"], row["form_columns"]))
