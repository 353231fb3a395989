"""`make run PERIOD=2026-10 INBOX=path`: the same chain over one's own workbooks."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from include.operate import summary
from include.operate.chain import drive, period_states
from include.operate.session import Clock, heading, print_account, print_outputs, session, verdict

SECONDS = 6 * 3600.0
PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
WORKBOOKS = {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".et", ".csv", ".zip"}


class BadRequest(ValueError):
    """PERIOD or INBOX cannot be used; the message says, in both languages, what to write."""


def checked(period: str, inbox: str) -> tuple[str, Path]:
    """Period and absolute folder.

    Raises:
        BadRequest: a malformed period, a folder that is missing or holds no workbook.
    """
    if not PERIOD.fullmatch(period or ""):
        raise BadRequest(f"报告期“{period}”格式不对，请写成 2026-10 / PERIOD must look like 2026-10, not {period!r}")
    folder = Path(inbox).expanduser().resolve()
    if not inbox or not folder.is_dir():
        raise BadRequest(f"找不到文件夹 {inbox}，请检查 INBOX / there is no folder {inbox}: check INBOX")
    if not any(path.suffix.lower() in WORKBOOKS for path in folder.rglob("*") if path.is_file()):
        raise BadRequest(f"文件夹 {folder} 里没有报表文件 / there is no workbook in {folder}: put the workbooks there")
    return period, folder


def run(period: str, inbox: str) -> int:
    """Collect the folder, build and publish the period; 0 only when its report exists and reconciles."""
    try:
        period, folder = checked(period, inbox)
    except BadRequest as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 2
    clock = Clock()
    with session("run", clock) as opened:
        # To run a month by hand is to ask for its files to be taken, also after its closing day.
        result = drive(
            opened.client,
            lambda: opened.conn,
            inbox=folder,
            periods=[period],
            reopen=True,
            say=clock.say,
            seconds=SECONDS,
        )
        if period not in period_states(opened.conn):
            print(summary.unplaced_table(opened.conn, [period]) or "", flush=True)
            print(
                f"error: {folder} 中没有 {period} 的报表 / no workbook of {period} was found in {folder}; "
                "the period is read from the title, the sheet or the folder name",
                file=sys.stderr,
            )
            return 1
        print_account(opened, [period])
        heading(f"{period} 问题清单 / findings")
        print(summary.findings_table(opened.conn, period))
        missing = print_outputs(opened, [period])
        code = verdict(result, missing)
        for other, state in period_states(opened.conn).items():
            if state.pending:
                print(
                    f"另有 {other} 的 {state.pending} 份文件已登记、未处理 / {state.pending} files of {other} wait: "
                    f"make run PERIOD={other} INBOX={shlex.quote(inbox)}"
                )
    heading("结果 / result")
    if code == 0:
        print(f"✓ {period} 月报已生成并核对一致 / the report exists and reconciles")
    else:
        print("✗ 未完成，原因见上；改正后重新运行 / not complete, see above; mend it and run again")
    print(f"用时 {clock.seconds:.1f} s")
    return code
