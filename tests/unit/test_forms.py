"""The forms' YAML agrees with itself, with the warehouse tables and with the official header layout."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.forms import model
from include.forms.model import FORMS_FOLDER, FormError, header_rows, load_forms, parse_form
from include.forms.words import load_words
from include.intake import headers
from include.quality.findings import column_letter
from include.settings import PROJECT_ROOT
from tests.unit.sheets import ENTERPRISE, POST, lay_out, only_table, to_xls, to_xlsx

MIGRATIONS = PROJECT_ROOT / "include" / "warehouse" / "migrations"
LEDGER_COLUMNS = {"submission_id", "sheet", "source_row", "period", "county_code", "person_key"}


def table_columns(name: str) -> set[str]:
    """Columns of a table as its migration creates it; empty where no migration does."""
    text = "".join(path.read_text("utf-8") for path in sorted(MIGRATIONS.glob("*.sql")))
    body = re.search(rf"create table {re.escape(name)} \((.*?)primary key", text, re.DOTALL)
    return {line.split()[0] for line in body[1].strip().splitlines()} - LEDGER_COLUMNS if body else set()


@pytest.mark.parametrize("name", list(load_forms()))
def test_columns_are_those_of_the_warehouse(name: str) -> None:
    form = load_forms()[name]
    personal = set(form.personal_columns)
    # a form without personal columns has no restricted table
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


# ------------------------------------------------------------------------------------------------ template versions


def letters(form: str, version: str) -> dict[str, str]:
    """Letter of the column of each field in a version."""
    headers = load_forms()[form].versions[version].headers
    return {header.field: column_letter(number) for number, header in enumerate(headers)}


@pytest.mark.parametrize(
    ("form", "stood", "stands"),
    [("enterprise_status", "hired", "leavers"), ("labour_demand", "shortage_now", "planned_hires")],
)
def test_in_the_drifted_version_another_figure_stands_in_the_same_column(form: str, stood: str, stands: str) -> None:
    older, drifted = letters(form, "2022.1"), letters(form, "2024.1-drift")
    assert older.keys() == drifted.keys()
    assert drifted[stands] == older[stood] and drifted[stood] == older[stands]
    moved = {name for name in older if older[name] != drifted[name]}
    assert moved == {stood, stands}


@pytest.mark.parametrize("write", [to_xlsx, to_xls])
@pytest.mark.parametrize("form", ["enterprise_status", "labour_demand"])
@pytest.mark.parametrize("version", ["2026.1", "2022.1", "2024.1-drift"])
def test_every_version_is_chosen_by_its_headers_and_read_by_them(form: str, version: str, write: Any) -> None:
    row = ENTERPRISE | {"hired": 12, "leavers": 7} if form == "enterprise_status" else POST | {"planned_hires": 9}
    table = only_table(write(lay_out(form, [row], version=version)))
    assert table.template_version == version and table.findings == []
    if form == "enterprise_status":
        assert (table.columns["hired"], table.columns["leavers"]) == ([12], [7])
    else:
        assert (table.columns["shortage_now"], table.columns["planned_hires"]) == ([3], [9])


def test_header_rows_of_a_version_have_its_order_and_texts() -> None:
    top, _ = header_rows(load_forms()["enterprise_status"], "2024.1-drift").rows
    place = top.index("本月流失人数")
    assert top[place + 1] == "本月新增用工人数" and "本月新招人数" not in top
    assert header_rows(load_forms()["enterprise_status"], "2022.1").rows[0][place] == "本月新招人数"


def forget_forms() -> None:
    """The forms are read anew, and with them what was looked up in them."""
    for kept in (load_forms, headers.header_index, headers._read_path):
        kept.cache_clear()


@pytest.fixture
def own_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the forms folder that is in use until the test ends."""
    folder = tmp_path / "forms"
    shutil.copytree(FORMS_FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(model, "FORMS_FOLDER", folder)
    forget_forms()
    yield folder
    monkeypatch.undo()
    forget_forms()


def test_a_new_version_is_an_edit_of_the_yaml(own_forms: Path) -> None:
    path = own_forms / "enterprise_status.yaml"
    document = yaml.safe_load(path.read_text("utf-8"))
    document["versions"]["2027.1"] = {
        "since": "2027-01",
        "without": ["locality"],
        "order": ["training_needed", "insured"],
        "headers": {"headcount": "期末从业人数", "hired": {"group": "人员流动", "header": "流入"}},
    }
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    forget_forms()
    version = load_forms()["enterprise_status"].current_version
    assert version.name == "2027.1" and len(version.headers) == 40
    assert {"职工人数/期末从业人数", "人员流动/流入"} <= set(version.fingerprint)
    table = only_table(to_xlsx(lay_out(rows=[ENTERPRISE | {"hired": 12, "insured": 90}], version="2027.1")))
    assert (table.template_version, table.findings) == ("2027.1", [])
    assert [table.columns[name] for name in ("headcount", "hired", "insured", "training_needed")] == [
        [100],
        [12],
        [90],
        [3],
    ]
    # the older versions are still known
    assert only_table(to_xlsx(lay_out(version="2022.1"))).template_version == "2022.1"


def test_a_new_form_is_a_yaml_file(own_forms: Path) -> None:
    document = {
        "form": "job_fair", "title_zh": "招聘会情况表", "titles": ["招聘会情况表"], "grain_zh": "每场一行",
        "row_key": ["fair"], "versions": {"1": {"since": "2026-01"}},
        "columns": [{"name": name, "header": text, "type": "text"}
                    for name, text in (("fair", "招聘会名称"), ("place", "举办地点"), ("host", "主办单位"))],
    }  # fmt: skip
    (own_forms / "job_fair.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    forget_forms()
    table = only_table(to_xlsx(lay_out("job_fair", [{"fair": "春风行动", "place": "灵城", "host": "灵山县"}])))
    assert table.form == "job_fair" and table.columns["place"] == ["灵城"]


def test_an_unknown_header_set_is_refused_with_the_difference() -> None:
    names = {"当期生产缺工": "现阶段生产缺工数", "管理人员": "管理岗"}
    table = only_table(to_xlsx(lay_out(rename=lambda text: names.get(text, text), without=["women"])))
    (finding,) = [finding for finding in table.findings if finding.code == "E-HDR-001"]
    assert finding.message_zh == (
        "企业情况表缺少表头：“职工人数/管理人员”、“缺工人数/当期生产缺工”。与最接近的模板2026.1（现行模板）相比，"
        "缺少：职工人数/管理人员、其中/女职工、缺工人数/当期生产缺工；多出：职工人数/管理岗、缺工人数/现阶段生产缺工数；"
        "最接近的表头：“职工人数/管理岗”（N列）可能是“职工人数/管理人员”、"
        "“缺工人数/现阶段生产缺工数”（AI列）可能是“缺工人数/当期生产缺工”。"
        "请按下发的模板补齐表头后重新报送；表头改了名称的请改回，不要删除列。"
    )


def test_a_version_that_contradicts_the_form_is_refused() -> None:
    document: dict[str, Any] = {
        "form": "f", "title_zh": "表", "titles": ["表"], "grain_zh": "", "row_key": ["a"],
        "columns": [{"name": "a", "header": "甲", "type": "text"}, {"name": "b", "header": "乙", "type": "text"}],
    }  # fmt: skip
    for entry, message in (
        ({"headers": {"a": "乙"}}, "header 乙 names b and a"),
        ({"order": ["a", "c"]}, r"unknown columns \['c'\]"),
        ({"order": ["a", "a"]}, "names a column twice"),
        ({"without": ["a"], "headers": {"a": "丙"}}, "left out and described"),
    ):
        with pytest.raises(FormError, match=message):
            parse_form({**document, "versions": {"1": {"since": "2026-01", **entry}}})


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
