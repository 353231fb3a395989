"""The vocabulary of ``words.yaml``: what stands for nothing, yes, no, a total, the tail of a sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

WORDS_FILE = Path(__file__).parent / "words.yaml"


@dataclass(frozen=True, slots=True)
class Words:
    """Word lists as written in ``words.yaml``; see the comments there."""

    null_words: frozenset[str]
    true_words: frozenset[str]
    false_words: frozenset[str]
    vague_words: tuple[str, ...]
    open_words: frozenset[str]
    people_units: tuple[str, ...]
    error_words: frozenset[str]
    needs_group: frozenset[str]
    other_time_words: tuple[str, ...]
    header_units: Mapping[str, str]
    header_marks: tuple[str, ...]
    total_words: tuple[str, ...]
    tail_words: tuple[str, ...]
    side_sheets: frozenset[str]
    sample_mark: str


@lru_cache(maxsize=1)
def load_words() -> Words:
    """The vocabulary, read once. ``header_units`` is turned round: text in the brackets -> unit it stands for."""
    document = yaml.safe_load(WORDS_FILE.read_text(encoding="utf-8"))
    return Words(
        null_words=frozenset(document["null_words"]),
        true_words=frozenset(document["true_words"]),
        false_words=frozenset(document["false_words"]),
        vague_words=tuple(document["vague_words"]),
        open_words=frozenset(document["open_words"]),
        people_units=tuple(document["people_units"]),
        error_words=frozenset(document["error_words"]),
        needs_group=frozenset(document["needs_group"]),
        other_time_words=tuple(document["other_time_words"]),
        header_units={text: unit for unit, texts in document["header_units"].items() for text in texts},
        header_marks=tuple(document["header_marks"]),
        total_words=tuple(document["total_words"]),
        tail_words=tuple(document["tail_words"]),
        side_sheets=frozenset(document["side_sheets"]),
        sample_mark=document["sample_mark"],
    )
