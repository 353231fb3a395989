"""The demo province: the same on any day, consistent in itself, and exactly as wrong as its manifest says."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.intake.calendar import SHANGHAI, last_day
from include.intake.channels import LocalFolder
from include.intake.identifiers import is_valid_person_id, is_valid_uscc
from include.intake.reading import WorkbookReading, read_workbook
from include.intake.reporters import load_reporters
from include.quality.findings import catalogue
from include.quality.rules import JUMP_MEASURES
from include.quality.runner import examine, examine_cross_form
from include.sample import province
from include.sample.brands import brand_rows, read_brands
from include.sample.claims import claim_rows, classes_of, person_number
from include.sample.classes import class_rows, shift_working_days
from include.sample.defects import load_defects
from include.sample.economy import PeriodBeforeDemo, grow, social_credit_code
from include.sample.manifest import ExpectedReport, Manifest, WrittenFile, read_manifest
from include.sample.profile import load_province
from include.sample.progress import progress_rows
from include.sample.province import DEMO_PERIODS, DEMO_SEED, FORMS, REPORTERS_FILE, SUMMED, manifest_path, write_inbox
from include.settings import PROJECT_ROOT

READERS_CODES = (
    "E-FILE",
    "W-FILE",
    "E-IDN",
    "E-HDR",
    "W-HDR",
    "E-HID",
    "E-TBL",
    "W-TBL",
    "W-TOT",
    "R-MRG",
    "R-VAL",
    "W-VAL",
)
Place = tuple[str, str | None, str | None, str | None]
Rows = dict[tuple[str, str, str], pd.DataFrame]


@dataclass(frozen=True)
class Demo:
    inbox: Path
    manifest: Manifest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    inbox = tmp_path_factory.mktemp("demo") / "inbox"
    return Demo(inbox, write_inbox(inbox))


@pytest.fixture(scope="module")
def readings(demo: Demo) -> dict[str, WorkbookReading]:
    reporters = load_reporters(REPORTERS_FILE)
    found = {}
    for file in demo.manifest.files:
        if file.outcome != "duplicate":
            path = demo.inbox / file.path
            folder = Path(file.path).parent.as_posix()
            found[file.path] = read_workbook(path.read_bytes(), path.name, folder, reporters)
    return found


def of_reader(code: str) -> bool:
    return code.startswith(READERS_CODES)


def snapshot(inbox: Path) -> dict[str, tuple[bytes, float]]:
    files = (path for path in inbox.rglob("*") if path.is_file())
    return {path.relative_to(inbox).as_posix(): (path.read_bytes(), path.stat().st_mtime) for path in files}


def test_a_month_alone_gives_the_same_bytes_and_times(demo: Demo, tmp_path: Path) -> None:
    write_inbox(tmp_path / "inbox", ["2026-03"])
    alone = snapshot(tmp_path / "inbox")
    assert alone == {path: what for path, what in snapshot(demo.inbox).items() if path.startswith("2026-03/")}


def test_writing_again_touches_nothing_and_drops_only_what_it_wrote_before(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    first = write_inbox(inbox, ["2026-02"])
    foreign = inbox / "2026-02" / "说明.txt"
    foreign.write_text("不是演示文件", encoding="utf-8")
    before = {path: path.stat().st_ctime_ns for path in inbox.rglob("*") if path.is_file()}
    again = write_inbox(inbox, ["2026-02"])
    assert {path: path.stat().st_ctime_ns for path in inbox.rglob("*") if path.is_file()} == before
    assert again == first
    other = write_inbox(inbox, ["2026-02"], seed=7)
    assert {path for path in snapshot(inbox)} == {file.path for file in other.files} | {"2026-02/说明.txt"}


def test_what_lies_there_as_written_is_not_made_again_and_what_changed_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    first = write_inbox(inbox, ["2026-02"])
    made: list[str] = []
    make = province._county_month

    def counted(*given: Any) -> Any:
        made.append(given[2].reporter_code)
        return make(*given)

    monkeypatch.setattr(province, "_county_month", counted)
    assert write_inbox(inbox, ["2026-02"]) == first
    assert made == []
    before, paths = snapshot(inbox), [inbox / file.path for file in first.files]
    os.utime(paths[0], (1, 1))
    assert write_inbox(inbox, ["2026-02"]) == first and made
    for change in (paths[1].unlink, lambda: paths[2].write_bytes(b"half"), manifest_path(inbox).unlink):
        made.clear()
        change()
        assert write_inbox(inbox, ["2026-02"]) == first and made
        assert snapshot(inbox) == before
    made.clear()
    monkeypatch.setattr(province, "_generator", lambda: "another version")
    assert write_inbox(inbox, ["2026-02"]).made_by == "another version"
    assert made


def test_a_file_left_half_written_is_none_that_a_collection_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_inbox(tmp_path / "inbox", ["2026-02"])
    assert list(LocalFolder(tmp_path / "inbox").arrivals()) == []
    whole = write_inbox(tmp_path / "inbox", ["2026-02"])
    arrivals = [arrival.path_in_channel for arrival in LocalFolder(tmp_path / "inbox").arrivals()]
    assert sorted(arrivals) == sorted(file.path for file in whole.files)


def test_the_manifest_reads_back(demo: Demo) -> None:
    assert read_manifest(manifest_path(demo.inbox)) == demo.manifest
    assert demo.inbox not in manifest_path(demo.inbox).parents


def test_reporters_are_one_pilot_county_a_city_and_six_of_the_region() -> None:
    reporters = load_reporters(REPORTERS_FILE)
    assert Counter(one.pilot_level for one in reporters) == {"市级试点": 14, "自治区级试点": 6}
    assert len({one.city_code for one in reporters if one.pilot_level == "市级试点"}) == 14
    assert all(one.is_sample and one.reporter_code == one.region_code for one in reporters)
    assert set(load_province().habits) == {one.reporter_code for one in reporters}


def test_codes_are_valid_and_nobodys() -> None:
    assert social_credit_code("450721", 37) == "91450721YY072116" + social_credit_code("450721", 37)[16:]
    codes = {social_credit_code("450721", number) for number in range(400)}
    assert len(codes) == 400
    assert all(is_valid_uscc(code) for code in codes)
    persons = {person_number("450721", ordinal) for ordinal in range(10000)}
    assert len(persons) == 10000
    assert all(is_valid_person_id(number) and number[14:16] == "99" for number in persons)


def test_working_days_step_over_the_spring_festival() -> None:
    # 2026-02-14 is a working Saturday, the holiday runs from the 15th to the 23rd
    assert shift_working_days(date(2026, 2, 13), 2) == date(2026, 2, 24)
    assert shift_working_days(date(2026, 2, 24), -1) == date(2026, 2, 14)


def test_nothing_before_the_first_month() -> None:
    province = load_province()
    with pytest.raises(PeriodBeforeDemo):
        grow(province, province.habits["450721"], "灵山县", ["2025-12"], 1)


def test_rows_hang_together_within_and_between_months() -> None:
    province = load_province()
    months = grow(province, province.habits["450721"], "灵山县", DEMO_PERIODS, 1)
    previous: dict[str, int] = {}
    for period in DEMO_PERIODS:
        demand: Counter[tuple[str, str]] = Counter()
        for row in months[period].labour_demand:
            demand[row["uscc"], "now"] += row["shortage_now"]
            demand[row["uscc"], "expansion"] += row["shortage_expansion"]
            demand[row["uscc"], "training"] += row["training_persons"] or 0
        for row in months[period].enterprise_status:
            head = row["headcount"]
            assert head == row["managers"] + row["professionals"] + row["workers"]
            assert head == row["local_county"] + row["other_county"] + row["other_province"]
            assert row["skilled_total"] <= row["professionals"] + row["workers"]
            assert max(row["women"], row["dispatched"], row["lifted_poverty"], row["insured"]) <= head
            if row["uscc"] in previous:
                assert head == previous[row["uscc"]] + row["hired"] - row["leavers"]
            sums = (row["shortage_now"], row["shortage_expansion"], row["training_needed"])
            assert tuple(demand[row["uscc"], name] for name in ("now", "expansion", "training")) == sums
            assert "演示" in row["enterprise_name"]
        previous = {row["uscc"]: row["headcount"] for row in months[period].enterprise_status}


def test_the_spring_festival_shows(demo: Demo) -> None:
    """Over the counties that reported form 1 in every month: people leave in February and come back in March."""
    heads: dict[str, dict[str, float]] = defaultdict(dict)
    short: dict[str, dict[str, float]] = defaultdict(dict)
    for one in demo.manifest.expected:
        if one.form == "enterprise_status" and one.sums:
            heads[one.reporter_code][one.period] = one.sums["headcount"]
            short[one.reporter_code][one.period] = one.sums["shortage_now"]
    steady = [code for code, by_month in heads.items() if len(by_month) == len(DEMO_PERIODS)]
    head = [sum(heads[code][period] for code in steady) for period in DEMO_PERIODS]
    lack = [sum(short[code][period] for code in steady) for period in DEMO_PERIODS]
    assert len(steady) == 17
    assert head[1] < head[0] < head[2] < head[3]
    assert lack[1] > lack[2] > lack[3]


def test_progress_adds_up_within_and_between_months() -> None:
    habits = load_province().habits["450721"]
    before: dict[tuple[str, str, str | None], float] = {}
    for period in DEMO_PERIODS:
        rows = progress_rows(habits, period, 1)
        assert rows is not None
        keyed = {(row["programme"], row["indicator"], row["indicator_group"]): row for row in rows}
        assert len(keyed) == len(rows)
        for (programme, indicator, group), row in keyed.items():
            if row["unit"] != "人次":
                continue
            if (programme, indicator, group) in before:
                assert row["done_to_date"] == before[programme, indicator, group] + row["done_this_month"]
            if group is None:
                parts = [other for key, other in keyed.items() if key[:2] == (programme, indicator) and key[2]]
                assert row["done_to_date"] == sum(part["done_to_date"] for part in parts) and len(parts) > 2
        before = {key: row["done_to_date"] for key, row in keyed.items()}
    assert progress_rows(load_province().habits["450381"], "2026-01", 1) is None


def test_brands_show_what_they_are_planted_for() -> None:
    def brand(reporter: str, name: str) -> list[dict[str, Any] | None]:
        months = [brand_rows(reporter, "演示县", period, 1) or [] for period in DEMO_PERIODS]
        return [next((row for row in rows if row["brand_name"] == name), None) for rows in months]

    falling = [row["employed"] for row in brand("450126", "演示老窑陶工") if row]
    assert len(falling) == 4 and falling == sorted(falling, reverse=True) and len(set(falling)) == 4
    assert [row is not None for row in brand("450721", "演示荔乡编织娘")] == [True, False, False, False]
    assert all(row and row["agreement_persons"] >= 500 for row in brand("450702", "演示蚝乡海工"))
    assert [row and row["status"] for row in brand("450881", "演示藤铁手艺")] == ["预警", "预警", "退出", None]
    assert brand_rows("450223", "演示县", "2026-01", 1) == []
    assert brand_rows("450381", "演示县", "2026-01", 1) is None
    names = [brand["name"] for brands in read_brands()["brands"].values() for brand in brands]
    assert all(name.startswith("演示") for name in names) and len(set(names)) == len(names)


def test_a_class_is_the_same_in_every_month_and_in_both_ledgers() -> None:
    province = load_province()
    habits = province.habits["450721"]
    months = grow(province, habits, "灵山县", DEMO_PERIODS, 1)
    known: dict[str, dict[str, Any]] = {}
    paid = []
    for period in DEMO_PERIODS:
        status = months[period].enterprise_status
        rows = class_rows("灵山县", period, classes_of(province, habits, period, status))
        for row in rows:
            happened = [row[name] for name in ("materials_on", "filed_on", "started_on", "completed_on") if row[name]]
            assert happened == sorted(happened) and happened[-1] <= last_day(period)
            assert row["training_persons"] + (row["passed_persons"] or 0) + row["left_persons"] <= row["filed_persons"]
        for filing_no, row in ((row["filing_no"], row) for row in rows if row["filing_no"]):
            fixed = {name: row[name] for name in ("uscc", "occupation", "filed_on", "filed_persons")}
            assert known.setdefault(filing_no, fixed) == fixed
        for claim in claim_rows(province, habits, "灵山县", period, status, 1):
            if claim["payment_type"] in ("预支", "结算"):
                taught = known[claim["batch_no"]]
                assert (claim["payee_uscc"], claim["quantity"]) == (taught["uscc"], taught["filed_persons"])
                paid.append(
                    (period, claim["batch_no"][-2:], claim["payment_type"], claim["advanced"] / claim["applied"])
                )
    assert paid == [("2026-01", "01", "预支", 0.2), ("2026-03", "03", "预支", 0.2), ("2026-04", "01", "结算", 0.2)]


def test_stopped_enterprises_name_their_people_and_want_none() -> None:
    province = load_province()
    month = grow(province, province.habits["450881"], "桂平市", ["2026-04"], DEMO_SEED)["2026-04"]
    stopped = {row["uscc"]: row for row in month.enterprise_status if row["operating_state"] in ("停产", "半停产")}
    assert {"停产", "半停产"} <= {row["operating_state"] for row in stopped.values()}
    posts = [row for row in month.labour_demand if row["uscc"] in stopped]
    assert sum(row["employed"] for row in posts) > 1000
    idle = [row for row in posts if stopped[row["uscc"]]["operating_state"] == "停产"]
    assert idle and all(row["shortage_now"] == 0 for row in idle)


def test_most_posts_have_an_occupation_and_some_have_none() -> None:
    known = set()
    with (PROJECT_ROOT / "dbt_project" / "seeds" / "occupations.csv").open(encoding="utf-8-sig", newline="") as handle:
        for row in csv.DictReader(handle):
            known.update([row["occupation_name"], *row["aliases"].split("|")])
    province = load_province()
    posts = [post.name for one in province.industries.values() for post in one.posts] + [
        post.name for post in province.common_posts
    ]
    unknown = sorted({post for post in posts if post not in known})
    assert 0.8 < 1 - len([post for post in posts if post in unknown]) / len(posts) < 1
    assert "排板工" in unknown


def test_every_kind_of_mistake_is_planted(demo: Demo) -> None:
    planted = {one.key: one for one in demo.manifest.planted}
    assert set(planted) == {one.key for one in load_defects()}
    silent = {"late", "missing", "older_layout", "sent_twice", "corrected_figures"}
    # what only the ledgers of all months show
    silent |= {"same_claimant", "short_notice", "slow_review", "advance_over", "advance_not_deducted"}
    for one in planted.values():
        assert bool(one.findings) != (one.kind in silent), one.key
        assert all(finding.code in catalogue() for finding in one.findings), one.key


def test_coverage_misses_the_threshold_in_february_only(demo: Demo) -> None:
    accepted: dict[str, set[str]] = defaultdict(set)
    for code in {one.reporter_code for one in demo.manifest.expected}:
        for period in DEMO_PERIODS:
            mine = [one for one in demo.manifest.expected if (one.reporter_code, one.period) == (code, period)]
            mine = [one for one in mine if one.form in FORMS]
            if all(one.outcome.startswith("accepted") for one in mine):
                accepted[period].add(code)
    assert {period: len(codes) for period, codes in accepted.items()} == {
        "2026-01": 19,
        "2026-02": 17,
        "2026-03": 20,
        "2026-04": 19,
    }


def test_times_of_receipt(demo: Demo) -> None:
    times = {file.path: datetime.fromisoformat(file.received_at) for file in demo.manifest.files}
    for path, at in times.items():
        assert (demo.inbox / path).stat().st_mtime == at.timestamp()
        assert 8 <= at.astimezone(SHANGHAI).hour < 18
    late = {
        (one.period, one.reporter_code)
        for one in demo.manifest.expected
        if one.outcome != "not_received" and not one.is_on_time
    }
    assert late == {
        ("2026-01", "450126"),
        ("2026-02", "451203"),
        ("2026-03", "450481"),
        ("2026-03", "451122"),  # its form 2 named another month; the mended file came on the sixth working day
        ("2026-04", "450681"),
        ("2026-04", "450921"),
    }


def test_reader_finds_exactly_what_the_manifest_lists(demo: Demo, readings: dict[str, WorkbookReading]) -> None:
    for file in demo.manifest.files:
        if file.outcome in ("duplicate", "awaiting_approval"):
            continue
        reading = readings[file.path]
        found = [*reading.findings, *(finding for table in reading.tables for finding in table.findings)]
        assert Counter((one.code, one.form, one.sheet, one.cell) for one in found) == _listed(file), file.path
        refused_whole = any(one.code.startswith("E") and one.form is None for one in found)
        assert refused_whole == (file.outcome == "refused"), file.path
        if not refused_whole:
            assert reading.identification.is_sample, file.path
            assert (reading.identification.period, reading.identification.reporter_code) == (
                file.period,
                file.reporter_code,
            )
            for table, expected in zip(reading.tables, file.forms, strict=True):
                assert (table.form, table.refused) == (expected.form, expected.outcome == "refused"), file.path
                assert table.refused or len(table.source_rows) == expected.rows, file.path


def _listed(file: WrittenFile) -> Counter[Place]:
    listed: Counter[Place] = Counter()
    for one in file.findings:
        if of_reader(one.code):
            listed[one.code, one.form, one.sheet, one.cell] += one.count
    return listed


def test_a_file_sent_twice_is_the_same_file(demo: Demo) -> None:
    by_hash = Counter(file.sha256 for file in demo.manifest.files)
    twice = [file for file in demo.manifest.files if by_hash[file.sha256] > 1]
    assert [file.outcome for file in twice] == ["read", "duplicate"]


def test_suites_find_exactly_the_rest_and_the_sums_hold(demo: Demo, readings: dict[str, WorkbookReading]) -> None:
    previous: pd.DataFrame | None = None
    for period in DEMO_PERIODS:
        files = [one for one in demo.manifest.files if one.period == period and one.outcome == "read"]
        rows, layout, held, latest = _rows_of(files, readings)
        found: Counter[Place] = Counter()
        frames = {form: pd.concat(parts, ignore_index=True) for form, parts in rows.items()}
        context = {} if previous is None else {"previous": previous}
        validations = [
            examine(form, frame, context if form == "enterprise_status" else {}, layout_of=layout, held=held)
            for form, frame in frames.items()
        ]
        newest = {form: frame[frame["submission_id"].isin(latest.values())] for form, frame in frames.items()}
        validations.append(examine_cross_form(newest["enterprise_status"], newest["labour_demand"], layout_of=layout))
        for validation in validations:
            assert not [result for result in validation.results if result.state == "did_not_run"]
            for submission, finding in validation.findings:
                found[submission, finding.code, finding.sheet, finding.cell] += 1
                if finding.severity == "R" and finding.sheet is not None and finding.row is not None:
                    held.add((submission, finding.sheet, finding.row))
        listed: Counter[Place] = Counter()
        for file in files:
            for one in file.findings:
                if not of_reader(one.code):
                    listed[f"{file.path}#{one.form}", one.code, one.sheet, one.cell] += one.count
        assert found == listed, period
        accepted = {form: _without(frame, held) for form, frame in newest.items()}
        _compare_sums(period, demo.manifest.expected, accepted)
        columns = ["county_code", "uscc", "enterprise_name", *JUMP_MEASURES]
        # every demo reporter is a county; its rows held back were sent all the same, with their figures unusable
        sent = newest["enterprise_status"][["submission_id", "sheet", "source_row", *columns]].copy()
        keys = zip(sent["submission_id"], sent["sheet"], sent["source_row"], strict=True)
        sent["is_held"] = [(submission, sheet, int(row)) in held for submission, sheet, row in keys]
        sent.loc[sent["is_held"], list(JUMP_MEASURES)] = None
        previous = sent[[*columns, "is_held"]].assign(reporter_code=sent["county_code"])


def _rows_of(
    files: list[WrittenFile], readings: dict[str, WorkbookReading]
) -> tuple[
    dict[str, list[pd.DataFrame]],
    dict[tuple[str, str], dict[str, tuple[int, str]]],
    set[tuple[str, str, int]],
    dict[tuple[str, str], str],
]:
    rows: dict[str, list[pd.DataFrame]] = defaultdict(list)
    layout: dict[tuple[str, str], dict[str, tuple[int, str]]] = {}
    held: set[tuple[str, str, int]] = set()
    latest: dict[tuple[str, str], str] = {}
    for file in files:
        for table in readings[file.path].tables:
            if table.refused:
                continue
            submission = f"{file.path}#{table.form}"
            frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in table.columns.items()})
            frame = frame.assign(submission_id=submission, sheet=table.sheet_of_row, source_row=table.source_rows)
            rows[table.form].append(frame.assign(county_code=file.reporter_code, period=file.period))
            layout.update({(submission, sheet): dict(columns) for sheet, columns in table.layout.items()})
            latest[file.reporter_code, table.form] = submission
            for one in table.findings:
                if one.severity == "R" and one.sheet is not None and one.row is not None:
                    held.add((submission, one.sheet, one.row))
    return rows, layout, held, latest


def _keys(frame: pd.DataFrame) -> Iterator[tuple[str, str, int]]:
    return zip(frame["submission_id"], frame["sheet"], frame["source_row"], strict=True)


def _without(frame: pd.DataFrame, held: set[tuple[str, str, int]]) -> pd.DataFrame:
    return frame[[key not in held for key in _keys(frame)]]


def _compare_sums(period: str, expected: tuple[ExpectedReport, ...], accepted: dict[str, pd.DataFrame]) -> None:
    for one in expected:
        if one.period != period or not one.outcome.startswith("accepted"):
            continue
        frame = accepted[one.form][accepted[one.form]["county_code"] == one.reporter_code]
        assert set(one.sums) >= set(SUMMED[one.form]), one
        assert len(frame) == one.rows_accepted == one.rows - one.rows_held
        if one.form == "subsidy_payment":
            is_recovery = frame["payment_type"] == "追回" if "payment_type" in frame else frame["item"].isna()
            recovered = pd.to_numeric(frame.loc[is_recovery, "paid"]).sum()
            assert recovered == pytest.approx(one.sums["recovered"], abs=0.005)
            frame = frame[~is_recovery]
        for column, value in one.sums.items():
            if column != "recovered":
                assert pd.to_numeric(frame[column]).sum() == pytest.approx(value, abs=0.005), (one, column)
