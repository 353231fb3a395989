"""From the figures of the report to the cells behind them: read in bulk once a period, handed to a page compactly.

A page carries each cell once, in lists by workbook, sheet and column; a figure names the column, the place and the
condition on the lines (an industry, a size, a post), and the page lists and adds up the cells that meet it. So the
sum that the reader sees is added up before his eyes, not printed beside the figure.

``read_sources`` asks the marts (facts, files, columns) once; ``traces`` cuts out an edition and is pure. What a figure
is made of stands in ``traces.yaml``. No person, payee or name of an enterprise is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql
from psycopg.rows import dict_row

from include.report.figures import SIZE_CODES, TREND_MONTHS, shift_period
from include.report.model import Edition, ReportFigures
from include.report.numbers import local_instant

CELL_FACTS = ("alert", "target", "post", "training", "claim", "enterprise")
# Decimal places that the whole numbers of a fact's cells stand for.
_DECIMALS = {"claim": 2}
_SQL = Path(__file__).parent / "sql" / "traces"
_LEDGER_KEYS = ("expected", "received", "on_time", "accepted", "first_pass")
_LEDGER_COUNTS = ("findings_e", "findings_r", "findings_w", "cells_read", "cells_filled")
# A change, its base, and what it is the change of: of the same reporters, or of all.
_CHANGES = {
    "change_lfl": ("lfl", "lfl_previous"),
    "change_plain": ("", "previous"),
    "change_yoy": ("yoy", "year_ago"),
}
# Delivered is compared with needed only where both were accepted.
_TRAINING_FORMS = ("labour_demand", "subsidy_payment")
_DISTINCT = {"alert": {"alert"}}
# Columns of texts and dates, whose cells are named and never read.
_UNREAD = {"enterprise": ("uscc",), "claim": ("item", "reviewed_on"), "alert": ("item",)}
_CUTOFF_KEYS = {"form": "form", "reporter": "reporter_code"}
_VARIANTS = ("lfl", "lfl_previous", "previous", "yoy", "year_ago", "both")

# What adds up to a target's reported value is said once, in the seed that marts.trace reads too.
_TARGET_RULE = """
select condition, contribution from reference.trace_measures
where mart = 'mart_programme_progress' and measure = 'reported_value'
"""

RowDict = Mapping[str, Any]


@lru_cache(maxsize=1)
def rules() -> Mapping[str, Any]:
    """The content of ``traces.yaml``."""
    loaded: Mapping[str, Any] = yaml.safe_load((Path(__file__).parent / "traces.yaml").read_text(encoding="utf-8"))
    return loaded


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of one sheet of one workbook (or one line of the ledger, or one file).

    Attributes:
        fact: ``enterprise``, ``post``, ``training``, ``claim``, ``trend``, ``file`` or ``ledger``.
        submission_id: its workbook; of the ledger's lines it may be missing.
        rows: the row of each line (``48``, or ``48:K`` where one row gives a line for each of several columns).
        keys: by name, the value of each line that conditions ask for.
        cells: by column of the form, the value of each line; amounts in 分; blank where nothing stands.
    """

    fact: str
    period: str
    submission_id: str | None
    sheet: str
    line_count: int
    rows: Sequence[str]
    keys: Mapping[str, Sequence[str]]
    cells: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the traces of a period's editions are cut out of.

    Attributes:
        files: by ``submission_id``, the row of ``sql/traces/files.sql``.
        columns: by ``submission_id`` and sheet, column of the form to (letter, header).
        ledger: rows of ``sql/traces/ledger.sql``.
        known: (region, target) to what the value of a target is known from, where not from a report.
        sheets: raw rows of the facts by their name; lists of cells are still joined texts, parsed when needed.
    """

    period: str
    files: Mapping[str, RowDict]
    columns: Mapping[tuple[str, str], Mapping[str, tuple[str, str]]]
    ledger: Sequence[RowDict]
    known: Mapping[tuple[str, str], str]
    sheets: Mapping[str, Sequence[RowDict]]

    def of(self, edition: Edition) -> Sources:
        """What belongs to an edition, and nothing else: small enough to be sent to another process."""
        if edition.level == "province":
            return self
        ledger = tuple(row for row in self.ledger if _belongs(row, edition))
        files = {name: row for name, row in self.files.items() if _belongs(row, edition)}
        return Sources(
            self.period,
            files,
            {place: found for place, found in self.columns.items() if place[0] in files},
            ledger,
            self.known,
            {
                fact: tuple(
                    row
                    for row in rows
                    # An alert is of one county, though it may be about lines of another's ledger as well.
                    if row["submission_id"] in files and ("county_code" not in row or _belongs(row, edition))
                )
                for fact, rows in self.sheets.items()
            },
        )


def _belongs(row: RowDict, edition: Edition) -> bool:
    return bool(row["city_code" if edition.level == "city" else "county_code"] == edition.region_code)


@dataclass(frozen=True, slots=True)
class Traces:
    """What the page of one edition embeds (see ``payload``).

    Attributes:
        entries: by figure key (and by the keys of parts that are not printed), how it is made.
        blocks: the lines, of this edition's places only.
        summed: facts (with their month) whose cells were too many for the page and stand as sums by workbook.
        cell_count: cells embedded one by one.
    """

    files: Sequence[Sequence[Any]]
    blocks: Sequence[Mapping[str, Any]]
    entries: Mapping[str, Mapping[str, Any]]
    hows: Sequence[str]
    summed: tuple[str, ...]
    cell_count: int

    @classmethod
    def none(cls) -> Traces:
        """Of a page whose figures do not open."""
        return cls((), (), {}, (), (), 0)

    def payload(self) -> dict[str, Any]:
        """The page's own data: plain lists and texts, in a fixed order."""
        return {"files": self.files, "blocks": self.blocks, "entries": self.entries, "hows": self.hows}


def collect_traces(conn: psycopg.Connection[Any], figures: ReportFigures) -> Traces:
    """The source cells of every figure of one edition.

    For many editions of a period ask :func:`read_sources` once and :func:`traces` for each.
    """
    return traces(read_sources(conn, figures.period), figures)


def read_sources(conn: psycopg.Connection[Any], period: str) -> Sources:
    """Read files, columns, ledger and lines of a period and of the month before, for all places, each with one query.

    Cells stay joined texts here: 111 counties of 1,000 enterprises are some 40 MB.
    """
    parameters = {
        "period": period,
        "previous": shift_period(period, -1),
        "trend_from": shift_period(period, 1 - TREND_MONTHS),
        "columns": _form_columns(),
    }
    names = ("files", "columns", "ledger", "known", "trend", *CELL_FACTS)
    found: dict[str, list[dict[str, Any]]] = {}
    with conn.cursor(row_factory=dict_row) as cursor:
        rule = cursor.execute(_TARGET_RULE).fetchone()
        assert rule is not None
        seeded = {name: sql.SQL(text) for name, text in rule.items()}
        for name in names:
            statement = sql.SQL((_SQL / f"{name}.sql").read_text(encoding="utf-8"))
            composed = statement.format(**seeded) if name == "target" else statement
            found[name] = cursor.execute(composed, parameters).fetchall()
    columns: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for row in found["columns"]:
        place = columns.setdefault((row["submission_id"], row["sheet"]), {})
        place[row["column_name"]] = (row["column_letter"], row["header_text"])
    return Sources(
        period,
        {row["submission_id"]: row for row in found["files"]},
        columns,
        tuple(found["ledger"]),
        {(row["region_code"], row["target_id"]): row["known_from"] for row in found["known"]},
        {name: tuple(found[name]) for name in ("trend", *CELL_FACTS)},
    )


def _form_columns() -> list[str]:
    return sorted(
        {column for group in rules()["sums"].values() for one in group.values() for column in one.get("cells", ())}
    )


def traces(sources: Sources, figures: ReportFigures) -> Traces:
    """Cut the traces of one edition out of its period's sources. Pure: equal arguments give equal traces."""
    return _Tracer(sources.of(figures.edition), figures).result()


# -- which lines a figure takes ----------------------------------------------------------------------------------------


class _Tracer:
    def __init__(self, sources: Sources, figures: ReportFigures) -> None:
        self.sources = sources
        self.figures = figures
        self.rules = rules()
        self.entries: dict[str, dict[str, Any]] = {}
        self.hows: list[str] = []
        codes: dict[str, str] = {}
        for row in sources.ledger:
            codes.setdefault(row["reporter_name"], row["reporter_code"])
        self.reporter_codes = codes
        self.sizes = {code: label or "" for label, code in SIZE_CODES.items()}

    def result(self) -> Traces:
        for key in self.figures.figures:
            self.entry(key)
        self.comparisons()
        blocks, summed, cell_count = self.blocks()
        files, numbers = self.files(blocks)
        return Traces(
            files,
            [self.packed(block, numbers) for block in blocks],
            dict(sorted(self.entries.items())),
            self.hows,
            summed,
            cell_count,
        )

    def entry(self, key: str) -> None:
        """Find out how the figure of ``key`` is made, and its parts with it."""
        if key in self.entries:
            return
        scope, codes, measure, variant = self.parts(key)
        found: dict[str, Any] | None = None
        name = f"{measure}.{variant}" if variant else measure
        if key == "reporting.data_cutoff":
            found = self.cutoff()
        elif scope is not None and (rule := self.ratio_rule(scope, name)) is not None:
            found = self.ratio(key, name, rule)
        elif scope is not None and variant in _CHANGES:
            found = self.change(key, variant)
        elif scope is not None:
            found = self.sum(key, scope, codes, measure, variant)
        self.entries[key] = found if found is not None else {"t": "note", "h": self.how(self.note(key))}
        for part in (*self.entries[key].get("o", ()), *self.entries[key].get("u", ())):
            self.entry(part)

    def ratio_rule(self, scope: str, name: str) -> RowDict | None:
        found: RowDict | None = self.rules["ratios"].get(f"{scope}/{name}", self.rules["ratios"].get(name))
        return found

    def parts(self, key: str) -> tuple[str | None, list[str], str, str]:
        """Scope, codes, measure and variant of a key; scope ``None`` where the rules know none."""
        pieces = key.split(".")
        scope = self.rules["scopes"].get(pieces[0])
        if scope is None:
            return None, [], "", ""
        if scope.get("is_long"):
            pieces = [pieces[0], pieces[1], ".".join(pieces[2:-1]), pieces[-1]]
        width = len(scope.get("keys", ())) or int(bool(scope.get("place") or scope.get("period")))
        codes, rest = pieces[1 : 1 + width], pieces[1 + width :]
        if not rest:
            return None, [], "", ""
        return pieces[0], codes, rest[0], ".".join(rest[1:])

    def note(self, key: str) -> str:
        notes = self.rules["notes"]
        pieces = key.split(".")
        if pieces[0] == "target" and pieces[-1] == "done":
            known = self.rules["known"]
            return str(known.get(self.sources.known.get((pieces[1], ".".join(pieces[2:-1])), ""), known["other"]))
        return str(notes.get(f"{pieces[0]}.{pieces[-1]}", notes.get(pieces[0], notes["other"])))

    def how(self, words: str) -> int:
        if words not in self.hows:
            self.hows.append(words)
        return self.hows.index(words)

    def sum(self, key: str, scope: str, codes: list[str], measure: str, variant: str) -> dict[str, Any] | None:
        place = self.rules["scopes"][scope]
        rule = self.rules["sums"].get(place["fact"], {}).get(measure)
        if rule is None or (variant and variant not in _VARIANTS):
            return None
        fact = rule.get("fact", place["fact"])
        if fact == "target" and (codes[0], codes[1]) in self.sources.known:
            return None
        period = self.sources.period
        where: dict[str, Any] = dict(rule.get("where", {}))
        if place.get("period"):
            period = codes[0]
            if fact == "trend" and period in (self.sources.period, self.figures.previous_period):
                fact = "enterprise"
        elif place.get("place"):
            where[scope] = codes[0]
        for name, code in zip(place.get("keys", ()), codes, strict=False):
            where[name] = self.sizes[code] if name == "size" else "" if code == "unstated" else code
        if variant in ("lfl_previous", "previous"):
            period = self.figures.previous_period
        if variant == "year_ago":
            fact, period = "trend", shift_period(period, -12)
        flag = {"lfl_previous": "lfl", "year_ago": "yoy", "previous": ""}.get(variant, variant)
        if flag:
            where[flag] = "1"
        if "members" in rule:
            names = self.figures.get(f"reporting.{rule['members']}")
            listed = names.value if names is not None and isinstance(names.value, tuple) else ()
            where |= {"expected": "1", "reporter": sorted(self.reporter_codes.get(name, name) for name in listed)}
        entry: dict[str, Any] = {"t": "sum", "f": fact, "p": period, "w": dict(sorted(where.items()))}
        if rule.get("cells"):
            entry["c"] = list(rule["cells"])
        if rule.get("counts"):
            entry["n"] = 1
        if rule.get("distinct") or "members" in rule:
            entry["d"] = rule.get("distinct", "reporter")
        if rule.get("lines"):
            entry["l"] = 1
        decimals = rule.get("decimals", _DECIMALS.get(fact, 0))
        if decimals and not entry.get("n") and not entry.get("l"):
            entry["e"] = decimals
        if fact == "finding" and (left := self.figures.get("findings.not_listed")) is not None and left.value:
            # Not each of them is listed one by one.
            del entry["n"]
            entry["l"] = 1
        if "how" in rule:
            entry["h"] = self.how(rule["how"])
        value = self.exact(key, entry.get("e", 0))
        if value is not None:
            entry["v"] = value
        command = self.command(scope, place, rule, codes, variant, period)
        if command:
            entry["m"] = command
        return entry

    def exact(self, key: str, decimals: int) -> int | None:
        """The figure's own value as the page's sums have it: whole numbers, of the smallest unit of its cells."""
        figure = self.figures.get(key)
        if figure is None or figure.value is None:
            return None
        if isinstance(figure.value, tuple):
            return len(figure.value)
        if isinstance(figure.value, Decimal):
            return int((figure.value.scaleb(decimals)).to_integral_value()) if decimals else None
        return figure.value if isinstance(figure.value, int) else None

    def command(
        self, scope: str, place: RowDict, rule: RowDict, codes: list[str], variant: str, period: str
    ) -> list[str] | None:
        """Mart, measure, region and filters for ``make trace``, where a mart holds the figure."""
        mart = place.get("mart", self.rules["facts"][place["fact"]].get("mart"))
        if "measure" not in rule or variant or (mart == "fct_enterprise_month" and rule.get("counts")):
            return None
        region = codes[0] if place.get("place") else self.figures.edition.region_code
        if region == "450000":
            region = ""
        values = [self.sizes[code] if scope == "size" else "" if code == "unstated" else code for code in codes]
        filters = [f"{name}={value}" for name, value in zip(place.get("filters", ()), values, strict=False)]
        return [mart or "mart_labour_shortage_summary", rule["measure"], period, region, *filters]

    def ratio(self, key: str, name: str, rule: RowDict) -> dict[str, Any]:
        scope = key.removesuffix(f".{name}")
        if rule["kind"] == "points":
            over, under = self.in_scope(scope, rule["over"]), self.in_scope(scope, rule["under"])
            return {
                "t": "points",
                "o": [f"{part}.{variant}" for variant in ("lfl", "lfl_previous") for part in over],
                "u": [f"{part}.{variant}" for variant in ("lfl", "lfl_previous") for part in under],
            }
        return {
            "t": rule["kind"],
            "o": self.in_scope(scope, rule["over"]),
            "u": self.in_scope(scope, rule["under"]),
        }

    def in_scope(self, scope: str, names: Iterable[str]) -> list[str]:
        scopes = self.rules["scopes"]
        return [name if "." in name and name.split(".")[0] in scopes else f"{scope}.{name}" for name in names]

    @staticmethod
    def change(key: str, variant: str) -> dict[str, Any]:
        stem = key.removesuffix(f".{variant}")
        now, before = _CHANGES[variant]
        return {"t": "change", "o": [f"{stem}.{now}" if now else stem], "u": [f"{stem}.{before}"]}

    def comparisons(self) -> None:
        """The differences that the page shows between this month and each earlier one of the trend."""
        trend = self.figures.tables.get("trend")
        months = [str(row.cells[0]).removeprefix("period.") for row in trend.rows] if trend is not None else []
        for month in months[:-1]:
            now, then = f"trend.{months[-1]}", f"trend.{month}"
            for measure in ("covered_reporters", "shortage_now"):
                difference = {"t": "difference", "o": [f"{now}.{measure}"], "u": [f"{then}.{measure}"]}
                self.entries[f"compare.{month}.{measure}"] = difference
            rate = self.rules["ratios"]["shortage_rate"]
            self.entries[f"compare.{month}.shortage_rate"] = {
                "t": "points",
                "o": [f"{scope}.{part}" for scope in (now, then) for part in rate["over"]],
                "u": [f"{scope}.{part}" for scope in (now, then) for part in rate["under"]],
            }

    def cutoff(self) -> dict[str, Any]:
        accepted = [row for row in self.sources.ledger if row["is_accepted"]]
        last = max((row["accepted_at"] for row in accepted), default=None)
        forms = [row for row in accepted if row["accepted_at"] == last]
        where = {
            "form": sorted({row["form"] for row in forms}),
            "reporter": sorted({r["reporter_code"] for r in forms}),
        }
        how = self.how(self.rules["notes"]["cutoff"])
        return {"t": "sum", "f": "ledger", "p": self.sources.period, "w": where, "l": 1, "h": how}

    # -- the lines themselves ------------------------------------------------------------------------------------------

    def blocks(self) -> tuple[list[Block], tuple[str, ...], int]:
        """Ledger, files and lines; facts that are too many are summed by what the figures ask for."""
        found = [*self.ledger_blocks(), *self.finding_blocks(), *self.file_blocks()]
        wanted = self.wanted()
        summed: list[str] = []
        cell_count = 0
        for period in (self.sources.period, self.figures.previous_period):
            for fact in CELL_FACTS:
                columns = sorted({column for _, names in wanted.get((fact, period), ()) for column in names})
                rows = [row for row in self.sources.sheets[fact] if row["period"] == period]
                if not columns or not rows:
                    continue
                lines = sum(row["line_count"] for row in rows)
                keys = sorted(
                    {name for asked, _ in wanted[fact, period] for name in asked} | _DISTINCT.get(fact, set())
                )
                parsed = [_parsed(fact, row, keys, columns) for row in rows]
                # What is counted once, on however many lines it stands, cannot be summed by workbook.
                if fact in _DISTINCT or cell_count + lines * len(columns) <= self.rules["cell_limit"]:
                    cell_count += lines * len(columns)
                    found += parsed
                    continue
                summed.append(f"{fact} {period}")
                found += [part for one in parsed for part in _summed(one, sorted(wanted[fact, period]))]
        for row in self.sources.sheets["trend"]:
            asked = {name for _, names in wanted.get(("trend", row["period"]), ()) for name in names}
            if asked:
                cells = {name: [_text(row[name])] for name in sorted(asked)}
                counts = {"lines": [str(row["line_count"])]}
                found.append(
                    Block("trend", row["period"], row["submission_id"], row["sheet"], 1, (), {}, cells | counts)
                )
        return found, tuple(summed), cell_count

    def wanted(self) -> dict[tuple[str, str], set[tuple[tuple[str, ...], tuple[str, ...]]]]:
        """By fact and month: the keys that some figure asks for, with the columns it reads."""
        places = {"city", "county", "lfl", "yoy", "both"}  # of the whole workbook
        found: dict[tuple[str, str], set[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
        for entry in self.entries.values():
            if entry["t"] == "sum":
                keys = tuple(name for name in entry["w"] if name not in places)
                found.setdefault((entry["f"], entry["p"]), set()).add((keys, tuple(entry.get("c", ()))))
        return found

    def ledger_blocks(self) -> list[Block]:
        found = []
        for row in self.sources.ledger:
            keys = {name: ["1" if row[f"is_{name}"] else "0"] for name in _LEDGER_KEYS}
            keys |= {name: [str(row[f"{name}_code"])] for name in ("reporter", "city", "county")}
            keys["form"] = [row["form"]]
            keys["name"] = [row["reporter_name"]]
            keys["at"] = [_instant(row["received_at"])]
            cells = {name: [_text(row[name])] for name in _LEDGER_COUNTS}
            found.append(Block("ledger", self.sources.period, row["submission_id"], "", 1, (), keys, cells))
        return found

    def finding_blocks(self) -> list[Block]:
        """Open findings as the report lists them, with the file whose findings are counted."""
        table = self.figures.tables.get("open_findings_detail")
        files = {(row["reporter_code"], row["form"]): row["submission_id"] for row in self.sources.ledger}
        found = []
        for row in table.rows if table is not None else ():
            cells = {name: str(cell) for name, cell in zip(table.columns, row.cells, strict=True)}  # type: ignore[union-attr]
            reporter, form = self.reporter_codes.get(cells["name"], ""), cells["form"].removeprefix("form.")
            keys = {"reporter": reporter, "form": form, "code": cells["code"], "name": cells["name"]}
            keys |= {"severity": cells["severity"].removeprefix("severity."), "cell": cells["cell"]}
            listed = {name: [value] for name, value in keys.items()}
            file = files.get((reporter, form))
            found.append(Block("finding", self.sources.period, file, cells["sheet"], 1, (), listed, {}))
        return found

    def file_blocks(self) -> list[Block]:
        periods = {entry["p"] for entry in self.entries.values() if entry["t"] == "sum" and entry["f"] == "file"}
        return [
            Block(
                "file",
                row["period"],
                name,
                "",
                1,
                (),
                {
                    "form": [row["form"]],
                    "expected": ["1" if row["is_expected"] else "0"],
                    "lfl": ["1" if row["is_lfl"] else "0"],
                },
                {},
            )
            for name, row in self.sources.files.items()
            if row["period"] in periods and row["form"] == "enterprise_status"
        ]

    def files(self, blocks: Sequence[Block]) -> tuple[list[list[Any]], dict[str, int]]:
        """The files that blocks name, numbered: name, sha256, version, received, reporter, and what conditions ask."""
        accepted = {(row["reporter_code"], row["form"]) for row in self.sources.ledger if row["is_accepted"]}
        with_both = {code for code, _ in accepted if {(code, form) for form in _TRAINING_FORMS} <= accepted}
        refused = {row["submission_id"]: row for row in self.sources.ledger if row["submission_id"]}
        listed: list[list[Any]] = []
        numbers: dict[str, int] = {}
        for block in blocks:
            name = block.submission_id
            if name is None or name in numbers:
                continue
            numbers[name] = len(listed)
            row = self.sources.files.get(name) or refused[name]
            flags = {"city": row["city_code"], "county": row["county_code"]}
            flags |= {
                "lfl": "1" if row.get("is_lfl") else "0",
                "yoy": "1" if row.get("is_yoy") else "0",
                "both": "1" if row["reporter_code"] in with_both else "0",
            }
            received = _instant(row["received_at"])
            listed.append([row["file_name"], row["sha256"], row["version"], received, row["reporter_name"], flags])
        return listed, numbers

    def packed(self, block: Block, numbers: Mapping[str, int]) -> dict[str, Any]:
        packed: dict[str, Any] = {"f": block.fact, "p": block.period, "n": block.line_count}
        if block.submission_id is not None:
            packed["i"] = numbers[block.submission_id]
        if block.sheet:
            packed["s"] = block.sheet
            places = self.sources.columns.get((block.submission_id or "", block.sheet), {})
            asked = {*block.cells, *_UNREAD.get(block.fact, ())}
            named = {name: list(place) for name, place in places.items() if name.split(":")[0] in asked}
            if block.fact == "target":  # a line's own column: of this month, or to date
                named = {f"done:{name}": list(place) for name, place in places.items() if name.startswith("done_")}
            packed["h"] = named
        if block.rows:
            packed["r"] = ",".join(block.rows)
        if block.keys:
            packed["k"] = {name: "\n".join(values) for name, values in sorted(block.keys.items())}
        if block.cells:
            packed["c"] = {name: ",".join(values) for name, values in sorted(block.cells.items())}
        return packed


def _parsed(fact: str, row: RowDict, keys: Iterable[str], columns: Iterable[str]) -> Block:
    return Block(
        fact,
        row["period"],
        row["submission_id"],
        row["sheet"],
        row["line_count"],
        row["rows"].split(","),
        {name: row[f"key_{name}"].split("\n") for name in keys},
        {name: row[f"cell_{name}"].split(",") for name in columns if f"cell_{name}" in row},
    )


def _summed(block: Block, wanted: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> list[Block]:
    """The block's sums by the keys that figures ask for, one block for each set of keys; ``lines`` counts the cells."""
    columns_of: dict[tuple[str, ...], set[str]] = {}
    for keys, columns in wanted:
        columns_of.setdefault(keys, set()).update(columns)
    found = []
    for names, read in sorted(columns_of.items()):
        groups: dict[tuple[str, ...], list[int]] = {}
        listed = [block.keys[name] for name in names]
        for at in range(block.line_count):
            groups.setdefault(tuple(values[at] for values in listed), []).append(at)
        ordered = sorted(groups.items())
        cells: dict[str, list[str]] = {}
        for column in sorted(read & set(block.cells)):
            values = block.cells[column]
            cells[column] = [str(sum(int(values[at]) for at in members if values[at])) for _, members in ordered]
        cells["lines"] = [str(len(members)) for _, members in ordered]
        by = {name: [group[at] for group, _ in ordered] for at, name in enumerate(names)}
        found.append(Block(block.fact, block.period, block.submission_id, block.sheet, len(ordered), (), by, cells))
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _instant(value: datetime | None) -> str:
    return "" if value is None else f"{local_instant(value):%Y-%m-%d %H:%M}"
