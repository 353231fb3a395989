"""What the reading processes of test_workers are made to do. A module of its own: a child imports it by name."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def double(number: int) -> int:
    return 2 * number


def process() -> int:
    return os.getpid()


def wait_forever(started: Path | None = None) -> None:
    if started is not None:
        started.write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def wait_forever_with_a_helper(started: Path) -> None:
    """Starts a process of its own, which must not outlive the job."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    started.write_text(str(helper.pid))
    wait_forever()


def take_memory(megabytes: int) -> int:
    return len(bytearray(megabytes * 1024 * 1024))


def abort_for_memory() -> None:
    """As Rust does when an allocation fails."""
    os.write(2, b"memory allocation of 9223372036854775807 bytes failed\n")
    os.abort()


def leave(code: int) -> None:
    os._exit(code)


def crash() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(text: str) -> None:
    raise ValueError(text)


class Awkward(Exception):
    """Cannot be pickled: its arguments are not those of its constructor."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def refuse_awkwardly() -> None:
    raise Awkward("甲", "乙")


def give_what_cannot_be_pickled() -> Any:
    return lambda: None


def chatter() -> str:
    print("on standard output" * 10_000)
    os.write(2, b"on standard error")
    logging.getLogger("a.reader").warning("worth knowing: %d", 7)
    return "done"


def give(size: int) -> bytes:
    return bytes(size)


def size_of(data: bytes) -> int:
    return len(data)


def is_leader() -> bool:
    return os.getpgid(0) == os.getpid()


def environment() -> dict[str, str]:
    return dict(os.environ)
