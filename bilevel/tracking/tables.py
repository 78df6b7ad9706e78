"""Reads a study from the tables of its database, because MLflow builds every run as an object.

`search_runs` takes a millisecond and a half a run: three quarters of a minute for a thousand
searches. These are four queries for a few columns, which are the same in every version of MLflow;
a database is looked at before it is trusted to have them. Nothing is written here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy

from bilevel.tracking.location import address
from bilevel.tracking.records import Run

_Steps = dict[int, float]


def _table(name: str, *columns: str) -> Any:
    return sqlalchemy.table(name, *map(sqlalchemy.column, columns))


_RUNS = _table(
    "runs", "run_uuid", "name", "status", "start_time", "experiment_id", "lifecycle_stage"
)
TAGS = _table("tags", "run_uuid", "key", "value")
_LATEST = _table("latest_metrics", "run_uuid", "key", "value")
_METRICS = _table("metrics", "run_uuid", "key", "step", "value", "timestamp")


class Tables:
    """The runs of one experiment, read by SQL. Raises LookupError where the store is no database
    or has other tables."""

    def __init__(self, uri: str, experiment: str) -> None:
        if uri.startswith(("http", "databricks")):
            raise LookupError("a tracking server does not show its tables")
        self._engine = sqlalchemy.create_engine(address(uri), poolclass=sqlalchemy.NullPool)
        self._experiment = int(experiment)
        inspector = sqlalchemy.inspect(self._engine)
        for table in (_RUNS, TAGS, _LATEST, _METRICS):
            if not inspector.has_table(table.name):
                raise LookupError(f"its database has no table {table.name}")
            found = {column["name"] for column in inspector.get_columns(table.name)}
            if lacking := sorted(set(table.c.keys()) - found):
                raise LookupError(f"its table {table.name} has no column {', '.join(lacking)}")

    def runs(self, tags: Collection[str], metrics: Collection[str]) -> list[Run]:
        """Return every active run, oldest first, with only the tags and metrics named; a metric
        name that ends with / stands for all that begin with it."""
        exact, begins = frozenset(metrics), tuple(name for name in metrics if name.endswith("/"))
        texts: dict[str, dict[str, str]] = defaultdict(dict)
        values: dict[str, dict[str, float]] = defaultdict(dict)
        for run_id, name, text in self._rows(TAGS.c.run_uuid, TAGS.c.key, TAGS.c.value):
            if name in tags:
                texts[run_id][name] = text
        for run_id, name, value in self._rows(_LATEST.c.run_uuid, _LATEST.c.key, _LATEST.c.value):
            if name in exact or name.startswith(begins):
                values[run_id][name] = value
        run = _RUNS.c
        found = self._rows(run.run_uuid, run.name, run.status, order=(run.start_time, run.run_uuid))
        return [Run(i, name or "", status, texts[i], values[i]) for i, name, status in found]

    def curves(self, metrics: Collection[str]) -> dict[tuple[str, str], _Steps]:
        """Return values by step for each (run, metric), for the runs that are searches."""
        metric = _METRICS.c
        searches = sqlalchemy.select(TAGS.c.run_uuid).where(
            TAGS.c.key == "kind", TAGS.c.value == "search"
        )
        chosen = (metric.key.in_(metrics), metric.run_uuid.in_(searches))
        columns = (metric.run_uuid, metric.key, metric.step, metric.value)
        found: dict[tuple[str, str], _Steps] = defaultdict(dict)
        for run_id, name, step, value in self._rows(
            *columns, chosen=chosen, order=(metric.timestamp,)
        ):
            found[run_id, name][step] = value
        return found

    def _rows(
        self, run_id: Any, *columns: Any, chosen: Sequence[Any] = (), order: Sequence[Any] = ()
    ) -> Iterator[Any]:
        """Yields columns of the rows of active runs. The query does not filter by name: the
        index on names would fetch the table row by row, three times as slow."""
        active = sqlalchemy.select(_RUNS.c.run_uuid).where(
            _RUNS.c.experiment_id == self._experiment, _RUNS.c.lifecycle_stage == "active"
        )
        query = sqlalchemy.select(run_id, *columns).where(run_id.in_(active), *chosen)
        with self._engine.connect() as connection:
            yield from connection.execute(query.order_by(*order))
