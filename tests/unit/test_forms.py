"""The forms' YAML agrees with itself, with the warehouse tables and with the official header layout."""

import re

import pytest

from include.forms.model import FormError, header_rows, load_forms, parse_form
from include.forms.words import load_words
from include.settings import PROJECT_ROOT

MIGRATION = PROJECT_ROOT / "include" / "warehouse" / "migrations" / "0002_raw.sql"
LEDGER_COLUMNS = {"submission_id", "sheet", "source_row", "period", "county_code", "person_key"}


def table_columns(name: str) -> set[str]:
    body = re.search(rf"create table {re.escape(name)} \((.*?)primary key", MIGRATION.read_text("utf-8"), re.DOTALL)
    assert body is not None
    return {line.split()[0] for line in body[1].strip().splitlines()} - LEDGER_COLUMNS


@pytest.mark.parametrize("name", ["enterprise_status", "labour_demand", "subsidy_payment"])
def test_columns_are_those_of_the_warehouse(name: str) -> None:
    form = load_forms()[name]
    personal = set(form.personal_columns)
    assert table_columns(f"restricted.{name}") == personal
    assert table_columns(f"raw.{name}") == set(form.columns) - personal


def test_required_columns_of_the_enterprise_form() -> None:
    required = [name for name, column in load_forms()["enterprise_status"].columns.items() if column.required]
    assert required == [
        "enterprise_name",
        "uscc",
        "county",
        "industry",
        "operating_state",
        "headcount",
        "managers",
        "professionals",
        "workers",
        "shortage_now",
        "shortage_expansion",
        "training_needed",
    ]


def test_five_level_names_are_aliases() -> None:
    values = load_forms()["subsidy_payment"].columns["level"].values
    assert "五级工" in values["初级工"] and "一级工" in values["高级技师"]


def test_a_range_header_fills_two_columns() -> None:
    form = load_forms()["labour_demand"]
    wages = next(field for field in form.fields if field.name == "wage_min")
    assert [column.name for column in wages.columns] == ["wage_min", "wage_max"]
    assert wages.header == "月薪（元）"
    assert [form.columns[name].range_part for name in ("age_min", "age_max")] == [0, 1]


def test_official_header_rows() -> None:
    header = header_rows(load_forms()["enterprise_status"])
    top, bottom = header.rows
    assert top[12:16] == ("职工人数", "", "", "") and bottom[12:16] == (
        "合计",
        "管理人员",
        "专业技术人员",
        "生产操作人员",
    )
    assert (0, 12, 0, 15) in header.merges  # the group over its four leaves
    assert (0, 0, 1, 0) in header.merges and bottom[0] == ""  # 序号 down over both rows
    assert len(top) == len(bottom) == 41


def test_older_version_leaves_columns_out() -> None:
    form = load_forms()["enterprise_status"]
    assert form.current_version.name == "2026.1"
    assert "特级技师" not in header_rows(form, "2022.1").rows[1]


def test_contradictions_are_refused() -> None:
    document = {
        "form": "f",
        "title_zh": "表",
        "titles": ["表"],
        "grain_zh": "",
        "versions": {"1": {"since": "2026-01", "without": ["a"]}},
        "columns": [{"name": "a", "header": "甲", "type": "text", "required": True}],
    }
    with pytest.raises(FormError, match="cannot be left out"):
        parse_form(document)
    document["columns"] = [{"name": "a", "header": "甲", "type": "enum"}]
    with pytest.raises(FormError, match="values belong to an enumeration"):
        parse_form(document)


def test_vocabulary_holds_only_text() -> None:
    words = load_words()
    assert {"无", "—", "/", "、", "空", "NULL"} <= words.null_words
    assert words.header_units["元/月"] == "元"
