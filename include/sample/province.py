"""Writes the inbox of the demo province: 20 counties, their forms month after month, mistakes included.

Every county sends the three forms it owes; some send those that are accepted and not owed as well.

Everything is labelled 演示数据. The same seed gives the same bytes and the same modification times on any day.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, check_period, end_of, load_rules, nth_working_day
from include.intake.reporters import Reporter, expected_in, load_reporters
from include.sample.brands import brand_rows
from include.sample.claims import claim_rows, classes_of
from include.sample.classes import class_rows, read_classes
from include.sample.defects import Consequence, Defect, Draft, load_defects, plant
from include.sample.economy import CountyMonth, Row, grow
from include.sample.layout import Frame, Placement, Sheet, build_sheet
from include.sample.manifest import (
    ExpectedFinding,
    ExpectedForm,
    ExpectedReport,
    Manifest,
    PlantedDefect,
    WrittenFile,
    read_manifest,
)
from include.sample.profile import Habits, Province, load_province
from include.sample.progress import progress_rows
from include.sample.writers import WRITERS, write_html
from include.settings import PROJECT_ROOT

DEMO_PERIODS = ("2026-01", "2026-02", "2026-03", "2026-04")
DEMO_SEED = 20260217
# The demo has its own list: the figures are drawn for these counties and no others.
REPORTERS_FILE = PROJECT_ROOT / "include" / "config" / "reporters.csv"
REPORTING_FILE = PROJECT_ROOT / "include" / "config" / "reporting.yaml"
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
# Accepted, not owed: only some counties send them.
FURTHER_FORMS = ("programme_progress", "brand_registry", "apprenticeship")
OLDER_VERSION = "2022.1"
SUMMED = {
    "enterprise_status": ("headcount", "shortage_now", "shortage_expansion", "training_needed"),
    "labour_demand": ("shortage_now", "shortage_expansion", "training_persons"),
    "subsidy_payment": ("applied", "paid"),
    # its rows have different units, so nothing of it is ever summed
    "programme_progress": (),
    "brand_registry": ("employed", "agreement_persons", "trained_person_times", "employment_driven"),
    "apprenticeship": ("filed_persons", "training_persons", "left_persons"),
}
# What decides the bytes written, beside the libraries that write them.
SOURCES = ("include/sample", "include/forms", "include/intake", "include/config")
SEEDS = ("subsidy_standards.csv", "policy_targets.csv", "programmes.csv")
LIBRARIES = ("numpy", "odfpy", "openpyxl", "xlsxwriter", "xlwt")
Progress = Callable[[int, int, str], None]


class UnknownDemoReporter(KeyError):
    """A reporter has no entry in ``counties.yaml``, so nothing can be drawn for it."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """What one county sends at one time: the drafts of its forms."""

    number: int
    at: datetime
    drafts: Mapping[str, Draft]


@dataclass(frozen=True, slots=True)
class _Payload:
    """A finished file: bytes and what is expected of it."""

    data: bytes
    entry: WrittenFile


def write_inbox(
    inbox: Path,
    periods: Sequence[str] = DEMO_PERIODS,
    seed: int = DEMO_SEED,
    progress: Progress | None = None,
) -> Manifest:
    """Write the demo workbooks into ``inbox/<period>/<county>/`` and the manifest beside the inbox.

    Files that already have the same bytes and time are left alone. Unchanged files of an earlier demo of the same
    months that no longer belong to it are removed; anything else in the inbox is not touched.

    Args:
        inbox: folder to fill; made when it is missing. The manifest becomes ``<inbox>-manifest.json`` beside it.
        periods: months ``YYYY-MM`` after 2025-12. Mistakes are planted in the four months of the demo only.
        progress: called with (counties done, counties, county name).

    Returns:
        The manifest.

    Raises:
        PeriodError, PeriodBeforeDemo: a period is not a month, or lies before the demo begins.
    """
    months = tuple(sorted({check_period(period) for period in periods}))
    made_by = _generator()
    written = _in_place(inbox, months, seed, made_by)
    if written is not None:
        return written
    province = load_province()
    reporters = load_reporters(REPORTERS_FILE)
    files: list[WrittenFile] = []
    expected: list[ExpectedReport] = []
    for done, reporter in enumerate(reporters, start=1):
        habits = province.habits.get(reporter.reporter_code)
        if habits is None:
            raise UnknownDemoReporter(f"{reporter.reporter_code} is not in counties.yaml; add it there")
        grown = grow(province, habits, reporter.reporter_name, months, seed)
        for period in months:
            if reporter not in expected_in(reporters, period):
                continue
            payloads, reports = _county_month(province, habits, reporter, grown[period], seed)
            for payload in payloads:
                _place(inbox / payload.entry.path, payload.data, datetime.fromisoformat(payload.entry.received_at))
            files.extend(payload.entry for payload in payloads)
            expected.extend(reports)
        if progress is not None:
            progress(done, len(reporters), reporter.reporter_name)
    files.sort(key=lambda entry: (entry.received_at, entry.path))
    expected.sort(key=lambda entry: (entry.period, entry.reporter_code, (*FORMS, *FURTHER_FORMS).index(entry.form)))
    manifest = Manifest(
        label=province.texts["label"],
        made_by=made_by,
        seed=seed,
        periods=months,
        files=tuple(files),
        planted=_planted(files, expected, months),
        expected=tuple(expected),
    )
    _remove_outdated(inbox, manifest)
    _write_if_changed(manifest_path(inbox), manifest.to_json().encode("utf-8"))
    return manifest


def _generator() -> str:
    """sha256 over all that decides what is written: the generator's own files, the forms and lists, the libraries."""
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    paths = [path for folder in SOURCES for path in sorted((PROJECT_ROOT / folder).rglob("*"))]
    paths += [PROJECT_ROOT / "dbt_project" / "seeds" / name for name in SEEDS]
    for path in paths:
        if path.suffix in (".py", ".yaml", ".csv"):
            digest.update(path.relative_to(PROJECT_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _in_place(inbox: Path, months: tuple[str, ...], seed: int, made_by: str) -> Manifest | None:
    """The manifest of the inbox when this very generator wrote it and every file lies there as written, else ``None``.

    Writing the demo anew takes a dozen seconds, holding its files against their checksums a fraction of one.
    """
    try:
        manifest = read_manifest(manifest_path(inbox))
        if (manifest.made_by, manifest.periods, manifest.seed) != (made_by, months, seed):
            return None
        for entry in manifest.files:
            path = inbox / entry.path
            if path.stat().st_mtime != datetime.fromisoformat(entry.received_at).timestamp():
                return None
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a file is gone, or no manifest of this layout: everything is written anew
    return manifest


def manifest_path(inbox: Path) -> Path:
    """Where the manifest of an inbox lies: beside it, so that it is never collected."""
    return inbox.parent / f"{inbox.name}-manifest.json"


def _county_month(
    province: Province, habits: Habits, reporter: Reporter, month: CountyMonth, seed: int
) -> tuple[list[_Payload], list[ExpectedReport]]:
    """The files of one county and month, and what its forms come to."""
    defects = [one for one in load_defects() if (one.period, one.reporter_code) == (month.period, month.reporter_code)]
    kinds = {one.kind: one for one in defects}
    if "missing" in kinds:
        return [], [_not_received(month, form) for form in FORMS]
    sent = {
        "enterprise_status": month.enterprise_status,
        "labour_demand": month.labour_demand,
        "subsidy_payment": claim_rows(
            province, habits, reporter.reporter_name, month.period, month.enterprise_status, seed
        ),
        "programme_progress": progress_rows(habits, month.period, seed),
        "brand_registry": brand_rows(habits.reporter_code, reporter.reporter_name, month.period, seed),
        "apprenticeship": class_rows(
            reporter.reporter_name, month.period, classes_of(province, habits, month.period, month.enterprise_status)
        )
        if habits.reporter_code in read_classes()["counties"]
        else None,
    }
    true_rows = {form: rows for form, rows in sent.items() if rows is not None}
    sendings = _sendings(habits, month, true_rows, defects, seed)
    payloads: list[_Payload] = []
    for sending in sendings:
        payloads.extend(_files(province, habits, reporter, month.period, sending))
    if "sent_twice" in kinds:
        payloads.append(_copy(province, payloads[0], int(kinds["sent_twice"].options["working_day"])))
    rules = load_rules(REPORTING_FILE)
    due = nth_working_day(month.period, rules.due_working_day)
    return payloads, [_expected(month, form, sendings, payloads, due.isoformat()) for form in true_rows]


def _sendings(
    habits: Habits, month: CountyMonth, true_rows: Mapping[str, list[Row]], defects: Sequence[Defect], seed: int
) -> list[_Sending]:
    rng = np.random.default_rng([seed, int(month.reporter_code), int(month.period.replace("-", "")), 7])
    working_day = int(rng.choice([1, 2, 3, 3, 4, 4, 4, 5, 5]))
    minute = int(rng.integers(8 * 60 + 35, 17 * 60 + 25))
    late = next((one for one in defects if one.kind == "late"), None)
    if late is not None:
        working_day = int(late.options["working_day"])
    mended = [one for one in defects if one.resend]
    if mended:
        working_day = min(working_day, min(one.resend or 0 for one in mended) - 2)
    first = {form: _draft(form, rows) for form, rows in true_rows.items()}
    for one in defects:
        plant(one, first)
    sendings = [_Sending(1, _moment(month.period, working_day, minute), first)]
    if mended:
        forms: set[str | None] = set(true_rows) if habits.together else {one.form for one in mended}
        second = {form: _draft(form, rows) for form, rows in true_rows.items()}
        for one in defects:
            if not one.resend:
                plant(one, second)
        moment = _moment(month.period, max(one.resend or 0 for one in mended), 15 * 60 + minute % 90)
        sendings.append(_Sending(2, moment, {form: second[form] for form in true_rows if form in forms}))
    return sendings


def _draft(form: str, rows: Sequence[Row]) -> Draft:
    return Draft(form, [dict(row) for row in rows])


def _moment(period: str, working_day: int, minute: int) -> datetime:
    day = nth_working_day(period, working_day)
    return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=SHANGHAI)


def _files(province: Province, habits: Habits, reporter: Reporter, period: str, sending: _Sending) -> list[_Payload]:
    groups = [list(sending.drafts.values())] if habits.together else [[draft] for draft in sending.drafts.values()]
    payloads = []
    for position, drafts in enumerate(groups):
        extension, write = WRITERS[habits.writer]
        built = [_build(province, habits, reporter, period, sending, draft) for draft in drafts]
        sheets = [sheet for sheet, _ in built]
        data = write_html(sheets) if drafts[0].web_page else write(sheets)
        name = _file_name(province, habits, reporter, period, sending.number, drafts)
        path = f"{period}/{reporter.reporter_name}/{name}{drafts[0].extension or extension}"
        at = sending.at + timedelta(minutes=3 * position)
        entry = _entry(path, period, reporter, sending.number, at, data, drafts, built)
        if at > end_of(nth_working_day(period, load_rules(REPORTING_FILE).close_working_day)):
            entry = replace(entry, outcome="awaiting_approval", forms=(), findings=())
        payloads.append(_Payload(data, entry))
    return payloads


def _file_name(
    province: Province, habits: Habits, reporter: Reporter, period: str, number: int, drafts: Sequence[Draft]
) -> str:
    texts, style = province.texts, habits.file_style
    patterns = texts["file_names"]
    together = len(drafts) > 1
    name: str = patterns["final_together" if together and style == "final" else style].format(
        county=reporter.reporter_name,
        title=texts["together"] if together else texts["sheets"][drafts[0].form],
        attachment=texts["attachments"][drafts[0].form],
        month=int(period[5:]),
    )
    return name + (patterns["corrected"] if number > 1 else "")


def _build(
    province: Province, habits: Habits, reporter: Reporter, period: str, sending: _Sending, draft: Draft
) -> tuple[Sheet, Placement]:
    texts, county = province.texts, reporter.reporter_name
    shown = draft.shown_period or period
    facts = {
        "office": texts["office"].format(county=county),
        "day": sending.at.date(),
        "period": texts["period"].format(year=int(shown[:4]), month=int(shown[5:])),
        "unit": texts["units"][draft.form],
    }
    frame = Frame(
        title=texts["titles"][draft.form].format(county=county),
        sheet="Sheet1" if habits.file_style == "attachment" and not habits.together else texts["sheets"][draft.form],
        fragments=[pattern.format(**facts) for pattern in texts["fragments"]],
        total=texts["total"]["wide" if habits.wide_total else "narrow"],
        signature=texts["tail"]["signature"],
        note=texts["tail"]["note"],
        headers=draft.headers,
        without=frozenset(draft.without),
        total_off=draft.total_off,
        version=OLDER_VERSION if draft.older and OLDER_VERSION in load_forms()[draft.form].versions else None,
        hidden_rows=draft.hidden_rows,
        after_tail=draft.after_tail,
    )
    return build_sheet(load_forms()[draft.form], draft.rows, frame, habits)


def _entry(
    path: str,
    period: str,
    reporter: Reporter,
    number: int,
    at: datetime,
    data: bytes,
    drafts: Sequence[Draft],
    built: Sequence[tuple[Sheet, Placement]],
) -> WrittenFile:
    findings: list[ExpectedFinding] = []
    forms: list[ExpectedForm] = []
    whole_file = any(one.place == "file" and one.code[0] == "E" for draft in drafts for one in draft.consequences)
    for draft, (_, placement) in zip(drafts, built, strict=True):
        mine = [_finding(draft, placement, one) for one in draft.consequences]
        # a form whose headers are refused is not read any further; other refused forms are, to name all that is wrong
        if not (draft.web_page or draft.headers or draft.without):
            mine += [
                ExpectedFinding("W-VAL-020", draft.form, placement.sheet, placement.cell(row, column), column, "habit")
                for column, row in placement.texts.items()
            ]
        if not draft.rows:  # an empty list is a report, and is noted
            mine.append(ExpectedFinding("W-TBL-001", draft.form, placement.sheet, None, None, "habit"))
        findings.extend(mine)
        forms.append(
            ExpectedForm(
                form=draft.form,
                outcome=_outcome(whole_file or draft.refused, mine),
                sheet=placement.sheet,
                rows=len(draft.rows),
                rows_held=len(draft.held),
            )
        )
    return WrittenFile(
        path=path,
        period=period,
        reporter_code=reporter.reporter_code,
        sending=number,
        received_at=at.isoformat(),
        sha256=hashlib.sha256(data).hexdigest(),
        outcome="refused" if whole_file else "read",
        forms=tuple(forms),
        findings=tuple(findings),
    )


def _outcome(refused: bool, findings: Sequence[ExpectedFinding]) -> str:
    if refused:
        return "refused"
    return "accepted_with_findings" if any(one.form for one in findings) else "accepted"


def _finding(draft: Draft, placement: Placement, one: Consequence) -> ExpectedFinding:
    cell = None
    if one.place == "row" and one.row is not None and one.column is not None:
        cell = placement.cell(one.row, one.column)
    elif one.place == "line" and one.row is not None:
        cell = placement.line(one.row)
    elif one.place == "after_tail":
        cell = placement.below_tail
    elif one.place == "total" and one.column is not None:
        cell = placement.total_cell(one.column)
    whole_file = one.place == "file"
    return ExpectedFinding(
        code=one.code,
        form=None if whole_file else draft.form,
        sheet=None if whole_file else placement.sheet,
        cell=cell,
        column=one.column,
        defect=one.defect,
    )


def _copy(province: Province, original: _Payload, working_day: int) -> _Payload:
    """The same bytes sent again under another name."""
    path = Path(original.entry.path)
    at = _moment(original.entry.period, working_day, 10 * 60 + 12)
    entry = replace(
        original.entry,
        path=path.with_name(f"{path.stem}{province.texts['file_names']['copy']}{path.suffix}").as_posix(),
        received_at=at.isoformat(),
        outcome="duplicate",
        forms=(),
        findings=(),
    )
    return _Payload(original.data, entry)


def _not_received(month: CountyMonth, form: str) -> ExpectedReport:
    return ExpectedReport(month.period, month.reporter_code, form, "not_received", 0, False, 0, 0, 0, {})


def _expected(
    month: CountyMonth, form: str, sendings: Sequence[_Sending], payloads: Sequence[_Payload], due: str
) -> ExpectedReport:
    """Outcome, row counts and sums of the latest accepted version of a form."""
    sent = [
        (payload.entry, one)
        for payload in payloads
        # a file refused as a whole tells neither form nor month for certain, so it is no version of the form
        if payload.entry.outcome == "read"
        for one in payload.entry.forms
        if one.form == form
    ]
    if not sent:
        return _not_received(month, form)
    accepted = [(entry, one) for entry, one in sent if one.outcome != "refused"]
    on_time = min(entry.received_at for entry, _ in sent)[:10] <= due
    if not accepted:
        return ExpectedReport(month.period, month.reporter_code, form, "refused", len(sent), on_time, 0, 0, 0, {})
    entry, one = accepted[-1]
    draft = next(sending.drafts[form] for sending in sendings if sending.number == entry.sending)
    rows = [row for index, row in enumerate(draft.rows) if index not in draft.held]
    taken_back = [row for row in rows if row.get("payment_type") == "追回"]
    counted = [row for row in rows if row.get("payment_type") != "追回"]
    sums = {column: _sum(counted, column) for column in SUMMED[form]}
    if form == "subsidy_payment":
        sums["recovered"] = _sum(taken_back, "paid")
    return ExpectedReport(
        period=month.period,
        reporter_code=month.reporter_code,
        form=form,
        outcome=one.outcome,
        versions=len(sent),
        is_on_time=on_time,
        rows=len(draft.rows),
        rows_accepted=len(rows),
        rows_held=len(draft.held),
        sums=sums,
    )


def _sum(rows: Sequence[Row], column: str) -> float:
    return round(float(sum(row[column] for row in rows if isinstance(row[column], int | float))), 2)


def _planted(
    files: Sequence[WrittenFile], expected: Sequence[ExpectedReport], periods: Sequence[str]
) -> tuple[PlantedDefect, ...]:
    """Every defect of the months written, with the file that carries it and its fate."""
    planted = []
    for one in load_defects():
        if one.period not in periods:
            continue
        mine = [file for file in files if (file.period, file.reporter_code) == (one.period, one.reporter_code)]
        carriers = [file for file in mine if any(finding.defect == one.key for finding in file.findings)]
        if one.kind == "sent_twice":
            carriers = [file for file in mine if file.outcome == "duplicate"]
        elif not carriers:
            carriers = [file for file in mine if one.form in {None, *(form.form for form in file.forms)}]
        findings = tuple(finding for file in carriers[:1] for finding in file.findings if finding.defect == one.key)
        reports = [
            report
            for report in expected
            if (report.period, report.reporter_code) == (one.period, one.reporter_code)
            and one.form in (None, report.form)
        ]
        outcome = "duplicate" if one.kind == "sent_twice" else one.kind if one.kind == "late" else reports[0].outcome
        if one.kind == "web_page":
            outcome = "refused"
        if one.resend:
            waits = any(file.outcome == "awaiting_approval" for file in mine)
            outcome = "awaiting_approval" if waits else "mended"
        planted.append(
            PlantedDefect(
                key=one.key,
                kind=one.kind,
                period=one.period,
                reporter_code=one.reporter_code,
                form=one.form,
                file=carriers[0].path if carriers else None,
                outcome=outcome,
                findings=findings,
                alert=one.alert,
            )
        )
    return tuple(planted)


def _remove_outdated(inbox: Path, manifest: Manifest) -> None:
    """Files that an earlier run wrote, still as written, and this run would not: the months would count them twice."""
    try:
        earlier = read_manifest(manifest_path(inbox))
    except (OSError, ValueError, KeyError, TypeError):
        return  # none was written, or by a version with another layout: nothing is known to be ours
    kept = {entry.path for entry in manifest.files}
    for entry in earlier.files:
        path = inbox / entry.path
        if entry.period not in manifest.periods or entry.path in kept or not path.is_file():
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256:
            path.unlink()


def _place(path: Path, data: bytes, at: datetime) -> None:
    _write_if_changed(path, data, at)
    if path.stat().st_mtime != at.timestamp():
        os.utime(path, (at.timestamp(), at.timestamp()))


def _write_if_changed(path: Path, data: bytes, at: datetime | None = None) -> None:
    """Write the file unless it is there; it appears whole and with its time, since a collection may be under way."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that collections pass over.
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(data)
    if at is not None:
        os.utime(unfinished, (at.timestamp(), at.timestamp()))
    unfinished.replace(path)
