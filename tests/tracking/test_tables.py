"""A study is read from the tables of its database only where they are the ones that are known."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bilevel.tracking.tables import Tables


def _altered(uri: str, statement: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE tags RENAME TO labels", "its database has no table tags"),
        ("ALTER TABLE runs RENAME COLUMN name TO title", "its table runs has no column name"),
    ],
)
def test_other_tables_are_refused(uri: str, statement: str, said: str) -> None:
    _altered(uri, statement)
    with pytest.raises(LookupError, match=said):
        Tables(uri, "1")


def test_a_server_has_none_to_look_at() -> None:
    with pytest.raises(LookupError, match="a tracking server does not show its tables"):
        Tables("http://127.0.0.1:9", "1")


def test_a_path_may_have_any_name(tmp_path: Path, uri: str) -> None:
    odd = tmp_path / "we?rd #1 100%41"
    Path(uri.removeprefix("sqlite:///")).parent.rename(odd)
    assert Tables(f"sqlite:///{odd}/mlflow.db", "1").runs((), ()) == []
