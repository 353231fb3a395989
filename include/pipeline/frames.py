"""Where the rows of a submission lie in the batch folder, and how a file appears there. Imports nothing heavy: the
reading processes need it, and each of them starts anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def frame_path(folder: Path, submission_id: str) -> Path:
    """The Parquet file of a submission."""
    return folder / f"{submission_id}.parquet"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to; the file appears under its own name only when it is complete."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    yield unfinished
    unfinished.replace(path)
