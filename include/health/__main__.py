"""``python -m include.health``: look and print, record and send nothing; 1 when something is critical."""

from __future__ import annotations

import sys
from datetime import datetime

from include.health.problem import texts
from include.health.run import Look, ask_airflow, look
from include.intake.calendar import SHANGHAI
from include.quality.thresholds import ThresholdError
from include.settings import get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.migrate import MigrationError, migrate


def printed(seen: Look, now: datetime) -> str:
    """What a look found, for the terminal, in Chinese and English."""
    words = texts()["terminal"]
    lines = [f"{words['title']}  {now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"]
    for problem in seen.problems:
        kind, severity = texts()["problems"][problem.code], texts()["severities"][problem.severity]
        lines += ["", f"[{severity['zh']} {severity['en']}] {kind['name']['zh']} {kind['name']['en']}"]
        lines += [f"  {problem.message_zh}", f"  {problem.message_en}"]
        if problem.since:
            lines.append("  " + words["since"].format(since=f"{problem.since.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"))
        lines.append("  " + words["do"].format(**kind["do"], page=kind["page"]))
    if not seen.problems:
        lines += ["", words["well"]]
    if seen.unchecked:
        lines += ["", words["unchecked"].format(names=", ".join(seen.unchecked))]
    lines += ["", words["figures"]]
    lines += [f"  {figure.label_zh}：{figure.shown}" for figure in seen.figures]
    return "\n".join(lines)


def main() -> int:
    """Entry point."""
    now = datetime.now(SHANGHAI)
    settings = get_settings()
    try:
        with connect(autocommit=True) as conn:
            migrate(conn)
            seen = look(conn, settings, now, ask_airflow(settings, now))
    except (EmbeddedPostgresError, MigrationError, ThresholdError, WarehouseUnreachableError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(printed(seen, now))
    return 1 if any(problem.severity == "critical" for problem in seen.problems) else 0


if __name__ == "__main__":
    sys.exit(main())
