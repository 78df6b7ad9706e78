"""The journal of one search: every answer it got, written before anything depends on it.

Continuing and replaying are the same: the search is executed again from its first trial, recorded
answers are used instead of asking, and when they run out the search is live. A search that changes
something in another one reads that one's journal as a recording: a recorded answer is used wherever
exactly the same question is asked.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bilevel.closable import Closable
from bilevel.errors import JournalError, SearchRunning, Unrecorded
from bilevel.space import canonical

Data = dict[str, Any]
JOURNAL = "journal.jsonl"  # in the folder of its search
VOLATILE = "clock"  # what two runs of the same search may differ in lives under this name
_OF_PROMPTS = ("prompt", "domain_in_prompt")  # what notes say of the words of a question


def request_digest(request: Mapping[str, Any]) -> str:
    """Returns the digest that identifies the request of a recorded answer."""
    return hashlib.sha256(canonical(request).encode()).hexdigest()[:16]


class Recording:
    """The answers of another execution, by kind and key."""

    def __init__(self, entries: Iterable[Data]) -> None:
        self._held = {(entry["kind"], entry["key"]): entry for entry in entries}

    def answer(self, kind: str, key: str, asked: str) -> Data | None:
        """Returns the recorded answer if it was to the same request, else None."""
        found = self._held.get((kind, key))
        if not asked or found is None or found["request"] != asked:
            return None
        data: Data = found["data"]
        return data

    def note(self, kind: str, key: str) -> Data | None:
        """Returns the recorded note, if there is one."""
        found = self._held.get((kind, key))
        return None if found is None else found["data"]


class Journal(Closable):
    """An append-only file of JSON lines, locked by one process at a time.

    `path=None` keeps the entries in memory only (for benchmarks). An answer that it does not hold
    is taken from `recording` if the request is the same. `reworded` are the keys of answers that a
    sealed journal gave to a request that is worded differently now.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        clock: Callable[[], float] = time.time,
        recording: Recording | None = None,
    ) -> None:
        self.path = path
        self.sealed = False
        self.recording = recording or Recording(())
        self.reworded: set[str] = set()
        self._clock = clock
        self._touched: dict[tuple[str, str], None] = {}
        self._recorded: dict[tuple[str, str], Data] = {}
        self._descriptor: int | None = None
        if path is not None:
            self._descriptor = hold(path)
            try:
                self._load(path)
            except JournalError:
                self.close()
                raise

    @classmethod
    def sealed_copy(cls, path: Path) -> "Journal":
        """Returns a journal in memory with the entries of a file. It records no answers: `once`
        raises Unrecorded instead. Notes are checked as ever."""
        journal = cls(None)
        journal._recorded = {(entry["kind"], entry["key"]): entry for entry in read(path)}
        journal.path, journal.sealed = path, True
        return journal

    def once(
        self,
        kind: str,
        key: str,
        produce: Callable[[], Data],
        *,
        request: Mapping[str, Any] | None = None,
        durable: bool = False,
        rewordable: bool = False,
    ) -> Data:
        """Returns the recorded answer under (kind, key), or else `produce()`, recorded before it
        returns.

        `durable` forces it to the disk. Raises JournalError if the recorded answer was to another
        request, for then re-execution has left the recorded path; a sealed journal answers a
        `rewordable` request by its key alone, because versions word their requests differently.
        """
        asked = request_digest(request) if request is not None else ""
        found = self._look_up(kind, key)
        if found is not None:
            if found["request"] != asked and not (self.sealed and rewordable):
                raise JournalError(self._another_request(kind, key))
            if found["request"] != asked:
                self.reworded.add(key)
            held: Data = found["data"]
            return held
        if self.sealed:
            raise Unrecorded(f"{self.path} ends before {kind} {key}")
        answer = self.recording.answer(kind, key, asked)
        data = produce() if answer is None else answer
        self._append({"kind": kind, "key": key, "request": asked, "data": data}, durable)
        return data

    def note(self, kind: str, key: str, data: Data) -> None:
        """Records what re-execution must reproduce. Raises JournalError where it differs from the
        record."""
        found = self._look_up(kind, key)
        if found is None:
            self._append({"kind": kind, "key": key, "request": "", "data": data}, False)
            return
        left_out = (VOLATILE, *_OF_PROMPTS) if self.reworded else (VOLATILE,)
        held, now = projection(found["data"], left_out), projection(data, left_out)
        if held != json.loads(json.dumps(now)):
            raise JournalError(
                f"{self.path}: re-execution disagrees at {kind} {key}: recorded "
                f"{canonical(held)[:200]}, now {canonical(now)[:200]}; "
                f"the code changed since; {self._remedy}"
            )

    @property
    def entries(self) -> list[Data]:
        """All entries, in order."""
        return list(self._recorded.values())

    @property
    def in_order(self) -> bool:
        """Whether every entry was asked for or noted again, in the recorded order."""
        return list(self._touched) == list(self._recorded)

    @property
    def repeating(self) -> bool:
        """Whether entries remain that were not asked for or noted again yet."""
        return len(self._touched) < len(self._recorded)

    def holds(self, kind: str, key: str, request: Mapping[str, Any] | None = None) -> bool:
        """Returns whether `once` would find an answer instead of producing one."""
        if (kind, key) in self._recorded:
            return True
        asked = request_digest(request) if request is not None else ""
        return self.recording.answer(kind, key, asked) is not None

    def peek(self, kind: str, key: str) -> Data | None:
        """Returns the recorded data without counting it as asked for."""
        found = self._recorded.get((kind, key))
        return None if found is None else found["data"]

    @property
    def _remedy(self) -> str:
        if self.sealed:
            return "replay it with the version that ran it"
        return "start over with fresh=true"

    def _another_request(self, kind: str, key: str) -> str:
        if self.sealed:
            said = "the search comes out otherwise from here on: the code changed since"
        else:
            said = "the code or the prompts changed since: another version's search cannot go on"
        return f"{self.path}: {kind} {key} was recorded for another request; {said}; {self._remedy}"

    def _look_up(self, kind: str, key: str) -> Data | None:
        found = self._recorded.get((kind, key))
        if found is not None:
            self._touched[kind, key] = None
        return found

    def has(self, kind: str) -> bool:
        return any(recorded == kind for recorded, _ in self._recorded)

    def clear(self) -> None:
        """Deletes every entry, in the file too: for a search that has measured nothing yet."""
        os.ftruncate(self._file, 0)
        self._recorded.clear()
        self._touched.clear()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, entry: Data, durable: bool) -> None:
        """Writes an entry. Raises JournalError, and leaves nothing of it, where that fails."""
        if self._descriptor is not None:
            line = json.dumps({**entry, VOLATILE: self._clock()}, allow_nan=False) + "\n"
            payload = line.encode()
            before = os.fstat(self._descriptor).st_size
            try:
                while payload:
                    payload = payload[os.write(self._descriptor, payload) :]
                if durable:
                    os.fdatasync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, before)
                raise JournalError(
                    f"{self.path} cannot be written ({error.strerror}): make room there; what was "
                    "measured is kept, the same command continues"
                ) from error
        self._recorded[entry["kind"], entry["key"]] = entry
        self._touched[entry["kind"], entry["key"]] = None

    @property
    def _file(self) -> int:
        if self._descriptor is None:
            raise JournalError(f"{self.path} is closed")
        return self._descriptor

    def _load(self, path: Path) -> None:
        """Reads the entries of a file, and cuts off a last line that a kill left incomplete."""
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            os.ftruncate(self._file, whole)
        for entry in _entries(raw[:whole], path):
            self._recorded[entry["kind"], entry["key"]] = entry


def hold(path: Path) -> int:
    """Locks a journal and returns its descriptor; the lock ends with the process, however that
    ends.

    Raises SearchRunning, naming the process that holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".pid")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise SearchRunning(
                f"this search is being run by process {_pid(holder)} ({path}); wait for it or "
                "stop it"
            ) from None
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            holder.write_text(f"{os.getpid()}\n")
            return descriptor
        os.close(descriptor)  # moved aside between opening and locking


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Locks a journal inside a `with` block. Raises SearchRunning."""
    descriptor = hold(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _pid(holder: Path) -> str:
    """Returns the id of the process that holds the lock, which notes it a moment after locking, or
    "unknown"."""
    for _ in range(20):
        noted = holder.read_text().strip() if holder.exists() else ""
        try:
            os.kill(int(noted), 0)
        except PermissionError:
            return noted  # somebody else's
        except (ValueError, ProcessLookupError):
            time.sleep(0.05)
        else:
            return noted
    return "unknown"


def _entry(line: bytes) -> Data:
    """Returns the entry of a line. Raises ValueError for one that is not a whole entry."""
    entry = json.loads(line)
    if not isinstance(entry, dict) or not {"kind", "key", "request", "data"} <= entry.keys():
        raise ValueError("fields missing")
    return entry


def _entries(raw: bytes, path: Path) -> Iterator[Data]:
    for number, line in enumerate(raw.split(b"\n")[:-1], start=1):
        try:
            yield _entry(line)
        except ValueError as error:
            raise JournalError(
                f"{path}, line {number} is damaged ({error}); mend=true sets it aside and goes on, "
                "using every other line that still fits; fresh=true starts over"
            ) from None


def read(path: Path) -> list[Data]:
    """Returns all entries of a journal without locking it; an incomplete last line is left out.
    Raises JournalError."""
    raw = path.read_bytes()
    return list(_entries(raw[: raw.rfind(b"\n") + 1], path))


def mend(path: Path) -> Path | None:
    """Copies a damaged journal aside and cuts it before its first damaged line.

    Returns the path of the copy, or None where nothing is damaged. `salvaged` reads its intact
    entries.
    """
    raw = path.read_bytes()
    kept = 0
    for line in raw.split(b"\n")[:-1]:
        try:
            _entry(line)
        except ValueError:
            break
        kept += len(line) + 1
    if kept == raw.rfind(b"\n") + 1:
        return None
    number = len(list(path.parent.glob(f"{path.stem}.damaged*")))
    aside = path.with_suffix(f".damaged{number + 1}")
    aside.write_bytes(raw)
    os.truncate(path, kept)
    return aside


def salvaged(path: Path) -> Recording:
    """Returns every whole entry of the damaged journals that were set aside here, as a
    recording."""
    found: list[Data] = []
    for aside in sorted(path.parent.glob(f"{path.stem}.damaged*")):
        for line in aside.read_bytes().split(b"\n"):
            try:
                found.append(_entry(line))
            except ValueError:
                continue
    return Recording(found)


def projection(data: Any, left_out: Sequence[str] = (VOLATILE,)) -> Any:
    """Returns the data without the keys `left_out`, by default times and process ids: the part that
    two executions of one search have in common."""
    if isinstance(data, dict):
        parts = data.items()
        return {name: projection(part, left_out) for name, part in parts if name not in left_out}
    if isinstance(data, list | tuple):
        return [projection(part, left_out) for part in data]
    return data
