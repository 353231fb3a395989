"""Reader and normaliser against python-calamine alone, on the same bytes in the same run.

``python -m tests.bench.bench_reading [rows]`` builds one 企业情况表 (default 20,000 rows, 41 columns) and one 企业用工
需求表 with enterprise cells merged over the posts, takes turns between the two readers and prints medians and ratios.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import xlsxwriter
from python_calamine import CalamineWorkbook

from include.forms.model import Form, header_rows, load_forms
from include.intake.reading import read_workbook
from include.intake.reporters import Reporter

ROUNDS = 5
COUNTY = Reporter("450721", "灵山县", "450721", "450700", "钦州市", "市级试点", date(2022, 1, 1), None, True)


def _cell(form: Form, name: str, row: int) -> Any:
    column = form.columns[name]
    if name == "uscc" or name == "payee_uscc":
        return f"91450721MA{row // 4 if form.name == 'labour_demand' else row:07d}X"
    if name == "county":
        return "灵山县"
    if name == "phone":
        return f"138{row:08d}"
    match column.type:
        case "integer":
            return row % 300 if column.range_part is None else "18-45岁"
        case "decimal":
            return 3200.5 + row % 100 if column.range_part is None else "3500-5000"
        case "enum":
            return list(column.values)[row % len(column.values)]
        case "boolean":
            return "是" if row % 2 else "否"
        case "month":
            return "2026年11月"
        case "industry":
            return ("农副食品加工业", "纺织业", "化学原料和化学制品制造业")[row % 3]
        case _:
            return f"{column.label_zh}{row % 1000}"


def build(form: Form, rows: int, merged: bool = False) -> bytes:
    """A workbook of the form with ``rows`` clean rows; ``merged`` joins enterprise cells over four posts each."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet(form.title_zh)
    sheet.write(0, 0, f"灵山县{form.title_zh}（演示数据）")
    sheet.write(1, 0, "填报单位（盖章）：灵山县人力资源和社会保障局 报告期：2026年10月")
    header = header_rows(form)
    for offset, texts in enumerate(header.rows):
        for column, text in enumerate(texts):
            sheet.write(2 + offset, column, text)
    for top, left, bottom, right in header.merges:
        sheet.merge_range(2 + top, left, 2 + bottom, right, header.rows[top][left])
    together = {"enterprise_name", "uscc", "county"} if merged else set()
    for row in range(rows):
        for column, field in enumerate(form.fields):
            if field.name not in together:
                sheet.write(4 + row, column, row + 1 if field.name == "seq" else _cell(form, field.name, row))
            elif row % 4 == 0:
                last = min(row + 3, rows - 1)
                if last > row:
                    sheet.merge_range(4 + row, column, 4 + last, column, _cell(form, field.name, row))
                else:
                    sheet.write(4 + row, column, _cell(form, field.name, row))
    book.close()
    return buffer.getvalue()


def calamine_alone(data: bytes) -> int:
    """Every sheet to Python lists, nothing else."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    return sum(len(book.get_sheet_by_name(name).to_python()) for name in book.sheet_names)


def reader(data: bytes) -> int:
    """The whole way: inspection, identity, headers, normalised columns, findings."""
    reading = read_workbook(data, "灵山县.xlsx", "2026-10/灵山县", [COUNTY])
    return sum(len(table.source_rows) for table in reading.tables)


def _time(function: Callable[[bytes], int], data: bytes) -> float:
    start = time.perf_counter()
    function(data)
    return time.perf_counter() - start


def main(rows: int = 20_000) -> float:
    """Prints the figures; returns the ratio of the 企业情况表."""
    ratios = []
    for name, merged in (("enterprise_status", False), ("labour_demand", True)):
        form = load_forms()[name]
        data = build(form, rows, merged)
        assert reader(data) == rows
        pairs = [(_time(calamine_alone, data), _time(reader, data)) for _ in range(ROUNDS)]
        alone, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratios.append(statistics.median(slow / fast for fast, slow in pairs))
        print(
            f"bench_reading: {name} {rows} rows x {len(form.fields)} columns, {len(data) / 1e6:.1f} MB: "
            f"calamine {alone:.3f} s, reader {whole:.3f} s, ratio {ratios[-1]:.2f} x (median of {ROUNDS})"
        )
    print(f"bench_reading: ratio {ratios[0]:.2f} x")
    return ratios[0]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
