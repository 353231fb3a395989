"""``python -m tests.corpus report``: makes the corpus, reads it, and holds every outcome against the manifest.

Exit code 0: every fixture that could be made came out as the manifest says and no loaded value is silently wrong;
1: something differs; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.settings import PROJECT_ROOT
from tests.corpus import foreign
from tests.corpus.book import Book, clean_page
from tests.corpus.fixtures import Expected, Made, draft, fixtures, load_manifest, make, read_all, shown
from tests.corpus.judging import read_book, said_by, silently_wrong, truths
from tests.corpus.messes import TITLES
from tests.corpus.writing import write


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report."""

    made: Made
    expected: Expected | None
    differences: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not self.differences and not self.wrong


def judge(made: Sequence[Made], manifest: dict[str, Expected]) -> list[Result]:
    """Every fixture against the manifest; one that the manifest does not know, or knows and nobody made, differs."""
    results = []
    for one in made:
        expected = manifest.get(one.fixture.name)
        if expected is None:
            results.append(Result(one, None, ("not in the manifest",), ()))
        elif one.reading is None:
            results.append(Result(one, expected, (), ()))
        else:
            differences = []
            if one.outcome != expected.outcome:
                differences.append(f"outcome {one.outcome}")
            said = list(one.said)
            for finding in expected.findings:
                if finding in said:
                    said.remove(finding)
                else:
                    differences.append(f"missing {shown(finding)}")
            differences += [f"unexpected {shown(finding)}" for finding in said]
            results.append(Result(one, expected, tuple(differences), tuple(one.wrong(expected.true_rows))))
    return results


def unknown_names(made: Sequence[Made], manifest: dict[str, Expected]) -> list[str]:
    """Fixtures of the manifest that nobody makes any more."""
    return sorted(manifest.keys() - {one.fixture.name for one in made})


def report(results: Sequence[Result], gone: Sequence[str], seconds: float) -> str:
    """The report as Markdown."""
    made = [one for one in results if one.made.reading is not None]
    silent = sum(len(one.wrong) for one in made)
    lines = [
        "# Corpus report",
        "",
        "Every row of the table 'How real workbooks go wrong', spoilt by several programs, read, and held against "
        "`tests/corpus/manifest.yaml`.",
        "",
        f"- fixtures: {len(results)}",
        f"- made and read: {len(made)}",
        f"- equal to the manifest: {sum(one.equal for one in made)}",
        f"- silently wrong values: {silent}",
        f"- seconds: {seconds:.0f}",
        "",
        "| # | row of the table | fixture | written by | expected | actual | equal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in results:
        fixture = one.made.fixture
        expected = _cell(one.expected.outcome, [shown(f) for f in one.expected.findings]) if one.expected else "?"
        if one.made.reading is None:
            actual, equal = f"not made: {one.made.not_made}", "-"
        else:
            actual = _cell(one.made.outcome, [shown(finding) for finding in one.made.said])
            equal = "yes" if one.equal else "**no**: " + "; ".join([*one.differences, *one.wrong][:6])
        number = fixture.mess.number
        lines.append(
            f"| {number} | {TITLES[number]} | {fixture.name} | {fixture.writer} | {expected} | {actual} | {equal} |"
        )
    messes = {one.made.fixture.mess for one in results}
    elsewhere = {(one.number, test) for one in messes for test in one.elsewhere}
    lines += ["", "Beyond reading:", ""]
    lines += [f"- row {number}: `{test}`" for number, test in sorted(elsewhere)]
    lines += [f"- in the manifest, but made by nobody: {name}" for name in gone]
    return "\n".join(lines) + "\n"


def foreign_report() -> tuple[str, int]:
    """The formats that LibreOffice writes beside ours: what comes of each, and the silently wrong values in them."""
    cases, why = foreign.by_libreoffice()
    lines = ["", "## The same form in other formats", ""]
    if why:
        return "\n".join([*lines, f"not made: {why}", ""]), 0
    lines += ["| written as | outcome | silently wrong |", "| --- | --- | --- |"]
    book = Book([clean_page("enterprise_status", (1, 2, 3))], "openpyxl", "")
    true_rows = truths(book, write(book)[1])
    total = 0
    for name, file_name, data, _ in cases:
        reading = read_book(data, file_name, "2026-10/灵山县")
        wrong = silently_wrong(reading, true_rows)
        total += len(wrong)
        outcome = "refused" if reading.refused else "read"
        said = ", ".join(dict.fromkeys(code for code, _, _ in said_by(reading)))
        reasons = "; ".join(one.message_zh for one in reading.findings if one.severity == "E")
        lines.append(f"| {name} | {outcome} {said} {reasons} | {'; '.join(wrong) or 0} |")
    return "\n".join([*lines, ""]), total


def _cell(outcome: str, findings: Sequence[str]) -> str:
    return outcome + (": " + ", ".join(findings) if findings else "")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("command", choices=("report", "draft"))
    parser.add_argument("--folder", type=Path, default=PROJECT_ROOT / "var" / "corpus")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    made = make(fixtures())
    read_all(made)
    folder: Path = options.folder
    (folder / "files").mkdir(parents=True, exist_ok=True)
    for one in made:
        if one.data is not None:
            (folder / "files" / f"{one.fixture.name}{Path(one.book.file_name).suffix}").write_bytes(one.data)
    if options.command == "draft":
        place = folder / "manifest.draft.yaml"
        place.write_text(draft(made), encoding="utf-8")
        print(f"draft of the manifest, to be held against the table by a person: {place}")
        return 0
    manifest = load_manifest()
    results, gone = judge(made, manifest), unknown_names(made, manifest)
    others, wrong = foreign_report()
    text = report(results, gone, time.monotonic() - began) + others
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"report: {folder / 'report.md'}; workbooks: {folder / 'files'}")
    return 0 if all(one.equal for one in results) and not gone and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
