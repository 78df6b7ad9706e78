"""Reads a study from MLflow's own tables, because its interface builds every run as an object.

`search_runs` takes 1.4 ms a run: three quarters of a minute for a thousand searches. These are four
queries for a few columns. As in `rows.py` the models are no public interface: importing this module
fails with a reason where MLflow is not of the version whose rows were compared.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy

from bilevel.tracking import rows
from bilevel.tracking.records import Run

Steps = dict[int, float]
models: Any = rows.models  # type: ignore[attr-defined]


class Tables:
    """The runs of one experiment. Raises ImportError for a store whose rows are not known."""

    def __init__(self, store: Any, experiment: str) -> None:
        rows.check(store)
        self._store = store
        self._experiment = int(experiment)

    def runs(self, tags: Collection[str], metrics: Collection[str]) -> list[Run]:
        """Every active run, oldest first, with those of its tags and metrics that are named; a
        name that ends with / stands for all metrics that begin with it."""
        run, tag, latest = models.SqlRun, models.SqlTag, models.SqlLatestMetric
        exact, begins = frozenset(metrics), tuple(name for name in metrics if name.endswith("/"))
        texts: dict[str, dict[str, str]] = defaultdict(dict)
        values: dict[str, dict[str, float]] = defaultdict(dict)
        for run_id, name, text in self._rows(tag.run_uuid, tag.key, tag.value):
            if name in tags:
                texts[run_id][name] = text
        for run_id, name, value in self._rows(latest.run_uuid, latest.key, latest.value):
            if name in exact or name.startswith(begins):
                values[run_id][name] = value
        found = self._rows(run.run_uuid, run.name, run.status, order=(run.start_time, run.run_uuid))
        return [Run(i, name or "", status, texts[i], values[i]) for i, name, status in found]

    def curves(self, metrics: Collection[str]) -> dict[tuple[str, str], Steps]:
        """(run, metric) -> its value by step, of the runs that are searches."""
        metric, tag = models.SqlMetric, models.SqlTag
        searches = sqlalchemy.select(tag.run_uuid).where(tag.key == "kind", tag.value == "search")
        chosen = (metric.key.in_(metrics), metric.run_uuid.in_(searches))
        columns = (metric.run_uuid, metric.key, metric.step, metric.value)
        found: dict[tuple[str, str], Steps] = defaultdict(dict)
        for run_id, name, step, value in self._rows(
            *columns, chosen=chosen, order=(metric.timestamp,)
        ):
            found[run_id, name][step] = value
        return found

    def _rows(
        self, run_id: Any, *columns: Any, chosen: Sequence[Any] = (), order: Sequence[Any] = ()
    ) -> Iterator[Any]:
        """Columns of the rows that belong to an active run. Names are chosen by the caller: their
        index would lead through the table row by row, which takes three times as long."""
        run = models.SqlRun
        active = sqlalchemy.select(run.run_uuid).where(
            run.experiment_id == self._experiment, run.lifecycle_stage == "active"
        )
        query = sqlalchemy.select(run_id, *columns).where(run_id.in_(active), *chosen)
        with self._store.ManagedSessionMaker(read_only=True) as session:
            yield from session.execute(query.order_by(*order))
