"""deploy/citus: every table has its place, and every distributed one is as Citus asks, on plain PostgreSQL.

Citus itself is in no registry that this project installs from; what its ``create_distributed_table`` would refuse can
be seen in the catalogue: a missing or null distribution column, a key without it, a foreign key across counties.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest

from include.settings import PROJECT_ROOT
from include.warehouse.loading import load_rows

FOLDER = PROJECT_ROOT / "deploy" / "citus"
PREPARE = (FOLDER / "prepare.sql").read_text(encoding="utf-8")
DISTRIBUTE = (FOLDER / "distribute.sql").read_text(encoding="utf-8")
with (FOLDER / "tables.csv").open(encoding="utf-8", newline="") as lines:
    PLACES = {line["relation"]: line["placement"] for line in csv.DictReader(lines)}
DISTRIBUTED = {relation for relation, placement in PLACES.items() if placement == "distributed"}

#: Tables and partitioned tables of the warehouse, without partitions.
_TABLES = """
select relation.relnamespace::regnamespace::text || '.' || relation.relname
from pg_class as relation
where
    relation.relkind in ('r', 'p') and not relation.relispartition
    and relation.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
"""
#: (relation, name, columns) of every unique index, partitions left out: a primary key is one too.
_UNIQUE = """
select
    index.indrelid::regclass::text, index.indexrelid::regclass::text,
    array(select attname::text from pg_attribute where attrelid = index.indrelid and attnum = any(index.indkey))
from pg_index as index
inner join pg_class as relation on index.indrelid = relation.oid
where index.indisunique and not relation.relispartition
"""
_FOREIGN = """
select conrelid::regclass::text, confrelid::regclass::text, conname::text
from pg_constraint where contype = 'f'
"""


@pytest.fixture
def prepared(marts: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The built warehouse after prepare.sql; undone at the end."""
    marts.execute(PREPARE.encode())
    yield marts
    marts.rollback()


def place_of(relation: str) -> str | None:
    schema = relation.partition(".")[0]
    return PLACES.get(relation) or PLACES.get(f"{schema}.*")


def test_every_table_of_the_warehouse_has_one_place(marts: psycopg.Connection[Any]) -> None:
    there = {name for (name,) in marts.execute(_TABLES.encode())}
    assert {name for name in there if place_of(name) is None} == set()
    assert {name for name in PLACES if not name.endswith(".*")} - there == set()
    assert set(PLACES.values()) == {"distributed", "reference", "local"}


def test_every_table_with_a_county_and_rows_of_counties_is_distributed(marts: psycopg.Connection[Any]) -> None:
    counties = marts.execute(
        "select relnamespace::regnamespace::text || '.' || relname from pg_class inner join pg_attribute as county"
        " on oid = attrelid and attname = 'county_code'"
        " where relkind in ('r', 'p') and not relispartition"
        " and relnamespace::regnamespace::text in ('raw', 'intermediate', 'marts')"
    )
    # one of the reference tables says which county a brand's name means
    found = {name for (name,) in counties} - {"intermediate.int_brand_county"}
    assert found == {name for name in DISTRIBUTED if not name.startswith("restricted.")}


def test_the_county_is_there_and_never_null(prepared: psycopg.Connection[Any]) -> None:
    found = prepared.execute(
        "select attrelid::regclass::text, atttypid::regtype::text, attnotnull from pg_attribute"
        " where attname = 'county_code' and attrelid = any(%s::regclass[])",
        (sorted(DISTRIBUTED),),
    )
    assert {row[0]: row[1:] for row in found} == dict.fromkeys(DISTRIBUTED, ("text", True))


def test_every_key_of_a_distributed_table_contains_the_county(prepared: psycopg.Connection[Any]) -> None:
    keys = [row for row in prepared.execute(_UNIQUE.encode()) if row[0] in DISTRIBUTED]
    assert {relation for relation, _, _ in keys} == DISTRIBUTED, "a distributed table has lost its key"
    assert [name for _, name, columns in keys if "county_code" not in columns] == []


def test_without_the_preparation_keys_lack_the_county(marts: psycopg.Connection[Any]) -> None:
    lacking = {
        relation
        for relation, _, columns in marts.execute(_UNIQUE.encode())
        if relation in DISTRIBUTED and "county_code" not in columns
    }
    assert {"raw.enterprise_status", "restricted.labour_demand", "marts.dim_enterprise"} <= lacking


def test_no_foreign_key_crosses_between_a_distributed_table_and_another(prepared: psycopg.Connection[Any]) -> None:
    crossing = [
        name
        for source, target, name in prepared.execute(_FOREIGN.encode())
        if {place_of(source), place_of(target)} != {"local"}
    ]
    # Citus takes one only to a reference table, or beside its county's rows; there is none of either kind.
    assert crossing == []


def test_no_distributed_or_reference_table_has_a_trigger(prepared: psycopg.Connection[Any]) -> None:
    triggered = prepared.execute("select distinct tgrelid::regclass::text from pg_trigger where not tgisinternal")
    assert {place_of(relation) for (relation,) in triggered} == {"local"}


def test_the_preparation_run_again_changes_nothing(prepared: psycopg.Connection[Any]) -> None:
    def catalogue() -> list[Any]:
        return sorted(prepared.execute("select indexrelid, indrelid, indkey::text from pg_index where indisunique"))

    before = catalogue()
    prepared.execute(PREPARE.encode())
    assert catalogue() == before


def test_the_loader_goes_on_after_the_preparation_and_fills_the_county(prepared: psycopg.Connection[Any]) -> None:
    row = {
        "submission_id": "s-1", "sheet": "表", "source_row": 5, "period": "2026-09", "county_code": "450721",
        "enterprise_name": "演示一号有限公司", "contact": "演示甲", "phone": "0",
    }  # fmt: skip
    assert load_rows(prepared, "enterprise_status", pd.DataFrame([row])) == 1
    assert prepared.execute(
        "select county_code, contact from restricted.enterprise_status where submission_id = 's-1'"
    ).fetchall() == [("450721", "演示甲")]


def test_the_statements_name_the_tables_of_the_list() -> None:
    def named(function: str) -> set[str]:
        calls = re.findall(rf"select {function}\((.+?);", DISTRIBUTE, re.DOTALL)
        return set(re.findall(r"'((?:raw|restricted|intermediate|marts)\.\w+)'", " ".join(calls)))

    assert named("create_distributed_table") == DISTRIBUTED
    assert named("create_reference_table") == {
        name for name, place in PLACES.items() if place == "reference" and not name.endswith(".*")
    }
