"""The quality rules over many readings at once: what they say of a book beyond what the reader says.

Starting the rules' engine costs seconds and a run over thousands of rows hardly more, so readings are collected and
judged together. Every submission gets a county of its own, so that no two of them meet.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from include.forms.model import load_forms
from include.intake.reading import WorkbookReading
from include.quality.findings import Finding
from include.quality.runner import examine
from tests.corpus.book import PERIOD, Book, Said

#: what the messes of the table are told by; other rules have tests of their own
WATCHED = frozenset({"R-DUP-001", "W-NAM-001", "W-IND-001", "W-JMP-001"})


def watched(said: list[Said]) -> list[Said]:
    return [one for one in said if one[0] in WATCHED]


def rule_findings(readings: Mapping[str, WorkbookReading], books: Mapping[str, Book]) -> dict[str, list[Finding]]:
    """Findings of the watched rules by submission; the month before held every book's rows unspoilt."""
    found: dict[str, list[Finding]] = {name: [] for name in readings}
    for form in load_forms():
        frames, layouts, before = [], {}, []
        for name, reading in readings.items():
            for table in reading.tables:
                if table.form != form or table.refused or reading.refused or not table.source_rows:
                    continue
                place = {"submission_id": name, "county_code": name, "reporter_code": name, "period": PERIOD}
                rows = {"sheet": table.sheet_of_row, "source_row": table.source_rows, **table.columns}
                frames.append(pd.DataFrame(rows).assign(**place))
                layouts.update({(name, sheet): columns for sheet, columns in table.layout.items()})
            truths = [line.truth for page in books[name].pages if page.form.name == form for line in page.data]
            before += [{**truth, "county_code": name, "reporter_code": name, "is_held": False} for truth in truths]
        if not frames:
            continue
        history = {"previous": pd.DataFrame(before)} if form == "enterprise_status" else {}
        frame = pd.concat([one.astype(object) for one in frames], ignore_index=True)
        for row in examine(form, frame, history, layout_of=layouts).findings:
            if row.finding.code in WATCHED:
                found[row.submission_id].append(row.finding)
    return found
