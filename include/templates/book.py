"""One template as a workbook: the locked sheet to fill in, its guide, the tables to look up, the hidden marks.

XlsxWriter writes it; the caller says what it holds (:class:`TemplateContent`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from include.forms.model import Field, Form, header_rows
from include.forms.words import load_words
from include.intake.calendar import load_rules, nth_working_day
from include.intake.reporters import Reporter
from include.returns.feedback import fixed_zip, neutral
from include.settings import get_settings
from include.templates.rules import (
    CellRule,
    RowCheck,
    cell_rule,
    day_zh,
    hint,
    month_zh,
    name_field,
    row_checks,
    seed,
    template_fields,
    words,
)

#: title, frame, signatures, two rows of headers
TITLE_ROW, FRAME_ROW, SIGNATURE_ROW, HEADER_ROW = 0, 1, 2, 3
FIRST_DATA_ROW = 5
_LAST_ROW, _LAST_COLUMN = 1_048_575, 16_383
#: down to this row (0-based) the sheet marks gaps and contradictions; below it only the rules of single cells hold
LAST_MARKED_ROW = 5_004

_FACE, _TITLE_FACE = "宋体", "黑体"
_A3, _A4 = 8, 9
#: sheets wider than this are printed on A3
_A4_CHARACTERS = 230
_TEXT_POINTS = 10
#: width unit of columns: a digit of the workbook's default font
_POINTS_A_CHARACTER = 5.25
_GREY, _LINE = "#EDEDED", "#7F7F7F"
_MISSING, _DOUBTFUL = "#FFC7CE", "#FFEB9C"
_TYPE_WIDTHS = {
    "integer": 5.6, "decimal": 7.5, "money": 9.5, "date": 10.0, "month": 10.0, "uscc": 18.5, "identity": 18.5,
    "industry": 13.0, "boolean": 5.6, "integer_range": 8.0, "decimal_range": 11.0,
}  # fmt: skip
_WIDTHS = {
    "seq": 4.8, "enterprise_name": 23.0, "payee_name": 23.0, "county": 7.8, "locality": 11.0, "item": 16.0,
    "contact": 7.5, "phone": 12.5, "remark": 11.0, "person_name": 7.8, "occupation": 11.0, "post": 14.0,
    "expansion_reason": 12.0, "benefits": 12.0, "workplace": 14.0, "training_post": 12.0, "batch_no": 9.0,
    "person_group": 10.0, "certificate_no": 17.0, "revenue_wan_yuan": 9.0, "unit": 8.5, "programme": 30.0,
    "indicator": 28.0, "indicator_group": 14.0, "problems": 28.0, "next_steps": 28.0, "brand_name": 18.0,
    "cultivator_name": 23.0, "done_this_month": 10.0, "done_to_date": 10.0, "trademark_no": 13.0,
}  # fmt: skip
#: a table to look up: title, headers, rows
_Section = tuple[str, Sequence[str], Sequence[tuple[str, ...]]]
_GUIDE_WIDTHS = (6.0, 24.0, 46.0, 17.0, 7.0, 38.0)


@dataclass(frozen=True, slots=True)
class KnownEnterprise:
    """An enterprise that the county reported before; ``industry`` is its division name."""

    enterprise_name: str
    uscc: str
    industry: str | None


@dataclass(frozen=True, slots=True)
class TemplateContent:
    """What one template holds beside its form: rows filled in beforehand, enterprises to look up, and from when."""

    form: Form
    reporter: Reporter
    period: str
    is_sample: bool
    rows: Sequence[Mapping[str, Any]]
    known: Sequence[KnownEnterprise]
    source_period: str | None


def template_bytes(content: TemplateContent) -> bytes:
    """The workbook; the same content gives the same bytes.

    Raises:
        TemplateError: ``texts.yaml`` names a column that the form has not.
    """
    return _Book(content).bytes()


class _Book:
    """One workbook while it is written."""

    def __init__(self, content: TemplateContent) -> None:
        self.content = content
        self.form = content.form
        self.fields = template_fields(content.form)
        self.column_of = {one.name: index for index, one in enumerate(self.fields)}
        self.month = month_zh(content.period)
        self.filler = {
            "reporter": content.reporter.reporter_name,
            "form_zh": self.form.title_zh,
            "month_zh": self.month,
            "office": str(words()["office"]).format(reporter=content.reporter.reporter_name),
            "units": self._units(),
            "example_day": day_zh(nth_working_day(content.period, 1)),
        }
        names = [one.enterprise_name for one in content.known]
        self.rules: dict[str, CellRule] = {
            one.name: cell_rule(
                self.form,
                one,
                content.reporter.reporter_name,
                content.period,
                list(dict.fromkeys(names)) if one is name_field(self.form) else (),
            )
            for one in self.fields
        }
        self.widths = [self._column_width(one) for one in self.fields]
        self.is_wide = sum(self.widths) > _A4_CHARACTERS
        self.checks = [check for check in row_checks(self.form) if check.kind != "known_code" or content.known]
        self.buffer = io.BytesIO()
        self.book = xlsxwriter.Workbook(
            self.buffer,
            {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
        )
        year, month = int(content.period[:4]), int(content.period[5:])
        self.book.set_properties({"title": self._title(), "created": datetime(year, month, 1)})
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}

    def bytes(self) -> bytes:
        sheets = words()["sheets"]
        page = self.book.add_worksheet(self.form.title_zh)
        guide = self.book.add_worksheet(sheets["guide"])
        sections = self._code_sections()
        codes = self.book.add_worksheet(sheets["codes"]) if sections else None
        lists = self.book.add_worksheet(sheets["lists"])
        meta = self.book.add_worksheet(sheets["meta"])
        self._lists(lists)
        self._meta(meta)
        self._data_page(page)
        self._guide(guide)
        if codes is not None:
            self._codes(codes, sections)
        page.activate()
        self.book.close()
        return fixed_zip(self.buffer.getvalue())

    def look(self, **options: Any) -> Format:
        key = tuple(sorted(options.items()))
        if key not in self._formats:
            base = {"font_name": _FACE, "font_size": _TEXT_POINTS, "valign": "vcenter"}
            self._formats[key] = self.book.add_format(base | options)
        return self._formats[key]

    def boxed(self, **options: Any) -> Format:
        return self.look(border=1, border_color=_LINE, **options)

    def _title(self) -> str:
        title = str(words()["title"]).format(**self.filler)
        return f"{title}（{load_words().sample_mark}）" if self.content.is_sample else title

    def _units(self) -> str:
        """Units of the figures: 人、元; a unit that only a column's own header names (万元) is left to it."""
        units = dict.fromkeys(one.columns[0].unit for one in self.fields if one.columns[0].unit in ("人", "元"))
        return "、".join(unit for unit in units if unit)

    # -- the sheet to fill in --------------------------------------------------------------------------------------

    def _data_page(self, page: Worksheet) -> None:
        last = len(self.fields) - 1
        for index, one in enumerate(self.fields):
            page.set_column(index, index, self.widths[index], self._cell(one, ruled=False))
        # Rows can be deleted in a protected sheet only where all their cells are unlocked; hidden, the columns beside
        # the table invite no second table. They also make a print area needless: a fixed one would cut off rows that
        # are added.
        used = page.dim_colmax
        page.set_column(last + 1, _LAST_COLUMN, None, self.look(locked=False), {"hidden": True})
        page.dim_colmax = used  # the columns beside the table hold nothing: the sheet's stated extent leaves them out
        page.merge_range(
            TITLE_ROW, 0, TITLE_ROW, last, self._title(),
            self.look(font_name=_TITLE_FACE, font_size=20, align="center"),
        )  # fmt: skip
        page.set_row(TITLE_ROW, 36)
        frame = [part for part in words()["frame"] if "{units}" not in part["text"] or self.filler["units"]]
        self._spread(page, FRAME_ROW, frame, locked=True)
        self._spread(page, SIGNATURE_ROW, words()["signature"], locked=False)
        self._headers(page)
        self._rows(page)
        for index, one in enumerate(self.fields):
            self._validate(page, index, self.rules[one.name], one)
        self._mark_rows(page)
        page.protect(
            "",
            {
                "format_cells": True, "format_columns": True, "format_rows": True, "insert_rows": True,
                "delete_rows": True, "sort": True, "autofilter": True,
            },
        )  # fmt: skip
        key = self.column_of[name_field(self.form).name]
        # Frozen up to the name, as long as a small screen still shows columns beside it.
        frozen = key + 1 if sum(self.widths[: key + 1]) <= 60 else 0
        page.freeze_panes(FIRST_DATA_ROW, frozen)
        page.set_selection(FIRST_DATA_ROW, key, FIRST_DATA_ROW, key)
        self._printed(page, wide=self.is_wide)
        page.repeat_rows(HEADER_ROW, HEADER_ROW + 1)

    def _printed(self, page: Worksheet, *, wide: bool, landscape: bool = True) -> None:
        page.set_paper(_A3 if wide else _A4)
        if landscape:
            page.set_landscape()
        page.set_margins(left=0.3, right=0.3, top=0.5, bottom=0.6)
        page.fit_to_pages(1, 0)
        page.center_horizontally()
        page.set_footer(str(words()["footer"]).format(**self.filler))

    def _cell(self, one: Field, *, ruled: bool) -> Format:
        """Look of the data cells of a column. Only so many rows are ruled in advance, or programs would print the
        rest of the sheet as well; a row below them is ruled once it is filled in."""
        options: dict[str, Any] = {
            "locked": False,
            "num_format": self.rules[one.name].number_format,
        }
        if one.type in ("text", "industry") and one.name not in words()["county_columns"]:
            options |= {"align": "left", "text_wrap": True}
        elif one.type in ("decimal", "money"):
            options["align"] = "right"
        else:
            options["align"] = "center"
        if one.type in ("uscc", "identity"):
            options["shrink"] = True
        return self.boxed(**options) if ruled else self.look(**options)

    def _column_width(self, one: Field) -> float:
        width = _WIDTHS.get(one.name) or _TYPE_WIDTHS.get(one.type, 14.0)
        if one.type == "enum" and one.name not in _WIDTHS:
            width = min(max(5.6, 2.1 * max(map(len, one.columns[0].values)) + 1.0), 10.5)
        return width

    def _spread(self, page: Worksheet, row: int, parts: Sequence[Mapping[str, str]], *, locked: bool) -> None:
        """Texts over the width of the table, each merged over about the same share of it."""
        look = self.look(locked=locked, align="left")
        total = sum(self.widths)
        starts = [0]
        for number in range(1, len(parts)):
            share, sofar = total * number / len(parts), 0.0
            start = next(
                (i for i in range(len(self.widths)) if (sofar := sofar + self.widths[i]) >= share), starts[-1] + 1
            )
            starts.append(max(start, starts[-1] + 1))
        stops = [*(start - 1 for start in starts[1:]), len(self.widths) - 1]
        for part, start, stop in zip(parts, starts, stops, strict=True):
            text = part["text"].format(**self.filler)
            if stop > start:
                page.merge_range(row, start, row, stop, text, look)
            else:
                page.write_string(row, start, text, look)
            if "prompt" in part:
                page.data_validation(
                    row, start, row, start,
                    {"validate": "any", "input_message": part["prompt"].format(**self.filler)},
                )  # fmt: skip
        page.set_row(row, 22)

    def _header_texts(self) -> tuple[list[str], list[str]]:
        """Texts of the two header rows with the units that neither the text nor the group names."""
        rows = header_rows(self.form)
        top, bottom = list(rows.rows[0]), list(rows.rows[1])
        for index, one in enumerate(self.fields):
            unit = one.columns[0].unit
            siblings = [other for other in self.fields if one.group and other.group == one.group]
            shared = {other.columns[0].unit for other in siblings if other.columns[0].unit}
            if not unit or "（" in one.leaf or (one.group and "（" in one.group):
                continue
            if one.group and len(shared) == 1 and all(other.columns[0].unit for other in siblings):
                if top[index]:
                    top[index] = f"{one.group}（{unit}）"
            elif one.group:
                bottom[index] = f"{one.leaf}（{unit}）"
            else:
                top[index] = f"{one.leaf}（{unit}）"
        return top, bottom

    def _headers(self, page: Worksheet) -> None:
        top, bottom = self._header_texts()
        look = self.boxed(bold=True, align="center", text_wrap=True, bg_color=_GREY)
        merged = {
            (first_row, left): (last_row, right) for first_row, left, last_row, right in header_rows(self.form).merges
        }
        tallest, tallest_group, tallest_leaf = 1, 1, 1
        for index, one in enumerate(self.fields):
            for row, text in enumerate((top[index], bottom[index])):
                if not text:
                    continue
                last_row, right = merged.get((row, index), (row, index))
                is_leaf = row == 1 or one.group is None
                mark = "*" if is_leaf and one.required else ""
                text, lines = _folded(text, mark, sum(self.widths[index : right + 1]))
                at = HEADER_ROW + row
                if (last_row, right) != (row, index):
                    page.merge_range(at, index, HEADER_ROW + last_row, right, "", look)
                if mark:
                    red = self.look(bold=True, font_color="#C00000")
                    page.write_rich_string(at, index, red, mark, self.look(bold=True), text, look)
                else:
                    page.write_string(at, index, text, look)
                if one.group is None:
                    tallest = max(tallest, lines)
                elif is_leaf:
                    tallest_leaf = max(tallest_leaf, lines)
                else:
                    tallest_group = max(tallest_group, lines)
        upper = 14.0 * tallest_group + 6
        lower = max(14.0 * tallest_leaf + 6, 14.0 * tallest + 6 - upper, 20.0)
        page.set_row(HEADER_ROW, upper)
        page.set_row(HEADER_ROW + 1, lower)

    def _rows(self, page: Worksheet) -> None:
        page.set_default_row(20)
        blank = words()["blank_rows"]
        ruled = max(len(self.content.rows) + int(blank["least"]), int(blank["wide" if self.is_wide else "narrow"]))
        for offset in range(ruled):
            row = FIRST_DATA_ROW + offset
            values = self.content.rows[offset] if offset < len(self.content.rows) else {}
            most = 1
            for index, one in enumerate(self.fields):
                value = values.get(one.name)
                look = self._cell(one, ruled=True)
                if value is None or value == "":
                    page.write_blank(row, index, None, look)
                elif isinstance(value, bool):
                    page.write_string(row, index, "是" if value else "否", look)
                elif isinstance(value, date):
                    page.write_datetime(row, index, datetime(value.year, value.month, value.day), look)
                elif isinstance(value, str):
                    page.write_string(row, index, neutral(value), look)
                    if one.type in ("text", "industry"):
                        most = max(most, _lines(value, self.widths[index]))
                else:
                    page.write_number(row, index, value, look)
            if most > 1:
                page.set_row(row, 15.0 * most + 4)

    # -- rules of cells and rows -----------------------------------------------------------------------------------

    def _validate(self, page: Worksheet, index: int, rule: CellRule, one: Field) -> None:
        options: dict[str, Any] = {
            "validate": rule.validate,
            "error_type": rule.strictness,
            "error_title": one.leaf[:32],
            "error_message": rule.error,
        }
        if rule.prompt:
            options |= {"input_title": one.leaf[:32], "input_message": rule.prompt}
        elif text := hint(self.form, one):
            options |= {"input_title": one.leaf[:32], "input_message": text}
        if rule.validate == "list":
            options["source"] = f"={rule.list_name}" if rule.list_name else list(rule.values)
        elif rule.criteria == "between":
            options |= {"criteria": "between", "minimum": rule.values[0], "maximum": rule.values[1]}
        else:
            options |= {"criteria": rule.criteria, "value": rule.values[0]}
        page.data_validation(FIRST_DATA_ROW, index, _LAST_ROW, index, options)

    def _mark_rows(self, page: Worksheet) -> None:
        """Live marks of every column: contradictions yellow, gaps light red, any other row in use ruled.

        The rules of a column share one range and each carries the lines, since some programs stop at the first rule
        that holds.
        """
        lined = {"border": 1, "border_color": _LINE}
        missing = self.book.add_format({"bg_color": _MISSING} | lined)
        doubtful = self.book.add_format({"bg_color": _DOUBTFUL} | lined)
        used = self.book.add_format(lined)
        marks: dict[str, list[str]] = {}
        for check in self.checks:
            for name, condition in self._contradictions(check).items():
                marks.setdefault(name, []).append(condition)
        ends = (xl_rowcol_to_cell(FIRST_DATA_ROW, index, col_abs=True) for index in (0, len(self.fields) - 1))
        filled = f"COUNTA({':'.join(ends)})>0"
        for index, one in enumerate(self.fields):
            rules = [(condition, doubtful) for condition in marks.get(one.name, ())]
            if one.required:
                rules.append((self._gap(one), missing))
            for condition, look in (*rules, (filled, used)):
                page.conditional_format(
                    FIRST_DATA_ROW,
                    index,
                    LAST_MARKED_ROW,
                    index,
                    {"type": "formula", "criteria": f"={condition}", "format": look},
                )

    def _gap(self, one: Field) -> str:
        """A required cell is missing while the row has a name; the name while anything right of it is filled in."""
        key = name_field(self.form)
        cell = self._at(one.name)
        if one is not key:
            return f'AND({self._at(key.name)}<>"",{cell}="")'
        right = [
            xl_rowcol_to_cell(FIRST_DATA_ROW, at, col_abs=True)
            for at in (self.column_of[key.name] + 1, len(self.fields) - 1)
        ]
        return f'AND({cell}="",COUNTA({":".join(right)})>0)'

    def _at(self, name: str) -> str:
        """A column's cell in the first data row, its column fixed: conditions are written for that row."""
        return xl_rowcol_to_cell(FIRST_DATA_ROW, self.column_of[name], col_abs=True)

    def _contradictions(self, check: RowCheck) -> dict[str, str]:
        """Column to mark -> condition under which it is."""
        first, *others = check.columns
        cell = self._at(first)
        match check.kind:
            case "sum":
                cells = ",".join(map(self._at, others))
                condition = f"AND(COUNT({cell},{cells})={len(check.columns)},ABS({cell}-SUM({cells}))>0.005)"
                return dict.fromkeys(check.columns, condition)
            case "at_most":
                return {name: f"AND(COUNT({cell},{self._at(name)})=2,{self._at(name)}>{cell})" for name in others}
            case "unique":
                # compared as text: COUNTIF would read 18 digits as a number and keep 15 of them
                column = xl_col_to_name(self.column_of[first], col_abs=True)
                area = f"{column}${FIRST_DATA_ROW + 1}:{column}${LAST_MARKED_ROW + 1}"
                return {first: f'AND({cell}<>"",SUMPRODUCT(--({area}={cell}))>1)'}
            case "known_code":
                name = self._at(others[0])
                listed = f"INDEX(known_codes,MATCH({name},known_names,0))"
                return {first: f'AND({cell}<>"",{name}<>"",IFERROR({listed}<>{cell},FALSE))'}

    def _lists(self, page: Worksheet) -> None:
        """Lists too long for a cell's own rule, and the enterprises known, one a column under its defined name."""
        lists = {
            rule.list_name: rule.values for rule in self.rules.values() if rule.validate == "list" and rule.list_name
        }
        if self.content.known:
            lists["known_names"] = tuple(one.enterprise_name for one in self.content.known)
            lists["known_codes"] = tuple(one.uscc for one in self.content.known)
        text = self.look(num_format="@")
        for index, (name, values) in enumerate(lists.items()):
            page.write_string(0, index, name, text)
            for row, value in enumerate(values, start=1):
                page.write_string(row, index, neutral(str(value)), text)
            column = xl_col_to_name(index, col_abs=True)
            self.book.define_name(name, f"='{page.get_name()}'!{column}$2:{column}${len(values) + 1}")
        page.protect()
        page.hide()

    def _meta(self, page: Worksheet) -> None:
        entries = {
            "form": self.form.name,
            "version": self.form.current_version.name,
            "county_code": self.content.reporter.reporter_code,
            "period": self.content.period,
        }
        for row, (key, value) in enumerate(entries.items()):
            page.write_string(row, 0, key, self.look())
            page.write_string(row, 1, value, self.look(num_format="@"))
        page.protect()
        page.hide()

    # -- the guide -------------------------------------------------------------------------------------------------

    def _guide(self, page: Worksheet) -> None:
        texts = words()["guide"]
        last = len(_GUIDE_WIDTHS) - 1
        for index, width in enumerate(_GUIDE_WIDTHS):
            page.set_column(index, index, width)
        self._guide_title(page, texts["title"].format(**self.filler), texts["subtitle"].format(**self.filler), last)
        row = 2
        for heading, lines in (
            (texts["about_heading"], [self._about()]),
            (texts["due_heading"], [self._due()]),
            (texts["steps_heading"], self._steps()),
            (texts["checks_heading"], self._check_lines()),
        ):
            row = self._paragraphs(page, row, heading, lines, last)
        page.merge_range(row, 0, row, last, texts["columns_heading"], self.look(font_name=_TITLE_FACE, font_size=12))
        page.set_row(row, 26)
        row += 1
        head = self.boxed(bold=True, align="center", bg_color=_GREY)
        for index, text in enumerate(texts["table"]):
            page.write_string(row, index, text, head)
        page.set_row(row, 22)
        page.repeat_rows(row)
        for number, one in enumerate(self.fields, start=1):
            row += 1
            self._column_line(page, row, number, one)
        self._printed(page, wide=False)
        page.set_portrait()
        page.print_area(0, 0, row, last)
        page.hide_gridlines(2)
        page.protect("", {"format_columns": True, "format_rows": True})

    def _guide_title(self, page: Worksheet, title: str, subtitle: str, last: int) -> None:
        mark = f"（{load_words().sample_mark}）" if self.content.is_sample else ""
        look = self.look(font_name=_TITLE_FACE, font_size=18, align="center")
        page.merge_range(0, 0, 0, last, title, look)
        page.set_row(0, 34)
        page.merge_range(1, 0, 1, last, subtitle + mark, self.look(align="center", font_color="#595959"))
        page.set_row(1, 20)

    def _paragraphs(self, page: Worksheet, row: int, heading: str, lines: Sequence[str], last: int) -> int:
        if not lines:
            return row
        page.merge_range(row, 0, row, last, heading, self.look(font_name=_TITLE_FACE, font_size=12))
        page.set_row(row, 26)
        numbered = len(lines) > 1
        for number, line in enumerate(lines, start=1):
            row += 1
            if numbered:
                page.write_string(row, 0, f"{number}.", self.look(align="right", valign="top"))
            start = 1 if numbered else 0
            page.merge_range(row, start, row, last, line, self.look(text_wrap=True, valign="top", align="left"))
            page.set_row(row, 15.0 * _lines(line, sum(_GUIDE_WIDTHS[start:])) + 4)
        return row + 1

    def _about(self) -> str:
        grain = str(words()["guide"]["grain"]).format(grain_zh=self.form.grain_zh)
        return str(words()["about"].get(self.form.name, grain))

    def _due(self) -> str:
        rules = load_rules(get_settings().reporting_file)
        if self.form.name not in rules.forms:
            return str(words()["guide"]["due_not_owed"])
        day = nth_working_day(self.content.period, rules.due_working_day)
        return str(words()["guide"]["due"]).format(
            **self.filler, due_zh=day_zh(day), due_working_day=rules.due_working_day
        )

    def _steps(self) -> list[str]:
        texts = words()["guide"]
        kind = words()["prefill"].get(self.form.name, {}).get("from", "none")
        count = len(self.content.known) if kind == "known_enterprises" else len(self.content.rows)
        filled = str(texts["prefilled"][kind if count else "none"]).format(
            count=count, source_zh=self._source_zh(), **self.filler
        )
        present = {one.type for one in self.fields}
        steps = [
            step if isinstance(step, str) else step["text"]
            for step in texts["steps"]
            if isinstance(step, str) or present.intersection(step["only_with"])
        ]
        return [step.format(prefilled=filled) for step in steps]

    def _source_zh(self) -> str:
        return month_zh(self.content.source_period) if self.content.source_period else "上次"

    def _check_lines(self) -> list[str]:
        texts = words()["guide"]
        lines = [str(texts["required_note"])]
        if self.checks:
            lines.append(str(texts["check_note"]) + "；".join(check.text for check in self.checks) + "。")
        return lines

    def _column_line(self, page: Worksheet, row: int, number: int, one: Field) -> None:
        texts = words()["guide"]
        rule = self.rules[one.name]
        sentence = hint(self.form, one) or rule.prompt
        line = (str(number), one.header, sentence, rule.kind, texts["required"] if one.required else "", rule.allowed)
        for index, text in enumerate(line):
            centred = index in (0, 3, 4)
            page.write_string(
                row, index, text,
                self.boxed(text_wrap=True, align="center" if centred else "left", bold=index == 4),
            )  # fmt: skip
        most = max(_lines(text, _GUIDE_WIDTHS[index]) for index, text in enumerate(line))
        page.set_row(row, 14.5 * most + 6)

    # -- tables to look up -----------------------------------------------------------------------------------------

    def _code_sections(self) -> list[_Section]:
        texts = words()["codes"]
        sections: list[_Section] = []
        if self.content.known:
            entry = texts["known_enterprises"]
            rows = [(str(n), one.enterprise_name, one.uscc) for n, one in enumerate(self.content.known, start=1)]
            sections.append((entry["title"].format(source_zh=self._source_zh()), entry["headers"], rows))
        if any(one.type == "industry" for one in self.fields):
            entry = texts["industry"]
            rows = [
                (f"{row['category_code']} {row['category_name']}", row["division_code"], row["division_name"])
                for row in seed("industries")
            ]
            sections.append((entry["title"], entry["headers"], rows))
        return sections

    def _codes(self, page: Worksheet, sections: Sequence[_Section]) -> None:
        texts = words()["codes"]
        self._guide_title(page, texts["title"], texts["note"], 2)
        known = bool(self.content.known)
        for index, width in enumerate((8.0, 44.0, 26.0) if known else (44.0, 12.0, 44.0)):
            page.set_column(index, index, width)
        row = 2
        head = self.boxed(bold=True, align="center", bg_color=_GREY)
        for title, headers, rows in sections:
            page.merge_range(row, 0, row, 2, title, self.look(font_name=_TITLE_FACE, font_size=12))
            page.set_row(row, 26)
            row += 1
            for index, text in enumerate(headers):
                page.write_string(row, index, text, head)
            for line in rows:
                row += 1
                for index, text in enumerate(line):
                    page.write_string(row, index, neutral(text), self.boxed(num_format="@", align="left"))
            row += 1
        self._printed(page, wide=False)
        page.set_portrait()
        page.print_area(0, 0, row, 2)
        page.freeze_panes(2, 0)
        page.hide_gridlines(2)
        page.protect("", {"format_columns": True, "format_rows": True})


def _lines(text: str, width: float, points: float = _TEXT_POINTS) -> int:
    """Lines a text of so many points takes in a column of so many characters; a Chinese one is as wide as high."""
    ems = sum(1.0 if ord(character) > 0x2E7F else 0.55 for character in text)
    return max(1, ceil(ems / max((width * _POINTS_A_CHARACTER - points / 2) // points, 1)))


def _folded(text: str, mark: str, width: float) -> tuple[str, int]:
    """A header text with its mark as it is to be written, and the lines it takes: where it does not fit into one, what
    stands in brackets begins a new one."""
    if _lines(mark + text, width) == 1:
        return text, 1
    folded = text.replace("（", "\n（", 1) if text.endswith("）") and not text.startswith("（") else text
    return folded, sum(_lines(part, width) for part in (mark + folded).split("\n"))
