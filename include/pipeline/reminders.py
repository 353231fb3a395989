"""When a reporter is reminded, and what the letter says. Nothing here reads the ledger or sends anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import quote

import yaml

from include.forms.model import load_forms
from include.intake.calendar import ReportingConfigError, is_calendar_known, is_working_day
from include.ledger.standing import OpenFindings, Place, Standing
from include.notify.letter import Letter, Section, Table, letter_html, letter_text
from include.notify.message import Message

TOPIC = "reminder"
Stage = Literal["before_due", "due", "overdue"]


@dataclass(frozen=True, slots=True)
class ReminderRules:
    """``reminders`` of ``include/config/reporting.yaml``, in working days; 0 or ``False`` leaves a stage out."""

    before_due_working_days: int
    on_due: bool
    overdue_after_working_days: int


@dataclass(frozen=True, slots=True)
class Occasion:
    """A month on a day on which reminders go out.

    Attributes:
        period: the reporting month.
        stage: where the day stands to the deadline.
        deadline: the due day; of a reopened month the day through which it stays open.
        closes_on: the day after which the month takes corrections only.
        round: how often the month was reopened: every time begins a new round of reminders.
        now: the moment of writing (aware, Shanghai).
    """

    period: str
    stage: Stage
    deadline: date
    closes_on: date
    round: int
    now: datetime

    @property
    def unknown_years(self) -> tuple[int, ...]:
        """Years that the working days were counted in without knowing their holidays."""
        years = {self.now.year, self.deadline.year, *(() if self.round else (self.closes_on.year,))}
        return tuple(sorted(year for year in years if not is_calendar_known(year)))


def load_reminder_rules(path: Path) -> ReminderRules:
    """Rules of a YAML file; raises :class:`ReportingConfigError` naming the setting."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    try:
        given = document["reminders"]
        rules = ReminderRules(
            before_due_working_days=int(given["before_due_working_days"]),
            on_due=bool(given["on_due"]),
            overdue_after_working_days=int(given["overdue_after_working_days"]),
        )
    except KeyError as error:
        raise ReportingConfigError(
            f"{path.name}: setting {error.args[0]} of the reminders is missing; see the file in include/config/"
        ) from error
    if min(rules.before_due_working_days, rules.overdue_after_working_days) < 0:
        raise ReportingConfigError(f"{path.name}: reminders are counted in working days from 0 (none) upwards")
    return rules


def working_days(after: date, through: date) -> int:
    """Working days after one day and up to another, that one included; 0 when it is not later."""
    days = (after + timedelta(days=number) for number in range(1, (through - after).days + 1))
    return sum(is_working_day(day) for day in days)


def stage_on(today: date, deadline: date, rules: ReminderRules) -> Stage | None:
    """Which reminder is due on a day, ``None`` when none is.

    A stage lasts until the next one: who could not be reached on its first day is reached on the next.
    """
    if today == deadline:
        return "due" if rules.on_due else None
    if today < deadline:
        is_near = working_days(today, deadline) <= rules.before_due_working_days
        return "before_due" if is_near and rules.before_due_working_days > 0 else None
    is_on = rules.overdue_after_working_days > 0
    return "overdue" if is_on and working_days(deadline, today) >= rules.overdue_after_working_days else None


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The words, from ``reminders.yaml``."""
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def reporter_message(
    standing: Standing, occasion: Occasion, *, address: str | None, returned: Sequence[PurePosixPath]
) -> Message:
    """The digest of one reporter.

    Args:
        address: its mailbox, if one is known.
        returned: returned workbooks of this reporter and month, as paths under the outbox.
    """
    letter = reporter_letter(standing, occasion, returned)
    code = quote(standing.reporter_code, safe="")
    return _message(letter, standing.reporter_name, code, texts()["files"], occasion, address)


def office_message(standings: Sequence[Standing], occasion: Occasion) -> Message:
    """The digest of the command office."""
    files = texts()["office_digest"]["files"]
    return _message(office_letter(standings, occasion), texts()["office"], "office", files, occasion, None)


def has_news_for_office(standings: Sequence[Standing]) -> bool:
    """Whether anything is left to do, or came late."""
    return any(not one.is_settled or one.is_late for one in standings)


def _message(
    letter: Letter, recipient: str, code: str, files: Mapping[str, str], occasion: Occasion, address: str | None
) -> Message:
    words = texts()
    file_name = files[occasion.stage]
    if occasion.round:
        file_name = words["reopened_file"].format(round=occasion.round, file=file_name)
    return Message(
        topic=TOPIC,
        recipient=recipient,
        address=address,
        subject=letter.subject,
        body_text=letter_text(letter),
        body_html=letter_html(letter),
        message_id=f"{TOPIC}.{occasion.period}.{code}.{occasion.stage}.{occasion.round}",
        place=PurePosixPath(occasion.period, words["folder"], recipient.replace("/", "／"), file_name),
        written_at=occasion.now,
    )


def reporter_letter(standing: Standing, occasion: Occasion, returned: Sequence[PurePosixPath]) -> Letter:
    """What one reporter still has to do, by when, and where to look."""
    words = texts()
    subject = words["subjects"][occasion.stage].format(
        reporter=standing.reporter_name, report=_report(occasion), deadline=_day(occasion.deadline, "short_day")
    )
    state = "reopened" if occasion.round else "open"
    sections = [_missing(standing), _refused(standing), _places(standing, "R"), _places(standing, "W")]
    if returned and standing.findings:
        sections.append(_section("returned", lines=tuple(str(path) for path in returned)))
    notes = []
    if standing.files_waiting:
        notes.append(words["notes"]["waiting"].format(number=standing.files_waiting))
    if standing.files_awaiting_approval:
        notes.append(words["notes"]["awaiting_approval"].format(number=standing.files_awaiting_approval))
    return Letter(
        subject=_marked(subject, standing.is_sample),
        salutation=words["salutation"].format(reporter=standing.reporter_name),
        opening=(words["openings"][state][occasion.stage].format(report=_report(occasion), moment=_moment(occasion)),),
        facts=(*_deadline_facts(occasion), (words["facts"]["todo"], _todo(standing))),
        sections=tuple(section for section in sections if section is not None),
        notes=(*notes, *_calendar_note(occasion)),
        closing=tuple(words["closing"]),
        signature=words["signature"],
        dated=_day(occasion.now.date(), "date"),
        is_urgent=occasion.stage != "before_due",
        is_sample=standing.is_sample,
    )


def _section(key: str, *, lines: tuple[str, ...] = (), rows: tuple[tuple[str, ...], ...] = ()) -> Section:
    words = texts()["sections"][key]
    return Section(
        title=words["title"],
        lines=lines,
        table=Table(tuple(words["columns"]), rows) if rows else None,
        request=words["request"],
    )


def _missing(standing: Standing) -> Section | None:
    missing = standing.in_state("missing")
    if not missing:
        return None
    return _section("missing", lines=tuple(_form_name(form.form) for form in missing))


def _refused(standing: Standing) -> Section | None:
    """Refused forms with their reasons, then files refused as a whole."""
    words = texts()
    by_form: dict[str | None, list[OpenFindings]] = defaultdict(list)
    for finding in standing.of_severity("E"):
        by_form[finding.form].append(finding)
    rows: list[tuple[str, str]] = []
    for form in standing.in_state("refused"):
        kind = "form_version_used" if form.version_in_use else "form_version"
        name = words[kind].format(form=_form_name(form.form), version=form.version, used=form.version_in_use)
        rows += _with_reasons(name, by_form.pop(form.form, []))
    for findings in by_form.values():
        for finding in findings:
            rows += _with_reasons(words["whole_file"].format(file_name=finding.file_name), [finding])
    if not rows:
        return None
    return _section("refused", rows=tuple(rows))


def _with_reasons(name: str, findings: Sequence[OpenFindings]) -> list[tuple[str, str]]:
    words = texts()
    if not findings:
        return [(name, words["reason_unlisted"])]
    rows = []
    for finding in findings:
        reason = _shortened(finding.message_zh)
        if finding.number > 1:
            reason = words["reason_more"].format(reason=reason, number=finding.number - 1)
        rows.append((name, reason))
    return rows


def _places(standing: Standing, severity: Literal["R", "W"]) -> Section | None:
    words = texts()
    key = "held" if severity == "R" else "warnings"
    findings = standing.of_severity(severity)
    if not findings:
        return None
    rows = tuple(
        (
            _form_name(one.form) if one.form else words["whole_file"].format(file_name=one.file_name),
            words["number_suffix"].format(text=one.rule_zh, number=one.number),
            place_text(one, by_row=severity == "R"),
        )
        for one in findings
    )
    return _section(key, rows=rows)


def place_text(finding: OpenFindings, *, by_row: bool) -> str:
    """Where the findings are, sheet by sheet: ``“Sheet1”第5、8行`` or ``“Sheet1”AJ6、AJ9``, with what is left out."""
    words = texts()["places"]
    joiner = texts()["joiner"]
    sheets: dict[str | None, list[Place]] = defaultdict(list)
    for place in finding.places:
        sheets[place.sheet].append(place)
    parts = []
    for sheet, places in sheets.items():
        rows = [str(place.row) for place in places if place.row is not None and (by_row or place.cell is None)]
        cells = [place.cell for place in places if place.cell is not None and not (by_row and place.row is not None)]
        # A row with two wrong cells is one row.
        named = [words["rows"].format(rows=joiner.join(dict.fromkeys(rows)))] if rows else []
        text = joiner.join([*dict.fromkeys(cells), *named]) or words["whole"]
        parts.append(words["sheet"].format(sheet=sheet, places=text) if sheet else text)
    text = words["separator"].join(parts)
    if finding.number > len(finding.places):
        text = words["more"].format(places=text, number=finding.number)
    return str(text)


def _todo(standing: Standing) -> str:
    words = texts()["todo"]
    refused_forms = {form.form for form in standing.in_state("refused")}
    files = {one.file_name for one in standing.of_severity("E") if one.form not in refused_forms}
    numbers = {
        "missing": len(standing.in_state("missing")),
        "refused": len(refused_forms),
        "file": len(files),
        "held": standing.rows_held,
        "warnings": sum(one.number for one in standing.of_severity("W")),
    }
    return str(texts()["joiner"]).join(words[key].format(number=number) for key, number in numbers.items() if number)


def _deadline_facts(occasion: Occasion) -> tuple[tuple[str, str], ...]:
    words = texts()
    labels, left = words["facts"], words["time_left"]
    today = occasion.now.date()
    label = labels["reopened_until"] if occasion.round else labels["deadline"]
    match occasion.stage:
        case "before_due":
            time_left = left["before_due"].format(days=working_days(today, occasion.deadline))
        case "due":
            time_left = left["due"]
        case _:
            over = working_days(occasion.deadline, today)
            time_left = left["overdue"].format(days=over) if over else left["overdue_today"]
    facts = [(label, _day(occasion.deadline)), (labels["time_left"], time_left)]
    if not occasion.round:
        facts.append((labels["closes_on"], _day(occasion.closes_on)))
    return tuple(facts)


def _calendar_note(occasion: Occasion) -> tuple[str, ...]:
    years = occasion.unknown_years
    if not years:
        return ()
    return (texts()["notes"]["calendar"].format(years=texts()["joiner"].join(str(year) for year in years)),)


def office_letter(standings: Sequence[Standing], occasion: Occasion) -> Letter:
    """Who has not sent, whose reports came back, who owes answers, who was late."""
    words = texts()
    own = words["office_digest"]
    settled = [one for one in standings if one.is_settled]
    groups: dict[str, list[tuple[str, ...]]] = {"missing": [], "refused": [], "findings": [], "late": []}
    for one in standings:
        missing = _names(form.form for form in one.in_state("missing"))
        if missing:
            files = own["waiting"].format(number=one.files_waiting) if one.files_waiting else ""
            groups["missing"].append((one.reporter_name, missing, files))
        refused_forms = [form.form for form in one.in_state("refused")]
        whole = dict.fromkeys(
            words["whole_file"].format(file_name=found.file_name)
            for found in one.of_severity("E")
            if found.form not in refused_forms
        )
        if refused_forms or whole:
            names = [name for name in (_names(refused_forms), *whole) if name]
            groups["refused"].append((one.reporter_name, words["joiner"].join(names)))
        warnings = sum(found.number for found in one.of_severity("W"))
        if warnings or one.of_severity("R"):
            held = own["rows"].format(number=one.rows_held) if one.rows_held else ""
            asked = own["places"].format(number=warnings) if warnings else ""
            groups["findings"].append((one.reporter_name, held, asked))
        if one.is_late:
            groups["late"].append((one.reporter_name, _names(form.form for form in one.forms if form.is_late)))
    sections = [
        Section(own["sections"][key]["title"], table=Table(tuple(own["sections"][key]["columns"]), tuple(rows)))
        for key, rows in groups.items()
        if rows
    ]
    if settled:
        names = words["joiner"].join(one.reporter_name for one in settled)
        sections.append(Section(own["sections"]["settled"]["title"], lines=(names,)))
    counts = {key: len(rows) for key, rows in groups.items()} | {"settled": len(settled)}
    is_sample = any(one.is_sample for one in standings)
    return Letter(
        subject=_marked(own["subjects"][occasion.stage].format(report=_report(occasion)), is_sample),
        salutation=words["salutation"].format(reporter=words["office"]),
        opening=(
            own["opening"].format(
                report=_report(occasion),
                moment=_moment(occasion),
                expected=len(standings),
                settled=len(settled),
                unsettled=len(standings) - len(settled),
            ),
        ),
        facts=(
            *_deadline_facts(occasion),
            (
                own["counts_label"],
                words["joiner"].join(own["counts"][key].format(number=n) for key, n in counts.items()),
            ),
        ),
        sections=tuple(sections),
        notes=_calendar_note(occasion),
        closing=tuple(own["closing"]),
        signature=words["signature"],
        dated=_day(occasion.now.date(), "date"),
        is_urgent=occasion.stage != "before_due",
        is_sample=is_sample,
    )


def _names(forms: Iterable[str]) -> str:
    return str(texts()["joiner"]).join(_form_name(form) for form in forms)


def _form_name(form: str | None) -> str:
    known = load_forms().get(form or "")
    return known.title_zh if known else str(texts()["form_other"])


def _marked(subject: str, is_sample: bool) -> str:
    return texts()["sample_subject"].format(subject=subject) if is_sample else subject


def _shortened(text: str) -> str:
    limit = int(texts()["reason_letters"])
    return text if len(text) <= limit else texts()["shortened"].format(text=text[:limit])


def _report(occasion: Occasion) -> str:
    month = texts()["month"].format(year=int(occasion.period[:4]), month=int(occasion.period[5:]))
    return str(texts()["report"].format(month=month))


def _day(day: date, form: str = "day") -> str:
    weekday = texts()["weekdays"][day.weekday()]
    return str(texts()[form].format(year=day.year, month=day.month, day=day.day, weekday=weekday))


def _moment(occasion: Occasion) -> str:
    now = occasion.now
    return str(texts()["moment"].format(year=now.year, month=now.month, day=now.day, hour=now.hour, minute=now.minute))
