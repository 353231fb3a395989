"""Columns are found by text: whatever the order, the line breaks, the width of the letters, the rows of the header."""

from typing import Any

import pytest

from include.forms.model import load_forms
from include.intake.headers import (
    Header,
    HeaderColumn,
    find_header,
    header_grid,
    header_index,
    header_key,
    match_path,
    nearest_version,
    renamed,
    squash,
)

FORM = load_forms()["enterprise_status"]


def name_of(*path: str, form: str = "enterprise_status") -> str | None:
    field = match_path(header_index(form), path)
    return field.name if field else None


def test_squash_removes_what_only_looks() -> None:
    assert squash("企 业\n名\u00a0称\u200bＡＢ") == "企业名称ab"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("上年度营业收入（万元）", ("上年度营业收入", "万元")),
        ("*企业名称", ("企业名称", None)),
        ("企业名称（必填）", ("企业名称", None)),
        ("3.统一社会\n信用代码", ("统一社会信用代码", None)),
        ("县（市、区）", ("县市区", None)),
        ("月薪（元/月）", ("月薪", "元")),
        ("职工人数（千人）", ("职工人数", "千人")),
    ],
)
def test_header_key(text: str, key: tuple[str, str | None]) -> None:
    assert header_key(text) == key


def test_the_same_leaf_under_two_groups() -> None:
    assert name_of("职工人数", "合计") == "headcount"
    assert name_of("技能人才", "合计") == "skilled_total"
    assert name_of("合计") is None


def test_joined_and_three_row_headers() -> None:
    assert name_of("职工人数合计") == "headcount"
    assert name_of("职工人数", "其中", "女职工") == "women"
    assert name_of("基本情况", "企业名称") == "enterprise_name"


def test_five_level_header_names() -> None:
    assert name_of("技能人才结构", "五级工") == "skill_junior"
    assert name_of("技能人才", "一级/高级技师") == "skill_senior_technician"


def test_last_months_figures_are_another_column() -> None:
    assert name_of("上月", "当期生产缺工") is None
    assert name_of("上年同期", "职工人数", "合计") is None


def test_a_leaf_under_the_header_of_another_group_is_not_taken() -> None:
    assert name_of("缺工人数", "管理人员") is None


def test_start_and_end_dates_by_group() -> None:
    assert name_of("补贴期间", "起", form="subsidy_payment") == "covered_from"
    assert name_of("公示时间", "公示止", form="subsidy_payment") == "notice_to"
    assert name_of("公示期", "止", form="subsidy_payment") == "notice_to"


def grid(*rows: list[Any], merges: list[tuple[int, int, int, int]] | None = None) -> Any:
    width = max(map(len, rows))
    return header_grid([row + [""] * (width - len(row)) for row in rows], merges or [])


def test_group_text_reaches_only_as_far_as_its_merge() -> None:
    rows = (["企业名称", "职工人数", "", "技能人才", ""], ["", "合计", "管理人员", "初级工", "合计"])
    header = find_header(FORM, grid(*rows, merges=[(0, 0, 1, 0), (0, 1, 0, 2), (0, 3, 0, 4)]))
    assert header is not None
    assert [column.field.name if column.field else None for column in header.columns] == [
        "enterprise_name",
        "headcount",
        "managers",
        "skill_junior",
        "skilled_total",
    ]
    unmerged = find_header(FORM, grid(*rows))
    assert unmerged is not None and "skilled_total" not in unmerged.matched


def test_header_below_titles_and_notes_with_its_rows() -> None:
    names = ["序号", "企业名称", "统一社会信用代码", "所属行业"]
    header = find_header(FORM, grid(["标题"], ["填报单位："], [""], ["说明"], names, ["1", "甲", "9145", "纺织业"]))
    assert header is not None and (header.first_row, header.last_row) == (4, 4)


def test_no_header() -> None:
    assert find_header(FORM, grid(["企业名称", "电话簿"], ["甲", "123"])) is None


def header_of(*texts: str) -> Header:
    """A one-row header as it is found in a sheet; ``group/leaf`` stands for a merged pair."""
    index = header_index(FORM.name)
    paths = [tuple(text.split("/")) for text in texts]
    return Header(0, 0, tuple(HeaderColumn(n, path, match_path(index, path)) for n, path in enumerate(paths)))


def test_each_version_is_known_by_its_own_fingerprint() -> None:
    for name, version in FORM.versions.items():
        assert nearest_version(FORM, header_of(*version.fingerprint)).name == name


def test_versions_with_the_same_columns_differ_by_text_and_order() -> None:
    older, drifted = FORM.versions["2022.1"], FORM.versions["2024.1-drift"]
    assert older.fields == drifted.fields
    texts = list(drifted.fingerprint)
    assert nearest_version(FORM, header_of(*texts)).name == "2024.1-drift"
    # one text is that of 2022, the order still that of the drift: the text decides
    texts[texts.index("本月新增用工人数")] = "本月新招人数"
    assert nearest_version(FORM, header_of(*texts)).name == "2022.1"
    # a text of neither: the order decides
    texts[texts.index("本月新招人数")] = "当月新招人数"
    assert nearest_version(FORM, header_of(*texts)).name == "2024.1-drift"


def test_a_renamed_header_is_offered_for_the_missing_one() -> None:
    extra = [HeaderColumn(7, ("自设列",), None), HeaderColumn(9, ("当期生产短缺工人",), None)]
    (pair,) = renamed(["缺工人数/当期生产缺工", "企业规模"], extra)
    assert (pair[0], pair[1].index) == ("缺工人数/当期生产缺工", 9)
    assert renamed(["企业规模"], extra) == []
