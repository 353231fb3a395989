"""The shape of the dbt project, read from its manifest: names, layers, keys, documentation."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from include.settings import PROJECT_ROOT, get_settings
from include.warehouse.dbt import _dbt, connection_environment, project_fingerprint

PROJECT = PROJECT_ROOT / "dbt_project"
LAYERS = {
    "staging": "stg_",
    "intermediate": "int_",
    "marts/dimensions": "dim_",
    "marts/facts": "fct_",
    "marts/reporting": "mart_",
}
READERS = {
    "monthly_report": "include/report/sql/[ft]*/*.sql",  # figures and traces
    "apprenticeship_return": "include/exports/sql/*.sql",
    "office_questions": "docs/querying.md",
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def manifest(built: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((get_settings().var / "dbt/target/2026-03/manifest.json").read_text("utf-8"))
    return document


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def own_sql() -> list[Path]:
    return [path for folder in ("models", "macros", "tests") for path in sorted((PROJECT / folder).rglob("*.sql"))]


@pytest.mark.slow
def test_every_model_lies_in_its_layer(models: list[dict[str, Any]]) -> None:
    for model in models:
        layer = next(layer for layer in LAYERS if model["original_file_path"].startswith(f"models/{layer}/"))
        assert model["name"].startswith(LAYERS[layer])
        assert model["schema"] == layer.split("/")[0]


@pytest.mark.slow
def test_every_model_and_column_is_described_in_chinese(manifest: dict[str, Any], models: list[dict[str, Any]]) -> None:
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    for node in models + seeds:
        assert CHINESE.search(node["description"]), node["name"]
        for column in node["columns"].values():
            assert CHINESE.search(column["description"]), (node["name"], column["name"])
        if not node["original_file_path"].startswith("models/staging"):
            assert node["description"].startswith("粒度：")


@pytest.mark.slow
def test_documented_columns_are_the_columns(models: list[dict[str, Any]], marts: Any) -> None:
    for model in models:
        if model["config"]["materialized"] == "ephemeral":  # has no relation of its own
            continue
        rows = marts.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
            (model["schema"], model["name"]),
        )
        assert {row[0] for row in rows} == set(model["columns"]), model["name"]


@pytest.mark.slow
def test_marts_have_contract_key_and_maturity(models: list[dict[str, Any]]) -> None:
    for model in models:
        if model["schema"] != "marts":
            continue
        assert model["contract"]["enforced"]
        assert {one["type"] for one in model["constraints"]} <= {"primary_key", "unique"}
        assert model["constraints"], model["name"]
        if not model["name"].startswith("dim_"):
            assert "data_maturity" in model["columns"]
            assert model["config"]["incremental_strategy"] == "replace_period"
            assert model["constraints"][0]["columns"][0] == "period"


@pytest.mark.slow
def test_marts_have_unit_tests_and_their_references_are_tested(
    manifest: dict[str, Any], models: list[dict[str, Any]]
) -> None:
    unit_tested = {one["model"] for one in manifest["unit_tests"].values()}
    tested = {
        node["attached_node"]: {one["column"] for one in node["test_metadata"]["kwargs"]["references"]}
        for node in manifest["nodes"].values()
        if (node.get("test_metadata") or {}).get("name") == "references_hold"
    }
    for model in models:
        if model["name"].startswith("mart_"):
            assert model["name"] in unit_tested
        if model["schema"] == "marts" and not model["name"].startswith("dim_"):
            referring = {"county_code", "reporter_code", "industry_code", "occupation_code", "item_code", "target_id"}
            assert referring & set(model["columns"]) <= tested[model["unique_id"]], model["name"]


@pytest.mark.slow
def test_only_staging_reads_sources(models: list[dict[str, Any]]) -> None:
    for model in models:
        reads = {name.split(".")[0] for name in model["depends_on"]["nodes"]}
        if model["schema"] == "staging":
            assert reads == {"source"}
        else:
            assert "source" not in reads
        if model["schema"] == "intermediate":
            assert not any(re.search(r"\.(dim|fct|mart)_", name) for name in model["depends_on"]["nodes"])


@pytest.mark.slow
@pytest.mark.parametrize(("exposure", "files"), READERS.items(), ids=list(READERS))
def test_exposures_list_what_their_readers_read(manifest: dict[str, Any], exposure: str, files: str) -> None:
    named = manifest["exposures"][f"exposure.labour_reporting.{exposure}"]["depends_on"]["nodes"]
    read = {
        name
        for path in sorted(PROJECT_ROOT.glob(files))
        for name in re.findall(r"\b(?:marts|reference)\.(\w+)", path.read_text("utf-8"))
    }
    assert {one.split(".")[-1] for one in named} == read - {"trace"}
    assert len(manifest["exposures"]) == len(READERS)


@pytest.mark.slow
def test_the_two_shortages_are_never_added(models: list[dict[str, Any]]) -> None:
    """In compiled SQL no expression joins 当期缺工 and 预计缺工 by an arithmetic sign, whatever stands around them."""
    operand = r"[\w.\"]*"
    wrapped = rf"(?:\w+\s*\(\s*)*{operand}"
    tail = r"\s*(?:,\s*0\s*)?\)*\s*(?:::\w+)?\s*"
    now, expansion = rf"{wrapped}shortage_now{operand}", rf"{wrapped}shortage_expansion{operand}"
    added = re.compile(rf"{now}{tail}[-+]\s*{expansion}|{expansion}{tail}[-+]\s*{now}")
    assert added.search("coalesce(a.shortage_now_persons, 0) + coalesce(b.shortage_expansion_persons, 0)")
    assert added.search("sum(shortage_expansion)::bigint + sum(shortage_now)")
    # The build compiled what it built; what the warehouse was prepared with was compiled elsewhere.
    _dbt("2026-03", "compile")
    folder = get_settings().var / "dbt/target/2026-03/compiled/labour_reporting/models"
    compiled = {path.stem: path.read_text("utf-8") for path in folder.rglob("*.sql")}
    assert set(compiled) >= {model["name"] for model in models}
    for name, text in compiled.items():
        assert not added.search(re.sub(r"--[^\n]*", "", text)), name
    for model in models:
        for column in model["columns"]:
            assert not ("now" in column and "expansion" in column)


def test_no_clock_and_no_latest_in_sql() -> None:
    clocks = ("current_date", "current_timestamp", r"now\(\)", "localtimestamp", "clock_timestamp", "run_started_at")
    forbidden = re.compile(rf"\b({'|'.join(clocks)})")
    for path in own_sql():
        text = re.sub(r"--[^\n]*|\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert not forbidden.search(text), path.name


def test_no_password_has_a_default() -> None:
    text = (PROJECT / "profiles.yml").read_text("utf-8")
    assert "env_var('DBT_PASSWORD')" in text
    assert re.findall(r"env_var\('(\w+)', ", text) == ["DBT_SSLMODE", "DBT_THREADS"]


def test_connection_environment_of_a_url() -> None:
    assert connection_environment("postgresql://etl:s%40cret@db.example:6432/labour?sslmode=require") == {
        "DBT_HOST": "db.example",
        "DBT_PORT": "6432",
        "DBT_USER": "etl",
        "DBT_PASSWORD": "s@cret",
        "DBT_DBNAME": "labour",
        "DBT_SSLMODE": "require",
    }
    assert connection_environment("postgresql://etl@/labour?host=/run/pg")["DBT_HOST"] == "/run/pg"


def test_fingerprint_follows_seeds_and_models_only(tmp_path: Path) -> None:
    for name in ("dbt_project.yml", "seeds/a.csv", "models/m.sql", "tests/t.sql"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    first = project_fingerprint(tmp_path)
    (tmp_path / "tests/t.sql").write_text("2")
    assert project_fingerprint(tmp_path) == first
    (tmp_path / "seeds/a.csv").write_text("2")
    assert project_fingerprint(tmp_path) != first


def test_workdays_are_those_of_the_state_council() -> None:
    from include.intake.calendar import is_working_day

    with (PROJECT / "seeds/workdays.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    counted = 0
    for row in rows:
        year, month, day = map(int, row["day"].split("-"))
        expected = is_working_day(date(year, month, day))
        counted += expected
        assert (row["is_working_day"] == "true", int(row["working_day_number"])) == (expected, counted)
    assert (rows[0]["day"], rows[-1]["day"], len(rows)) == ("2019-01-01", "2026-12-31", 2922)


def test_classification_aliases_point_to_members() -> None:
    with (PROJECT / "seeds/industries.csv").open(encoding="utf-8", newline="") as handle:
        industries = {row["division_code"]: row["division_name"] for row in csv.DictReader(handle)}
    with (PROJECT / "seeds/industry_aliases.csv").open(encoding="utf-8", newline="") as handle:
        aliases = {row["alias"]: row["division_code"] for row in csv.DictReader(handle)}
    assert len(industries) == 97
    assert {aliases["铝"], aliases["糖"], aliases["螺蛳粉"]} == {"32", "13", "14"}
    assert set(aliases.values()) <= set(industries)
    assert not set(aliases) & set(industries.values())
