"""Whose workbook is it, and for which month.

Asked in order: the hidden ``_meta`` sheet, the frame of the sheets (title and second row), the file name, the channel
folder. The first that answers gives the answer; any two that disagree refuse the file, both being named.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from include.forms.model import load_forms
from include.intake.reporters import Reporter
from include.quality.findings import Finding

_SOURCES_ZH = {"meta": "模板信息", "frame": "表内", "name": "文件名", "folder": "所在文件夹"}
_CHINESE_DIGITS = str.maketrans("〇○零一二三四五六七八九", "000123456789")
_CHINESE_YEAR = re.compile(r"[〇○零一二三四五六七八九]{4}(?=年)")
_CHINESE_MONTH = re.compile(r"(?<=年)(十[一二]|[一二三四五六七八九十])(?=月)")
_CHINESE_MONTHS = {word: number for number, word in enumerate([*"一二三四五六七八九十", "十一", "十二"], start=1)}

_YEAR_MONTH = re.compile(r"(?<!\d)(20\d{2})\s*(?:年|[-./_])\s*(1[0-2]|0?[1-9])(?!\d)(?!\s*(?:月|[-./])\s*\d)")
_COMPACT = re.compile(r"(?<!\d)(20\d{2})(0[1-9]|1[0-2])(?!\d)")
_SPAN = re.compile(r"20\d{2}\s*年\s*\d{1,2}\s*月?\s*[-—~至到]\s*\d{1,2}\s*月")
_MONTH_ALONE = re.compile(r"(?<![\d年])(1[0-2]|0?[1-9])\s*月份?(?!\s*\d{1,2}\s*日)")
_LABELLED_PERIOD = re.compile(r"(?:报告期|所属期|统计期|报表所属期|统计月份|报告月份|所属月份)\s*[:：]?\s*")
_LABELLED_FILLED = re.compile(r"(?:填报|填表|报送|上报|制表)(?:时间|日期)\s*[:：]?\s*")
_FULL_DATE = re.compile(r"(20\d{2})\s*(?:年|[-./])\s*(\d{1,2})\s*(?:月|[-./])\s*(\d{1,2})")
_LABELLED_UNIT = re.compile(r"(?:填报|填表|报送|上报|编报)(?:单位|地区|县区)\s*(?:\(盖?章?\))?\s*:?\s*([^\s:]*)")
_LABELS = (_LABELLED_PERIOD, _LABELLED_FILLED, _LABELLED_UNIT)
_PLACE = re.compile(r"([\u4e00-\u9fff]{1,9}?(?:自治县|县|市|区))")
_WORD = re.compile(r"[\u4e00-\u9fff]+")
_SUFFIX = re.compile(r"(?:各族|[\u4e00-\u9fff]{1,2}族)?(?:自治县|县|市|区)$")


@dataclass(slots=True)
class Evidence:
    """What one source says: period (``YYYY-MM``), month without a year, reporters named, a name nobody knows, and the
    day on which the sheet was filled in."""

    source: str
    detail: str = ""
    period: str | None = None
    month: int | None = None
    reporters: tuple[str, ...] = ()
    unknown_name: str | None = None
    filled_on: date | None = None


@dataclass(slots=True)
class Identity:
    """Period and reporter of a file, ``None`` where unknown, and the findings of the search."""

    period: str | None
    reporter_code: str | None
    findings: list[Finding] = field(default_factory=list)


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).replace("\u200b", "")
    plain = _CHINESE_YEAR.sub(lambda match: match.group().translate(_CHINESE_DIGITS), plain)
    return _CHINESE_MONTH.sub(lambda match: str(_CHINESE_MONTHS[match.group()]), plain)


def find_period(text: str) -> tuple[str | None, int | None]:
    """(``YYYY-MM``, month without a year) named in a text; ``2026年1-3月`` names no single month: both ``None``."""
    plain = _plain(text)
    if _SPAN.search(plain):
        return None, None
    match = _YEAR_MONTH.search(plain) or _COMPACT.search(plain)
    if match:
        return f"{match[1]}-{int(match[2]):02d}", int(match[2])
    alone = _MONTH_ALONE.search(plain)
    return None, int(alone[1]) if alone else None


def find_reporters(text: str, reporters: Sequence[Reporter]) -> tuple[str, ...]:
    """Codes of the reporters named in a text, the longest name first.

    A full name or alias counts wherever it stands; a name without its 县/市/区 counts only as a word of its own (or
    before a form's title), since ``东兴`` or ``钟山`` also stand in street and company names. A city named together
    with one of its counties is only the county's address.
    """
    plain = re.sub(r"\s+", "", _plain(text))
    names: list[tuple[str, Reporter]] = []
    short: list[tuple[str, Reporter]] = []
    for reporter in reporters:
        for name in (reporter.reporter_name, *reporter.aliases):
            (names if _SUFFIX.search(name) else short).append((name, reporter))
            bare = _SUFFIX.sub("", name)
            if len(bare) >= 2 and bare != name:
                short.append((bare, reporter))
    found: dict[str, Reporter] = {}
    # 资源县 is a county, and the end of 人力资源县级中心 is none
    rest = plain.replace("人力资源", " ")
    for name, reporter in sorted(names, key=lambda pair: -len(pair[0])):
        if name in rest:
            found[reporter.reporter_code] = reporter
            rest = rest.replace(name, " ")
    if not found:
        for title in sorted((title for form in load_forms().values() for title in form.titles), key=len, reverse=True):
            rest = rest.replace(title, " ")
        words = set(_WORD.findall(re.sub(r"(?:县|市|区)?(?:人社局|人力资源和?社会保障局|年|月份?)", " ", rest)))
        for name, reporter in short:
            if name in words:
                found[reporter.reporter_code] = reporter
    if len(found) > 1:
        cities = {reporter.city_code for reporter in found.values() if reporter.region_code != reporter.city_code}
        found = {code: reporter for code, reporter in found.items() if reporter.region_code not in cities}
    return tuple(found)


def _unknown_place(text: str, reporters: Sequence[Reporter]) -> str | None:
    """A county-like name in a text that names no reporter; the city it may be prefixed with is passed over."""
    cities = {reporter.city_name.removesuffix("市") for reporter in reporters}
    for match in _PLACE.finditer(re.sub(r"\s+", "", _plain(text))):
        name = match[1]
        if name.removesuffix("市") not in cities and "自治区" not in name and name.strip("各全本所在属县市区"):
            return name
    return None


def evidence_of_meta(rows: Iterable[Sequence[Any]], reporters: Sequence[Reporter]) -> Evidence:
    """Evidence of a ``_meta`` sheet: key in the first column, value in the second (form, version, county_code, period).

    A county code of nobody in the list is kept as the unknown name.
    """
    entries: dict[str, str] = {}
    for row in rows:
        if len(row) >= 2 and isinstance(row[0], str) and row[1] != "":
            value = row[1]
            entries[row[0].strip().lower()] = str(int(value)) if isinstance(value, float) else str(value).strip()
    evidence = Evidence("meta")
    if "period" in entries:
        evidence.period, evidence.month = find_period(entries["period"])
    if code := entries.get("county_code"):
        codes = tuple(r.reporter_code for r in reporters if code in (r.reporter_code, r.region_code))
        evidence.reporters = codes[:1]
        evidence.unknown_name = None if codes else code
    evidence.detail = "_meta"
    return evidence


def evidence_of_frame(rows: Iterable[Sequence[Any]], reporters: Sequence[Reporter], sheet: str) -> Evidence:
    """Evidence of the rows above the header: labelled texts first (报告期：, 填报单位：), then the title."""
    evidence = Evidence("frame", detail=sheet)
    loose: list[str] = []
    for row in rows:
        cells = [cell for cell in row if cell != ""]
        for position, cell in enumerate(cells):
            if isinstance(cell, datetime | date):
                continue
            text = _plain(str(cell))
            follow = cells[position + 1] if position + 1 < len(cells) else ""
            labels = [match.start() for label in _LABELS if (match := label.search(text))]
            if match := _LABELLED_PERIOD.search(text):
                _take_period(evidence, text[match.end() :], follow)
            if match := _LABELLED_FILLED.search(text):
                evidence.filled_on = evidence.filled_on or _day(text[match.end() :], follow)
            if match := _LABELLED_UNIT.search(text):
                name = match[1] or str(follow)
                evidence.reporters = tuple(dict.fromkeys((*evidence.reporters, *find_reporters(name, reporters))))
                evidence.unknown_name = evidence.unknown_name or _unknown_place(name, reporters)
            loose.append(text[: min(labels)] if labels else text)
    title = " ".join(loose)
    if evidence.period is None and evidence.month is None:
        evidence.period, evidence.month = find_period(title)
    titled = find_reporters(title, reporters)
    evidence.reporters = tuple(dict.fromkeys((*evidence.reporters, *titled)))
    if not evidence.reporters and evidence.unknown_name is None:
        evidence.unknown_name = _unknown_place(_before_title(title), reporters)
    return evidence


def _before_title(text: str) -> str:
    """The words before a form's title: ``大新县企业情况表`` gives ``大新县``."""
    plain = re.sub(r"\s+", "", text)
    places = [plain[: plain.find(title)] for form in load_forms().values() for title in form.titles if title in plain]
    return min(places, key=len) if places else ""


def _take_period(evidence: Evidence, text: str, follow: Any) -> None:
    if isinstance(follow, datetime | date) and not text.strip():
        evidence.period, evidence.month = f"{follow:%Y-%m}", follow.month
        return
    source = text if text.strip() else str(follow)
    period, month = find_period(source)
    evidence.period = evidence.period or period
    evidence.month = evidence.month or month


def _day(text: str, follow: Any) -> date | None:
    if isinstance(follow, datetime) and not text.strip():
        return follow.date()
    if isinstance(follow, date) and not text.strip():
        return follow
    match = _FULL_DATE.search(text if text.strip() else str(follow))
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def evidence_of_name(file_name: str, reporters: Sequence[Reporter]) -> Evidence:
    """Evidence of a file name; a month without a year only confirms, or is completed by the day of filling in."""
    stem = re.sub(r"\.[A-Za-z]{2,5}$", "", file_name.replace("\\", "/").rpartition("/")[2])
    period, month = find_period(stem)
    found = find_reporters(stem, reporters)
    unknown = None if found else _unknown_place(_before_title(stem), reporters)
    return Evidence("name", file_name, period, month, found, unknown)


def code_of_folder(name: str, codes: Collection[str]) -> str | None:
    """The reporter whose folder it is by its name: the code, alone or before a mark and more (``450721-灵山县``)."""
    match = re.match(r"([0-9A-Za-z]+)(?=$|[-_ （(])", _plain(name).strip())
    return match[1] if match and match[1] in codes else None


def evidence_of_folder(folder: str | None, reporters: Sequence[Reporter]) -> Evidence:
    """Evidence of the channel folder, e.g. ``2026-10/灵山县``: each part of the path is looked at by itself. A part
    that is a reporter's code names that reporter and nothing else."""
    evidence = Evidence("folder", folder or "")
    codes = {reporter.reporter_code for reporter in reporters}
    for part in (folder or "").replace("\\", "/").split("/"):
        code = code_of_folder(part, codes)
        if code is not None:
            evidence.reporters = tuple(dict.fromkeys((*evidence.reporters, code)))
            continue
        period, month = find_period(part)
        evidence.period, evidence.month = evidence.period or period, evidence.month or month
        evidence.reporters = tuple(dict.fromkeys((*evidence.reporters, *find_reporters(part, reporters))))
    return evidence


def identify(evidence: Sequence[Evidence], reporters: Sequence[Reporter], file_name: str) -> Identity:
    """Period and reporter from all evidence, in order of trust.

    Findings: ``E-IDN-001`` no period, ``E-IDN-002`` periods disagree, ``E-IDN-003`` no reporter, ``E-IDN-004``
    reporters disagree, ``E-IDN-005`` the name is in nobody's list.
    """
    findings: list[Finding] = []
    period = _period(evidence, file_name, findings)
    reporter = _reporter(evidence, reporters, file_name, findings)
    return Identity(period, reporter, findings)


def _sources(pairs: Mapping[str, list[str]]) -> str:
    return "；".join(f"{'、'.join(dict.fromkeys(where))}为{what}" for what, where in pairs.items())


def _where(item: Evidence) -> str:
    label = _SOURCES_ZH[item.source]
    return f"{label}（{item.detail}）" if item.detail and item.source != "meta" else label


def _period(evidence: Sequence[Evidence], file_name: str, findings: list[Finding]) -> str | None:
    named: dict[str, list[str]] = {}
    for item in evidence:
        if item.period:
            named.setdefault(item.period, []).append(_where(item))
    months = [item for item in evidence if item.period is None and item.month is not None]
    if not named:
        filled = next((item.filled_on for item in evidence if item.filled_on), None)
        if months and filled:
            # a report of month 12 filled in January belongs to the year before
            for item in months:
                assert item.month is not None
                year = filled.year if item.month <= filled.month else filled.year - 1
                named.setdefault(f"{year}-{item.month:02d}", []).append(_where(item))
        else:
            hint = f"（只写了{months[0].month}月，没有年份）" if months else ""
            findings.append(Finding("E-IDN-001", params={"file": file_name, "hint": hint}))
            return None
    first = next(iter(named))
    shown = {f"{int(period[:4])}年{int(period[5:])}月": where for period, where in named.items()}
    for item in months:
        if item.month is not None and len(named) == 1 and item.month != int(first[5:]):
            shown.setdefault(f"{item.month}月", []).append(_where(item))
    if len(shown) > 1:
        findings.append(Finding("E-IDN-002", params={"file": file_name, "sources": _sources(shown)}))
        return None
    return first


def _reporter(
    evidence: Sequence[Evidence], reporters: Sequence[Reporter], file_name: str, findings: list[Finding]
) -> str | None:
    names = {reporter.reporter_code: reporter.reporter_name for reporter in reporters}
    named: dict[str, list[str]] = {}
    for item in evidence:
        for code in item.reporters:
            named.setdefault(code, []).append(_where(item))
    unknown = {item.unknown_name: [_where(item)] for item in evidence if item.unknown_name and not item.reporters}
    inside = {name: where for name, where in unknown.items() if not where[0].startswith(_SOURCES_ZH["name"])}
    if len(named) > 1 or (named and inside):
        shown = {names[code]: where for code, where in named.items()} | {str(k): v for k, v in inside.items()}
        findings.append(Finding("E-IDN-004", params={"file": file_name, "sources": _sources(shown)}))
        return None
    if named:
        return next(iter(named))
    if unknown:
        findings.append(Finding("E-IDN-005", params={"file": file_name, "name": next(iter(unknown))}))
        return None
    findings.append(Finding("E-IDN-003", params={"file": file_name}))
    return None
