"""``python -m tests.corpus.fuzz --count 10000``: damaged workbooks through the isolated reader, and what came of each.

Every mutated file must end in a reading or in a finding with a Chinese reason. A process that had to be killed for a
crash, a file over the time limit, or the finding for a fault of the reader itself (E-FILE-011) is a failure, and the
file is kept. Memory over the limit is a refusal that is meant to happen and is counted by itself.

Exit code 0: no failure; 1: failures (kept in the folder); 2: wrong usage.
"""

from __future__ import annotations

import argparse
import io
import re
import resource
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from include.intake.reading import WorkbookReading
from include.intake.workers import Workers
from include.settings import PROJECT_ROOT
from tests.corpus.book import FORMS, Book, clean_page
from tests.corpus.messes import ALL, extension, total_line
from tests.corpus.writing import write
from tests.unit.sheets import REPORTERS

SEED = 20260401
#: what the reader says when it, and not the file, is at fault
FAULTS = frozenset({"E-FILE-011", "E-FILE-012"})
_KILLED_FOR_MEMORY = "E-FILE-013"


@dataclass(slots=True)
class Figures:
    """What came of a run: outcomes by code, failures by name, the slowest file and the largest process."""

    count: int = 0
    read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    without_reason: int = 0
    slowest: tuple[float, str] = (0.0, "")
    seconds: float = 0.0
    peak_megabytes: int = 0

    def text(self) -> str:
        codes = ", ".join(f"{code} {number}" for code, number in sorted(self.outcomes.items()))
        crashes = sum("E-FILE-011" in one for one in self.failures)
        hangs = sum("E-FILE-012" in one for one in self.failures)
        return "\n".join(
            [
                f"mutated workbooks: {self.count} in {self.seconds:.0f} s",
                f"outcomes: {codes}",
                f"forms read from a damaged file: {self.read}",
                f"crashes and faults of the reader: {crashes}",
                f"hangs (over the time limit): {hangs}",
                f"refusals without a Chinese reason: {self.without_reason}",
                f"slowest: {self.slowest[0]:.2f} s ({self.slowest[1]})",
                f"largest reading process: {self.peak_megabytes} MB",
                *(f"failure: {one}" for one in self.failures),
            ]
        )


# ------------------------------------------------------------------------------------------------------- originals


def originals() -> dict[str, bytes]:
    """Workbooks to damage: every form by every program, with merges and a total."""
    found = {}
    for form in FORMS:
        for writer in ALL:
            book = Book([clean_page(form, range(1, 7))], writer, "")
            page = book.pages[0]
            page.lines.insert(len(page.data), total_line(page, page.data, "total", "合计"))
            found[f"{form}-{writer}{extension(book)}"] = write(book)[0]
    return found


# ------------------------------------------------------------------------------------------------------- mutations

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]


def flip_bits(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 2, 5, 20, 100])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def overwrite(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    start, length = rng.randrange(len(data)), rng.choice([4, 64, 512, 2048])
    filling = rng.choice([b"\0", b"\xff", bytes(rng.randrange(256) for _ in range(16))])
    return data[:start] + (filling * length)[:length] + data[start + length :]


def splice(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    start = rng.randrange(len(data))
    return data[:start] + other[rng.randrange(len(other)) :]


_NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"1048577",
    b"16385",
    b"2147483648",
    b"NaN",
    b"",
    b"4294967295",
)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _packed(members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def shuffle_members(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Parts of the archive dropped, doubled under another name, exchanged, or taken from another workbook."""
    members = _members(data)
    first, second = rng.randrange(len(members)), rng.randrange(len(members))
    match rng.randrange(5):
        case 0:
            del members[first]
        case 1:
            members.append((members[first][0].upper(), members[second][1]))
        case 2:
            one, two = members[first], members[second]
            members[first], members[second] = (one[0], two[1]), (two[0], one[1])
        case 3:
            zipped = [other for other in others if other[:2] == b"PK"]
            members[first] = (members[first][0], rng.choice(_members(rng.choice(zipped)))[1])
        case _:
            members.append((f"xl/worksheets/sheet{rng.randrange(1, 99)}.xml", members[first][1]))
    return _packed(members)


def change_part(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Numbers, attributes and tags of one XML part changed."""
    members = _members(data)
    xml = [number for number, (name, _) in enumerate(members) if name.endswith((".xml", ".rels"))]
    place = rng.choice(xml)
    name, content = members[place]
    for _ in range(rng.choice([1, 1, 3, 10])):
        match rng.randrange(5):
            case 0:
                content = _one(rb"\d+", lambda old: rng.choice(_NUMBERS), content, rng)
            case 1:
                content = _one(rb'="[^"]*"', lambda old: b'="' + rng.choice(_NUMBERS) + b'"', content, rng)
            case 2:
                content = _one(rb"<[^>]*>", lambda old: b"", content, rng)
            case 3:
                content = _one(rb"<[^>]*>", lambda old: old * rng.choice([2, 50]), content, rng)
            case _:
                content = _one(
                    rb"[A-Z]{1,3}\d+",
                    lambda old: rng.choice([b"XFD1048576", b"A0", b"ZZZZ9", old + b"9"]),
                    content,
                    rng,
                )
    members[place] = (name, content)
    return _packed(members)


def _one(pattern: bytes, change: Callable[[bytes], bytes], content: bytes, rng: Random) -> bytes:
    found = list(re.finditer(pattern, content))
    if not found:
        return content
    match = rng.choice(found)
    return content[: match.start()] + change(match.group()) + content[match.end() :]


def lie_in_directory(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Sizes, offsets, flags and methods of the archive's directory changed."""
    changed = bytearray(data)
    entries = [match.start() for match in re.finditer(rb"PK\x01\x02", data)]
    for _ in range(rng.choice([1, 2])):
        entry = rng.choice(entries)
        offset, size = rng.choice([(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (42, 4)])
        if entry + offset + size <= len(changed):
            changed[entry + offset : entry + offset + size] = struct.pack("<Q", rng.getrandbits(8 * size))[:size]
    return bytes(changed)


def change_records(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Records of a BIFF stream changed: identifier, length, or what they hold. xlwt writes the stream in one piece."""
    changed = bytearray(data)
    start = data.find(struct.pack("<HH", 0x0809, 16))
    records = []
    place = start
    while 0 <= place < len(data) - 4:
        identifier, length = struct.unpack_from("<HH", data, place)
        if length > 8224:
            break
        records.append((place, length))
        place += 4 + length
        if identifier == 0x000A and data[place : place + 2] != b"\x09\x08":
            break
    for _ in range(rng.choice([1, 1, 4])):
        place, length = rng.choice(records)
        match rng.randrange(3):
            case 0:
                changed[place : place + 2] = struct.pack("<H", rng.getrandbits(16))
            case 1:
                changed[place + 2 : place + 4] = struct.pack("<H", rng.choice([0, 1, 8224, 0xFFFF, length + 1]))
            case _:
                if length:
                    at = place + 4 + rng.randrange(length)
                    changed[at : at + 2] = struct.pack("<H", rng.choice([0, 0xFFFF, 0x7FFF, rng.getrandbits(16)]))
    return bytes(changed)


ANY: tuple[Mutation, ...] = (flip_bits, cut, overwrite, splice)
ZIP: tuple[Mutation, ...] = (*ANY, shuffle_members, change_part, change_part, change_part, lie_in_directory)
OLE: tuple[Mutation, ...] = (*ANY, change_records, change_records, change_records)


def mutated(number: int, seed: int, sources: dict[str, bytes]) -> tuple[str, bytes]:
    """The mutated workbook of a number: name (original and mutation) and bytes. The same for the same seed."""
    rng = Random(f"{seed} {number}")
    name = rng.choice(sorted(sources))
    data = sources[name]
    mutation = rng.choice(ZIP if data[:2] == b"PK" else OLE)
    try:
        return f"{number}-{mutation.__name__}-{name}", mutation(data, rng, list(sources.values()))
    except (zipfile.BadZipFile, zlib.error) as error:  # an original is whole: only a fault of this program comes here
        raise AssertionError(f"{name} could not be mutated") from error


# ------------------------------------------------------------------------------------------------------- the run


def run(count: int, seed: int = SEED, keep: Path | None = None, first: int = 0) -> Figures:
    """Mutate, read in a process of its own, and count. Failing files are kept in ``keep``."""
    figures = Figures(count=count)
    sources = originals()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, Workers(size=1) as workers:
        place = Path(folder) / "file"
        for number in range(first, first + count):
            name, data = mutated(number, seed, sources)
            place.write_bytes(data)
            started = time.monotonic()
            reading = workers.read(place, f"附件{number}{Path(name).suffix}", "2026-10/灵山县", REPORTERS)
            spent = time.monotonic() - started
            figures.slowest = max(figures.slowest, (spent, name))
            codes = _take(reading, figures)
            if codes & FAULTS:
                figures.failures.append(f"{name}: {', '.join(sorted(codes & FAULTS))}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / name).write_bytes(data)
    figures.seconds = time.monotonic() - began
    figures.peak_megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return figures


def _take(reading: WorkbookReading, figures: Figures) -> set[str]:
    """Count the outcome of one file; returns the codes that refuse it as a whole."""
    refusals = {one.code for one in reading.findings if one.severity == "E"}
    figures.outcomes.update(refusals or {"read"})
    figures.read += sum(not table.refused for table in reading.tables) if not refusals else 0
    messages = [one.message_zh for one in reading.findings]
    messages += [one.message_zh for table in reading.tables for one in table.findings]
    figures.without_reason += sum(not re.search(r"[\u4e00-\u9fff]", text) for text in messages)
    return refusals


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--keep", type=Path, default=PROJECT_ROOT / "var" / "corpus" / "fuzz")
    options = parser.parse_args(arguments)
    figures = run(options.count, options.seed, options.keep, options.first)
    print(figures.text())
    return 1 if figures.failures or figures.without_reason else 0


if __name__ == "__main__":
    sys.exit(main())
