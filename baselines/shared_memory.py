"""The memory that the searches of a study have in common: a file of lines, one entry each."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from bilevel.errors import ConfigError
from bilevel.space import canonical


class SharedMemory:
    """A file of entries that searches share; whole lines are appended under a lock, by `author`
    (one search). An entry that its author has already written is not repeated, as after a
    restart."""

    def __init__(self, file: str, author: str, most: int = 200) -> None:
        self._file = Path(file)
        self._author = author
        self._most = most

    def read(self) -> list[dict[str, Any]]:
        """The youngest entries that others have written, oldest first. Raises ConfigError."""
        if not self._file.exists():
            return []
        with self._lock():
            lines = self._lines(self._whole())
        return [line["entry"] for line in lines if line["author"] != self._author][-self._most :]

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes an entry. Raises ConfigError, and OSError where nothing can be written."""
        line = {"author": self._author, "id": self._id(entry), "entry": dict(entry)}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            whole = self._whole() if self._file.exists() else b""
            if any(known["id"] == line["id"] for known in self._lines(whole)):
                return
            with self._file.open("ab") as file:
                file.truncate(len(whole))  # what a kill has left of a line
                file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def _lock(self) -> FileLock:
        return FileLock(self._file.with_suffix(".lock"))

    def _id(self, entry: Mapping[str, Any]) -> str:
        return hashlib.sha256(f"{self._author} {canonical(entry)}".encode()).hexdigest()[:16]

    def _whole(self) -> bytes:
        """Return the file's bytes up to its last whole line."""
        raw = self._file.read_bytes()
        return raw[: raw.rfind(b"\n") + 1]

    def _lines(self, raw: bytes) -> list[dict[str, Any]]:
        found = []
        for number, text in enumerate(raw.splitlines(), start=1):
            try:
                line = json.loads(text)
                found.append({key: line[key] for key in ("author", "id", "entry")})
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{self._file}, line {number} is damaged ({error!r}); take the line out"
                ) from None
        return found
