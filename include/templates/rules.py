"""What may be typed into the columns of a template: validation, prompt and description of every column, as data.

All of it is derived from the forms (``include/forms``) and the sentences of ``texts.yaml``; nothing here knows a
workbook. :mod:`include.templates.write` writes it down.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from include.forms.model import Field, Form
from include.intake.calendar import last_day, month_after
from include.intake.values import MAX_DECIMAL, MAX_INTEGER
from include.settings import get_settings

WORDS_FILE = Path(__file__).with_name("texts.yaml")
#: a list that stands in the cell's own rule may have so many characters, commas included; longer ones are ranges
INLINE_LIST_CHARACTERS = 255
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2099, 12, 31)
YES_NO = ("是", "否")

Strictness = Literal["stop", "information"]
CheckKind = Literal["sum", "at_most", "unique", "known_code"]
_NUMBER_FORMATS = {"integer": "0", "decimal": "General", "money": "0.00", "date": "yyyy-mm-dd"}
TEXT_FORMAT = "@"


class TemplateError(ValueError):
    """A template cannot be made; the message says what is wrong and what to do."""


@lru_cache(maxsize=1)
def words() -> Mapping[str, Any]:
    """The sentences of ``texts.yaml``."""
    document: Mapping[str, Any] = yaml.safe_load(WORDS_FILE.read_text(encoding="utf-8"))
    return document


@dataclass(frozen=True, slots=True)
class CellRule:
    """What may stand in the cells of one column.

    Attributes:
        validate, criteria: as XlsxWriter calls them (``list``, ``integer``, ``length``; ``between``, ``==``).
        values: the allowed list (``list``), or one or two limits.
        list_name: defined name of the range that holds the list, ``None`` where the list stands in the rule itself.
        strictness: ``stop`` refuses anything else, ``information`` asks and lets it pass.
        kind: what the guide calls this kind of value, unit included.
        allowed: what the guide says may be filled in.
        prompt, error: shown when the cell is chosen, and when something else was typed; at most 255 characters.
        number_format: of the data cells; ``@`` keeps leading and trailing digits of codes.
    """

    validate: str
    criteria: str
    values: tuple[Any, ...]
    list_name: str | None
    strictness: Strictness
    kind: str
    allowed: str
    prompt: str
    error: str
    number_format: str


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A relation between columns that the sheet marks while it is filled in.

    ``sum``: ``columns[0]`` equals the sum of the others. ``at_most``: none of the others exceeds ``columns[0]``.
    ``unique``: ``columns[0]`` stands once in the sheet. ``known_code``: where the name ``columns[1]`` is in the list of
    known enterprises, the code ``columns[0]`` is the one listed with it.
    """

    kind: CheckKind
    columns: tuple[str, ...]
    text: str


def template_fields(form: Form) -> tuple[Field, ...]:
    """The columns of the current template version, in the order of the sheet."""
    return tuple(field for field in form.fields if field.name in form.current_version.fields)


def month_zh(period: str) -> str:
    """``'2026-11'`` as ``'2026年11月'``."""
    return str(words()["month"]).format(year=int(period[:4]), month=int(period[5:]))


def day_zh(day: date) -> str:
    """``2026年12月7日``."""
    return f"{day.year}年{day.month}月{day.day}日"


@lru_cache(maxsize=8)
def seed(name: str) -> tuple[Mapping[str, str], ...]:
    """Rows of a seed of the dbt project, read once."""
    with (get_settings().dbt_project / "seeds" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as handle:
        return tuple(csv.DictReader(handle))


def list_values(form: Form, field: Field, reporter_name: str, period: str) -> tuple[str, ...]:
    """The list offered in a column's cells, empty for a column without one."""
    if field.name in words()["county_columns"]:
        return (reporter_name,)
    if field.type == "boolean":
        return YES_NO
    if field.type == "enum":
        return tuple(field.columns[0].values)
    if field.type == "industry":
        return tuple(row["division_name"] for row in seed("industries"))
    if field.type == "month":
        return tuple(month_zh(month_after(period, months)) for months in range(int(words()["months_offered"])))
    if suggested := words()["suggestions"].get(f"{form.name}.{field.name}"):
        return tuple(row[suggested["column"]] for row in seed(suggested["seed"]))
    return ()


def cell_rule(form: Form, field: Field, reporter_name: str, period: str, known_names: Sequence[str] = ()) -> CellRule:
    """The rule of one column.

    Args:
        reporter_name: the county that fills the sheet in.
        period: reporting month, from which lists of months start.
        known_names: names of enterprises to choose from in the column of names; other names are let pass.
    """
    listed = list_values(form, field, reporter_name, period)
    is_county = field.name in words()["county_columns"]
    texts = words()["types"]["county" if is_county else field.type]
    filler = _filler(field, reporter_name, period)
    unit = field.columns[0].unit
    rule: dict[str, Any] = {
        "list_name": None,
        "strictness": "information",
        "kind": texts["kind"] + (f"（{unit}）" if unit else ""),
        "prompt": str(texts["prompt"]).format(**filler),
        "error": str(texts["error"]).format(**filler),
        "number_format": _NUMBER_FORMATS.get(field.type, TEXT_FORMAT),
    }
    is_known = not listed and bool(known_names)
    listed = listed or tuple(known_names)
    if listed:
        is_closed = is_county or field.type in ("enum", "boolean", "industry")
        rule |= {
            "validate": "list",
            "criteria": "",
            "values": listed,
            "allowed": _listed(field, listed, in_codes=is_known),
        }
        rule["strictness"] = "stop" if is_closed else "information"
        if not is_closed:
            rule["allowed"] += words()["guide"]["other_allowed"]
        if len(",".join(listed)) > INLINE_LIST_CHARACTERS or any("," in value for value in listed):
            rule["list_name"] = f"list_{field.name}"
        return CellRule(**rule)
    return CellRule(**(rule | _limits(field, filler["example_date"])))


def _filler(field: Field, reporter_name: str, period: str) -> dict[str, str]:
    unit = field.columns[0].unit
    return {
        "unit_note": f"（单位：{unit}）" if unit else "",
        "example": words()["examples"].get(field.type, ""),
        "example_date": last_day(period).isoformat(),
        "month_zh": month_zh(period),
        "reporter": reporter_name,
    }


def _listed(field: Field, listed: Sequence[str], *, in_codes: bool) -> str:
    """What the guide says of a list: the list itself, or where to look it up."""
    if in_codes or field.type == "industry":
        return str(words()["guide"]["list_from_codes"]).format(count=len(listed))
    if field.type == "month":
        return str(words()["types"]["month"]["kind"])
    return "、".join(listed)


def _limits(field: Field, example_date: str) -> dict[str, Any]:
    """Validation of a column without a list: number limits, dates, lengths of text."""
    guide = words()["guide"]
    if field.type == "integer":
        limits = (0, MAX_INTEGER)
        return {
            "validate": "integer", "criteria": "between", "values": limits, "strictness": "stop",
            "allowed": guide["at_least_zero"],
        }  # fmt: skip
    if field.type in ("decimal", "money"):
        return {
            "validate": "decimal", "criteria": "between", "values": (0, int(MAX_DECIMAL) - 1), "strictness": "stop",
            "allowed": guide["at_least_zero"],
        }  # fmt: skip
    if field.type == "date":
        return {
            "validate": "date", "criteria": "between", "values": (FIRST_DAY, LAST_DAY), "strictness": "stop",
            "allowed": example_date,
        }  # fmt: skip
    if exact := words()["exact_length"].get(field.name):
        return {
            "validate": "length", "criteria": "==", "values": (int(exact),),
            "allowed": str(guide["exact_length"]).format(count=exact),
        }  # fmt: skip
    if field.type in ("integer_range", "decimal_range"):
        longest, allowed = int(words()["range_length"]), str(words()["examples"][field.type])
    else:
        longest = int(words()["text_length" if field.type == "text" else "code_length"])
        allowed = str(guide["at_most_length"]).format(count=longest)
    return {"validate": "length", "criteria": "between", "values": (0, longest), "allowed": allowed}


def row_checks(form: Form) -> tuple[RowCheck, ...]:
    """The live checks of a form; raises :class:`TemplateError` where ``texts.yaml`` names a column it has not."""
    present = {field.name for field in template_fields(form)}
    checks: list[RowCheck] = []
    for entry in words()["checks"].get(form.name, ()):
        if "sum" in entry:
            check = RowCheck("sum", (entry["sum"], *entry["parts"]), entry["text"])
        elif "at_most" in entry:
            check = RowCheck("at_most", (entry["at_most"], *entry["columns"]), entry["text"])
        elif "unique" in entry:
            check = RowCheck("unique", (entry["unique"],), entry["text"])
        else:
            check = RowCheck("known_code", (entry["known_code"], entry["of"]), entry["text"])
        if unknown := set(check.columns) - present:
            raise TemplateError(f"{WORDS_FILE.name}: checks of {form.name} name unknown columns {sorted(unknown)}")
        checks.append(check)
    return tuple(checks)


def hint(form: Form, field: Field) -> str:
    """The guide's sentence on a column; the prompt of its type stands in where ``texts.yaml`` has none."""
    hints = words()["hints"]
    return str(hints.get(form.name, {}).get(field.name) or hints["common"].get(field.name) or "")


def name_field(form: Form) -> Field:
    """The column by which a row is seen to be in use: the first required text column."""
    return next(field for field in template_fields(form) if field.required and field.type in ("text", "enum", "uscc"))


def policy_rows(form: Form, city_code: str, region_code: str) -> tuple[dict[str, str], ...]:
    """Rows to fill in beforehand from the policy targets: those of the autonomous region, of the county's city and of
    the county itself, once each, in the order of the seed."""
    columns: Mapping[str, str] = words()["prefill"][form.name]["columns"]
    titles = {row["programme"]: row["title_zh"] for row in seed("programmes")}
    scope = {f"{region_code[:2]}0000", city_code, region_code}
    rows: list[dict[str, str]] = []
    for target in seed("policy_targets"):
        if target["region_code"] not in scope:
            continue
        row = {
            name: titles.get(target[source], target[source]) if source == "programme" else target[source]
            for name, source in columns.items()
            if name in form.columns
        }
        if row not in rows:
            rows.append(row)
    return tuple(rows)
