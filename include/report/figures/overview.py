"""总体情况: enterprises, persons, skills."""

from __future__ import annotations

from include.report.figures.rows import RowDict
from include.report.figures.sheet import Sheet, change_between, of
from include.report.model import Row, Table

MEASURES = ("headcount", "workers", "skilled", "high_skilled", "shortage_now")
SKILL_LEVELS = ("junior", "intermediate", "senior", "technician", "senior_technician", "master", "chief")


def overview(sheet: Sheet) -> list[Table]:
    row = sheet.own
    scope = "region"
    sheet.put("region.lfl_reporters", row["lfl_reporters"] if row else None, "reporters", "not_received")
    sheet.measure(scope, "enterprises", row, "enterprises", "enterprises", "not_received")
    for name in ("hired", "leavers", "shortage_expansion"):
        sheet.measure(scope, name, row, f"{name}_persons", "persons", "not_received")
    hired, left = sheet.figures["region.hired"].value, sheet.figures["region.leavers"].value
    net = hired - left if isinstance(hired, int) and isinstance(left, int) else None
    sheet.put("region.net_hired", net, "persons")

    lines = []
    for measure in MEASURES:
        column = f"{measure}_persons"
        value = sheet.measure(scope, measure, row, column, "persons", "not_received")
        base = None if row is None or not row["lfl_reporters"] else row[f"lfl_previous_{column}"]
        lfl_now = None if row is None or not row["lfl_reporters"] else row[f"lfl_{column}"]
        now = sheet.put(f"region.{measure}.lfl", lfl_now, "persons", "previous_missing")
        last = sheet.put(f"region.{measure}.lfl_previous", base, "persons", "previous_missing")
        ratio_lfl, absent = change_between(lfl_now, base)
        change_lfl = sheet.put(f"region.{measure}.change_lfl", ratio_lfl, "change", absent)
        ratio_plain, absent = change_between(value.value, of(row, f"previous_{column}"))
        change_plain = sheet.put(f"region.{measure}.change_plain", ratio_plain, "change", absent)
        lines.append(Row((f"measure.{measure}", value, now, last, change_lfl, change_plain)))
    sheet.share("region.workers_share", of(row, "workers_persons"), of(row, "headcount_persons"), "not_received")
    sheet.share(
        "region.high_skilled_share", of(row, "high_skilled_persons"), of(row, "skilled_persons"), "not_received"
    )
    sheet.points("region.high_skilled_share", row, "high_skilled_persons", ("skilled_persons",))
    table = Table("overview", ("name", "value", "lfl", "lfl_previous", "change_lfl", "change_plain"), tuple(lines))

    tables = [table, *_year_on_year(sheet, row)]
    skills = []
    total = of(row, "skilled_persons")
    for level in SKILL_LEVELS:
        count = sheet.put(f"region.skill_{level}", of(row, f"skill_{level}_persons"), "persons", "not_received")
        part = count.value if isinstance(count.value, int) else None
        share = sheet.share(f"region.skill_{level}.share", part, total, "not_received")
        skills.append(Row((f"skill.{level}", count, share)))
    whole = sheet.share("region.skilled.share", total, total, "not_received")
    skills.append(Row(("total", sheet.figures["region.skilled"], whole), is_total=True))
    return [*tables, Table("skill_structure", ("name", "value", "share"), tuple(skills))]


def _year_on_year(sheet: Sheet, row: RowDict | None) -> list[Table]:
    """同比 of the reporters accepted now and a year ago; nothing is said where there are none."""
    if row is None or not row.get("lfl_yoy_reporters"):
        return []
    lines = []
    for measure in MEASURES:
        now, ago = row[f"lfl_yoy_{measure}_persons"], row[f"lfl_year_ago_{measure}_persons"]
        value, _ = change_between(now, ago)
        lines.append(
            Row(
                (
                    f"measure.{measure}",
                    sheet.put(f"region.{measure}.yoy", now, "persons"),
                    sheet.put(f"region.{measure}.year_ago", ago, "persons"),
                    sheet.put(f"region.{measure}.change_yoy", value, "change"),
                )
            )
        )
    return [Table("year_on_year", ("name", "value", "year_ago", "change_yoy"), tuple(lines))]
