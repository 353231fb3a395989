"""From the ledger to the pages: what each of them shows, and the templates that it is put into."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import jinja2
import psycopg

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, load_rules
from include.ledger.periods import waiting_corrections
from include.ledger.standing import FormStanding, OpenCount, OpenFindings, Standing, open_counts, standings
from include.quality.findings import catalogue
from include.returns.places import RECEIPT, TO_CHECK, TO_MEND, return_file, return_folder
from include.settings import get_settings
from include.status import queries
from include.status.wording import texts

Only = Literal["all", "settled", "problems", "missing", "refused", "late", "findings", "waiting"]
SeverityChoice = Literal["all", "E", "R", "W"]
#: Open findings of one code, with their places or only counted.
Found = OpenFindings | OpenCount

#: Places named of each code in one file, on the page of all reporters and on that of one.
PLACES, PLACES_OF_ONE = 4, 30
REPORTERS_SHOWN = 10
UNPLACED_SHOWN = 50

_TEMPLATES = Path(__file__).parent / "templates"


class UnknownToLedger(LookupError):
    """The ledger knows no such period or reporter."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One form of one reporter: where it stands, and the open findings of it by severity."""

    standing: FormStanding
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class ReporterRow:
    """A reporter's line of the month.

    Attributes:
        standing: its findings are left out on the page of all reporters.
        cells: form -> its cell; a form not owed is missing.
        other: forms sent without being owed.
        counts: open findings by severity, those about a file as a whole included.
        returned: file name of the workbook that went back, ``None`` when there is none.
    """

    standing: Standing
    cells: dict[str, Cell]
    other: Sequence[queries.Version]
    counts: Counter[str]
    returned: str | None


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule in one month: reporters with open findings of it, and how many these are."""

    code: str
    rule_zh: str
    reporters: int
    number: int


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files of an issue in one folder of the outbox (分市, 分县); ``""`` for the province's own."""

    folder: str
    files: Sequence[queries.Released]


@dataclass(frozen=True, slots=True)
class IssueView:
    """An issue as it is shown.

    Attributes:
        groups: its files by folder; of an issue whose place was taken, the province's own.
        channels: (channel, state) -> editions, of the draft that the issue is now.
        places: edition -> folder of its files, the name under which people know it.
        unsent: those of them that a channel has not taken.
        changed: figures it prints otherwise than the issue before; of the newest issue alone.
    """

    issue: queries.Issue
    groups: Sequence[FileGroup]
    channels: Counter[tuple[str, str]]
    places: dict[str, str]
    unsent: Sequence[queries.Delivery]
    changed: Sequence[queries.Changed]


def months(conn: psycopg.Connection[Any], page: int) -> dict[str, Any]:
    """Every period at a glance, twelve to a page."""
    size = queries.MONTHS_SHOWN
    lines = queries.month_lines(conn, offset=(page - 1) * size, limit=size + 1)
    return {"lines": lines[:size], "page": page, "has_older": len(lines) > size} | _sample(conn)


def month(conn: psycopg.Connection[Any], period: str | None, only: Only) -> dict[str, Any]:
    """Who has reported: a line a reporter, a column a form."""
    chosen = _chosen(conn, period)
    if chosen["period"] is None:
        return chosen | {"rows": [], "filters": {}, "only": only, "forms": []}
    known = standings(conn, chosen["period"], form_order(), places=0)
    counts = _by_reporter(open_counts(conn, chosen["period"]))
    other = queries.not_owed(conn, chosen["period"])
    rows = [
        _row(chosen["period"], standing, counts.get(standing.reporter_code, ()), other.get(standing.reporter_code, ()))
        for standing in known
    ]
    owed = {form.form for standing in known for form in standing.forms}
    return chosen | {
        "rows": [row for row in rows if _is(row, only)],
        "filters": {name: sum(_is(row, name) for row in rows) for name in _FILTERS},
        "only": only,
        "forms": [form for form in form_order() if form in owed],
    }


def findings(
    conn: psycopg.Connection[Any], period: str | None, severity: SeverityChoice, code: str | None, page: int
) -> dict[str, Any]:
    """Open findings of a month by reporter, and the rules behind them."""
    chosen = _chosen(conn, period)
    asked = {"severity": severity, "code": code, "page": page}
    if chosen["period"] is None:
        return chosen | asked | {"rules": [], "reporters": [], "pages": 1}
    counts = open_counts(conn, chosen["period"])
    found_by = sorted({count.reporter_code for count in counts if _is_asked(count, severity, code)})
    first = (page - 1) * REPORTERS_SHOWN
    shown = standings(
        conn,
        chosen["period"],
        form_order(),
        places=PLACES,
        reporters=found_by[first : first + REPORTERS_SHOWN],
    )
    return (
        chosen
        | asked
        | {
            "rules": _rules(counts),
            "reporters": [
                (standing, [found for found in standing.findings if _is_asked(found, severity, code)])
                for standing in shown
            ],
            "pages": max(1, -(-len(found_by) // REPORTERS_SHOWN)),
        }
    )


def reporter(conn: psycopg.Connection[Any], period: str | None, reporter_code: str) -> dict[str, Any]:
    """One reporter in one month: its forms, its files, every open finding.

    Raises:
        UnknownToLedger: it owes nothing in that month.
    """
    chosen = _chosen(conn, period)
    month = chosen["period"]
    known = standings(conn, month, form_order(), places=PLACES_OF_ONE, reporters=[reporter_code]) if month else ()
    if not known:
        raise UnknownToLedger(reporter_code)
    other = queries.not_owed(conn, month).get(reporter_code, ())
    return chosen | {
        "row": _row(month, known[0], known[0].findings, other),
        "files": queries.files_of(conn, month, reporter_code),
    }


def reports(conn: psycopg.Connection[Any], period: str | None) -> dict[str, Any]:
    """The issues of a month's report, their files and where these went; the drafts that are not out."""
    chosen = _chosen(conn, period)
    if chosen["period"] is None:
        return chosen | {"drafts": [], "issues": []}
    issued = queries.issues(conn, chosen["period"])
    newest = issued[0].issue_no if issued else None
    return chosen | {
        "drafts": [
            draft for draft in queries.drafts(conn, chosen["period"]) if draft.state not in ("issued", "superseded")
        ],
        "issues": [
            _issue_view(
                issue,
                queries.changed(conn, issue.period, issue.issue_no) if issue.issue_no == newest else [],
                is_newest=issue.issue_no == newest,
            )
            for issue in issued
        ],
    }


def waiting(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    """What the office has to decide, of all months."""
    return {
        "drafts": queries.drafts(conn, None, ["waiting"]),
        "corrections": waiting_corrections(conn),
        "explained": queries.explained(conn),
        "unplaced": queries.files_unplaced(conn, UNPLACED_SHOWN),
        "unplaced_shown": UNPLACED_SHOWN,
    } | _sample(conn)


def form_order() -> list[str]:
    """Forms in the order in which they are shown: those that every reporter owes first."""
    owed = load_rules(get_settings().reporting_file).forms
    return [*owed, *(name for name in load_forms() if name not in owed)]


def _chosen(conn: psycopg.Connection[Any], period: str | None) -> dict[str, Any]:
    """The period asked for, or the newest; its neighbours and its line. Without any period, ``None``."""
    names = queries.month_names(conn)
    if period is not None and period not in names:
        raise UnknownToLedger(period)
    if not names:
        return {"period": None, "line": None, "names": [], "earlier": None, "later": None} | _sample(conn)
    chosen = period or names[0]
    place = names.index(chosen)
    return {
        "period": chosen,
        "line": queries.month_lines(conn, period=chosen)[0],
        "names": names,
        "earlier": names[place + 1] if place + 1 < len(names) else None,
        "later": names[place - 1] if place else None,
    } | _sample(conn)


def _sample(conn: psycopg.Connection[Any]) -> dict[str, bool]:
    row = conn.execute("select exists (select 1 from intake.reporter where is_sample)").fetchone()
    return {"is_sample": bool(row and row[0])}


_FILTERS: tuple[Only, ...] = ("all", "settled", "problems", "missing", "refused", "late", "findings", "waiting")


def _is(row: ReporterRow, only: Only) -> bool:
    standing = row.standing
    waits = bool(standing.files_waiting or standing.files_awaiting_approval)
    match only:
        case "all":
            return True
        case "settled" | "problems":
            settled = all(form.outcome == "accepted" for form in standing.forms) and not row.counts and not waits
            return settled == (only == "settled")
        case "missing" | "refused":
            return bool(standing.in_state(only))
        case "late":
            return standing.is_late
        case "findings":
            return bool(row.counts)
        case "waiting":
            return waits


def _row(period: str, standing: Standing, found: Sequence[Found], other: Sequence[queries.Version]) -> ReporterRow:
    folder = return_folder(period, standing.reporter_name)
    lying = (return_file(folder, period, kind) for kind in (TO_MEND, TO_CHECK, RECEIPT))
    return ReporterRow(
        standing=standing,
        cells={
            form.form: Cell(form, _counts(one for one in found if one.form == form.form)) for form in standing.forms
        },
        other=other,
        counts=_counts(found),
        returned=next((path.name for path in lying if path.is_file()), None),
    )


def _counts(found: Iterable[Found]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.severity] += one.number
    return counts


def _by_reporter(counts: Iterable[OpenCount]) -> dict[str, list[OpenCount]]:
    by_reporter: dict[str, list[OpenCount]] = defaultdict(list)
    for count in counts:
        by_reporter[count.reporter_code].append(count)
    return by_reporter


def _is_asked(found: Found, severity: SeverityChoice, code: str | None) -> bool:
    return severity in ("all", found.severity) and code in (None, found.code)


def _rules(counts: Iterable[OpenCount]) -> list[RuleLine]:
    """The rules with open findings, gravest first, then those of most reporters."""
    by_code: dict[str, list[OpenCount]] = defaultdict(list)
    for count in counts:
        by_code[count.code].append(count)
    known = catalogue()
    lines = [
        RuleLine(
            code=code,
            rule_zh=known[code].title_zh if code in known else "",
            reporters=len({count.reporter_code for count in found}),
            number=sum(count.number for count in found),
        )
        for code, found in by_code.items()
    ]
    return sorted(lines, key=lambda line: ("ERW".index(line.code[0]), -line.reporters, line.code))


def _issue_view(issue: queries.Issue, changed: Sequence[queries.Changed], *, is_newest: bool) -> IssueView:
    by_folder: dict[str, list[queries.Released]] = {}
    places: dict[str, str] = {}
    for file in issue.files:
        # 分市/南宁市/….docx: the group is 分市, the edition 南宁市.
        folders = PurePosixPath(file.file_name).parts[:-1]
        by_folder.setdefault(folders[0] if folders else "", []).append(file)
        places[file.edition] = folders[-1] if folders else ""
    current = [sent for sent in issue.deliveries if sent.draft_no == issue.draft_no]
    return IssueView(
        issue=issue,
        # The province's own, then the cities', then the counties'.
        groups=[
            FileGroup(folder, files)
            for folder, files in sorted(by_folder.items(), key=lambda one: (one[0] != "", one[1][0].edition))
            if is_newest or not folder
        ],
        channels=Counter((sent.channel, sent.state) for sent in current),
        places=places,
        unsent=[sent for sent in current if sent.state in ("pending", "sending", "refused")],
        changed=changed,
    )


def render(name: str, shown: dict[str, Any]) -> str:
    """The page of this name as HTML; everything in ``shown`` is escaped."""
    return _templates().get_template(f"{name}.html.j2").render(shown)


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["t"] = texts()
    environment.filters |= {"moment": _moment, "form_zh": _form_zh, "file_name": _file_name}
    return environment


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def _form_zh(name: str) -> str:
    form = load_forms().get(name)
    return form.title_zh if form else name


def _file_name(place: str) -> str:
    return PurePosixPath(place).name
