"""A database is made whole by one process before anyone else uses it, and one that refuses is
told at once."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlalchemy
from filelock import FileLock

from bilevel.errors import TrackingError
from bilevel.tracking.location import REMEDY, address

_LOCK_S = 120.0
_LOGIN_S = 10
_ADVISORY_LOCK = 0x62696C6576656C  # "bilevel": a number that nobody else takes by chance


def log_in(uri: str, migrate: Callable[[str], None]) -> None:
    """Connects to a database server once, where mlflow would retry for minutes, and has
    `migrate` make or check the tables; on PostgreSQL one process at a time. Raises the driver's
    errors."""
    postgres = uri.startswith("postgresql")
    engine = sqlalchemy.create_engine(
        uri,
        poolclass=sqlalchemy.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": _LOGIN_S} if postgres else {},
    )
    with engine.connect() as connection:  # what it holds is let go when it closes
        if postgres:
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
        migrate(uri)


def prepare(path: Path, migrate: Callable[[str], None], *, write: bool) -> None:
    """Creates the local database file in WAL mode if it is missing; `migrate` makes the tables in
    the database at the URI it is given.

    The file is made under another name and moved into place, so that a killed process leaves
    nothing half made. Raises OSError where it cannot be written.
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
        migrate(address(f"sqlite:///{unfinished}"))
        connection = sqlite3.connect(unfinished)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
        for leftover in ("-wal", "-shm"):  # of a database that was deleted: not this one's
            path.with_name(path.name + leftover).unlink(missing_ok=True)
        unfinished.rename(path)
