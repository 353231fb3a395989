"""Killed anywhere and run again: the steps of the chain, stopped between any two of their writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import include.pipeline.collect as collecting
import include.pipeline.load as loading
from include.ledger import entries, findings
from include.pipeline.build import read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.returns import month
from include.returns.feedback import write_receipt
from include.settings import get_settings
from include.warehouse import dbt
from include.warehouse.connection import connect
from include.warehouse.locking import alone
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, enterprise, post, write_form

PERIOD = "2026-03"
COUNTIES = (("宾阳县", "450126"), ("灵山县", "450721"), ("横州市", "450181"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing that catches errors catches it."""


@pytest.fixture
def inbox(inbox: Path) -> Path:
    """Three counties, two forms each; the first has a blank required number, and forms that contradict each other."""
    for position, (county, code) in enumerate(COUNTIES):
        good = enterprise(county, code, 1)
        bad = enterprise(county, code, 2, **({"shortage_now": None} if position == 0 else {}))
        folder = inbox / PERIOD / county
        write_form(folder / "企业情况表.xlsx", "企业情况表", county, PERIOD, STATUS_HEADERS, [good, bad])
        posts = [post(good, "木工", shortage_now=3 if position == 0 else 7)]
        write_form(folder / "企业用工需求表.xlsx", "企业用工需求表", county, PERIOD, DEMAND_HEADERS, posts)
    return inbox


def run(key: str) -> None:
    load_batch(validate_batch(read_pending(PERIOD, key)))


def state() -> dict[str, Any]:
    """All that must be the same whether or not something was killed on the way."""
    queries = {
        "files": "select channel_path, outcome, outcome_zh from intake.received_file order by 1",
        "submissions": "select submission_id, version, outcome, rows_accepted, rows_held, findings_e, findings_r,"
        " findings_w from intake.submission order by 1",
        "findings": "select submission_id, code, sheet, cell, message_zh, finding_key, state from intake.finding"
        " order by 1, 2, 3, 4",
        "tallies": "select submission_id, code, found, stored from intake.finding_tally order by 1, 2",
        "rules": "select submission_id, code, column_name, state, checked, failed from intake.rule_result"
        " order by 1, 2, 3",
        "held": "select submission_id, sheet, source_row from intake.held_row order by 1, 2, 3",
        "rows": "select submission_id, source_row, shortage_now from raw.enterprise_status order by 1, 2",
        "posts": "select submission_id, source_row, shortage_now from raw.labour_demand order by 1, 2",
        "personal": "select submission_id, source_row, contact from restricted.enterprise_status order by 1, 2",
    }
    with connect() as conn:
        found: dict[str, Any] = {name: conn.execute(query).fetchall() for name, query in queries.items()}
    outbox = get_settings().outbox
    found["outbox"] = {str(p.relative_to(outbox)): p.read_bytes() for p in outbox.rglob("*") if p.is_file()}
    return found


@pytest.fixture
def undisturbed(inbox: Path) -> dict[str, Any]:
    """The state that one undisturbed run ends in; warehouse and folders are empty again afterwards."""
    from tests.databases import empty_warehouse

    collect()
    run("undisturbed")
    found = state()
    assert len(found["submissions"]) == 6 and found["held"] and len(found["findings"]) >= 2
    empty_warehouse(is_prepared=True)
    for path in sorted(get_settings().outbox.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return found


def killed_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int) -> None:
    """From its given call on, the function is not carried out: the process is dead."""
    original, calls = getattr(module, name), []

    def dying(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) >= call:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, dying)


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [(loading, "_load_submission", 1), (loading, "_load_submission", 4), (findings, "settle_replaced", 2),
     (loading, "_record_late_findings", 1), (findings, "settle_files", 2), (month, "month_of", 1),
     (month, "month_of", 3), (entries, "set_file_outcome", 3), (loading, "remove_batch", 1)],
)  # fmt: skip
def test_a_load_killed_between_any_two_writes_ends_the_same(
    undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int
) -> None:
    collect()
    with monkeypatch.context() as patch:
        killed_at(patch, module, name, call)
        with pytest.raises(Killed):
            run("first")
    assert list((get_settings().work / PERIOD).iterdir())
    # Another run, as after a restart, and not a further try of the same one.
    run("second")
    assert state() == undisturbed
    # The killed run's folder carried names and telephone numbers.
    assert not (get_settings().work / PERIOD).exists()


def test_a_further_try_of_the_same_run_ends_the_same(
    undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    collect()
    batch = read_pending(PERIOD, "the run")
    # Killed after its last write and before Airflow heard of it: every step is run once more.
    batch = read_pending(PERIOD, "the run")
    validate_batch(batch)
    validated = validate_batch(batch)
    with monkeypatch.context() as patch:
        killed_at(patch, entries, "set_file_outcome", 3)
        with pytest.raises(Killed):
            load_batch(validated)
    load_batch(validated)
    load_batch(validated)
    assert state() == undisturbed


def test_a_task_thought_dead_that_still_loads_is_waited_for(undisturbed: dict[str, Any]) -> None:
    collect()
    batch = validate_batch(read_pending(PERIOD, "the run"))
    failures: list[BaseException] = []

    def load() -> None:
        try:
            load_batch(batch)
        except BaseException as error:  # told to the test below
            failures.append(error)

    both = [threading.Thread(target=load) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert failures == []
    assert state() == undisturbed


def test_files_entered_before_a_collection_was_killed_stay_entered(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, collecting, "_enter", 4)
        with pytest.raises(Killed):
            collect()
    with connect() as conn:
        assert conn.execute("select count(*) from intake.received_file").fetchone() == (3,)
    again = collect()
    assert (again.new, again.periods) == (3, [PERIOD])


def test_the_lock_is_one_at_a_time_and_ends_with_its_holder(warehouse: str) -> None:
    order: list[str] = []

    def second() -> None:
        with alone("test"):
            order.append("second")

    thread = threading.Thread(target=second)
    with pytest.raises(Killed), alone("test"):
        thread.start()
        time.sleep(0.5)
        order.append("first")
        raise Killed
    thread.join(10)
    assert order == ["first", "second"]


def test_a_return_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    destination = tmp_path / "企业情况表-1234abcd-回执.xlsx"
    (tmp_path / f".{destination.name}.4711").write_bytes(b"half")
    (tmp_path / ".other.xlsx.4711").write_bytes(b"somebody else's")
    write_receipt(destination, forms=[], reporter_name=None, period=PERIOD, is_sample=False)
    assert {path.name for path in tmp_path.iterdir()} == {destination.name, ".other.xlsx.4711"}


def test_the_next_build_waits_for_a_dbt_that_outlived_its_task(
    var_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once would each delete the period's rows and each insert them."""
    began = tmp_path / "began"
    slow = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(4)"
    task = f"""
import json, sys
from include.warehouse import dbt
sys.executable = {sys.executable!r}
dbt.warehouse_url = lambda: "postgresql://nobody@127.0.0.1:1/none"
real = dbt._run
dbt._run = lambda command, *rest: real([sys.executable, "-c", {slow!r}], *rest)
dbt._dbt("2026-03", "build")
"""
    environment = {**os.environ, "VAR_DIR": str(var_dir)}
    process = subprocess.Popen([sys.executable, "-c", task], env=environment, cwd=get_settings().dbt_project.parent)
    deadline = time.monotonic() + 30
    while not began.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = time.monotonic()

    def result(command: Any, environment: Any, folder: Path, lock: int) -> str:
        target = Path(environment["DBT_TARGET_PATH"])
        (target / "run_results.json").write_text(json.dumps({"results": []}))
        return ""

    monkeypatch.setattr(dbt, "warehouse_url", lambda: "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(dbt, "_run", result)
    assert dbt._dbt(PERIOD, "build") == ()
    assert time.monotonic() - killed > 2
