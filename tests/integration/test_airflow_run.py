"""One period through a real Airflow: its own PostgreSQL, scheduler, DAG processor, triggerer and API server.

Undisturbed first, in a ``var`` folder of its own; then once more from an empty ledger, while its processes are killed.
``python -m tests.endurance.kills`` does the latter many times over, one process at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from include.settings import get_settings
from include.warehouse import embedded
from tests.databases import prepared_dump, restore_prepared, settings_of
from tests.endurance.kills import Ending, ending
from tests.endurance.victims import Killer, Plan
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, enterprise, post, write_form

PROJECT_ROOT = Path(__file__).resolve().parents[2]
PERIOD = "2026-03"
COUNTY, CODE = "宾阳县", "450126"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def var(var_dir: Path) -> Iterator[Path]:
    """A fresh ``var`` folder beside the session's; whatever still runs in it is stopped at the end."""
    folder = var_dir.parent / "operate-var"
    folder.mkdir()
    # One county: a month then has three editions, not 35.
    header = "reporter_code,reporter_name,region_code,city_code,pilot_level,valid_from,valid_to,is_sample"
    reporters = f"{header}\n{CODE},{COUNTY},{CODE},450100,市级试点,2022-02-25,,true\n"
    reporters_of(folder).write_text(reporters, encoding="utf-8")
    yield folder
    operate(folder, "down")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two workbooks of one county, one row of them with a blank required number."""
    folder = tmp_path_factory.mktemp("报表")
    good, blank = enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2, shortage_now=None)
    write_form(
        folder / PERIOD / COUNTY / "企业情况表.xlsx", "企业情况表", COUNTY, PERIOD, STATUS_HEADERS, [good, blank]
    )
    write_form(
        folder / PERIOD / COUNTY / "企业用工需求表.xlsx",
        "企业用工需求表",
        COUNTY,
        PERIOD,
        DEMAND_HEADERS,
        [post(good, "木工")],
    )
    return folder


def reporters_of(var: Path) -> Path:
    return var / "reporters.csv"


def environment(var: Path) -> dict[str, str]:
    """As a user's shell would have it: only ``var`` folder and list of reporters differ from the default."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    return {**kept, "VAR_DIR": str(var), "REPORTERS_FILE": str(reporters_of(var))}


def ending_of(var: Path) -> Ending:
    """Marts and outbox as they were left; the server is stopped again."""
    with settings_of(environment(var)):
        found = ending(get_settings().outbox)
        embedded.stop()
    return found


def operate(var: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "include.operate", *words],
        cwd=PROJECT_ROOT, env=environment(var), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def alive(var: Path) -> list[str]:
    """Processes that carry the stack's mark, and servers of its database."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get("LABOUR_STACK") == str(var)
            if process.status() != psutil.STATUS_ZOMBIE and (marked or str(var) in process.cmdline()):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


class Visitor(threading.Thread):
    """Looks at the status page of a stack while it runs, until the county's form is shown as accepted.

    Attributes:
        answers: of visitors without a token, with a forged one, and signed in: every status met.
        seen: the page as the signed-in one had it last; ``leaked``: what the others should not have had.
    """

    def __init__(self, var: Path) -> None:
        super().__init__(daemon=True)
        self.var = var
        self.answers: dict[str, set[int]] = {"anonymous": set(), "forged": set(), "signed in": set()}
        self.seen = self.leaked = ""
        self.over = threading.Event()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def run(self) -> None:
        while not self.over.wait(0.5) and "采用" not in self.seen:
            with contextlib.suppress(OSError, ValueError):  # not up yet, or over
                self._look()

    def _look(self) -> None:
        url = json.loads((self.var / "airflow" / "run" / "stack.json").read_text())["url"]
        login = json.loads((self.var / "airflow" / "passwords.json").read_text())
        [(user, password)] = login.items()
        body = json.dumps({"username": user, "password": password}).encode()
        asked = urllib.request.Request(f"{url}/auth/token", body, {"Content-Type": "application/json"})
        with self._opener.open(asked, timeout=10) as answer:
            token = json.load(answer)["access_token"]
        for visitor, sent in (("anonymous", ""), ("forged", token[:-8] + "AAAAAAAA"), ("signed in", token)):
            page = f"{url}/labour/month?period={PERIOD}"
            asked = urllib.request.Request(page, headers={"Authorization": f"Bearer {sent}"} if sent else {})
            try:
                with self._opener.open(asked, timeout=10) as answer:
                    status, content = answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                status, content = refused.code, refused.read().decode()
            self.answers[visitor].add(status)
            if visitor == "signed in" and status == 200:
                self.seen = content
            if visitor != "signed in" and COUNTY in content:
                self.leaked = content


def test_a_period_runs_from_workbooks_to_report_and_leaves_nothing_running(var: Path, inbox: Path) -> None:
    visitor = Visitor(var)
    visitor.start()
    done = operate(var, "run", "--period", PERIOD, "--inbox", str(inbox))
    visitor.over.set()
    visitor.join(30)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    output = done.stdout
    # Meanwhile the status page showed the county to whoever had signed in, and to nobody else.
    assert (visitor.answers["anonymous"], visitor.answers["forged"], visitor.leaked) == ({401}, {403}, "")
    assert COUNTY in visitor.seen and "采用" in visitor.seen
    for dag_id in ("collect_submissions", "build_warehouse", "publish_report"):
        assert f"{dag_id}  " in output
    assert "✗" not in output
    # The county's line: two of its three forms, one row held back because a required number is blank.
    county = next(line for line in output.splitlines() if line.startswith(COUNTY))
    assert "2/3" in county
    assert "R-" in output and "AJ6" in output
    reports = {path.suffix for path in (var / "outbox" / PERIOD).iterdir() if path.is_file()}
    assert {".docx", ".xlsx", ".html"} <= reports
    assert list((var / "outbox" / PERIOD).glob(f"退回表/{COUNTY}/*-退回表.xlsx"))
    assert alive(var) == []
    for name in ("secrets.json", "passwords.json"):
        assert stat.S_IMODE((var / "airflow" / name).stat().st_mode) == 0o600


def kill_while_starting(var: Path, inbox: Path) -> None:
    """Start a run and, once its Airflow is being started, kill it as the system would: no clean-up of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "include.operate", "run", "--period", PERIOD, "--inbox", str(inbox)],
        cwd=PROJECT_ROOT, env=environment(var), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    state = var / "airflow" / "run" / "stack.json"
    try:
        _until(lambda: state.exists() and psutil.pid_exists(json.loads(state.read_text())["pid"]), 60)
    finally:
        process.kill()
        process.wait()


def test_a_stack_whose_starter_is_killed_ends_by_itself(var: Path, inbox: Path) -> None:
    kill_while_starting(var, inbox)
    _until(lambda: not [line for line in alive(var) if "postgres" not in line], 60)
    down = operate(var, "down")
    assert down.returncode == 0, down.stderr
    assert "stopped" in down.stdout
    assert alive(var) == []


def test_a_month_in_which_everything_is_killed_ends_as_the_undisturbed_one(var: Path, inbox: Path) -> None:
    """First whoever started it, so it is started again at once; then no further help from outside."""
    undisturbed = ending_of(var)
    assert len(undisturbed.marts) > 20 and len(undisturbed.files) > 5
    dump = prepared_dump()
    with settings_of(environment(var)):
        restore_prepared(dump)
        for folder in (get_settings().outbox, get_settings().drafts, get_settings().work):
            shutil.rmtree(folder, ignore_errors=True)
    kill_while_starting(var, inbox)
    assert alive(var)
    killer = Killer(
        var,
        [Plan("worker", "read"), Plan("api-server", "validate"), Plan("postgres", "build_marts", 3.0),
         Plan("scheduler", "render", 1.0)],
    )  # fmt: skip
    killer.start()
    done = operate(var, "run", "--period", PERIOD, "--inbox", str(inbox))
    killer.over.set()
    killer.join(30)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert killer.failure is None and [kill.plan for kill in killer.kills] == killer.plans
    assert all(kill.plan.step in kill.running for kill in killer.kills)
    assert alive(var) == []
    assert ending_of(var).differences(undisturbed) == []


@pytest.mark.parametrize(
    ("period", "folder", "words"),
    [
        ("2026-13", ".", "PERIOD must look like 2026-10"),
        ("2026-03", "/no/such/folder", "there is no folder"),
        ("2026-03", "docs", "there is no workbook"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_starts(var: Path, period: str, folder: str, words: str) -> None:
    done = operate(var, "run", "--period", period, "--inbox", folder)
    assert done.returncode == 2
    assert words in done.stderr
    assert alive(var) == []


def _until(holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
