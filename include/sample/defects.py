"""The mistakes planted in the demo province and what the system should say about each.

A defect works on the *drafts* of one sending (one draft a form): it changes rows or the way the sheet is written, and
notes the findings it must lead to. Rows whose defect holds them back are marked, so that the expected sums leave
them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

from include.intake.calendar import month_after
from include.sample.claims import person_number
from include.sample.classes import shift_working_days
from include.sample.economy import Row, social_credit_code
from include.sample.profile import load_province, read_yaml

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_UNUSED_NUMBER = 700


@dataclass(frozen=True, slots=True)
class Defect:
    """One entry of ``defects.yaml``; ``options`` holds what its kind needs.

    Attributes:
        alert: rule of supervision that the line breaks once the ledgers of all months stand side by side.
    """

    number: int
    kind: str
    period: str
    reporter_code: str
    form: str | None
    resend: int | None
    alert: str | None
    options: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Stable name of the defect."""
        return f"{self.period}/{self.reporter_code}/{self.kind}/{self.number:02d}"


@dataclass(frozen=True, slots=True)
class Consequence:
    """A finding that must appear; ``row`` is the 0-based row of the form, or ``None`` (see ``place``).

    Attributes:
        place: ``row`` (a data cell), ``line`` (the first cell of a data row), ``total`` (the 合计 row), ``after_tail``
            (the first row below the tail), ``form`` (no cell) or ``file``.
    """

    code: str
    defect: str
    place: str = "row"
    row: int | None = None
    column: str | None = None


@dataclass(slots=True)
class Draft:
    """One form of one sending on its way to a sheet."""

    form: str
    rows: list[Row]
    headers: dict[str, str] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    total_off: dict[str, int] = field(default_factory=dict)
    older: bool = False
    shown_period: str | None = None
    web_page: bool = False
    extension: str | None = None
    hidden_rows: list[int] = field(default_factory=list)
    after_tail: list[Row] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    refused: bool = False
    consequences: list[Consequence] = field(default_factory=list)


class DefectCannotBePlanted(LookupError):
    """No row of the month suits the defect; the message names it."""


@lru_cache(maxsize=1)
def load_defects() -> tuple[Defect, ...]:
    """All planted defects in file order, the monthly habits spelt out for every month of the list."""
    document = read_yaml("defects.yaml")
    entries = [dict(entry) for entry in document["planted"]]
    months = sorted({str(entry["period"]) for entry in entries})
    for kind, habits in document["habits"].items():
        entries.extend({"kind": kind, "period": month} | habit for month in months for habit in habits)
    defects = []
    for number, entry in enumerate(entries, start=1):
        known = {name: entry.pop(name, None) for name in ("kind", "period", "reporter", "form", "resend", "alert")}
        defects.append(
            Defect(
                number=number,
                kind=known["kind"],
                period=str(known["period"]),
                reporter_code=known["reporter"],
                form=known["form"],
                resend=known["resend"],
                alert=known["alert"],
                options=entry,
            )
        )
    return tuple(defects)


def plant(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    """Apply a defect to the drafts of one sending.

    Raises:
        DefectCannotBePlanted: no row suits it.
    """
    action = _ACTIONS.get(defect.kind)
    if action is not None:
        action(defect, drafts)


def _draft(defect: Defect, drafts: Mapping[str, Draft]) -> Draft:
    if defect.form is None:
        raise DefectCannotBePlanted(f"{defect.key} names no form")
    return drafts[defect.form]


def _chosen(defect: Defect, rows: Sequence[Row], suits: Callable[[Row], bool]) -> list[int]:
    """Indices of ``count`` rows that suit, beginning with the ``pick``-th suitable one."""
    suitable = [index for index, row in enumerate(rows) if suits(row)]
    first, count = int(defect.options.get("pick", 0)), int(defect.options.get("count", 1))
    if len(suitable) < first + count:
        raise DefectCannotBePlanted(f"{defect.key}: only {len(suitable)} suitable rows, needs {first + count}")
    return suitable[first : first + count]


def _without_demand(row: Row) -> bool:
    """The enterprise needs nobody and no training, so form 2 does not name it."""
    return not (row["shortage_now"] or row["shortage_expansion"] or row["training_needed"])


def _note(draft: Draft, defect: Defect, code: str, row: int, column: str) -> None:
    draft.consequences.append(Consequence(code, defect.key, "row", row, column))
    if code.startswith("R"):
        draft.held.add(row)


def _refuse(
    draft: Draft, defect: Defect, code: str, place: str, column: str | None = None, row: int | None = None
) -> None:
    draft.consequences.append(Consequence(code, defect.key, place, row, column))
    draft.refused = True


def _bad_code(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, _without_demand):
        code = draft.rows[index]["uscc"]
        draft.rows[index]["uscc"] = code[:17] + _ALPHABET[(_ALPHABET.index(code[17]) + 7) % len(_ALPHABET)]
        _note(draft, defect, "R-USC-001", index, "uscc")


def _blank_required(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft, column = _draft(defect, drafts), defect.options["column"]
    for index in _chosen(defect, draft.rows, _without_demand):
        draft.rows[index][column] = None
        _note(draft, defect, "R-VAL-001", index, column)


def _vague(defect: Defect, drafts: Mapping[str, Draft], code: str, words: str) -> None:
    draft, column = _draft(defect, drafts), defect.options["column"]
    for index in _chosen(defect, draft.rows, lambda row: _without_demand(row) and row[column] >= 20):
        draft.rows[index][column] = words.format(draft.rows[index][column] // 10 * 10)
        _note(draft, defect, code, index, column)


def _vague_required(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    _vague(defect, drafts, "R-VAL-002", "约{}")


def _vague_optional(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    _vague(defect, drafts, "W-VAL-002", "{}余人")


def _duplicate_enterprise(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    (index,) = _chosen(defect, draft.rows, _without_demand)
    twin = dict(draft.rows[index])
    twin["seq"] = len(draft.rows) + 1
    twin["enterprise_name"] = twin["enterprise_name"].replace("有限责任公司", "公司").replace("有限公司", "公司")
    draft.rows.append(twin)
    for place in (index, len(draft.rows) - 1):
        _note(draft, defect, "R-DUP-001", place, "uscc")


def _broken_headcount(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)

    def has_slack(row: Row) -> bool:
        return bool(row["workers"] >= 30 and row["skilled_total"] + 3 <= row["professionals"] + row["workers"])

    for index in _chosen(defect, draft.rows, has_slack):
        draft.rows[index]["workers"] -= 3
        _note(draft, defect, "W-ADD-001", index, "headcount")


def _yearly_wage(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["wage_general"] * 12 > 30000):
        draft.rows[index]["wage_general"] *= 12
        _note(draft, defect, "W-WAG-001", index, "wage_general")


def _wrong_total(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft, column = _draft(defect, drafts), defect.options["column"]
    draft.total_off[column] = int(defect.options["by"])
    draft.consequences.append(Consequence("W-TOT-001", defect.key, "total", None, column))


def _rows_after_tail(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    draft.after_tail.append(dict(draft.rows[-1]))
    _refuse(draft, defect, "E-TBL-001", "after_tail")


def _renamed_header(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    draft.headers[defect.options["column"]] = defect.options["text"]
    _refuse(draft, defect, "E-HDR-001", "form", defect.options["column"])


def _dropped_column(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    draft.without.add(defect.options["column"])
    _refuse(draft, defect, "E-HDR-001", "form", defect.options["column"])


def _web_page(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    draft.web_page, draft.extension = True, ".xls"
    _refuse(draft, defect, "E-FILE-002", "file")


def _wrong_period(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    draft.shown_period = month_after(defect.period, -1)
    _refuse(draft, defect, "E-IDN-002", "file")


def _hidden_row(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    (index,) = _chosen(defect, draft.rows, lambda row: True)
    draft.hidden_rows.append(index)
    _refuse(draft, defect, "E-HID-001", "line", row=index)


def _wrong_extension(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    draft.extension = defect.options["extension"]
    draft.consequences.append(Consequence("W-FILE-001", defect.key, "file"))


def _older_layout(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    for draft in drafts.values():
        draft.older = True


def _corrected_figures(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    """What stands in the first sending is too low by ``by`` in both forms; the true rows follow in the second."""
    status, demand = drafts["enterprise_status"], drafts["labour_demand"]
    by = int(defect.options["by"])
    posts: dict[str, int] = {}
    for index, row in enumerate(demand.rows):
        if row["shortage_now"] >= by:
            posts.setdefault(row["uscc"], index)
    (index,) = _chosen(defect, status.rows, lambda row: row["uscc"] in posts)
    status.rows[index]["shortage_now"] -= by
    demand.rows[posts[status.rows[index]["uscc"]]]["shortage_now"] -= by


def _cross_shortage(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["shortage_now"] > 0):
        draft.rows[index]["shortage_now"] += int(defect.options["by"])
        _note(draft, defect, "W-CRS-002", index, "shortage_now")


def _unknown_enterprise(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    row = dict(draft.rows[-1])
    row["uscc"] = social_credit_code(defect.reporter_code, _UNUSED_NUMBER)
    row["enterprise_name"] = row["enterprise_name"].replace("演示第", "演示新第")
    row["seq"] += 1
    draft.rows.append(row)
    _note(draft, defect, "W-CRS-001", len(draft.rows) - 1, "uscc")


def _unknown_industry(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: True):
        draft.rows[index]["industry"] = defect.options["text"]
        _note(draft, defect, "W-IND-001", index, "industry")


def _yuan_for_wan_yuan(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["size_class"] == "小型" and row["seq"] > 5):
        draft.rows[index]["revenue_wan_yuan"] = round(draft.rows[index]["revenue_wan_yuan"] * 10000)
        _note(draft, defect, "W-JMP-001", index, "revenue_wan_yuan")


def _stopped_but_short(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["shortage_now"] > 0):
        draft.rows[index]["operating_state"] = "停产"
        _note(draft, defect, "W-STP-001", index, "shortage_now")


def _is_paid(row: Row) -> bool:
    return bool(row["status"] == "已拨付" and row["person_id"])


def _overpaid(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, _is_paid):
        draft.rows[index]["paid"] += int(defect.options["by"])
        _note(draft, defect, "W-PAY-001", index, "paid")


def _bad_person_id(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: bool(row["person_id"])):
        number = draft.rows[index]["person_id"]
        draft.rows[index]["person_id"] = number[:17] + ("0" if number[17] != "0" else "1")
        _note(draft, defect, "R-PID-001", index, "person_id")


def _code_as_number(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: bool(row["person_id"]) and row["person_id"].isdigit()):
        draft.rows[index]["person_id"] = int(draft.rows[index]["person_id"])
        _note(draft, defect, "R-VAL-006", index, "person_id")


def _reversed_dates(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, _is_paid):
        row = draft.rows[index]
        row["accepted_on"] = row["applied_on"] - timedelta(days=6)
        _note(draft, defect, "W-DAT-001", index, "accepted_on")


def _repeated_claim(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    (index,) = _chosen(defect, draft.rows, _is_paid)
    twin = dict(draft.rows[index])
    twin["seq"] = len(draft.rows) + 1
    draft.rows.append(twin)
    for place in (index, len(draft.rows) - 1):
        _note(draft, defect, "W-DUP-003", place, "item")


def _unit_slip(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["unit"] == "人次"):
        draft.rows[index]["unit"] = defect.options["text"]
        _note(draft, defect, "W-PRG-003", index, "unit")


def _signed_over_employed(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["status"] == "在库"):
        draft.rows[index]["agreement_persons"] = draft.rows[index]["employed"] + int(defect.options["by"])
        _note(draft, defect, "W-BRD-001", index, "agreement_persons")


def _same_claimant(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    """The line is that of a person who stands in another month's ledger too; ``becomes`` says what else it shows."""
    draft, options = _draft(defect, drafts), defect.options
    region, ordinal = options["person"]

    def suits(row: Row) -> bool:
        return _is_paid(row) and row["item"] == options["item"] and row["level"] == options.get("level")

    for index in _chosen(defect, draft.rows, suits):
        row, texts = draft.rows[index], load_province().texts
        name = texts["person_name"].format(surname=texts["surnames"][ordinal % len(texts["surnames"])], number=ordinal)
        if row["payee_name"] == row["person_name"]:
            row["payee_name"] = name
        row["person_name"], row["person_id"] = name, person_number(region, ordinal)
        row.update(options["becomes"])


def _short_notice(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, _is_paid):
        row = draft.rows[index]
        # the first day counts
        row["notice_to"] = shift_working_days(row["notice_from"], int(defect.options["working_days"]) - 1)


def _amount_off(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, _is_paid):
        for column in ("applied", "approved", "paid"):
            draft.rows[index][column] += int(defect.options["by"])
        _note(draft, defect, "W-PAY-002", index, "applied")


def _slow_review(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, _is_paid):
        row = draft.rows[index]
        earlier = shift_working_days(row["reviewed_on"], -int(defect.options["by"]))
        row["applied_on"] = earlier - (row["accepted_on"] - row["applied_on"])
        row["accepted_on"] = earlier


def _advance_over(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["payment_type"] == "预支"):
        row = draft.rows[index]
        row["advanced"] = row["paid"] = round(row["applied"] * float(defect.options["share"]), 2)


def _advance_not_deducted(defect: Defect, drafts: Mapping[str, Draft]) -> None:
    draft = _draft(defect, drafts)
    for index in _chosen(defect, draft.rows, lambda row: row["payment_type"] == "结算"):
        row = draft.rows[index]
        row["advanced"], row["paid"] = None, row["approved"]


# Kinds without an action change only when or whether something is sent: late, missing, sent_twice.
_ACTIONS: Mapping[str, Callable[[Defect, Mapping[str, Draft]], None]] = {
    "advance_not_deducted": _advance_not_deducted,
    "advance_over": _advance_over,
    "amount_off": _amount_off,
    "bad_code": _bad_code,
    "bad_person_id": _bad_person_id,
    "blank_required": _blank_required,
    "broken_headcount": _broken_headcount,
    "code_as_number": _code_as_number,
    "corrected_figures": _corrected_figures,
    "cross_shortage": _cross_shortage,
    "dropped_column": _dropped_column,
    "duplicate_enterprise": _duplicate_enterprise,
    "hidden_row": _hidden_row,
    "older_layout": _older_layout,
    "overpaid": _overpaid,
    "renamed_header": _renamed_header,
    "repeated_claim": _repeated_claim,
    "reversed_dates": _reversed_dates,
    "rows_after_tail": _rows_after_tail,
    "same_claimant": _same_claimant,
    "short_notice": _short_notice,
    "signed_over_employed": _signed_over_employed,
    "slow_review": _slow_review,
    "stopped_but_short": _stopped_but_short,
    "unit_slip": _unit_slip,
    "unknown_enterprise": _unknown_enterprise,
    "unknown_industry": _unknown_industry,
    "vague_optional": _vague_optional,
    "vague_required": _vague_required,
    "web_page": _web_page,
    "wrong_extension": _wrong_extension,
    "wrong_period": _wrong_period,
    "wrong_total": _wrong_total,
    "yearly_wage": _yearly_wage,
    "yuan_for_wan_yuan": _yuan_for_wan_yuan,
}
