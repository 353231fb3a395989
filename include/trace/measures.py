"""What can be traced: the numeric columns of the marts, as seed ``trace_measures`` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import psycopg
from psycopg.rows import class_row


class TraceError(ValueError):
    """The question cannot be answered as asked; the message ends with what to do about it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A numeric column of a mart.

    Attributes:
        kind: ``additive`` (the cells add up to it), ``distinct``, ``statistic``, ``value`` (they do not, but stand
            behind it), ``ratio``, ``difference`` (made of other measures), ``derived`` (by a rule or a model) or
            ``external`` (from no form).
        made_of: measures of the same mart a ratio or a difference is made of.
        fact: fact table its lines stand in, ``None`` when it has none.
        form: form of the cells; ``None`` where the trace ends at the file.
        form_columns: columns of that form, one cell each per line.
        note_zh: in words, how it is made.
    """

    mart: str
    measure: str
    kind: str
    made_of: tuple[str, ...]
    fact: str | None
    form: str | None
    form_columns: tuple[str, ...]
    note_zh: str

    @property
    def is_additive(self) -> bool:
        """Whether the contributions of its cells add up to the figure."""
        return self.kind == "additive"


def load_measures(conn: psycopg.Connection[Any]) -> list[Measure]:
    """Every measure, ordered by mart and as its seed lists them.

    Raises:
        TraceError: the warehouse holds no such list yet.
    """
    known = conn.execute("select to_regclass('reference.trace_measures')").fetchone()
    if known is None or known[0] is None:
        raise TraceError("the warehouse has no marts yet: build a month first (make demo, or make run PERIOD=…)")
    with conn.cursor(row_factory=class_row(Measure)) as cursor:
        return cursor.execute(
            """
            select mart, measure, kind, fact, form, note_zh,
                string_to_array(coalesce(made_of, ''), '|') as made_of,
                string_to_array(coalesce(form_columns, ''), '|') as form_columns
            from reference.trace_measures
            order by mart collate "C", measure collate "C"
            """
        ).fetchall()


def find_measure(measures: Sequence[Measure], mart: str, measure: str) -> Measure:
    """The measure of that name.

    Raises:
        TraceError: there is none; names the nearest ones.
    """
    found = next((one for one in measures if (one.mart, one.measure) == (mart, measure)), None)
    if found is not None:
        return found
    marts = sorted({one.mart for one in measures})
    if mart not in marts:
        raise TraceError(f"there is no mart {mart}: use one of {', '.join(marts)}")
    names = [one.measure for one in measures if one.mart == mart]
    near = get_close_matches(measure, names, n=5, cutoff=0.4) or names
    raise TraceError(f"{mart} has no measure {measure}: use for example {', '.join(near)}; all of them: --list")
