"""Reading processes: killed when they must be, replaced, and never a loss to anyone but their own file."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from include.intake.limits import LimitsError, load_limits, read_limits
from include.intake.workers import JobKilled, Workers, WorkersUnusable
from tests.unit import jobs
from tests.unit.sheets import ENTERPRISE, REPORTERS, lay_out, to_xlsx, with_part

TIGHT = replace(load_limits(), seconds=1.0, memory_bytes=700 * 1024 * 1024)
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2, TIGHT) as made:
        yield made
        # no child is left, not even as a zombie: waiting for one finds none
        pids = made.pids
        made.close()
        for pid in pids:
            with pytest.raises(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def ended(pid: int, within: float = 20.0) -> bool:
    """Whether a process that is no child of ours ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)


def killed(workers: Workers, function: object, *args: object) -> JobKilled:
    with pytest.raises(JobKilled) as caught:
        workers.run(function, *args)  # type: ignore[arg-type]
    return caught.value


def test_a_job_runs_in_another_process_and_the_process_is_used_again(workers: Workers) -> None:
    first = workers.run(jobs.process)
    assert first != os.getpid() and workers.run(jobs.process) == first == workers.pids[0]
    assert workers.run(jobs.is_leader)


def test_over_time_is_killed_with_all_it_started_and_replaced(workers: Workers, tmp_path: Path) -> None:
    before = workers.run(jobs.process)
    assert killed(workers, jobs.wait_forever_with_a_helper, tmp_path / "helper").reason == "time"
    assert ended(int((tmp_path / "helper").read_text()))
    assert workers.run(jobs.process) != before


def test_over_memory(workers: Workers) -> None:
    assert killed(workers, jobs.take_memory, 800).reason == "memory"
    assert workers.run(jobs.take_memory, 10) == 10 * 1024 * 1024
    assert killed(workers, jobs.abort_for_memory).reason == "memory"
    assert killed(workers, jobs.be_killed).reason == "memory"  # as the kernel does when the machine has none left


@pytest.mark.parametrize(
    ("function", "args", "how"), [(jobs.leave, (0,), "exit code 0"), (jobs.crash, (), "signal 11")]
)
def test_a_crash_costs_one_job(
    workers: Workers, function: object, args: tuple[object, ...], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = killed(workers, function, *args)
    assert (outcome.reason, outcome.detail) == ("crash", how)
    assert workers.run(jobs.double, 2) == 4
    assert ("jobs.py" in caplog.text) is (function is jobs.crash)  # the engineer learns where


def test_errors_come_through(workers: Workers) -> None:
    with pytest.raises(ValueError, match="坏") as caught:
        workers.run(jobs.refuse, "坏")
    assert "jobs.py" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Awkward: 甲"):
        workers.run(jobs.refuse_awkwardly)
    with pytest.raises(TypeError, match="cannot be pickled"):
        workers.run(jobs.give_what_cannot_be_pickled)
    with pytest.raises(ModuleNotFoundError):
        workers._finish(workers._submit(type("Lost", (), {"__module__": "lost", "__qualname__": "lost"}), ())).get()


def test_what_a_job_prints_never_mixes_with_its_reply_and_what_it_logs_comes_back(
    workers: Workers, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert workers.run(jobs.chatter) == "done"
    assert capfd.readouterr() == ("", "")
    assert ("a.reader", logging.WARNING, "worth knowing: 7") in caplog.record_tuples


def test_a_job_has_no_secret_in_its_environment(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    given = (
        "WAREHOUSE_URL", "ADMIN_URL", "SMTP_URL", "PERSON_HASH_KEY", "WEBHOOK_SECRET", "WEBHOOK_URL", "PGPASSWORD",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    )  # fmt: skip
    for name in given:
        monkeypatch.setenv(name, "not for readers")
    monkeypatch.setenv("LIMITS_FILE", "/somewhere")
    with Workers(1, TIGHT, secrets=True) as trusted:
        assert {trusted.run(jobs.environment)[name] for name in given} == {"not for readers"}
    found = workers.run(jobs.environment)
    assert "not for readers" not in found.values() and found["LIMITS_FILE"] == "/somewhere"


def test_large_requests_and_replies(workers: Workers) -> None:
    assert len(workers.run(jobs.give, 5_000_000)) == 5_000_000
    assert workers.run(jobs.size_of, bytes(5_000_000)) == 5_000_000


def test_map_keeps_the_order_and_looks_only_so_far_ahead(workers: Workers) -> None:
    taken: list[int] = []

    def arguments() -> Iterator[tuple[int]]:
        for number in range(20):
            taken.append(number)
            yield (number,)

    outcomes = workers.map(jobs.double, arguments(), ahead=3)
    assert taken == []
    assert next(outcomes).get() == 0 and taken == [0, 1, 2, 3]
    assert workers.run(jobs.double, 50) == 100  # another job in between
    assert next(outcomes).get() == 2 and taken == [0, 1, 2, 3, 4]
    assert [outcome.get() for outcome in outcomes] == [2 * number for number in range(2, 20)]


def test_map_goes_on_after_a_killed_job(workers: Workers) -> None:
    reasons = [
        outcome.error.reason if isinstance(outcome.error, JobKilled) else "done"
        for outcome in workers.map(jobs.take_memory, [(1,), (900,), (1,), (1,)])
    ]
    assert reasons == ["done", "memory", "done", "done"]


def test_what_nobody_waits_for_any_more_is_ended(workers: Workers, tmp_path: Path) -> None:
    outcomes = workers.map(jobs.wait_forever, [(tmp_path / "a",), (tmp_path / "b",)])
    assert isinstance(next(outcomes).error, JobKilled)
    outcomes.close()  # type: ignore[attr-defined]
    assert workers.run(jobs.double, 1) == 2
    assert all(ended(int((tmp_path / name).read_text())) for name in "ab")


def test_a_child_that_died_while_idle_is_replaced_unnoticed(workers: Workers) -> None:
    pid = workers.run(jobs.process)
    os.kill(pid, signal.SIGKILL)
    assert workers.run(jobs.double, 3) == 6


def test_a_function_of_the_module_that_python_was_started_with_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "started.py").write_text(
        "from include.intake.workers import Workers\n"
        "def triple(number):\n    return 3 * number\n"
        "if __name__ == '__main__':\n"
        "    with Workers(1) as workers:\n        print(workers.run(triple, 5))\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "started"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert (run.stdout, run.returncode) == ("15\n", 0), run.stderr


def test_a_child_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from include.intake.workers import Workers\nfrom tests.unit import jobs\n"
        "Workers(1).run(jobs.wait_forever, Path(sys.argv[1]))\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(started)], cwd=PROJECT)
    try:
        watch = 0
        while not (started.exists() and started.read_text()):
            assert starter.poll() is None and watch < 600, "the job did not begin"
            select.select([], [], [], 0.05)
            watch += 1
    finally:
        starter.kill()
        starter.wait()
    assert ended(int(started.read_text()))


def test_a_child_that_cannot_start_blames_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    with Workers(1, TIGHT) as workers, pytest.raises(WorkersUnusable, match="No module named 'include'"):
        workers.run(jobs.double, 1)


# ------------------------------------------------------------------------------------------------------ workbooks


def test_a_good_workbook_reads_the_same_as_without_a_child(workers: Workers, tmp_path: Path) -> None:
    path = tmp_path / "landed"
    path.write_bytes(to_xlsx(lay_out(rows=[ENTERPRISE])))
    found = workers.identify(path, "企业情况表.xlsx", "2026-10/灵山县", REPORTERS)
    assert (found.period, found.reporter_code, found.forms, found.findings) == (
        "2026-10", "450721", ["enterprise_status"], [],
    )  # fmt: skip
    (table,) = workers.read(path, "企业情况表.xlsx", "2026-10/灵山县", REPORTERS).tables
    assert table.columns["enterprise_name"] == [ENTERPRISE["enterprise_name"]]


def with_rows(xml: bytes) -> bytes:
    """A workbook whose first sheet has these rows instead of its own."""

    def replaced(old: bytes) -> bytes:
        head, _, rest = old.partition(b"<sheetData>")
        return head + b"<sheetData>" + xml + b"</sheetData>" + rest.partition(b"</sheetData>")[2]

    return with_part(to_xlsx(lay_out()), "xl/worksheets/sheet1.xml", replaced)


def test_a_hostile_file_costs_only_itself(tmp_path: Path) -> None:
    """Formula tags without a cell, which take the reader hours to place, and a sheet for which there is no memory."""
    good, slow, large = tmp_path / "good", tmp_path / "slow", tmp_path / "large"
    good.write_bytes(to_xlsx(lay_out()))
    slow.write_bytes(with_rows(b"<f>" * 2_500_000))
    row = "".join(f'<c r="{letter}{{0}}"><v>{{0}}</v></c>' for letter in "ABCDEFGHIJ")
    large.write_bytes(with_rows("".join(f"<row>{row.format(n)}</row>" for n in range(1, 100_001)).encode()))
    found = []
    for limits, names in (
        (replace(load_limits(), seconds=3.0), (good, slow, good)),
        (replace(load_limits(), memory_bytes=128 * 1024 * 1024), (large, good)),
    ):
        with Workers(2, limits) as workers:
            given = [(path, f"{path.name}.xlsx", "2026-10/灵山县", REPORTERS) for path in names]
            found += workers.identify_all(given)
    assert [[finding.code for finding in one.findings] for one in found] == [[], ["E-FILE-012"], [], ["E-FILE-013"], []]
    over_time, over_memory = found[1].findings[0].message_zh, found[3].findings[0].message_zh
    assert "“slow.xlsx”读取了 3 秒" in over_time and "重新报送" in over_time
    assert "“large.xlsx”所需的内存超过 128 MB" in over_memory and "重新报送" in over_memory
    assert {(one.period, one.reporter_code) for one in found} == {("2026-10", "450721")}


def test_a_file_over_the_size_limit_is_not_read(workers: Workers, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(40 * 1024**3)  # a hole: nothing of it lies on the disk
    for found in (
        workers.identify(path, "企业情况表.xlsx", "2026-10/灵山县", REPORTERS),
        workers.read(path, "企业情况表.xlsx", "2026-10/灵山县", REPORTERS).identification,
    ):
        (finding,) = found.findings
        assert finding.code == "E-FILE-003" and "40960.0 MB，超过上限 30 MB" in finding.message_zh
        assert (found.period, found.reporter_code) == ("2026-10", "450721")


# --------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value: 2000\n", "value: 0\n", "limit members must be a number above 0, not 0"),
        ("  sheets:", "  tabs:", "limit sheets is missing"),
        ("limits:\n", "limits:\n  more: {value: 1, reason_zh: 无}\n", "limit more is not known"),
        ("reason_zh: 小", "why: 小", "limit expansion_checked_mb needs a reason_zh"),
    ],
)
def test_limits_that_cannot_be_used(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (PROJECT / "include" / "config" / "limits.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "limits.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(LimitsError, match=message):
        read_limits(tmp_path / "limits.yaml")
