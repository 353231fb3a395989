"""Runs the Great Expectations suites of ``expectations/`` over the rows of a form and turns failing rows into findings.

One run covers the rows of many counties. GX is asked for every failing row (result format ``COMPLETE``) by the frame's
own 0..n-1 index, which is then turned into the row's key (submission, sheet, row of the sheet): naming the three key
columns to GX costs thirty times as long (100,000 rows: 6.4 s against 0.2 s), because GX builds one dict per failing
row and expectation. GX itself is imported on first use: it costs 5 to 12 s; :func:`warm_up` does it beside other work.

A suite's expectation carries in ``meta``: ``code`` (finding code), ``column`` (the cell a finding points at), ``shows``
(message parameter -> column), and ``needs: history`` where it compares months. Every limit is a GX parameter,
``{"$PARAMETER": "name"}``, whose value, owner and reason stand in ``include/config/thresholds.yaml``; limits are
message parameters too, so the text always names the threshold that was applied.
"""

from __future__ import annotations

import gc
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.forms.model import load_forms
from include.intake.identifiers import masked
from include.intake.reporters import load_reporters, regions
from include.quality import season, thresholds
from include.quality.findings import DETAIL_PER_CODE, Finding, FindingLog, cell_address, severity_of
from include.quality.rules import (
    CROSS_FORM,
    HELPERS,
    THRESHOLDS_USED,
    TOTALS,
    RuleContext,
    county_names,
    cross_form_rows,
    industry_names,
    typed,
)
from include.quality.thresholds import limit
from include.settings import get_settings

logger = logging.getLogger(__name__)

Layout = Mapping[tuple[str, str], Mapping[str, tuple[int, str]]]
"""(submission_id, sheet) -> column name -> (0-based column index, header text)."""

RowKey = tuple[str, str, int]
"""(submission_id, sheet, 1-based row of the sheet)."""

RuleState = Literal["pass", "fail", "no_data", "did_not_run"]
EVERY_ROW_HELD = "E-ALL-001"
ROWS_PER_CHUNK = "rows_per_chunk"
NO_HISTORY = "earlier months were not looked up"
_PARAMETER = "$PARAMETER"
_LIMITS = frozenset({"min_value", "max_value"})


class SuiteError(ValueError):
    """A suite file cannot be used; the message names the file and the expectation."""


class RowFinding(NamedTuple):
    """A finding and the submission that it belongs to."""

    submission_id: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class RuleResult:
    """How one expectation went over one submission; (submission_id, suite, code, column) is unique.

    Attributes:
        code, column: the finding code, and the column that its findings point at.
        state: ``pass`` or ``fail``; ``no_data`` when no row could be judged (blank cells, no earlier months);
            ``did_not_run`` when the rule was not applied at all (``detail`` says why: GX raised, the form was refused
            when it was read, the earlier months were not looked up).
        checked, failed: rows judged, rows failing (rows of the sheet; industries or 1 in the suites on whole forms).
    """

    submission_id: str
    suite: str
    code: str
    column: str
    state: RuleState
    checked: int
    failed: int
    detail: str = ""


@dataclass(slots=True)
class Validation:
    """What a run found: submission -> its findings (exact counts and held rows, detail capped, in the order of sheet,
    row, column, code), and one result a submission and expectation, in suite order."""

    logs: dict[str, FindingLog] = field(default_factory=dict)
    results: list[RuleResult] = field(default_factory=list)

    @property
    def findings(self) -> list[RowFinding]:
        """The findings kept one by one, by submission."""
        return [RowFinding(name, found) for name in sorted(self.logs) for found in self.logs[name].detail]

    def take(self, other: Validation) -> None:
        """Add what another run found."""
        for submission_id, log in other.logs.items():
            self.logs.setdefault(submission_id, FindingLog()).merge(log)
        self.results.extend(other.results)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite file.

    Attributes:
        limits: argument of the expectation -> threshold it refers to.
        detail: template over ``shows`` of what a result says, where an expectation looks at one row a submission.
        needs_history: whether it compares months.
    """

    type: str
    kwargs: Mapping[str, Any]
    code: str
    column: str
    shows: Mapping[str, str]
    limits: Mapping[str, str] = field(default_factory=dict)
    needs_history: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What GX says of one expectation: failing positions of the frame, error text if it raised."""

    failing: Sequence[int]
    error: str = ""


# ------------------------------------------------------------------------------------------------------- public


def warm_up() -> None:
    """Import Great Expectations; called beside other work, it is there when the first suite runs."""
    _great_expectations()


def examine(
    form: str,
    frame: pd.DataFrame,
    context: Mapping[str, pd.DataFrame] | None = None,
    *,
    layout_of: Layout | None = None,
    held: Collection[RowKey] = (),
    submissions: Collection[str] = (),
) -> Validation:
    """Validate the rows of one form.

    Args:
        form: name of a form.
        frame: rows of all submissions; the form's columns and ``submission_id, sheet, source_row, county_code,
            period`` (and ``reporter_code``, else the county stands for its reporter). A missing column counts as blank;
            an empty frame is fine.
        context: earlier months, as :func:`include.quality.history.load_history` gives them. Without it the rules that
            compare months report ``did_not_run``; with it, those that find no earlier month report ``no_data``.
        layout_of: gives each finding its cell address and header text.
        held: rows that the reader already holds back; a submission of which no row is left gets an ``E`` finding.
        submissions: submissions to report on although they have no row (each rule then says ``no_data``).

    Raises:
        KeyError: unknown form. SuiteError, ThresholdError: its suite file or its thresholds are unusable.
    """
    check_thresholds()
    known = replace(_reference(), history=context or {})
    rows = HELPERS[form](typed(form, frame), known)
    forms = pd.Series(form, index=rows.index, dtype=object)
    with_history = context is not None
    validation = _examine(form, rows, forms, layout_of or {}, submissions, with_history)
    _refuse_where_every_row_is_held(form, rows, validation.logs, held)
    if form in TOTALS:
        suite, totals_of = TOTALS[form]
        totals = totals_of(rows, known)
        forms = pd.Series(form, index=totals.index, dtype=object)
        validation.take(_examine(suite, totals, forms, layout_of or {}, submissions, with_history))
    return validation


def examine_cross_form(
    status_frame: pd.DataFrame, demand_frame: pd.DataFrame, *, layout_of: Layout | None = None
) -> Validation:
    """Compare 企业情况表 with 用工需求表 of the same county and period, enterprise by enterprise.

    Pass every row read, the held ones too: an enterprise whose form 2 has a required figure blank is left out of the
    comparison, while a row that is not passed would count as not sent. A county with only one of the forms is not
    compared (``no_data``). A finding belongs to the submission that its cell lies in; a submission has results of the
    rules whose cells lie in its form.
    """
    check_thresholds()
    rows = cross_form_rows(status_frame, demand_frame)
    return _examine(CROSS_FORM, rows, rows["form"], layout_of or {}, (), True)


def suites_of(form: str) -> tuple[str, ...]:
    """Suites that every submission of a form has results of."""
    return (form, TOTALS[form][0]) if form in TOTALS else (form,)


def not_run(form: str, submission_id: str, detail: str, suites: Sequence[str] = ()) -> list[RuleResult]:
    """Results of a submission whose rules were not applied, with the reason (English, for engineers)."""
    return [
        RuleResult(submission_id, suite, rule.code, rule.column, "did_not_run", 0, 0, detail)
        for suite in suites or suites_of(form)
        for rule in load_suite(suite)
        if _form_of(rule) in (None, form)
    ]


@lru_cache(maxsize=16)
def load_suite(name: str, folder: Path | None = None) -> tuple[Expectation, ...]:
    """Expectations of ``expectations/<name>.json``.

    Raises:
        SuiteError: an expectation lacks its code or column, has a literal limit or a condition of an unknown kind, or
            (code, column) stands twice: the two results could not be told apart.
    """
    path = (folder or get_settings().expectations) / f"{name}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    expectations: list[Expectation] = []
    places: set[tuple[str, str]] = set()
    for number, entry in enumerate(document["expectations"], start=1):
        where = f"{path.name}, expectation {number} ({entry['type']})"
        meta = entry.get("meta", {})
        if not meta.get("code") or not meta.get("column"):
            raise SuiteError(f"{where}: meta needs code and column")
        place = meta["code"], meta["column"]
        if place in places:
            raise SuiteError(f"{where}: code {place[0]} and column {place[1]} stand twice; their results would mix")
        places.add(place)
        limits = {
            key: value[_PARAMETER]
            for key, value in entry["kwargs"].items()
            if isinstance(value, Mapping) and _PARAMETER in value
        }
        for key in _LIMITS & set(entry["kwargs"]) - set(limits):
            raise SuiteError(
                f'{where}: {key} must be {{"{_PARAMETER}": "name"}} of a threshold in include/config/thresholds.yaml,'
                " where its owner and its reason stand"
            )
        condition = entry["kwargs"].get("row_condition")
        if condition and (condition.get("type"), condition.get("operator")) != ("comparison", "=="):
            raise SuiteError(f"{where}: only a row_condition that compares a column with == is understood")
        expectations.append(
            Expectation(
                type=entry["type"],
                kwargs=entry["kwargs"],
                code=meta["code"],
                column=meta["column"],
                shows=meta.get("shows", {}),
                limits=limits,
                needs_history=meta.get("needs") == "history",
                detail=meta.get("detail", ""),
            )
        )
    return tuple(expectations)


@lru_cache(maxsize=1)
def check_thresholds() -> None:
    """Hold the thresholds against all suites and helper columns; raises ThresholdError naming the one that is wrong."""
    used = dict.fromkeys(THRESHOLDS_USED, "include/quality/rules.py")
    used |= dict.fromkeys(season.THRESHOLDS_USED, "include/quality/season.py")
    used[ROWS_PER_CHUNK] = "include/pipeline/validate.py"
    for path in sorted(get_settings().expectations.glob("*.json")):
        for rule in load_suite(path.stem):
            used |= dict.fromkeys(rule.limits.values(), f"{path.name} ({rule.code})")
    thresholds.check_use(thresholds.current(), used)


# ------------------------------------------------------------------------------------------------------ findings


@lru_cache(maxsize=1)
def _reference() -> RuleContext:
    reporters = load_reporters(get_settings().reporters_file)
    return RuleContext(county_names=county_names(reporters, regions()), industry_names=industry_names())


def _examine(
    suite: str,
    rows: pd.DataFrame,
    forms: pd.Series,
    layout_of: Layout,
    submissions: Collection[str],
    with_history: bool,
) -> Validation:
    expectations = load_suite(suite)
    runnable = [rule for rule in expectations if with_history or not rule.needs_history]
    outcomes = dict(zip(map(id, runnable), _run_suite(suite, runnable, rows), strict=True))
    owner, names = pd.factorize(rows["submission_id"])
    validation = Validation(logs={str(name): FindingLog() for name in names})
    empty = sorted(set(submissions) - set(names))
    by_submission: dict[str, list[RuleResult]] = {str(name): [] for name in [*names, *empty]}
    # a rule of one form says nothing about the submissions of the other
    form_of = dict(zip(owner.tolist(), forms.tolist(), strict=True))
    for rule in expectations:
        outcome = outcomes.get(id(rule), _Outcome((), NO_HISTORY))
        if outcome.error and rule in runnable:
            logger.error("rule %s of suite %s did not run: %s", rule.code, suite, outcome.error)
        failing = np.asarray(outcome.failing, dtype=np.int64)
        judged = np.zeros(len(names), dtype=np.int64)
        details: dict[int, str] = {}
        if not outcome.error:
            is_judged = _judged(rule, rows)
            judged = np.bincount(owner[is_judged], minlength=len(names))
            if rule.detail:
                details = _details(rule, rows[is_judged], owner[is_judged])
        failed = np.bincount(owner[failing], minlength=len(names))
        about = _form_of(rule)
        for place, name in enumerate(names):
            if about is None or form_of[place] == about:
                counts = int(judged[place]), int(failed[place])
                result = _result(str(name), suite, rule, *counts, outcome.error)
                by_submission[str(name)].append(replace(result, detail=details.get(place, result.detail)))
        for name in empty:
            by_submission[name].append(_result(name, suite, rule, 0, 0, outcome.error))
        _record(validation.logs, rule, rows, forms, failing, layout_of)
    for log in validation.logs.values():
        log.detail.sort(key=_place)
    validation.results = [result for results in by_submission.values() for result in results]
    return validation


def _details(rule: Expectation, rows: pd.DataFrame, owner: npt.NDArray[np.int64]) -> dict[int, str]:
    shown = {name: [readable(value) for value in rows[column]] for name, column in rule.shows.items()}
    return {
        int(place): rule.detail.format_map({name: texts[line] for name, texts in shown.items()})
        for line, place in enumerate(owner)
    }


def _form_of(rule: Expectation) -> str | None:
    """The form whose rows a cross-form rule looks at."""
    condition = rule.kwargs.get("row_condition")
    return str(condition["parameter"]) if condition and condition["column"]["name"] == "form" else None


def _judged(rule: Expectation, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Rows that an expectation judges: within its condition, with no blank among the columns it compares."""
    columns = [rule.kwargs[name] for name in ("column", "column_A", "column_B") if name in rule.kwargs]
    columns += rule.kwargs.get("column_list", ())
    judged = np.ones(len(rows), dtype=bool)
    for column in columns:
        judged &= rows[column].notna().to_numpy()
    condition = rule.kwargs.get("row_condition")
    if condition:
        judged &= (rows[condition["column"]["name"]] == condition["parameter"]).to_numpy(dtype=bool)
    return judged


def _result(submission_id: str, suite: str, rule: Expectation, judged: int, failed: int, error: str) -> RuleResult:
    state: RuleState = "fail" if failed else "pass"
    if error:
        state = "did_not_run"
    elif not judged:
        state = "no_data"
    return RuleResult(submission_id, suite, rule.code, rule.column, state, judged, failed, error)


def _record(
    logs: Mapping[str, FindingLog],
    rule: Expectation,
    rows: pd.DataFrame,
    forms: pd.Series,
    failing: npt.NDArray[np.int64],
    layout_of: Layout,
) -> None:
    """Enter the failing rows into the logs: all counted and held, the first ones of each submission as findings."""
    if not len(failing):
        return
    key = rows[["submission_id", "sheet", "source_row"]].iloc[failing]
    kept: list[int] = []
    beyond: dict[str, pd.DataFrame] = {}
    for name, part in key.groupby("submission_id", sort=False):
        room = max(0, DETAIL_PER_CODE - logs[str(name)].counts[rule.code])
        kept.extend(part.index[:room])
        beyond[str(name)] = part.iloc[room:]
    for submission_id, finding in _findings(rule, rows, forms, kept, layout_of):
        logs[submission_id].add(finding)
    for submission_id, rest in beyond.items():
        logs[submission_id].counts[rule.code] += len(rest)
        if severity_of(rule.code) == "R":
            logs[submission_id].held.update(zip(rest["sheet"].tolist(), rest["source_row"].tolist(), strict=True))


def _findings(
    rule: Expectation, rows: pd.DataFrame, forms: pd.Series, failing: Sequence[int], layout_of: Layout
) -> Iterator[RowFinding]:
    params = {key: readable(float(limit(name))) for key, name in rule.limits.items()}
    choices = rule.kwargs.get("value_set")
    if choices and all(isinstance(choice, str) for choice in choices):
        params["value_set"] = "、".join(choices)
    wanted = ["submission_id", "sheet", "source_row", rule.column]
    shown = [column for column in rule.shows.values() if column not in wanted]
    part = rows.loc[list(failing), wanted + shown]
    columns = {name: part[name].tolist() for name in part}
    # a row of the whole form, or of two forms, stands in no column of its own
    lines = rows.loc[list(failing), "source_column"].tolist() if "source_column" in rows else [""] * len(part)
    for place, form in enumerate(forms.loc[list(failing)].tolist()):
        submission_id, sheet = columns["submission_id"][place], columns["sheet"][place]
        # 0: the form as a whole
        row = int(columns["source_row"][place]) or None
        index, header = _where(form, rule.column, layout_of.get((submission_id, sheet), {}), lines[place])
        facts = {name: masked(column, readable(columns[column][place])) for name, column in rule.shows.items()}
        value = masked(rule.column, readable(columns[rule.column][place], blank=""))
        yield RowFinding(
            submission_id,
            Finding(
                code=rule.code,
                form=form,
                sheet=sheet,
                row=row,
                column=rule.column,
                cell=cell_address(row, index) if index is not None and row is not None else None,
                value=value or None,
                params={"header": header, **params, **facts},
            ),
        )


def _where(form: str, column: str, layout: Mapping[str, tuple[int, str]], line: str = "") -> tuple[int | None, str]:
    """Column index and header of a column in a sheet; the upper end of a range stands in the cell of the lower one, an
    amount of the wide layout in the cell of its line (``paid:K``)."""
    names = (f"{column}:{line}", column, _field_of(form).get(column, column))
    placed = next((layout[name] for name in names if name in layout), None)
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


def _refuse_where_every_row_is_held(
    form: str, rows: pd.DataFrame, logs: Mapping[str, FindingLog], held: Collection[RowKey]
) -> None:
    held_before: dict[str, set[tuple[str, int]]] = {}
    for submission_id, sheet, row in held:
        held_before.setdefault(submission_id, set()).add((sheet, row))
    # several lines of a wide ledger are one row of the sheet
    sizes = rows.drop_duplicates(["submission_id", "sheet", "source_row"])["submission_id"].value_counts()
    for submission_id, log in logs.items():
        refused = log.held | held_before.get(submission_id, set())
        # fewer held than rows: some row is left (a reader's row key may be one that never became a row)
        if len(refused) < sizes[submission_id]:
            continue
        own = rows[rows["submission_id"] == submission_id]
        if refused.issuperset(zip(own["sheet"], own["source_row"], strict=True)):
            log.add(Finding(EVERY_ROW_HELD, form=form, sheet=str(own["sheet"].iloc[0]), params={"rows": len(own)}))
            log.detail.sort(key=_place)


def _place(finding: Finding) -> tuple[str, int, str, str]:
    return (finding.sheet or "", finding.row or 0, finding.column or "", finding.code)


# ------------------------------------------------------------------------------------------- Great Expectations


def _run_suite(suite: str, expectations: Sequence[Expectation], rows: pd.DataFrame) -> list[_Outcome]:
    """Outcome of each expectation, in suite order. An expectation that raises does not stop the others."""
    if not len(rows) or not expectations:
        return [_Outcome(failing=()) for _ in expectations]
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
    with _no_collecting():
        result = batch.validate(
            configured,
            result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
            expectation_parameters=thresholds.values(thresholds.current()),
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
        return _Outcome(failing=(), error=_error_text(entry.exception_info))
    return _Outcome(failing=[int(position) for position in detail.get("unexpected_index_list") or ()])


def _error_text(info: Mapping[str, Any] | None) -> str:
    """First line of GX's exception message, which stands at the top or under a metric's name."""
    if not info:
        return "no result and no exception"
    inner = [info] if "exception_message" in info else [entry for entry in info.values() if isinstance(entry, Mapping)]
    messages = [str(entry.get("exception_message") or "").strip() for entry in inner]
    return next((message.splitlines()[0] for message in messages if message), "no result and no exception")


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Without looking for garbage: GX makes millions of small objects, and next to none of them are, until it is done;
    the search would cost a fifth of the time."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


@lru_cache(maxsize=1)
def _great_expectations() -> Any:
    # read by GX when it is imported: a government network sends nothing out
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with _no_collecting():
        import great_expectations
    gc.freeze()  # what was imported stays: no later search for garbage need go through it

    # it logs every metric it resolves, and a folder a run
    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.WARNING)
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
