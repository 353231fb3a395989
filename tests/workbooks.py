"""Workbooks made by hand from the headers that forms.md-style templates carry, for tests of the whole chain.

They are written cell by cell here, independent of the demonstration province, so that a fault of the generator and the
same fault of the reader cannot cancel out.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl

from include.intake.calendar import SHANGHAI, nth_working_day
from include.intake.identifiers import uscc_check_character

# (group, leaf, key) in the order of the official form
STATUS_HEADERS: tuple[tuple[str, str, str], ...] = (
    ("", "序号", "seq"),
    ("", "企业名称", "enterprise_name"),
    ("", "统一社会信用代码", "uscc"),
    ("", "县（市、区）", "county"),
    ("", "所在园区或乡镇（街道）", "locality"),
    ("", "所属行业", "industry"),
    ("", "企业类型", "ownership"),
    ("", "企业规模", "size_class"),
    ("", "是否规上企业", "is_above_scale"),
    ("", "是否重点企业", "is_key"),
    ("", "生产经营状况", "operating_state"),
    ("", "上年度营业收入（万元）", "revenue_wan_yuan"),
    ("职工人数", "合计", "headcount"),
    ("职工人数", "管理人员", "managers"),
    ("职工人数", "专业技术人员", "professionals"),
    ("职工人数", "生产操作人员", "workers"),
    ("其中", "女职工", "women"),
    ("其中", "县内户籍", "local_county"),
    ("其中", "区内县外户籍", "other_county"),
    ("其中", "区外户籍", "other_province"),
    ("其中", "脱贫人口", "lifted_poverty"),
    ("其中", "劳务派遣", "dispatched"),
    ("技能人才", "初级工", "skill_junior"),
    ("技能人才", "中级工", "skill_intermediate"),
    ("技能人才", "高级工", "skill_senior"),
    ("技能人才", "技师", "skill_technician"),
    ("技能人才", "高级技师", "skill_senior_technician"),
    ("技能人才", "特级技师", "skill_master"),
    ("技能人才", "首席技师", "skill_chief"),
    ("技能人才", "合计", "skilled_total"),
    ("", "参加职工养老保险人数", "insured"),
    ("", "本月新招人数", "hired"),
    ("", "本月流失人数", "leavers"),
    ("月平均工资（元）", "普工", "wage_general"),
    ("月平均工资（元）", "技工", "wage_skilled"),
    ("缺工人数", "当期生产缺工", "shortage_now"),
    ("缺工人数", "扩大产能后预计缺工", "shortage_expansion"),
    ("", "职业技能培训需求人数", "training_needed"),
    ("", "联系人", "contact"),
    ("", "联系电话", "phone"),
    ("", "备注", "remark"),
)
DEMAND_HEADERS: tuple[tuple[str, str, str], ...] = (
    ("", "序号", "seq"),
    ("", "企业名称", "enterprise_name"),
    ("", "统一社会信用代码", "uscc"),
    ("", "县（市、区）", "county"),
    ("", "岗位（工种）名称", "post"),
    ("", "岗位类别", "post_category"),
    ("", "现有人数", "employed"),
    ("", "当期生产缺工人数", "shortage_now"),
    ("", "计划招聘人数", "planned_hires"),
    ("", "扩大产能后预计缺工人数", "shortage_expansion"),
    ("", "预计缺工时间", "expansion_month"),
    ("", "扩产原因", "expansion_reason"),
    ("招工要求", "性别", "gender"),
    ("招工要求", "年龄", "age"),
    ("招工要求", "学历", "education"),
    ("招工要求", "技能等级", "skill_level"),
    ("", "月薪（元）", "wage"),
    ("", "食宿社保", "benefits"),
    ("", "工作地点", "workplace"),
    ("职业技能培训需求", "培训工种", "training_post"),
    ("职业技能培训需求", "培训类型", "training_type"),
    ("职业技能培训需求", "培训等级", "training_level"),
    ("职业技能培训需求", "培训人数", "training_persons"),
    ("职业技能培训需求", "拟培训时间", "training_month"),
    ("职业技能培训需求", "培训方式", "training_mode"),
    ("职业技能培训需求", "是否需要补贴", "training_subsidised"),
    ("", "联系人", "contact"),
    ("", "联系电话", "phone"),
    ("", "备注", "remark"),
)


_sent = itertools.count(1)


def uscc(county_code: str, number: int) -> str:
    """A unified social credit code of the county with a right check character."""
    first = f"91{county_code}MA{number:07d}"
    return first + uscc_check_character(first)


def enterprise(county: str, county_code: str, number: int, **changes: Any) -> dict[str, Any]:
    """A row of form 1 in which every identity holds: 100 workers, 7 short now, 5 expected, 9 to train."""
    row: dict[str, Any] = {
        "seq": number, "enterprise_name": f"{county}演示{number}号木业有限公司", "uscc": uscc(county_code, number),
        "county": county, "industry": "木材加工和木、竹、藤、棕、草制品业", "ownership": "民营",
        "size_class": "小型", "is_above_scale": "是",
        "is_key": "否", "operating_state": "正常", "revenue_wan_yuan": 1200.5, "headcount": 100, "managers": 10,
        "professionals": 15, "workers": 75, "women": 40, "local_county": 60, "other_county": 30, "other_province": 10,
        "lifted_poverty": 5, "dispatched": 0, "skill_junior": 10, "skill_intermediate": 8, "skill_senior": 4,
        "skill_technician": 2, "skill_senior_technician": 1, "skill_master": 0, "skill_chief": 0, "skilled_total": 25,
        "insured": 90, "hired": 3, "leavers": 2, "wage_general": 3800, "wage_skilled": 5200, "shortage_now": 7,
        "shortage_expansion": 5, "training_needed": 9, "contact": "演示甲", "phone": "0000-0000000",
    }  # fmt: skip
    return row | changes


def post(of: Mapping[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    """A row of form 2 that carries the whole shortage and training need of its enterprise."""
    row: dict[str, Any] = {
        "seq": 1, "enterprise_name": of["enterprise_name"], "uscc": of["uscc"], "county": of["county"], "post": name,
        "post_category": "技工", "employed": 20, "shortage_now": of["shortage_now"], "planned_hires": 7,
        "shortage_expansion": of["shortage_expansion"], "education": "不限", "wage": "3500-5000", "training_post": name,
        "training_type": "岗位技能提升培训", "training_level": "中级工", "training_persons": of["training_needed"],
        "training_subsidised": "是",
    }  # fmt: skip
    return row | changes


def write_form(
    path: Path,
    title: str,
    county: str,
    period: str,
    headers: Sequence[tuple[str, str, str]],
    rows: Sequence[Mapping[str, Any]],
    *,
    rename: Mapping[str, str] | None = None,
    sheet: str = "Sheet1",
    frame: bool = True,
    received: datetime | None = None,
) -> Path:
    """Write one form as a county would: title, frame line, two merged header rows (rows 3 and 4), data from row 5.

    The file arrives in time, on the second working day after its month, each a second after the one before.

    Args:
        received: another time of arrival.
        headers: columns in the order in which they shall stand.
        rename: other header text for single keys.
        frame: whether title and frame line name county and period.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    year, month = period.split("-")
    page["A1"] = f"{county}{title}" if frame else title
    page["A2"] = (
        f"填报单位（盖章）：{county}人力资源和社会保障局    报告期：{year}年{int(month)}月    单位：人、元"
        if frame
        else "单位：人、元"
    )
    start = 0
    for index, (group, leaf, key) in enumerate(headers):
        column = index + 1
        leaf = (rename or {}).get(key, leaf)
        if not group:
            page.cell(3, column, leaf)
            page.merge_cells(start_row=3, end_row=4, start_column=column, end_column=column)
            start = column
            continue
        page.cell(4, column, leaf)
        if index == 0 or headers[index - 1][0] != group:
            page.cell(3, column, group)
            start = column
        if index + 1 == len(headers) or headers[index + 1][0] != group:
            page.merge_cells(start_row=3, end_row=3, start_column=start, end_column=column)
    for offset, row in enumerate(rows):
        for column, (_, _, key) in enumerate(headers, start=1):
            page.cell(5 + offset, column, row.get(key))
    page.cell(6 + len(rows), 1, "填表人：演示乙")
    book.save(path)
    on_time = datetime.combine(nth_working_day(period, 2), time(9), tzinfo=SHANGHAI)
    arrives(path, received or on_time + timedelta(seconds=next(_sent)))
    return path


def arrives(path: Path, at: datetime) -> Path:
    """Make a file of the inbox arrive at that time."""
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path
