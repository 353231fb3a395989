"""Runs the Great Expectations suites of ``expectations/`` over the rows of a form and turns failing rows into findings.

One run covers the rows of all counties. GX is asked for every failing row (result format ``COMPLETE``) by the frame's
own 0..n-1 index, which is then turned into the row's key (submission, sheet, row of the sheet): naming the three key
columns to GX costs thirty times as long (100,000 rows: 6.4 s against 0.2 s), because GX builds one dict per failing
row and expectation. GX itself is imported on first use: it costs 6 to 12 s.

A suite's expectation carries in ``meta``: ``code`` (finding code), ``column`` (the cell a finding points at), ``shows``
(message parameter -> column), and ``owner``/``reason`` where it sets a threshold. Number arguments of the expectation
are message parameters too, so the text always names the threshold that was applied.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import pandas as pd

from include.forms.model import load_forms
from include.intake.identifiers import masked
from include.intake.reporters import load_reporters, regions
from include.quality.findings import Finding, cell_address
from include.quality.rules import (
    CROSS_FORM,
    HELPERS,
    RuleContext,
    county_names,
    cross_form_rows,
    industry_names,
    typed,
)
from include.settings import get_settings

logger = logging.getLogger(__name__)

Layout = Mapping[tuple[str, str], Mapping[str, tuple[int, str]]]
"""(submission_id, sheet) -> column name -> (0-based column index, header text)."""

RowKey = tuple[str, str, int]
"""(submission_id, sheet, 1-based row of the sheet)."""

RuleState = Literal["pass", "fail", "no_data", "did_not_run"]
EVERY_ROW_HELD = "E-ALL-001"


class SuiteError(ValueError):
    """A suite file cannot be used; the message names the file and the expectation."""


class RowFinding(NamedTuple):
    """A finding and the submission that it belongs to."""

    submission_id: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class RuleResult:
    """How one expectation went.

    Attributes:
        code, column: the finding code, and the column that its findings point at.
        state: ``no_data`` when no row could be judged, ``did_not_run`` when GX raised (``detail`` says what).
        checked, failed: rows judged, rows failing.
    """

    suite: str
    code: str
    column: str
    state: RuleState
    checked: int
    failed: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """Findings in the order of submission, sheet, row, column, code; and one result an expectation, in suite order."""

    findings: list[RowFinding]
    results: list[RuleResult]


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite file."""

    type: str
    kwargs: Mapping[str, Any]
    code: str
    column: str
    shows: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What GX says of one expectation: failing positions of the frame, rows judged, error text if it raised."""

    failing: Sequence[int]
    checked: int
    error: str = ""


# ------------------------------------------------------------------------------------------------------- public


def examine(
    form: str,
    frame: pd.DataFrame,
    context: Mapping[str, pd.DataFrame] | None = None,
    *,
    layout_of: Layout | None = None,
    held: Collection[RowKey] = (),
) -> Validation:
    """Validate the rows of one form.

    Args:
        form: ``enterprise_status``, ``labour_demand`` or ``subsidy_payment``.
        frame: rows of all submissions; the form's columns and ``submission_id, sheet, source_row, county_code,
            period``. A missing column counts as blank; an empty frame is fine.
        context: ``previous`` (rows of the month before, ``county_code, uscc, headcount, revenue_wan_yuan``) for the
            rules that compare months; without it they report ``no_data``.
        layout_of: gives each finding its cell address and header text.
        held: rows that the reader already holds back; a submission of which no row is left gets an ``E`` finding.

    Raises:
        KeyError: unknown form. SuiteError: its suite file is unusable.
    """
    reference = _reference()
    known = replace(reference, previous=context.get("previous") if context else None)
    rows = HELPERS[form](typed(form, frame), known)
    forms = pd.Series(form, index=rows.index, dtype=object)
    validation = _examine(form, rows, forms, layout_of or {})
    lost = list(_submissions_without_a_row(form, rows, validation.findings, held))
    return Validation(findings=_ordered([*lost, *validation.findings]), results=validation.results)


def examine_cross_form(
    status_frame: pd.DataFrame, demand_frame: pd.DataFrame, *, layout_of: Layout | None = None
) -> Validation:
    """Compare 企业情况表 with 用工需求表 of the same county and period, enterprise by enterprise.

    Pass every row read, the held ones too: an enterprise whose form 2 has a required figure blank is left out of the
    comparison, while a row that is not passed would count as not sent. A county with only one of the forms is not
    compared. A finding belongs to the submission that its cell lies in.
    """
    rows = cross_form_rows(status_frame, demand_frame)
    return _examine(CROSS_FORM, rows, rows["form"], layout_of or {})


@lru_cache(maxsize=8)
def load_suite(name: str, folder: Path | None = None) -> tuple[Expectation, ...]:
    """Expectations of ``expectations/<name>.json``; raises :class:`SuiteError` where one lacks its code or column."""
    path = (folder or get_settings().expectations) / f"{name}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    expectations = []
    for number, entry in enumerate(document["expectations"], start=1):
        meta = entry.get("meta", {})
        if not meta.get("code") or not meta.get("column"):
            raise SuiteError(f"{path.name}, expectation {number} ({entry['type']}): meta needs code and column")
        expectations.append(
            Expectation(
                type=entry["type"],
                kwargs=entry["kwargs"],
                code=meta["code"],
                column=meta["column"],
                shows=meta.get("shows", {}),
            )
        )
    return tuple(expectations)


# ------------------------------------------------------------------------------------------------------ findings


@lru_cache(maxsize=1)
def _reference() -> RuleContext:
    reporters = load_reporters(get_settings().reporters_file)
    return RuleContext(county_names=county_names(reporters, regions()), industry_names=industry_names())


def _examine(suite: str, rows: pd.DataFrame, forms: pd.Series, layout_of: Layout) -> Validation:
    expectations = load_suite(suite)
    outcomes = _run_suite(suite, expectations, rows)
    findings: list[RowFinding] = []
    results: list[RuleResult] = []
    for expectation, outcome in zip(expectations, outcomes, strict=True):
        results.append(_result(suite, expectation, outcome))
        if outcome.error:
            logger.error("rule %s of suite %s did not run: %s", expectation.code, suite, outcome.error)
        findings.extend(_findings(expectation, rows, forms, outcome.failing, layout_of))
    return Validation(findings=_ordered(findings), results=results)


def _result(suite: str, expectation: Expectation, outcome: _Outcome) -> RuleResult:
    state: RuleState = "fail" if outcome.failing else "pass"
    if outcome.error:
        state = "did_not_run"
    elif not outcome.checked:
        state = "no_data"
    return RuleResult(
        suite=suite,
        code=expectation.code,
        column=expectation.column,
        state=state,
        checked=outcome.checked,
        failed=len(outcome.failing),
        detail=outcome.error,
    )


def _findings(
    expectation: Expectation, rows: pd.DataFrame, forms: pd.Series, failing: Sequence[int], layout_of: Layout
) -> Iterator[RowFinding]:
    if not failing:
        return
    limits = {
        name: "、".join(value) if name == "value_set" else readable(value)
        for name, value in expectation.kwargs.items()
        if name in ("min_value", "max_value") or (name == "value_set" and all(isinstance(v, str) for v in value))
    }
    wanted = ["submission_id", "sheet", "source_row", expectation.column]
    shown = [column for column in expectation.shows.values() if column not in wanted]
    part = rows.loc[list(failing), wanted + shown]
    columns = {name: part[name].tolist() for name in part}
    for place, form in enumerate(forms.loc[list(failing)].tolist()):
        submission_id, sheet = columns["submission_id"][place], columns["sheet"][place]
        row = int(columns["source_row"][place])
        index, header = _where(form, expectation.column, layout_of.get((submission_id, sheet), {}))
        params = {name: masked(column, readable(columns[column][place])) for name, column in expectation.shows.items()}
        value = masked(expectation.column, readable(columns[expectation.column][place], blank=""))
        yield RowFinding(
            submission_id,
            Finding(
                code=expectation.code,
                form=form,
                sheet=sheet,
                row=row,
                column=expectation.column,
                cell=cell_address(row, index) if index is not None else None,
                value=value or None,
                params={"header": header, **limits, **params},
            ),
        )


def _where(form: str, column: str, layout: Mapping[str, tuple[int, str]]) -> tuple[int | None, str]:
    """Column index and header of a column in a sheet; the upper end of a range stands in the cell of the lower one."""
    placed = layout.get(column) or layout.get(_field_of(form).get(column, column))
    if placed is not None:
        return placed[0], placed[1]
    return None, load_forms()[form].columns[column].header


@lru_cache(maxsize=8)
def _field_of(form: str) -> Mapping[str, str]:
    return {column.name: field.name for field in load_forms()[form].fields for column in field.columns}


def readable(value: Any, blank: str = "（空）") -> str:
    """A value as a clerk would write it: ``30`` for 30.0, ``2026-03-05`` for a date, at most two decimals."""
    if value is None or value is pd.NaT or (isinstance(value, float) and pd.isna(value)):
        return blank
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime | date):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)


def _submissions_without_a_row(
    form: str, rows: pd.DataFrame, findings: Iterable[RowFinding], held: Collection[RowKey]
) -> Iterator[RowFinding]:
    refused: set[RowKey] = set(held)
    for submission_id, finding in findings:
        if finding.severity == "R" and finding.sheet is not None and finding.row is not None:
            refused.add((submission_id, finding.sheet, finding.row))
    if not refused:
        return
    keys = pd.MultiIndex.from_frame(rows[["submission_id", "sheet", "source_row"]])
    is_held = pd.Series(keys.isin(list(refused)), index=rows.index)
    for submission_id, flags in is_held.groupby(rows["submission_id"], sort=True):
        if flags.all():
            sheet = rows.loc[flags.index[0], "sheet"]
            found = Finding(EVERY_ROW_HELD, form=form, sheet=str(sheet), params={"rows": len(flags)})
            yield RowFinding(str(submission_id), found)


def _ordered(findings: Iterable[RowFinding]) -> list[RowFinding]:
    def place(found: RowFinding) -> tuple[str, str, int, str, str]:
        finding = found.finding
        return (found.submission_id, finding.sheet or "", finding.row or 0, finding.column or "", finding.code)

    return sorted(findings, key=place)


# ------------------------------------------------------------------------------------------- Great Expectations


def _run_suite(suite: str, expectations: Sequence[Expectation], rows: pd.DataFrame) -> list[_Outcome]:
    """Outcome of each expectation, in suite order. An expectation that raises does not stop the others."""
    if not len(rows):
        return [_Outcome(failing=(), checked=0) for _ in expectations]
    gx = _great_expectations()
    # the key column is personal in form 3: GX sees only what a rule names, never names or numbers of persons
    needed = {name for expectation in expectations for name in _columns_of(expectation)}
    batch = _batch(gx, suite, rows[[name for name in rows.columns if name in needed]])
    configured = gx.ExpectationSuite(
        name=suite,
        expectations=[
            {"type": e.type, "kwargs": dict(e.kwargs), "meta": {"place": place}} for place, e in enumerate(expectations)
        ],
    )
    result = batch.validate(
        configured, result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False}
    )
    # GX gives results back in its own order
    by_place = {entry.expectation_config.meta["place"]: entry for entry in result.results}
    return [_outcome(by_place[place]) for place in range(len(expectations))]


def _columns_of(expectation: Expectation) -> Iterator[str]:
    for name in ("column", "column_A", "column_B"):
        if name in expectation.kwargs:
            yield expectation.kwargs[name]
    yield from expectation.kwargs.get("column_list", ())
    condition = expectation.kwargs.get("row_condition")
    if condition:
        yield condition["column"]["name"]


def _outcome(entry: Any) -> _Outcome:
    detail = entry.result
    if "element_count" not in detail:
        return _Outcome(failing=(), checked=0, error=_error_text(entry.exception_info))
    failing = [int(position) for position in detail.get("unexpected_index_list") or ()]
    return _Outcome(failing=failing, checked=int(detail["element_count"]) - int(detail.get("missing_count") or 0))


def _error_text(info: Mapping[str, Any] | None) -> str:
    """First line of GX's exception message, which stands at the top or under a metric's name."""
    if not info:
        return "no result and no exception"
    inner = [info] if "exception_message" in info else [entry for entry in info.values() if isinstance(entry, Mapping)]
    messages = [str(entry.get("exception_message") or "").strip() for entry in inner]
    return next((message.splitlines()[0] for message in messages if message), "no result and no exception")


@lru_cache(maxsize=1)
def _great_expectations() -> Any:
    # read by GX when it is imported: a government network sends nothing out
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("DO_NOT_TRACK", "1")
    import great_expectations

    # it logs every metric it resolves
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return great_expectations


def _batch(gx: Any, name: str, rows: pd.DataFrame) -> Any:
    """The rows as a GX batch in a context of its own, so that nothing outlives the run."""
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = cast(Any, ProgressBarsConfig(globally=False))
    definition = (
        context.data_sources.add_pandas(name).add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    )
    return definition.get_batch({"dataframe": rows})
