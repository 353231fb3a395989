"""Problems that nobody has mended: counted by reporter, form and code, and one by one for the workbook."""

from __future__ import annotations

from include.report.figures.rows import RowDict
from include.report.figures.sheet import Sheet
from include.report.model import Row, Table

# Beyond this many lines the list one by one stops and says so; the counts do not.
DETAIL_ROWS = 2000
_SEVERITIES = ("E", "R", "W")


def open_findings(sheet: Sheet) -> list[Table]:
    names = {row["reporter_code"]: (row["city_name"], row["reporter_name"]) for row in sheet.rows.submissions}
    found = [row for row in sheet.rows.findings if row["reporter_code"] in names]
    order = {one.code: at for at, one in enumerate(sheet.reporters)}
    found.sort(key=lambda row: (_SEVERITIES.index(row["severity"]), order.get(row["reporter_code"], len(order))))

    def count(rows: list[RowDict]) -> int:
        return sum(1 + row["further_findings"] for row in rows)

    sheet.put("findings.open", count(found), "findings")
    for severity in _SEVERITIES:
        of_kind = [row for row in found if row["severity"] == severity]
        sheet.put(f"findings.open_{severity.lower()}", count(of_kind), "findings")
    if not found:
        return []
    groups: dict[tuple[str, str, str], list[RowDict]] = {}
    for row in found:
        groups.setdefault((row["reporter_code"], row["form"], row["code"]), []).append(row)
    lines = tuple(
        Row(
            (
                *names[reporter],
                f"form.{form}",
                f"severity.{members[0]['severity'].lower()}",
                code,
                members[0]["rule"] or "",
                sheet.put(f"finding.{reporter}.{form}.{code}.open", count(members), "findings"),
            )
        )
        for (reporter, form, code), members in groups.items()
    )
    detail = [
        Row(
            (
                *names[row["reporter_code"]],
                f"form.{row['form']}",
                f"severity.{row['severity'].lower()}",
                row["code"],
                row["rule"] or "",
                row["sheet"] or "",
                row["cell"] or (str(row["source_row"]) if row["source_row"] else ""),
            )
        )
        for row in found[:DETAIL_ROWS]
    ]
    tables = [
        Table("open_findings", ("city", "name", "form", "severity", "code", "rule", "count"), lines),
        Table(
            "open_findings_detail",
            ("city", "name", "form", "severity", "code", "rule", "sheet", "cell"),
            tuple(detail),
        ),
    ]
    left = count(found) - len(detail)
    sheet.put("findings.not_listed", left, "findings")
    return tables
