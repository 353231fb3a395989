"""A renderer of a few words a file, with the interface of the report's own: publishing without dbt, charts, Word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from include.report.model import Edition
from include.report.printed import Printed

PERIOD = "2026-03"
EDITIONS = {
    "province": Edition("province", "450000", "广西壮族自治区"),
    "city.450700": Edition("city", "450700", "钦州市"),
    "county.450702": Edition("county", "450702", "钦南区", "450702"),
    "county.450721": Edition("county", "450721", "灵山县", "450721"),
}
# Edition to key to what is printed.
FIGURES: dict[str, dict[str, str]] = {
    "province": {"region.shortage_now": "42", "city.450700.shortage_now": "42", "reporting.data_cutoff": "5日"},
    "city.450700": {"region.shortage_now": "42", "county.450721.shortage_now": "30"},
    "county.450702": {"region.shortage_now": "12"},
    "county.450721": {"region.shortage_now": "30"},
}
FOLDERS = {"province": "", "city": "分市", "county": "分县"}


def changed(**by_edition: str) -> dict[str, dict[str, str]]:
    """The figures with other shortages: ``changed(province="43", county_450721="31")``."""
    figures = {edition: dict(printed) for edition, printed in FIGURES.items()}
    for name, text in by_edition.items():
        figures[name.replace("_", ".")]["region.shortage_now"] = text
    return figures


def gate(maturity: str = "final", input_hash: str = "data", **other: Any) -> dict[str, Any]:
    """A decision as ``check_gate`` gives it."""
    return {
        "period": PERIOD, "maturity": maturity, "reason_zh": "应报单位2个，报表全部审核采用的2个", "coverage": 1.0,
        "missing": [], "data_cutoff": "2026-04-05T10:00:00+08:00", "input_hash": input_hash, **other,
    }  # fmt: skip


@dataclass(frozen=True)
class ReadyReports:
    """Prints ``figures``; each file says all that was handed to its writer."""

    figures: Mapping[str, Mapping[str, str]]

    def collect_issue(self, conn: Any, period: str) -> Any:
        editions = tuple(SimpleNamespace(edition=EDITIONS[key], is_sample=True) for key in self.figures)
        content = json.dumps(self.figures, sort_keys=True)
        return SimpleNamespace(
            editions=editions, checked=6, figures_sha256=hashlib.sha256(content.encode()).hexdigest()
        )

    def printed(self, collected: Any) -> dict[str, dict[str, Printed]]:
        return {
            edition: {key: Printed(f"{key}的说明", text) for key, text in printed.items()}
            for edition, printed in self.figures.items()
        }

    def write_issue(
        self, collected: Any, folder: Path, *, corrections: Mapping[str, Any], **issue: Any
    ) -> dict[str, dict[str, Path]]:
        written: dict[str, dict[str, Path]] = {}
        for key, figures in self.figures.items():
            edition = EDITIONS[key]
            place = folder / FOLDERS[edition.level]
            if edition.level != "province":
                place /= edition.region_name
            place.mkdir(parents=True, exist_ok=True)
            written[key] = {}
            for suffix in ("docx", "xlsx", "html"):
                path = place / f"月报.{suffix}"
                said = [f"{one.label} {one.before} {one.now}" for one in corrections.get(key, ())]
                path.write_text(json.dumps([key, suffix, figures, issue, said], ensure_ascii=False, sort_keys=True))
                written[key][suffix] = path
        return written
