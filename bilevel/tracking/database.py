"""The local database file: made whole, in WAL mode, by one process, before anyone sees it."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from bilevel.errors import TrackingError
from bilevel.tracking.location import REMEDY

_LOCK_S = 120.0


def prepare(path: Path, migrate: Callable[[str], None], *, write: bool) -> None:
    """Makes the file if it is not there; `migrate` fills the database at the URI it is given.

    It is made under another name and moved into place, so that a killed process leaves nothing
    half made. Raises OSError where it cannot be written.
    """
    if path.exists():
        if write and not os.access(path, os.W_OK):
            raise PermissionError(f"{path} is read-only")
        return
    if not write:
        raise TrackingError(
            f"there is no tracking database {path}; run a search first, or {REMEDY}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=_LOCK_S):
        if path.exists():
            return
        unfinished = path.with_name(f"{path.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        migrate(f"sqlite:///{unfinished}")
        connection = sqlite3.connect(unfinished)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
        for leftover in ("-wal", "-shm"):  # of a database that was deleted: not this one's
            path.with_name(path.name + leftover).unlink(missing_ok=True)
        unfinished.rename(path)
