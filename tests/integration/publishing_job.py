"""One publication as a process of its own, killed by SIGKILL at a marked place or at a given moment."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

# Imported once by the process that all jobs are forked from.
PRELOAD = [
    "include.pipeline.publish",
    "include.notify.notifier",
    "tests.ready_reports",
    "tests.integration.publishing_job",
]


def run(
    environment: Mapping[str, str], kind: str, place: tuple[str, str, int, str] | None, after: float | None
) -> None:
    """Render, approve, deliver; each as Airflow would start it again.

    Args:
        environment: settings of the installation.
        kind: ``ready`` files or those of the ``real`` writers.
        place: module, function, number of the call, ``before`` or ``after`` it: there the process is killed.
        after: seconds from the start of the work after which it is killed.
    """
    os.environ.update(environment)
    from include.pipeline import publish
    from include.settings import get_settings
    from tests.ready_reports import FIGURES, ReadyReports, gate

    get_settings.cache_clear()
    reports: Any = ReadyReports(FIGURES) if kind == "ready" else RealReports()
    if place is not None:
        _mark(*place)
    if after is not None:
        threading.Thread(target=_kill_after, args=(after,), daemon=True).start()
    rendered = publish.render(gate(), reports)
    if publish.approval_request(rendered, "run") is not None:
        publish.decide_report(rendered, is_approved=True, actor="李四", reason_zh="")
    publish.deliver(rendered)


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _mark(module: str, name: str, call: int, when: str) -> None:
    """Kill this process at the given call of a function, before or after it does its work."""
    owner: Any = importlib.import_module(module.partition(":")[0])
    for part in module.partition(":")[2].split(".") if ":" in module else ():
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def marked(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == call and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, marked)


class RealReports:
    """The report's own writers over made-up mart rows: no database of marts is needed."""

    def collect_issue(self, conn: Any, period: str) -> Any:
        import dataclasses

        from include.report.figures import assemble
        from include.report.render import Collected, figures_digest
        from tests.report_rows import mart_rows
        from tests.trace_rows import trace_sources

        rows = mart_rows()
        figures = dataclasses.replace(assemble(rows, "2026-04"), is_sample=True)
        return Collected(period, (figures,), len(figures.figures), figures_digest(figures), trace_sources(rows))

    def printed(self, collected: Any) -> Any:
        from include.report.model import edition_key
        from include.report.printed import printed_figures

        return {edition_key(one.edition): printed_figures(one) for one in collected.editions}

    def write_issue(self, collected: Any, folder: Any, **issue: Any) -> Any:
        from include.report.render import write_issue

        return write_issue(collected, folder, **issue)
