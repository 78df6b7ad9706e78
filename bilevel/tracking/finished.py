"""Marks searches that a store holds completely, so that `sync` skips them while it exists."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bilevel.config.checks import without_passwords
from bilevel.config.options import line
from bilevel.journal import JOURNAL
from bilevel.tracking.location import local_path, resolve

_MARK = "tracked"  # names the store
_HELD = (
    "SELECT 1 FROM tags JOIN runs USING (run_uuid) "
    "WHERE key = 'search_id' AND value = ? AND lifecycle_stage = 'active'"
)


def mark_tracked(folder: Path, uri: str) -> None:
    """Writes a mark into the folder of a finished search: the store at `uri` holds all of it."""
    (folder / _MARK).write_text(_digest(uri))


def is_tracked(folder: Path, uri: str) -> bool:
    """Return whether the search's folder is marked as complete in this store. A local database
    is also asked whether it still holds the search; for other stores the mark is trusted."""
    mark = folder / _MARK
    if not mark.exists() or mark.read_text() != _digest(uri):
        return False
    database = local_path(resolve(uri))
    return database is None or _holds(database, _search_id(folder / JOURNAL))


def sync_command(settings: Mapping[str, Any]) -> str:
    """Return the shell command that writes a search into the store that its settings name; the
    password is left out."""
    results = settings["results"]
    usual = {"uri": f"sqlite:///{results}/mlflow.db", "artifacts": None, "traces": True}
    named = {"study": settings["study"]} | ({} if results == "mlruns" else {"results": results})
    tracking = without_passwords(settings["tracking"])
    other = {f"tracking.{n}": tracking[n] for n in usual if tracking.get(n, usual[n]) != usual[n]}
    return line("sync", {**named, **other})


def _holds(database: Path, search_id: str) -> bool:
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(_HELD, (search_id,)).fetchone() is not None
    except sqlite3.Error:
        return False  # whoever writes there finds out what is wrong, and tells it


def _search_id(journal: Path) -> str:
    """Return the search id (the tag of its run), which is among the journal's first lines; empty
    if it is not there."""
    with journal.open("rb") as lines:
        for entry in map(json.loads, lines):
            if (entry["kind"], entry["key"]) == ("search", "id"):
                return str(entry["data"]["clock"]["id"])
    return ""


def _digest(uri: str) -> str:
    """Return a digest of the store's URI, so that no password in it is written down."""
    return hashlib.sha256(uri.encode()).hexdigest()
