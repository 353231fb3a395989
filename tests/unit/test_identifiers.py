"""Check characters by hand, and masks that give nothing away."""

from __future__ import annotations

import pytest

from include.forms.model import load_forms
from include.intake.identifiers import (
    MASKS,
    is_valid_person_id,
    is_valid_uscc,
    mask_account,
    mask_name,
    mask_person_id,
    mask_phone,
    masked,
    person_id_check_character,
    uscc_check_character,
    uscc_fault,
)


def test_unified_code_published_example() -> None:
    assert is_valid_uscc("91110000600037341L")
    assert is_valid_uscc(" 91110000-600037341l ")


def test_unified_code_one_wrong_character_fails_the_check() -> None:
    assert uscc_fault("91110000600037342L") == "check"
    assert uscc_fault("91110000600037341M") == "check"
    # two neighbours swapped
    assert uscc_fault("91110000600037431L") == "check"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("9111000060003734", "length"),
        ("", "length"),
        ("911100006000373410L", "length"),
        ("9111000O600037341L", "characters"),
        ("91A10000600037341L", "characters"),
        ("91110000I00037341L", "characters"),
        ("Z1110000600037341L", "characters"),
    ],
)
def test_unified_code_shape(code: str, fault: str) -> None:
    assert uscc_fault(code) == fault


def test_rural_collective_code_begins_with_n() -> None:
    # weights 1 3 9 27 19 26 16 17 20 29 25 13 8 24 10 30 28 over N=22 2 4 5 0 7 2 2 M=21 F=15 1 0 0 0 0 0 1:
    # 22+6+36+135+0+182+32+34+420+435+25+28 = 1355 = 43*31 + 22, so the check value is 31 - 22 = 9
    assert uscc_check_character("N2450722MF1000001") == "9"
    assert is_valid_uscc("N2450722MF10000019")
    assert uscc_fault("N2450722MF10000018") == "check"


def test_check_character_refuses_what_cannot_begin_a_code() -> None:
    with pytest.raises(ValueError, match="17 characters"):
        uscc_check_character("91450721")


def test_citizen_number() -> None:
    # the worked example of GB 11643-1999
    assert is_valid_person_id("11010519491231002X")
    assert is_valid_person_id("11010519491231002x")
    assert person_id_check_character("11010519491231002") == "X"


@pytest.mark.parametrize(
    "number",
    [
        "110105194912310021",  # wrong check character
        "110105491231002",  # the old 15 digits
        "11010519491231002",
        "",
    ],
)
def test_citizen_number_refused(number: str) -> None:
    assert not is_valid_person_id(number)


@pytest.mark.parametrize("birth", ["19490230", "18991231", "19491301"])
def test_citizen_number_with_impossible_birth_date(birth: str) -> None:
    first = f"110105{birth}002"
    assert not is_valid_person_id(first + person_id_check_character(first))


def test_masks() -> None:
    assert mask_name("张三丰") == "张**"
    assert mask_name("王") == "*"
    assert mask_person_id("11010519491231002X") == "1101************2X"
    assert mask_phone("13812345678、13987654321") == "138****5678、139****4321"
    assert mask_account("6222020200112345678") == "***************5678"
    assert mask_account("123") == "***"
    assert masked("post", "焊工") == "焊工"
    assert masked("person_name", "李四") == "李*"


def test_every_personal_column_has_a_mask() -> None:
    personal = {column for form in load_forms().values() for column in form.personal_columns}
    # beside them, columns that are no personal ones but may name a person
    assert set(MASKS) - personal == {"payee_name", "certificate_no", "remark"}
    assert personal <= set(MASKS)


def test_what_may_name_a_person_is_masked_where_it_does() -> None:
    assert masked("payee_name", "韦小明") == "韦**"
    assert masked("payee_name", "阿依古丽·买买提") == "阿*******"
    assert masked("payee_name", "宾阳县演示1号木业有限公司") == "宾阳县演示1号木业有限公司"
    assert masked("payee_name", "利民店") == "利民店"
    assert masked("certificate_no", "S000045070001234") == "************1234"
    assert masked("remark", "联系13812345678，3人待核，2026-10-31补报") == "联系138******78，3人待核，2026-10-31补报"
