"""A month of a whole province: reading, normalising and judging every cell, against python-calamine alone.

``python -m tests.bench.bench_province [--counties 111] [--enterprises 1000] [--limit 3.0] [--memory-mb 1000]`` writes
forms 1 to 3 of every county (3.5 posts and half a claim an enterprise: about half a million rows), takes them in by
``collect``, and measures in the same run

* python-calamine reading the same files, every sheet to Python lists, one process;
* ``read_pending`` and ``validate_batch``: the first two steps of a build, as they run every month.

Everything lies in a folder of its own, with an embedded PostgreSQL of its own, removed at the end. Prints rows,
seconds, the ratio and the peak memory of the largest process of each step; ends with 1 when the ratio or the memory is
beyond its limit.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil
import xlsxwriter
from python_calamine import CalamineWorkbook

PERIOD = "2026-10"
POSTS_PER_TEN = 35
CLAIMS_PER_TEN = 5
_POSTS = (("木工", "技工"), ("车工", "技工"), ("包装工", "普工"), ("质检员", "普工"), ("电工", "技工"))
_INDUSTRIES = ("木材加工和木、竹、藤、棕、草制品业", "农副食品加工业", "纺织业", "化学原料和化学制品制造业")


# ------------------------------------------------------------------------------------------------------- the province


def enterprises(county: str, code: str, count: int) -> Iterator[dict[str, Any]]:
    """Rows of form 1 in which every identity holds; the figures differ from row to row as they do in life. Of every
    fifty enterprises one writes a vague number, one a yearly wage, one leaves a required cell blank."""
    from tests.workbooks import enterprise

    for number in range(1, count + 1):
        workers, professionals, managers = 60 + number % 83, 12 + number % 11, 6 + number % 5
        headcount = workers + professionals + managers
        outside, province = number % 17, number % 7
        junior, intermediate, senior = 8 + number % 9, 5 + number % 6, number % 5
        row = enterprise(
            county, code, number,
            enterprise_name=f"{county}演示{number}号有限公司", industry=_INDUSTRIES[number % 4],
            locality=f"演示园区{number % 12}区", revenue_wan_yuan=800.5 + number % 977,
            headcount=headcount, managers=managers, professionals=professionals, workers=workers,
            women=20 + number % 30, local_county=headcount - outside - province, other_county=outside,
            other_province=province, lifted_poverty=number % 9, dispatched=number % 4,
            skill_junior=junior, skill_intermediate=intermediate, skill_senior=senior, skill_technician=2,
            skill_senior_technician=1, skill_master=0, skill_chief=0,
            skilled_total=junior + intermediate + senior + 3, insured=headcount - number % 13,
            hired=number % 8, leavers=number % 6, wage_general=3000 + 10 * (number % 120),
            wage_skilled=4500 + 10 * (number % 180), shortage_now=7 + number % 5, shortage_expansion=number % 6,
            training_needed=9 + number % 4, contact=f"演示{number % 97}", phone=f"0000-{number:07d}",
        )  # fmt: skip
        match number % 50:
            case 7:
                row["lifted_poverty"] = "约5"
            case 13:
                row["wage_general"] = 45_600
            case 19:
                row["insured"] = row["training_needed"] = None
        yield row


def posts(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of form 2: three and four posts an enterprise in turn, the first carrying what the others leave over."""
    from tests.workbooks import post

    total = 0
    for number, row in enumerate(rows, start=1):
        count = number * POSTS_PER_TEN // 10 - total
        total += count
        trained = row["training_needed"] or 9
        for place in range(count):
            name, category = _POSTS[(number + place) % len(_POSTS)]
            own = place == 0
            yield post(
                row, name, post_category=category, seq=total, employed=10 + (number + place) % 20,
                shortage_now=row["shortage_now"] - (count - 1) if own else 1,
                planned_hires=row["shortage_now"], shortage_expansion=row["shortage_expansion"] if own else 0,
                expansion_month="2026年12月" if row["shortage_expansion"] else None, gender="不限", age="18-50岁",
                skill_level="不限", wage=f"{3000 + 10 * (number % 90)}-{5000 + 10 * (number % 90)}",
                training_persons=trained - (count - 1) if own else 1,
                contact=row["contact"], phone=row["phone"],
            )  # fmt: skip


def claims(rows: Sequence[Mapping[str, Any]], code: str) -> Iterator[dict[str, Any]]:
    """Rows of form 3: claims for certificates under a standard of the seeds, paid in full."""
    from include.sample.claims import person_number, standards

    standard = next(one for one in standards() if one.kind == "fixed" and one.covers(date(2026, 10, 31)))
    for number, row in enumerate(rows[: len(rows) * CLAIMS_PER_TEN // 10], start=1):
        yield {
            "seq": number, "item": standard.title.partition("(")[0], "fund": standard.fund, "batch_no": "202610-01",
            "payee_name": row["enterprise_name"], "payee_uscc": row["uscc"], "person_name": f"演示{number}",
            "person_id": person_number(code, number), "person_group": "企业职工", "standard": standard.amount,
            "quantity": 1, "applied": standard.amount, "approved": standard.amount, "paid": standard.amount,
            "applied_on": "2026-09-01", "accepted_on": "2026-09-02", "reviewed_on": "2026-09-08",
            "notice_from": "2026-09-10", "notice_to": "2026-09-18", "decided_on": "2026-09-21", "paid_on": "2026-10-12",
            "payment_type": "核拨", "status": "已拨付", "account": f"演示账号{number:06d}",
        }  # fmt: skip


def write_county(inbox: Path, county: str, code: str, count: int) -> int:
    """The three files of a county as it would send them in time; returns the number of rows."""
    from tests.workbooks import arrives

    rows = list(enterprises(county, code, count))
    forms = {
        "enterprise_status": [{**row, "left": row["leavers"]} for row in rows],
        "labour_demand": list(posts(rows)),
        "subsidy_payment": list(claims(rows, code)),
    }
    for name, content in forms.items():
        path = inbox / PERIOD / county / f"{county}_{name}.xlsx"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, name, county, content)
        arrives(path, datetime.fromisoformat("2026-11-03T09:00:00+08:00"))
    return sum(map(len, forms.values()))


def _write(path: Path, form_name: str, county: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from include.forms.model import header_rows, load_forms

    form = load_forms()[form_name]
    header = header_rows(form)
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet(form.title_zh)
        sheet.write(0, 0, f"{county}{form.title_zh}（演示数据）")
        sheet.write(1, 0, f"填报单位（盖章）：{county}人力资源和社会保障局  报告期：2026年10月  单位：人、元")
        for offset, texts in enumerate(header.rows):
            sheet.write_row(2 + offset, 0, texts)
        for top, left, bottom, right in header.merges:
            sheet.merge_range(2 + top, left, 2 + bottom, right, header.rows[top][left])
        first = 2 + len(header.rows)
        for number, row in enumerate(rows):
            for column, field in enumerate(form.fields):
                value = row.get(field.name)
                if value is not None:
                    sheet.write(first + number, column, value)
        sheet.write(first + len(rows) + 1, 0, "单位负责人：演示甲    填表人：演示乙")


# ------------------------------------------------------------------------------------------------------ what is timed


def calamine_alone(inbox: Path) -> tuple[int, float, float]:
    """Every sheet of every file to Python lists, nothing else: (rows, seconds, of them busy)."""
    started, busy = time.monotonic(), time.process_time()
    rows = 0
    for path in sorted(inbox.rglob("*.xlsx")):
        book = CalamineWorkbook.from_path(path)
        for name in book.sheet_names:
            rows += len(book.get_sheet_by_name(name).to_python())
    return rows, time.monotonic() - started, time.process_time() - busy


def _cpu_seconds() -> float:
    """Processor seconds of this process and of the children that ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


class Watch(threading.Thread):
    """Looks ten times a second at this process and all below it; ``peak`` is the largest resident size of any of them,
    in bytes, since it was last asked for."""

    def __init__(self) -> None:
        super().__init__(name="memory watch", daemon=True)
        self._lock = threading.Lock()
        self._peak = 0
        self._over = threading.Event()

    def run(self) -> None:
        own = psutil.Process()
        while not self._over.wait(0.1):
            for process in [own, *own.children(recursive=True)]:
                with contextlib.suppress(psutil.Error), self._lock:  # it may have ended a moment ago
                    self._peak = max(self._peak, process.memory_info().rss)

    def peak(self) -> int:
        """The largest size since the last call."""
        with self._lock:
            found, self._peak = self._peak, 0
        return found

    def stop(self) -> None:
        self._over.set()
        self.join()


def write_reporters(path: Path, counties: int) -> list[tuple[str, str]]:
    from include.intake.reporters import regions

    chosen = [region for region in regions().values() if region.level == "county"][:counties]
    lines = ["reporter_code,reporter_name,region_code,city_code,pilot_level,valid_from,valid_to,is_sample"]
    lines += [
        f"{r.region_code},{r.region_name},{r.region_code},{r.city_code},市级试点,2022-01-01,,true" for r in chosen
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [(region.region_name, region.region_code) for region in chosen]


def measure(counties: int, count: int) -> tuple[float, int]:
    """Prints the figures; returns (ratio, peak bytes of the largest process)."""
    from include.intake.limits import load_limits
    from include.intake.workers import Workers
    from include.pipeline.build import read_pending
    from include.pipeline.collect import collect
    from include.pipeline.validate import validate_batch
    from include.settings import get_settings
    from include.warehouse.connection import connect
    from include.warehouse.migrate import migrate

    settings = get_settings()
    names = write_reporters(settings.reporters_file, counties)
    patient = replace(load_limits(), seconds=3600.0, memory_bytes=4 << 30)
    started = time.monotonic()
    with Workers(2, patient) as workers:
        written = workers.map(write_county, ((settings.inbox, name, code, count) for name, code in names))
        rows = sum(outcome.get() for outcome in written)
    files = [path.stat().st_size for path in settings.inbox.rglob("*.xlsx")]
    size = f"{len(files)} files, {sum(files) / 1e6:.0f} MB, {rows} rows"
    print(f"bench_province: {len(names)} counties x {count} enterprises: {size}; written in {_since(started)}")

    with connect() as conn:
        migrate(conn)
    started = time.monotonic()
    taken = collect()
    print(f"bench_province: collect {_since(started)}: {taken.new} files, {taken.refused} refused")
    assert (taken.new, taken.refused, taken.waiting) == (len(files), 0, 0), taken

    watch = Watch()
    watch.start()
    busy = _cpu_seconds()
    batch = read_pending(PERIOD, "bench")
    readers = watch.peak()
    assert sum(batch["rows"].values()) == rows, batch
    batch = validate_batch(batch)
    judges = watch.peak()
    busy = _cpu_seconds() - busy
    watch.stop()
    reading, judging = batch["seconds"]["read"], batch["seconds"]["validate"]

    with Workers(1, patient) as workers:
        _, alone, alone_busy = workers.run(calamine_alone, settings.inbox)

    findings = ", ".join(f"{severity} {number}" for severity, number in batch["findings"].items())
    whole, largest = reading + judging, max(readers, judges)
    print(f"bench_province: calamine alone {alone:.1f} s in one process")
    print(f"bench_province: read {reading:.1f} s, no process over {readers / 1e6:.0f} MB")
    print(f"bench_province: validate {judging:.1f} s, no process over {judges / 1e6:.0f} MB; findings: {findings}")
    print(
        f"bench_province: {rows} rows in {whole:.1f} s on {os.cpu_count()} cores, {rows / whole:.0f} rows a second; "
        f"ratio {whole / alone:.2f} x calamine (reading alone {reading / alone:.2f} x)"
    )
    print(f"bench_province: processors busy for {busy:.1f} s, {busy / alone_busy:.2f} x those of calamine alone")
    print(f"bench_province: peak of the largest process {largest / 1e6:.0f} MB")
    return whole / alone, largest


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark in a folder of its own; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description="read and validate a month of a province; compare with calamine")
    parser.add_argument("--counties", type=int, default=111)
    parser.add_argument("--enterprises", type=int, default=1000, help="enterprises a county")
    parser.add_argument("--limit", type=float, default=3.0, help="largest ratio to calamine alone")
    parser.add_argument("--memory-mb", type=float, default=1000, help="largest peak of any process")
    given = parser.parse_args(arguments)
    # The server's own user must be able to reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="labour-bench-")).resolve()
    folder.chmod(0o711)
    os.environ |= {"VAR_DIR": str(folder / "var"), "REPORTERS_FILE": str(folder / "reporters.csv")}
    for name in ("WAREHOUSE_URL", "INBOX_DIR", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR"):
        os.environ.pop(name, None)
    logging.basicConfig(level=logging.ERROR)
    from include.warehouse import embedded

    try:
        ratio, peak = measure(given.counties, given.enterprises)
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
    late = ratio > given.limit
    heavy = peak > given.memory_mb * 1e6
    if late or heavy:
        print(f"bench_province: beyond the limit of {given.limit:g} x calamine and {given.memory_mb:g} MB a process")
    return int(late or heavy)


if __name__ == "__main__":
    sys.exit(main())
