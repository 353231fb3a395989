"""The workbooks that counties fill in: one a form, county and month, with locked headers, lists, limits and a guide.

Everything a template says about a column comes from the forms (:mod:`include.templates.rules`), so a form's YAML
and its template cannot drift apart. What a county fills in is read by the same reader as any other workbook. The same
input gives the same bytes.

``python -m include.templates --period 2026-11 [--reporter 450721] [--folder path]``
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.forms.model import Form, load_forms
from include.intake.calendar import SHANGHAI, PeriodError, ReportingConfigError, check_period
from include.intake.reporters import Reporter, ReporterListError, expected_in, load_reporters
from include.quality.rules import industry_names, plain
from include.settings import get_settings
from include.templates.book import KnownEnterprise, TemplateContent, template_bytes
from include.templates.rules import TemplateError, month_zh, policy_rows, seed, words
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError

__all__ = ["KnownEnterprise", "WrittenTemplates", "write_template", "write_templates"]


@dataclass(frozen=True, slots=True)
class WrittenTemplates:
    """What a run wrote: paths in the order of reporters and forms, and how many enterprises were filled in beforehand,
    by reporter."""

    folder: Path
    paths: tuple[Path, ...]
    enterprises: Mapping[str, int] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------------- public


def write_template(
    form: Form | str,
    reporter: Reporter,
    period: str,
    destination: Path,
    enterprises: Sequence[KnownEnterprise] = (),
    is_sample: bool = False,
    *,
    rows: Sequence[Mapping[str, Any]] = (),
    source_period: str | None = None,
) -> Path:
    """Write one template.

    Args:
        form: the form or its name.
        period: reporting month, ``YYYY-MM``.
        destination: path of the ``.xlsx``; its folder is made. Replaced in one step.
        enterprises: those the county reported last: rows of the 企业情况表, a list to look up in the 企业用工需求表.
        is_sample: prints 演示数据 in the title, by which the reader knows a demonstration.
        rows: values by column name to fill in beforehand, for forms that do not list enterprises; the indicators of
            ``policy_targets`` are filled in without being given.
        source_period: the month that enterprises and rows were taken from; the month before when ``None``.

    Raises:
        PeriodError: ``period`` is no month. KeyError: unknown form.
        TemplateError: ``texts.yaml`` and the form contradict each other.
    """
    form = load_forms()[form] if isinstance(form, str) else form
    check_period(period)
    prefill = words()["prefill"].get(form.name, {})
    known: Sequence[KnownEnterprise] = ()
    if prefill.get("from") == "policy_targets":
        rows = rows or policy_rows(form, reporter.city_code, reporter.region_code)
    elif prefill.get("from") == "known_enterprises":
        known = enterprises
    elif enterprises and "enterprise_name" in prefill.get("columns", ()):
        rows = [_enterprise_row(form, one) for one in enterprises]
    rows = [_with_constants(form, reporter, row, number) for number, row in enumerate(rows, start=1)]
    content = TemplateContent(form, reporter, period, is_sample, rows, known, source_period)
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.partial")
    partial.write_bytes(template_bytes(content))
    os.replace(partial, destination)
    return destination


def write_templates(
    period: str, reporters: Sequence[str] | None = None, folder: Path | None = None
) -> WrittenTemplates:
    """Write the templates of a month: every form for every reporter that owes a report.

    Rows known from before are taken from the accepted reports of each county's latest earlier month; without a
    warehouse, or without such a month, the templates are blank.

    Args:
        reporters: codes of single reporters; everyone whose duty covers the month when ``None``.
        folder: where to write, one folder a reporter; ``<outbox>/<period>/报表模板`` when ``None``.

    Raises:
        PeriodError, ReporterListError, TemplateError: the message says what to do.
        WarehouseUnreachableError, EmbeddedPostgresError: there is a warehouse that does not answer.
    """
    check_period(period)
    chosen = _chosen(load_reporters(get_settings().reporters_file), period, reporters)
    target = folder or get_settings().outbox / period / str(words()["folder"])
    history = _history(period)
    paths: list[Path] = []
    filled_in: dict[str, int] = {}
    for reporter in chosen:
        code = reporter.reporter_code
        enterprises = [_known(row) for row in history.rows("enterprise_status", code)]
        filled_in[code] = len(enterprises)
        for form in load_forms().values():
            source = words()["prefill"].get(form.name, {}).get("from")
            name = str(words()["file_name"]).format(
                reporter=reporter.reporter_name, form_zh=form.title_zh, month_zh=month_zh(period)
            )
            asked = "enterprise_status" if source == "known_enterprises" else form.name
            paths.append(
                write_template(
                    form,
                    reporter,
                    period,
                    target / code / name,
                    enterprises if asked == "enterprise_status" else (),
                    reporter.is_sample or history.is_sample(asked, code),
                    rows=history.rows(form.name, code) if source == "last_month" else (),
                    source_period=history.period(asked, code),
                )
            )
    return WrittenTemplates(target, tuple(paths), filled_in)


# ------------------------------------------------------------------------------------------- what is known already


def _chosen(listed: Sequence[Reporter], period: str, codes: Sequence[str] | None) -> tuple[Reporter, ...]:
    owing = expected_in(listed, period)
    if codes is None:
        if not owing:
            raise TemplateError(
                f"no reporter owes a report for {period}: check valid_from and valid_to in the list of reporters"
            )
        return owing
    by_code = {reporter.reporter_code: reporter for reporter in listed}
    if unknown := [code for code in codes if code not in by_code]:
        raise TemplateError(
            f"unknown reporter {', '.join(unknown)}: use a reporter_code of the list of reporters "
            f"({', '.join(sorted(by_code))})"
        )
    if idle := [code for code in codes if by_code[code] not in owing]:
        raise TemplateError(
            f"reporter {', '.join(idle)} owes no report for {period}: check valid_from and valid_to in the list of "
            f"reporters"
        )
    return tuple(by_code[code] for code in dict.fromkeys(codes))


@dataclass(frozen=True, slots=True)
class _History:
    """Form and reporter -> the period it was last reported for, its rows, whether they are a demonstration."""

    reports: Mapping[tuple[str, str], tuple[str, tuple[Mapping[str, Any], ...], bool]] = field(default_factory=dict)

    def rows(self, form: str, reporter_code: str) -> tuple[Mapping[str, Any], ...]:
        return self.reports[form, reporter_code][1] if (form, reporter_code) in self.reports else ()

    def period(self, form: str, reporter_code: str) -> str | None:
        return self.reports[form, reporter_code][0] if (form, reporter_code) in self.reports else None

    def is_sample(self, form: str, reporter_code: str) -> bool:
        return (form, reporter_code) in self.reports and self.reports[form, reporter_code][2]


def _history(period: str) -> _History:
    """What counties reported last before the period. A warehouse that was never made is not made for this."""
    settings = get_settings()
    if settings.warehouse_url is None and not (settings.var / "postgres" / "data").is_dir():
        return _History()
    reports: dict[tuple[str, str], tuple[str, tuple[Mapping[str, Any], ...], bool]] = {}
    with connect() as conn:
        for name, entry in words()["prefill"].items():
            if entry["from"] == "last_month" and name in load_forms():
                columns = [column for column in entry["columns"] if column in load_forms()[name].columns]
                for code, report in _last_reports(conn, name, columns, period).items():
                    reports[name, code] = report
    return _History(reports)


def _last_reports(
    conn: psycopg.Connection[Any], form: str, columns: Sequence[str], period: str
) -> dict[str, tuple[str, tuple[Mapping[str, Any], ...], bool]]:
    there = conn.execute("select to_regclass('intake.submission'), to_regclass(%s)", (f"raw.{form}",)).fetchone()
    if there is None or None in there:
        return {}
    query = sql.SQL(
        """
        with latest as (
            select distinct on (reporter_code) reporter_code, submission_id, period, is_sample, sheets
            from intake.submission
            where form = %(form)s and period < %(period)s and outcome in ('accepted', 'accepted_with_findings')
            order by reporter_code, period desc, version desc
        )
        select l.reporter_code, l.period, l.is_sample, {columns}
        from latest as l
        inner join raw.{table} as r on r.period = l.period and r.submission_id = l.submission_id
        order by l.reporter_code, array_position(l.sheets, r.sheet), r.source_row
        """
    ).format(columns=sql.SQL(", ").join(sql.Identifier("r", column) for column in columns), table=sql.Identifier(form))
    found: dict[str, tuple[str, list[Mapping[str, Any]], bool]] = {}
    for code, month, is_sample, *values in conn.execute(query, {"form": form, "period": period}):
        rows = found.setdefault(code, (month, [], is_sample))[1]
        row = dict(zip(columns, values, strict=True))
        if row not in rows:
            rows.append(row)
    return {code: (month, tuple(rows), is_sample) for code, (month, rows, is_sample) in found.items()}


def _known(row: Mapping[str, Any]) -> KnownEnterprise:
    return KnownEnterprise(row["enterprise_name"], row["uscc"], row["industry"])


@lru_cache(maxsize=1)
def _divisions() -> Mapping[str, str]:
    """Every accepted wording of an industry -> official name of its division."""
    names = {row["division_code"]: row["division_name"] for row in seed("industries")}
    return {text: names[code] for text, code in industry_names().items()}


def _division_name(text: str | None) -> str | None:
    """The official name of an industry written in any accepted way; the text itself where none is known."""
    return _divisions().get(plain(text), text) if text else None


def _enterprise_row(form: Form, one: KnownEnterprise) -> dict[str, Any]:
    values = {"enterprise_name": one.enterprise_name, "uscc": one.uscc, "industry": _division_name(one.industry)}
    return {name: value for name, value in values.items() if name in form.columns}


def _with_constants(form: Form, reporter: Reporter, row: Mapping[str, Any], number: int) -> dict[str, Any]:
    constants: dict[str, Any] = {
        name: reporter.reporter_name for name in words()["county_columns"] if name in form.columns
    }
    if "seq" in form.columns:
        constants["seq"] = number
    return constants | dict(row)


# --------------------------------------------------------------------------------------------------- command line


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and write the templates; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m include.templates", description="write the templates that counties fill in"
    )
    parser.add_argument("--period", metavar="YYYY-MM", help="reporting month (default: the current month in Shanghai)")
    parser.add_argument(
        "--reporter", action="append", metavar="CODE", help="reporter_code; may be given several times (default: all)"
    )
    parser.add_argument("--folder", type=Path, help="where to write (default: <outbox>/<period>/报表模板)")
    options = parser.parse_args(arguments)
    period = options.period or f"{datetime.now(SHANGHAI):%Y-%m}"
    try:
        written = write_templates(period, options.reporter, options.folder)
    except (
        PeriodError, ReporterListError, ReportingConfigError, TemplateError, WarehouseUnreachableError,
        EmbeddedPostgresError,
    ) as error:  # fmt: skip
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: the templates cannot be written: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    filled_in = [count for count in written.enterprises.values() if count]
    known = "no earlier report is known, so no enterprise is filled in"
    if filled_in:
        known = (
            f"{_counted(sum(filled_in), 'enterprise')} of {_counted(len(filled_in), 'reporter')} filled in from the "
            f"last report accepted before"
        )
    chosen = "" if options.period else " (the current month; choose another with --period)"
    print(
        f"{len(written.paths)} templates of {period}{chosen} for {_counted(len(written.enterprises), 'reporter')} in "
        f"{written.folder}; {known}"
    )
    return 0
