"""Reading in child processes that can be killed: a hostile file costs its own outcome and nothing else.

A limit on size is kept by looking; a limit on time or memory only by a process that someone else can end. Each child
is a fresh interpreter (not a fork: the task processes of Airflow and Celery may not have such children), at the head
of its own process group, under an address-space limit of its own, its clock watched from here. One that dies or is
over time is killed with all it started and replaced; one whose starter dies ends by itself.

Requests and replies are length-prefixed pickles over two pipes of their own. What a job prints goes to a file nobody
shows, what it logs comes back with its reply and is logged here.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import logging
import os
import pickle
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

from include.intake.limits import Limits, load_limits
from include.intake.reading import (
    Identification,
    WorkbookReading,
    identify_file,
    read_file,
    unopened,
)
from include.intake.reporters import Reporter
from include.quality.findings import Finding

log = logging.getLogger(__name__)

Reason = Literal["time", "memory", "crash"]

#: Starting an interpreter and importing what a job needs; a loaded machine takes ten times the usual second.
_START_SECONDS = 120.0
_BEGUN, _DONE = b"B", b"D"
_HEAD_BYTES = 8
_BLOCK_BYTES = 1 << 20
_WORDS_BYTES = 1 << 16
_KEPT_RECORDS = 100
#: What the runtimes of Rust and C++ print when an allocation fails, before they end the process.
_OUT_OF_MEMORY = (b"memory allocation of", b"bad_alloc", b"MemoryError", b"out of memory")
#: Every library starts a thread a core, each with address space of its own; a child reads one file on one core.
_CHILD_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}
#: What a job has no use for, and a file that takes over its reader must not find there.
# (The address of a group robot is its password.)
_SECRET_NAMES = ("WAREHOUSE_URL", "ADMIN_URL", "SMTP_URL", "WEBHOOK_URL", "PERSON_HASH_KEY")
_SECRET_PARTS = ("AIRFLOW__", "CHANNEL_", "PASSWORD", "SECRET", "TOKEN")
_PR_SET_PDEATHSIG = 1


class JobKilled(RuntimeError):
    """The process of a job was killed, or ended without an answer; the next job gets another one."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"reading process ended ({self.reason}): {self.detail}"


class WorkersUnusable(RuntimeError):
    """A reading process cannot even start; no file is to blame."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job of :meth:`Workers.map`: a value, or the error in its place."""

    value: Any = None
    error: BaseException | None = None

    def get(self) -> Any:
        """The value; raises the error."""
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(slots=True, eq=False)
class _Job:
    request: bytes
    outcome: Outcome | None = None


class _Child:
    """One interpreter, the two pipes to it, and the job it is at."""

    def __init__(self, limits: Limits, secrets: bool) -> None:
        requests, self.to_child = os.pipe()
        self.from_child, replies = os.pipe()
        self.limits = limits
        self.job: _Job | None = None
        self.outgoing = memoryview(b"")
        self.incoming = bytearray()
        self.begun = False
        self.deadline = 0.0
        self.printed: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self.printed_before = 0
        call = f"from include.intake.workers import serve; serve({requests}, {replies}, {os.getpid()}, "
        call += f"{limits.memory_bytes})"
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", call],
                stdin=subprocess.DEVNULL,
                stdout=self.printed,
                stderr=self.printed,
                pass_fds=(requests, replies),
                start_new_session=True,
                env=_environment(secrets),
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(requests)
            os.close(replies)
        os.set_blocking(self.to_child, False)
        os.set_blocking(self.from_child, False)

    def start(self, job: _Job) -> None:
        self.job = job
        self.begun = False
        self.outgoing = memoryview(len(job.request).to_bytes(_HEAD_BYTES, "big") + job.request)
        self.incoming.clear()
        self.deadline = time.monotonic() + _START_SECONDS
        self.printed_before = os.fstat(self.printed.fileno()).st_size

    def send(self) -> None:
        """Pass on as much of the request as the pipe takes; raises ``OSError`` when nobody listens."""
        self.outgoing = self.outgoing[os.write(self.to_child, self.outgoing[:_BLOCK_BYTES]) :]

    def receive(self) -> tuple[Any, ...] | None:
        """The reply once it is whole. Raises ``EOFError`` when the child ended before."""
        block = os.read(self.from_child, _BLOCK_BYTES)
        if not block:
            raise EOFError
        self.incoming += block
        if not self.begun and self.incoming[:1] == _BEGUN:
            self.begun = True
            del self.incoming[:1]
            self.deadline = time.monotonic() + self.limits.seconds
        if len(self.incoming) < 1 + _HEAD_BYTES:
            return None
        end = 1 + _HEAD_BYTES + int.from_bytes(self.incoming[1 : 1 + _HEAD_BYTES], "big")
        if len(self.incoming) < end:
            return None
        try:
            reply: tuple[Any, ...] = pickle.loads(bytes(self.incoming[1 + _HEAD_BYTES : end]))
        except Exception as error:
            return "error", TypeError(f"the reply of a reading process cannot be unpickled: {error}"), (), True, 0
        return reply

    def last_words(self) -> bytes:
        """The end of what the child printed during its job."""
        size = os.fstat(self.printed.fileno()).st_size
        return os.pread(self.printed.fileno(), _WORDS_BYTES, max(size - _WORDS_BYTES, self.printed_before))

    def kill(self) -> int:
        """End the child and all it started; returns its exit code. What ended before keeps the code it ended with."""
        with contextlib.suppress(ProcessLookupError):  # its whole group is gone: there is nothing to end
            # The child is not waited for yet, so its number still belongs to it and its group.
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self._close()
        return code

    def _close(self) -> None:
        self.printed.close()
        os.close(self.to_child)
        os.close(self.from_child)


def _environment(secrets: bool) -> dict[str, str]:
    """The starter's environment, with or without its secrets, and its module path, so that a job's function is found by
    the same name."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if secrets or (name not in _SECRET_NAMES and not any(part in name.upper() for part in _SECRET_PARTS))
    }
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return kept | _CHILD_ENVIRONMENT | {"PYTHONPATH": path}


class Workers:
    """A few reading processes; a context manager. Not for use by two threads at once.

    The processes start with the first jobs, and end with the ``with`` block.

    Args:
        size: jobs side by side; by default what the limits (or ``READ_WORKERS``) say.
        limits: by default those of :func:`include.intake.limits.load_limits`.
        secrets: whether jobs find the login of the warehouse and other secrets in their environment. Never for jobs
            that open a received file.
    """

    def __init__(self, size: int | None = None, limits: Limits | None = None, *, secrets: bool = False) -> None:
        self.limits = limits or load_limits()
        self._secrets = secrets
        self.size = size or self.limits.processes
        self._children: list[_Child] = []
        self._waiting: deque[_Job] = deque()
        self._proven = False
        self._left_at = 0.0
        #: Largest resident size that a child told of so far; 0 where the system does not say.
        self.peak_bytes = 0

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they are at."""
        self._waiting.clear()
        while self._children:
            self._children.pop().kill()

    @property
    def pids(self) -> list[int]:
        """Process numbers of the children now alive."""
        return [child.process.pid for child in self._children]

    # ------------------------------------------------------------------------------------------------ jobs

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in a child and give back what it returns.

        Args:
            function: importable by its module and name; arguments and result must be picklable.

        Raises:
            JobKilled: over time, over memory, or crashed.
            WorkersUnusable: no child can be started.
            Whatever the function raises; what cannot be pickled comes as a ``RuntimeError`` of the same words.
        """
        job = self._submit(function, args)
        try:
            return self._finish(job).get()
        finally:
            self._abandon([job])

    def map(
        self, function: Callable[..., Any], argument_lists: Iterable[Sequence[Any]], ahead: int | None = None
    ) -> Iterator[Outcome]:
        """Call a function once for every argument list; outcomes in the order given.

        At most ``ahead`` jobs (twice the processes by default) are begun or done beyond the one that is waited for,
        and the argument lists are taken as late: the memory needed does not grow with their number.
        """
        arguments = iter(argument_lists)
        window: deque[_Job] = deque()
        room = self.size * 2 if ahead is None else max(ahead, 0)
        try:
            while True:
                window.extend(self._submit(function, args) for args in islice(arguments, room + 1 - len(window)))
                if not window:
                    return
                outcome = self._finish(window[0])
                window.popleft()
                yield outcome
        finally:
            self._abandon(window)

    def _submit(self, function: Callable[..., Any], args: Sequence[Any]) -> _Job:
        # By name: the child imports the module itself. What was started by `python -m` has its own name there.
        module = function.__module__
        if module == "__main__" and (spec := sys.modules[module].__spec__) is not None:
            module = spec.name
        job = _Job(pickle.dumps((module, function.__qualname__, tuple(args)), pickle.HIGHEST_PROTOCOL))
        self._waiting.append(job)
        return job

    def _abandon(self, jobs: Iterable[_Job]) -> None:
        """Forget jobs that nobody waits for any more; a child at one of them is killed."""
        for job in jobs:
            if job in self._waiting:
                self._waiting.remove(job)
            for child in [child for child in self._children if child.job is job]:
                self._replace(child)

    def _finish(self, job: _Job) -> Outcome:
        # No clock runs while nobody looks at it: a reply may have lain in the pipe since long.
        away = time.monotonic() - self._left_at
        for child in self._children:
            child.deadline += away
        while job.outcome is None:
            self._hand_out()
            self._wait()
        self._left_at = time.monotonic()
        return job.outcome

    def _hand_out(self) -> None:
        for child in self._children:
            if self._waiting and child.job is None:
                child.start(self._waiting.popleft())
        while self._waiting and len(self._children) < self.size:
            child = _Child(self.limits, self._secrets)
            self._children.append(child)
            child.start(self._waiting.popleft())

    def _wait(self) -> None:
        """Move every exchange on until something happens or a time is up."""
        busy = [child for child in self._children if child.job is not None]
        with selectors.DefaultSelector() as selector:
            for child in busy:
                selector.register(child.from_child, selectors.EVENT_READ, child)
                if child.outgoing:
                    selector.register(child.to_child, selectors.EVENT_WRITE, child)
            remaining = min(child.deadline for child in busy) - time.monotonic()
            ready = selector.select(max(remaining, 0.0))
        for key, events in ready:
            child = key.data
            if child not in self._children:
                continue  # ended a moment ago, in this very round
            try:
                if events & selectors.EVENT_WRITE:
                    child.send()
                else:
                    reply = child.receive()
                    if reply is not None:
                        self._take(child, reply)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                self._ended(child)
        now = time.monotonic()
        for child in [child for child in self._children if child.job is not None and child.deadline <= now]:
            self._over_time(child)

    def _take(self, child: _Child, reply: tuple[Any, ...]) -> None:
        kind, value, records, retires, peak = reply
        self.peak_bytes = max(self.peak_bytes, peak)
        job, child.job = child.job, None
        assert job is not None
        self._proven = True
        for name, level, text in records:
            logging.getLogger(name).log(level, "%s", text)
        if kind == "value":
            job.outcome = Outcome(value)
        elif kind == "memory":
            job.outcome = Outcome(error=self._out_of_memory())
        else:
            job.outcome = Outcome(error=value)
        if retires:
            self._replace(child)

    def _ended(self, child: _Child) -> None:
        """A child that ended by itself in the middle of a job."""
        job, begun, words = child.job, child.begun, child.last_words()
        code = self._replace(child)
        assert job is not None
        if not begun:
            self._not_started(job, f"exit code {code}: {_tail(words)}")
            return
        # Out of memory, the kernel ends a process by SIGKILL, and so does nobody else: our own killing is not met here.
        if code == -signal.SIGKILL or any(word in words for word in _OUT_OF_MEMORY):
            job.outcome = Outcome(error=self._out_of_memory())
            return
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log.error("a reading process ended by %s; %s", how, _places(words))
        job.outcome = Outcome(error=JobKilled("crash", how))

    def _over_time(self, child: _Child) -> None:
        job, begun = child.job, child.begun
        self._replace(child)
        assert job is not None
        if begun:
            job.outcome = Outcome(error=JobKilled("time", f"more than {self.limits.seconds:g} s"))
        else:
            self._not_started(job, f"not ready within {_START_SECONDS:g} s")

    def _not_started(self, job: _Job, why: str) -> None:
        """The file is not to blame: try a new child once, and give up when none has ever worked."""
        if not self._proven:
            job.outcome = Outcome(error=WorkersUnusable(f"a reading process cannot start: {why}"))
            return
        self._proven = False
        self._waiting.appendleft(job)

    def _out_of_memory(self) -> JobKilled:
        return JobKilled("memory", f"more than {self.limits.memory_bytes // 1048576} MB")

    def _replace(self, child: _Child) -> int:
        """Kill a child; the next one starts when there is a job for it."""
        self._children.remove(child)
        return child.kill()

    # --------------------------------------------------------------------------------------------- workbooks

    def identify(self, path: Path, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> Identification:
        """:func:`include.intake.reading.identify_file` in a child; a killed one refuses the file (``E-FILE-011``,
        ``-012``, ``-013``), attributed by its name and folder."""
        try:
            found: Identification = self.run(identify_file, path, file_name, folder, reporters)
        except JobKilled as killed:
            found = unopened(self.finding(killed, file_name), file_name, folder, reporters)
        return found

    def identify_all(
        self, jobs: Sequence[tuple[Path, str, str | None, Sequence[Reporter]]]
    ) -> Iterator[Identification]:
        """:meth:`identify` for many files, side by side; in the order given."""
        for (_, file_name, folder, reporters), outcome in zip(jobs, self.map(identify_file, jobs), strict=True):
            if isinstance(outcome.error, JobKilled):
                yield unopened(self.finding(outcome.error, file_name), file_name, folder, reporters)
            else:
                yield outcome.get()

    def read(self, path: Path, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> WorkbookReading:
        """:func:`include.intake.reading.read_file` in a child, its rows passed back; killed as in :meth:`identify`."""
        try:
            reading: WorkbookReading = self.run(read_file, path, file_name, folder, reporters)
        except JobKilled as killed:
            found = unopened(self.finding(killed, file_name), file_name, folder, reporters)
            reading = WorkbookReading(found, [], list(found.findings))
        return reading

    def finding(self, killed: JobKilled, file_name: str) -> Finding:
        """What a killed job says to the sender of the file."""
        log.error("%s: %s", file_name, killed)
        match killed.reason:
            case "time":
                return Finding("E-FILE-012", params={"file": file_name, "seconds": f"{self.limits.seconds:g}"})
            case "memory":
                limit = self.limits.memory_bytes // 1048576
                return Finding("E-FILE-013", params={"file": file_name, "limit": limit})
            case "crash":
                return Finding("E-FILE-011", params={"file": file_name})


def _tail(words: bytes) -> str:
    """The last line that says something. Only for a child that has not touched a file yet."""
    lines = [line.strip() for line in words.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _places(words: bytes) -> str:
    """Where in the code the process was, from the fault handler's lines; nothing else of what it printed, since that
    may quote a cell."""
    lines = [line.strip() for line in words.decode(errors="replace").splitlines() if line.startswith('  File "')]
    return "at " + "; ".join(lines[:3]) if lines else "no trace"


# ------------------------------------------------------------------------------------------------------ in the child


def serve(requests: int, replies: int, starter: int, memory_bytes: int) -> None:
    """What a child does: take a job from one pipe, write its outcome to the other, until the first is closed.

    Args:
        requests, replies: descriptors of the pipes.
        starter: process number of the starter, whose end is the child's end.
        memory_bytes: address space that a job may reach, and the largest file that it may write.
    """
    _end_with(starter)
    faulthandler.enable()
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    kept = _Kept()
    logging.getLogger().addHandler(kept)
    with os.fdopen(requests, "rb") as source:
        while head := source.read(_HEAD_BYTES):
            reply, retires = _answer(source.read(int.from_bytes(head, "big")), replies, memory_bytes, kept)
            _write(replies, _DONE + len(reply).to_bytes(_HEAD_BYTES, "big") + reply)
            del reply
            if retires:
                os._exit(0)  # at once: threads that a job left behind are not waited for


class _Kept(logging.Handler):
    """Keeps the warnings and errors of a job as (logger, level, text), to be logged by the starter."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.records) < _KEPT_RECORDS:
            self.records.append((record.name, record.levelno, record.getMessage()))


def _answer(request: bytes, replies: int, memory_bytes: int, kept: _Kept) -> tuple[bytes, bool]:
    """(pickled reply, whether this child should end)."""
    kept.records.clear()
    kind: str
    value: Any
    try:
        module, name, args = pickle.loads(request)
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
        _limit(memory_bytes)
        _write(replies, _BEGUN)
        kind, value = "value", function(*args)
    except MemoryError:
        kind, value = "memory", None
    except BaseException as error:
        kind, value = "error", _portable(error)
    # Memory in pieces, or an interpreter that something went wrong in, is given back rather than used again.
    size, peak = _sizes()
    retires = kind != "value" or size > memory_bytes // 2
    try:
        return pickle.dumps((kind, value, kept.records, retires, peak), pickle.HIGHEST_PROTOCOL), retires
    except MemoryError:
        return pickle.dumps(("memory", None, kept.records, True, peak)), True
    except Exception as error:
        refusal = TypeError(f"the result of {name} cannot be pickled: {error}")
        return pickle.dumps(("error", refusal, kept.records, True, peak)), True


def _portable(error: BaseException) -> BaseException:
    """The error as it can cross to the starter, with a note of where it was raised (places only, no values)."""
    places = traceback.extract_tb(error.__traceback__)[-5:]
    note = "in the reading process: " + "; ".join(f"{p.filename}:{p.lineno} in {p.name}" for p in places)
    try:
        copy = pickle.loads(pickle.dumps(error))
        if type(copy) is type(error):
            error.add_note(note)
            return error
    except Exception as reason:
        note += f" (not passed on as {type(error).__qualname__}: {type(reason).__name__})"
    substitute = RuntimeError(f"{type(error).__qualname__}: {error}")
    substitute.add_note(note)
    return substitute


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest[:_BLOCK_BYTES]) :]


def _end_with(starter: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(starter,), daemon=True).start()
    if os.getppid() != starter:
        os._exit(1)  # it ended before it could be watched


def _watch(starter: int) -> None:
    while os.getppid() == starter:
        time.sleep(1)
    os._exit(1)


def _limit(memory_bytes: int) -> None:
    """Set once the job's modules are imported, so that only what the job itself takes can be refused."""
    # A core file would carry the personal columns of the form being read.
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: memory_bytes, resource.RLIMIT_AS: memory_bytes}
    for kind, wanted in limits.items():
        _, hard = resource.getrlimit(kind)
        try:
            resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
        except (ValueError, OSError) as error:
            # macOS has no limit on address space; time and sizes are limited there all the same.
            log.warning("this system does not limit resource %d: %s", kind, error)


def _sizes() -> tuple[int, int]:
    """(address space in use, largest resident size so far) in bytes; zeros where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return 0, 0
    found = dict(line.split(":", 1) for line in status.splitlines())
    return int(found["VmSize"].split()[0]) * 1024, int(found["VmHWM"].split()[0]) * 1024
