"""The journal of one search: everything it was told, written before anything depends on it.

Resume and replay are one thing: the search is executed again from its first trial, every answer
the journal holds is given instead of being asked for, and when they run out the search is live.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bilevel.closing import Closing
from bilevel.errors import JournalError, SearchRunning
from bilevel.space import canonical

Data = dict[str, Any]
VOLATILE = "clock"  # what two runs of the same search may differ in lives under this name


def request_digest(request: Mapping[str, Any]) -> str:
    """Identifies what an answer was an answer to."""
    return hashlib.sha256(canonical(request).encode()).hexdigest()[:16]


class Journal(Closing):
    """An append-only file of JSON lines, held by one process at a time.

    `path=None` keeps the entries in memory only (for searches inside searches and benchmarks).
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._recorded: dict[tuple[str, str], Data] = {}
        self._descriptor: int | None = None
        if path is not None:
            self._descriptor = hold(path)
            try:
                self._load(path)
            except JournalError:
                self.close()
                raise

    def once(
        self,
        kind: str,
        key: str,
        produce: Callable[[], Data],
        *,
        request: Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> Data:
        """The recorded answer under (kind, key), or else `produce()`, recorded before it returns.

        `durable` forces it to the disk. Raises JournalError if the recorded answer was to another
        request, for then re-execution has left the recorded path.
        """
        asked = request_digest(request) if request is not None else ""
        found = self._recorded.get((kind, key))
        if found is not None:
            if found["request"] != asked:
                raise JournalError(
                    f"{self.path}: {kind} {key} was recorded for another request: the code or the "
                    "prompts changed since; start over with fresh=true"
                )
            answer: Data = found["data"]
            return answer
        data = produce()
        self._append({"kind": kind, "key": key, "request": asked, "data": data}, durable)
        return data

    def note(self, kind: str, key: str, data: Data) -> None:
        """Records what re-execution must reproduce. Raises JournalError if it did not."""
        held = self.once(kind, key, lambda: data)
        if held is not data and projection(held) != json.loads(json.dumps(projection(data))):
            raise JournalError(
                f"{self.path}: re-execution disagrees at {kind} {key}: recorded "
                f"{canonical(projection(held))[:200]}, now {canonical(projection(data))[:200]}; "
                "the code changed since; start over with fresh=true"
            )

    def holds(self, kind: str, key: str) -> bool:
        return (kind, key) in self._recorded

    def has(self, kind: str) -> bool:
        return any(recorded == kind for recorded, _ in self._recorded)

    def clear(self) -> None:
        """Forgets everything, on the disk too: for a search that has measured nothing yet."""
        os.ftruncate(self._file, 0)
        self._recorded.clear()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, entry: Data, durable: bool) -> None:
        self._recorded[entry["kind"], entry["key"]] = entry
        if self._descriptor is None:
            return
        line = json.dumps({**entry, VOLATILE: self._clock()}, allow_nan=False) + "\n"
        payload = line.encode()
        while payload:
            payload = payload[os.write(self._descriptor, payload) :]
        if durable:
            os.fdatasync(self._descriptor)

    @property
    def _file(self) -> int:
        if self._descriptor is None:
            raise JournalError(f"{self.path} is closed")
        return self._descriptor

    def _load(self, path: Path) -> None:
        """Reads what is there; a last line that was cut by a kill is taken off."""
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            os.ftruncate(self._file, whole)
        for entry in _entries(raw[:whole], path):
            self._recorded[entry["kind"], entry["key"]] = entry


def hold(path: Path) -> int:
    """A descriptor of the journal with its lock, which goes with the process, however that ends.

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
            pid = holder.read_text().strip() if holder.exists() else "unknown"
            raise SearchRunning(
                f"this search is being run by process {pid} ({path}); wait for it or stop it"
            ) from None
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            holder.write_text(f"{os.getpid()}\n")
            return descriptor
        os.close(descriptor)  # moved aside between opening and locking


def _entries(raw: bytes, path: Path) -> Iterator[Data]:
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            entry = json.loads(line)
            if not {"kind", "key", "request", "data"} <= entry.keys():
                raise ValueError("fields missing")
        except (ValueError, AttributeError) as error:
            raise JournalError(
                f"{path}, line {number} is damaged ({error}); delete that line and every later one "
                "to continue from there, or start over with fresh=true"
            ) from None
        yield entry


def read(path: Path) -> list[Data]:
    """All entries of a journal, without holding it; a torn last line is left out."""
    raw = path.read_bytes()
    return list(_entries(raw[: raw.rfind(b"\n") + 1], path))


def projection(data: Any) -> Any:
    """The data without times and process ids: what two runs of one search have in common."""
    if isinstance(data, dict):
        return {name: projection(part) for name, part in data.items() if name != VOLATILE}
    if isinstance(data, list | tuple):
        return [projection(part) for part in data]
    return data
