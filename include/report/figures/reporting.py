"""报送情况: what was expected, what came, and how much of the month the figures cover."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from include.report.figures.rows import RowDict, total
from include.report.figures.sheet import Reporter, Sheet, of
from include.report.model import Figure, Row, Table


def reporting(sheet: Sheet) -> list[Table]:
    expected = [form for one in sheet.reporters for form in one.expected]

    def form_row(scope: str, label: str, forms: Sequence[RowDict], is_total: bool = False) -> Row:
        def count(measure: str, test: Callable[[RowDict], bool]) -> Figure:
            return sheet.put(f"{scope}.{measure}", sum(1 for form in forms if test(form)), "forms")

        total = count("expected_forms", lambda form: True)
        received = count("received_forms", lambda form: form["is_received"])
        on_time = count("on_time_forms", lambda form: form["is_on_time"])
        accepted = count("accepted_forms", lambda form: form["is_accepted"])
        first = count("first_pass_forms", lambda form: form["is_first_pass"])
        return Row(
            (
                label,
                total,
                received,
                on_time,
                accepted,
                first,
                sheet.share(f"{scope}.received_rate", len_of(received), len_of(total)),
                sheet.share(f"{scope}.on_time_rate", len_of(on_time), len_of(total)),
                sheet.share(f"{scope}.first_pass_rate", len_of(first), len_of(received)),
            ),
            is_total,
        )

    def len_of(figure: Figure) -> int:
        assert isinstance(figure.value, int)
        return figure.value

    names = sorted({form["form"] for form in expected}, key=_form_order)
    rows = [form_row(f"form.{name}", f"form.{name}", [f for f in expected if f["form"] == name]) for name in names]
    rows.append(form_row("reporting", "total", expected, is_total=True))
    forms_table = Table(
        "reporting_forms",
        (
            "name",
            "expected",
            "received",
            "on_time",
            "accepted",
            "first_pass",
            "received_rate",
            "on_time_rate",
            "first_pass_rate",
        ),
        tuple(rows),
    )

    sheet.put("reporting.expected_reporters", len(sheet.reporters), "reporters")
    groups: dict[str, Callable[[Reporter], bool]] = {
        "received": lambda one: one.is_received,
        "on_time": lambda one: one.is_on_time,
        "accepted": lambda one: one.is_accepted,
        "late": lambda one: one.is_late,
        "absent": lambda one: not any(form["is_received"] for form in one.expected),
        "partial": lambda one: not one.is_received and any(form["is_received"] for form in one.expected),
        "refused": lambda one: one.is_refused,
    }
    for name, test in groups.items():
        members = [one for one in sheet.reporters if test(one)]
        sheet.put(f"reporting.{name}_reporters", len(members), "reporters")
        sheet.put(f"reporting.{name}_names", tuple(one.name for one in members), "names")

    own = sheet.summary
    covered = own["covered_reporters"] if own else 0
    sheet.put("reporting.covered_reporters", covered, "reporters")
    sheet.share("reporting.coverage_rate", covered, len(sheet.reporters))
    for measure in ("enterprises", "headcount_persons"):
        name = measure.removesuffix("_persons")
        base = of(own, f"previous_{measure}")
        again = of(own, f"lfl_previous_{measure}")
        sheet.share(f"reporting.{name}_coverage", again, base, "previous_missing")

    reporter_rows = []
    for one in sheet.reporters:
        scope = f"reporter.{one.code}"
        counts = [
            sheet.put(f"{scope}.{measure}_forms", sum(1 for form in one.expected if form[f"is_{measure}"]), "forms")
            for measure in ("expected", "received", "on_time", "accepted", "first_pass")
        ]
        findings = [
            sheet.put(
                f"{scope}.findings_{severity}",
                total(form[f"findings_{severity}"] for form in one.expected if form["is_received"]),
                "findings",
                "not_received",
            )
            for severity in ("e", "r", "w")
        ]
        reporter_rows.append(Row((one.city_name, one.name, *counts, *findings)))
    reporters_table = Table(
        "reporting_reporters",
        (
            "city",
            "name",
            "expected",
            "received",
            "on_time",
            "accepted",
            "first_pass",
            "findings_e",
            "findings_r",
            "findings_w",
        ),
        tuple(reporter_rows),
    )
    return [forms_table, reporters_table]


def _form_order(name: str) -> tuple[int, str]:
    order = ("enterprise_status", "labour_demand", "subsidy_payment")
    return (order.index(name) if name in order else len(order), name)
