"""Cells into values: what is exact is read, what is vague is a finding, a blank is never 0."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.forms.model import Field, load_forms
from include.intake import values
from include.intake.values import Place, clean_text, normalise, parse_number, read_code, read_date, read_month


def field(form: str, name: str) -> Field:
    return next(item for item in load_forms()[form].fields if item.name == name)


def read(
    form: str, name: str, *cells: Any, gaps: dict[int, str] | None = None
) -> tuple[list[Any], list[tuple[str, str]]]:
    """Values and (code, cell) of the findings of one column standing in column C from row 5 on."""
    target = field(form, name)
    place = Place(form, "Sheet1", 2, target.header, range(5, 5 + len(cells)))
    result = normalise(target, list(cells), place, gaps)
    return result.values[name], [(finding.code, finding.cell or "") for finding in result.findings]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234", "1234"),
        ("１２３", "123"),
        ("30人", "30"),
        (" 30 名", "30"),
        ("-5", "-5"),
        ("3.50", "3.50"),
        ("0.3万", "3000"),
    ],
)
def test_exact_number_texts(text: str, number: str) -> None:
    assert parse_number(text, "元" if "万" in text else "人") == (Decimal(number), None)


@pytest.mark.parametrize(
    ("text", "number"), [("2000万", "2000"), ("2000万元", "2000"), ("0.3亿", "3000"), ("5000元", "0.5")]
)
def test_wan_yuan_column_brings_units_to_wan_yuan(text: str, number: str) -> None:
    assert parse_number(text, "万元") == (Decimal(number), None)


@pytest.mark.parametrize("text", ["约30", "30余", "30多人", "近30", "30左右", "30-40", "若干"])
def test_vague_numbers_are_never_a_number(text: str) -> None:
    assert parse_number(text, "人") == (None, values.VAGUE)


@pytest.mark.parametrize("text", ["三十", "abc", "1,23", "12元", "--"])
def test_foreign_texts_are_no_number(text: str) -> None:
    assert parse_number(text, "人") == (None, values.NOT_A_NUMBER)


def test_clean_integers_pass_whole() -> None:
    assert read("enterprise_status", "headcount", 12.0, 0.0, 7.0) == ([12, 0, 7], [])


def test_blank_required_is_a_finding_and_not_zero() -> None:
    assert read("enterprise_status", "shortage_now", 5.0, "", "无") == (
        [5, None, None],
        [("R-VAL-001", "C6"), ("R-VAL-001", "C7")],
    )


def test_blank_optional_is_null() -> None:
    assert read("enterprise_status", "women", "", "—", "、", 3.0) == ([None, None, None, 3], [])


def test_vague_holds_the_row_only_where_required() -> None:
    assert read("enterprise_status", "headcount", "约30") == ([None], [("R-VAL-002", "C5")])
    assert read("enterprise_status", "women", "约30") == ([None], [("W-VAL-002", "C5")])


def test_negative_and_fractional_counts_hold_the_row() -> None:
    assert read("enterprise_status", "women", -1.0, 2.5, 3e10) == (
        [None, None, None],
        [("R-VAL-004", "C5"), ("R-VAL-005", "C6"), ("R-VAL-015", "C7")],
    )


def test_a_phone_number_in_a_wage_column_holds_its_row_only() -> None:
    """It is more than the marts' numeric(12,2) can take: let through, it would stop the build of every county."""
    assert read("enterprise_status", "wage_general", 13800138000.0) == ([None], [("R-VAL-015", "C5")])


def test_pay_by_the_year_is_no_monthly_pay() -> None:
    assert parse_number("36000元/年", "元") == (None, values.NOT_A_NUMBER)
    assert parse_number("3000元/月", "元") == (Decimal(3000), None)
    assert parse_number("2000万元/年", "万元") == (Decimal(2000), None)


def test_numbers_as_text_are_read_and_noted_once_a_column() -> None:
    assert read("enterprise_status", "headcount", "１２", "1,234人", 5.0) == ([12, 1234, 5], [("W-VAL-020", "C5")])


def test_digits_lost_in_a_number() -> None:
    assert read("enterprise_status", "uscc", 4.5e17) == ([None], [("R-VAL-006", "C5")])
    assert read("enterprise_status", "uscc", "4.5E+17") == ([None], [("R-VAL-006", "C5")])
    assert read("subsidy_payment", "person_id", 450721199001011234.0) == ([None], [("R-VAL-006", "C5")])


def test_codes_are_upper_case_without_blanks() -> None:
    assert read_code("９１45 0721\nma5k1a2b3c").value == "91450721MA5K1A2B3C"


def test_phone_stored_as_a_number_keeps_its_digits() -> None:
    assert read("enterprise_status", "phone", 13812345678.0, "0777-6521234、13812345678") == (
        ["13812345678", "0777-6521234、13812345678"],
        [],
    )


@pytest.mark.parametrize(
    "cell",
    ["0777-6521234、13812345678", "0777-6521234\n13812345678", "0777-6521234 / 13812345678", "0777-6521234 13812345678",
     "０７７７-6521234；13812345678", "0777-6521234,13812345678,"],
)  # fmt: skip
def test_several_phones_in_a_cell_are_kept_and_told_apart(cell: str) -> None:
    assert read("enterprise_status", "phone", cell, "")[0] == ["0777-6521234、13812345678", None]


def test_a_phone_with_a_name_or_a_blank_inside_is_one() -> None:
    assert read("enterprise_status", "phone", "0777 6521234", "办公室0777-6521234")[0] == [
        "0777 6521234",
        "办公室0777-6521234",
    ]


def test_a_phone_number_that_lost_its_leading_zero_is_not_kept() -> None:
    """07776521234 typed into a number cell is 7776521234, nobody's number; 6521234 and 4008001234 are whole."""
    assert read("enterprise_status", "phone", 7776521234.0, 6521234.0, 4008001234.0, 13812345678.0) == (
        [None, "6521234", "4008001234", "13812345678"],
        [("W-VAL-023", "C5")],
    )
    target = field("enterprise_status", "phone")
    place = Place("enterprise_status", "表", 2, target.header, [5])
    (finding,) = normalise(target, [7776521234.0], place).findings
    assert "6521" not in finding.message_zh and "0 已丢失" in finding.message_zh


@pytest.mark.parametrize("cell", ["3\n5", "12 7", "3 500 00", "3\r\n500"])
def test_two_numbers_in_one_cell_are_never_one(cell: str) -> None:
    assert read("enterprise_status", "women", cell) == ([None], [("W-VAL-003", "C5")])


@pytest.mark.parametrize(("cell", "number"), [("1 234", 1234), ("12 345 678", 12345678), (" 30 人\n", 30), ("3 人", 3)])
def test_blanks_that_separate_thousands_or_units_are_none(cell: str, number: int) -> None:
    assert read("enterprise_status", "women", cell)[0] == [number]


def test_two_wages_on_two_lines_are_no_wage() -> None:
    target = field("labour_demand", "wage_min")
    result = normalise(target, ["3500\n5000"], Place("labour_demand", "s", 0, "月薪（元）", [5]))
    assert result.values == {"wage_min": [None], "wage_max": [None]}
    assert [finding.code for finding in result.findings] == ["W-VAL-012"]


def test_personal_values_are_masked_in_findings() -> None:
    target = field("subsidy_payment", "person_id")
    place = Place("subsidy_payment", "台账", 7, "身份证号", [9])
    (finding,) = normalise(target, [450721199001011234.0], place).findings
    assert finding.cell == "H9"
    assert "19900101" not in finding.message_zh and "19900101" not in (finding.value or "")


def test_enumerations_through_aliases() -> None:
    assert read("subsidy_payment", "level", "五级工", "三级/高级工", "技师（二级）", "高级技师")[0] == [
        "初级工",
        "高级工",
        "技师",
        "高级技师",
    ]
    assert read("enterprise_status", "operating_state", "正常", "倒闭了")[1] == [("R-VAL-007", "C6")]
    assert read("enterprise_status", "ownership", "混合所有") == ([None], [("W-VAL-007", "C5")])


def test_booleans() -> None:
    assert read("enterprise_status", "is_key", "是", "√", "有", 1.0, True, "否", "无", "×", 0.0, "", "也许") == (
        [True, True, True, True, True, False, False, False, False, None, None],
        [("W-VAL-014", "C15")],
    )


@pytest.mark.parametrize(
    ("cell", "month"),
    [
        ("2026年3月", "2026-03"),
        ("2026.3", "2026-03"),
        ("2026-03", "2026-03"),
        ("202603", "2026-03"),
        (202603.0, "2026-03"),
        (2026.3, "2026-03"),
        (2026.11, "2026-11"),
        (2026.03, "2026-03"),
        (date(2026, 3, 9), "2026-03"),
        (datetime(2026, 3, 9, 8, 0), "2026-03"),
        (46082.0, "2026-03"),
        ("２０２６年３月", "2026-03"),
        ("2026.10", "2026-10"),
    ],
)
def test_months(cell: Any, month: str) -> None:
    assert read_month(cell).value == month


@pytest.mark.parametrize("cell", ["3月", 3.0, 2026.1, "2026年", "一季度", "26.3", 2026.0])
def test_unclear_months_are_not_completed(cell: Any) -> None:
    assert read_month(cell) == values.Read(None, values.UNCLEAR_DATE)


def test_month_of_nonsense() -> None:
    assert read_month("2026年13月").problem == values.NOT_A_DATE
    assert read_month("随时").problem == values.NOT_A_DATE


@pytest.mark.parametrize(
    "cell", ["2026年3月15日", "2026.3.15", "2026-03-15", "20260315", 20260315.0, 46096.0, "2026/3/15 08:30"]
)
def test_dates(cell: Any) -> None:
    assert read_date(cell).value == date(2026, 3, 15)


def test_incomplete_and_impossible_dates() -> None:
    assert read_date("3月15日").problem == values.UNCLEAR_DATE
    assert read_date("2026.3").problem == values.UNCLEAR_DATE
    assert read_date("2026年2月30日").problem == values.NOT_A_DATE


@pytest.mark.parametrize(
    ("cell", "pair"),
    [
        ("3500-5000", (3500.0, 5000.0)),
        ("3500～5000元", (3500.0, 5000.0)),
        ("３５００—５０００元/月", (3500.0, 5000.0)),
        ("0.3-0.5万", (3000.0, 5000.0)),
        ("0.3万", (3000.0, 3000.0)),
        (4000.0, (4000.0, 4000.0)),
        ("4000元以上", (4000.0, None)),
        ("5000以下", (None, 5000.0)),
        ("面议", (None, None)),
        ("3k-5k", (3000.0, 5000.0)),
        ("3500至5000", (3500.0, 5000.0)),
    ],
)
def test_wage_ranges(cell: Any, pair: tuple[float | None, float | None]) -> None:
    target = field("labour_demand", "wage_min")
    result = normalise(target, [cell], Place("labour_demand", "s", 0, "月薪（元）", [5]))
    assert (result.values["wage_min"][0], result.values["wage_max"][0]) == pair
    assert result.findings == []


def test_ranges_that_are_none() -> None:
    target = field("labour_demand", "wage_min")
    result = normalise(
        target, ["5000-3500", "3500+提成", date(2026, 3, 5)], Place("labour_demand", "s", 0, "月薪", [5, 6, 7])
    )
    assert result.values == {"wage_min": [None] * 3, "wage_max": [None] * 3}
    assert [finding.code for finding in result.findings] == ["W-VAL-013", "W-VAL-012", "W-VAL-012"]


def test_ages() -> None:
    target = field("labour_demand", "age_min")
    result = normalise(
        target, ["18-45岁", "45周岁以下", "不限", "18至50周岁"], Place("labour_demand", "s", 0, "年龄", range(4))
    )
    assert result.values == {"age_min": [18, None, None, 18], "age_max": [45, 45, None, 50]}


def test_formula_not_calculated_is_neither_zero_nor_silent() -> None:
    assert read("enterprise_status", "headcount", "", 0.0, gaps={0: "formula", 1: "formula"}) == (
        [None, None],
        [("R-VAL-008", "C5"), ("R-VAL-008", "C6")],
    )
    assert read("enterprise_status", "women", "", gaps={0: "error"}) == ([None], [("W-VAL-009", "C5")])


def test_money_is_kept_to_the_cent() -> None:
    assert read("subsidy_payment", "applied", 1234.56, "1,500元", 0.0) == (
        [1234.56, 1500.0, 0.0],
        [("W-VAL-020", "C6")],
    )
    assert read("subsidy_payment", "applied", 1833.335) == ([1833.34], [("W-VAL-021", "C5")])
    assert read("subsidy_payment", "applied", 1833.3300000000002) == ([1833.33], [])


def test_industry_code_keeps_its_zero() -> None:
    assert read("enterprise_status", "industry", 6.0, "纺织业")[0] == ["06", "纺织业"]


def test_text_is_cleaned_and_chinese_punctuation_kept() -> None:
    assert clean_text("广西\u00a0灵山\n糖业（集团）Ａ１ 有限 公司\u200b") == "广西灵山糖业（集团）A1 有限公司"


@given(st.integers(min_value=0, max_value=values.MAX_INTEGER), st.sampled_from(["{}", "{:,}", " {}人", "{}.0"]))
def test_number_text_round_trip(number: int, shape: str) -> None:
    assert parse_number(shape.format(number), "人") == (Decimal(number), None)


@given(st.lists(st.one_of(st.text(max_size=12), st.floats(), st.booleans(), st.dates(), st.datetimes()), max_size=6))
def test_any_cells_give_as_many_values(cells: list[Any]) -> None:
    for form in load_forms().values():
        for target in form.fields:
            result = normalise(target, cells, Place(form.name, "s", 0, target.header, range(1, len(cells) + 1)))
            assert all(len(column) == len(cells) for column in result.values.values())
            assert all(finding.message_zh for finding in result.findings)
