"""A store that keeps what it is told and writes it in one transaction: for whole searches at once.

Through the public client a run costs five transactions of their own; thirty thousand trials would
take half an hour. So this writes rows through MLflow's own models of its tables and nothing by
hand; where they are not what is expected here, `bulk_tracker` says so and writes run by run.
"""

import logging
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy
from mlflow.entities import LifecycleStage, RunStatus, SourceType, Span
from mlflow.entities.entity_type import EntityAssociationType
from mlflow.store.tracking.dbmodels import models
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from bilevel.tracking.records import CallRecord, Run
from bilevel.tracking.spans import spans
from bilevel.tracking.store import Store

_log = logging.getLogger(__name__)


@dataclass
class _Row:
    """A run that is not in the database yet."""

    run: dict[str, Any]
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)


class BulkStore(Store):
    """Reading, and writing to a run that the database holds already, goes through at once; runs
    that are created here wait for `flush`, which writes all or nothing."""

    def __init__(self, uri: str, artifacts: str | None = None) -> None:
        super().__init__(uri, artifacts)
        self._rows: dict[str, _Row] = {}
        self._spans: dict[str, list[Span]] = {}
        self._places: dict[str, str] = {}

    @classmethod
    def fits(cls, store: Store) -> str:
        """Why this cannot be used for what that store is; empty where it can."""
        held = store._client._tracking_client.store
        if not isinstance(held, SqlAlchemyStore):
            return "a tracking server takes one run at a time"
        if not hasattr(held, "ManagedSessionMaker"):
            return "this version of mlflow keeps its sessions elsewhere"
        return ""

    def flush(self) -> None:
        """Traces first, whose ids follow from their trials: told again they are the same ones."""
        rows, self._rows = self._rows, {}
        waiting, self._spans = self._spans, {}
        if not rows:
            return
        with self._guard("writing a search"):
            for experiment, made in waiting.items():
                self._tracing.log_spans(experiment, made)
            with self._client._tracking_client.store.ManagedSessionMaker(
                read_only=False
            ) as session:
                for model, values in _tables(rows).items():
                    if values:
                        session.execute(sqlalchemy.insert(model), values)

    def runs(self, experiment: str, query: str) -> list[Run]:
        self.flush()
        return super().runs(experiment, query)

    def create(
        self,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        parent: str = "",
        age_s: float = 0.0,
    ) -> str:
        run_id = uuid.uuid4().hex
        every = {**tags, "mlflow.parentRunId": parent} if parent else dict(tags)
        self._rows[run_id] = _Row(
            run={
                "run_uuid": run_id,
                "name": name,
                "source_type": SourceType.to_string(SourceType.UNKNOWN),
                "source_name": "",
                "entry_point_name": "",
                "user_id": "unknown",
                "status": RunStatus.to_string(RunStatus.RUNNING),
                "start_time": int((time.time() - age_s) * 1000),
                "end_time": None,
                "deleted_time": None,
                "source_version": "",
                "lifecycle_stage": LifecycleStage.ACTIVE,
                "artifact_uri": f"{self._place(experiment)}/{run_id}/artifacts",
                "experiment_id": int(experiment),
            },
            tags={**every, "mlflow.runName": name},
        )
        return run_id

    def log(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        row = self._rows.get(run_id)
        if row is None:
            super().log(run_id, metrics=metrics, step=step, params=params, tags=tags)
            return
        at = {"timestamp": int(time.time() * 1000), "step": step, "is_nan": False}
        row.metrics += [{"key": n, "value": v, **at} for n, v in (metrics or {}).items()]
        row.params |= params or {}
        row.tags |= tags or {}

    def files(self, run_id: str, files: Mapping[str, str]) -> None:
        folder = self._folder_of(run_id)
        if folder is None:
            super().files(run_id, files)
            return
        with self._guard("storing artifacts"):
            for name, text in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")

    def file(self, run_id: str, path: Path) -> None:
        folder = self._folder_of(run_id)
        if folder is None:
            super().file(run_id, path)
            return
        with self._guard(f"storing {path.name}"):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path.name)

    def calls(
        self, experiment: str, run_id: str, name: str, calls: Sequence[CallRecord], model: str
    ) -> None:
        row = self._rows.get(run_id)
        if row is None:
            super().calls(experiment, run_id, name, calls, model)
            return
        made = [Span.from_dict(data) for data in spans(name, calls, model)]
        self._spans.setdefault(experiment, []).extend(made)
        row.traces += [span.trace_id for span in made]

    def status(self, run_id: str, status: str) -> None:
        row = self._rows.get(run_id)
        if row is None:
            super().status(run_id, status)
            return
        ended = None if status == "RUNNING" else int(time.time() * 1000)
        row.run |= {"status": status, "end_time": ended}

    def _place(self, experiment: str) -> str:
        if experiment not in self._places:
            found = self._client.get_experiment(experiment)
            self._places[experiment] = found.artifact_location.rstrip("/")
        return self._places[experiment]

    def _folder_of(self, run_id: str) -> Path | None:
        """Where the artifacts of a waiting run go, if that is a folder of this machine."""
        row = self._rows.get(run_id)
        if row is None:
            return None
        parts = urlsplit(row.run["artifact_uri"])
        return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def _tables(rows: Mapping[str, _Row]) -> dict[Any, list[dict[str, Any]]]:
    """The rows of every table that the runs fill, by model; runs first, as others name them."""
    named = [(row, {"run_uuid": run_id}) for run_id, row in rows.items()]
    return {
        models.SqlRun: [row.run for row, _ in named],
        models.SqlTag: [
            {"key": k, "value": v, **run} for row, run in named for k, v in row.tags.items()
        ],
        models.SqlParam: [
            {"key": k, "value": v, **run} for row, run in named for k, v in row.params.items()
        ],
        models.SqlEntityAssociation: [
            {
                "association_id": uuid.uuid4().hex,
                "source_type": EntityAssociationType.TRACE,
                "source_id": trace,
                "destination_type": EntityAssociationType.RUN,
                "destination_id": run_id,
            }
            for run_id, row in rows.items()
            for trace in row.traces
        ],
        models.SqlMetric: [{**point, **run} for row, run in named for point in row.metrics],
        models.SqlLatestMetric: [
            {**point, **run} for row, run in named for point in _latest(row.metrics).values()
        ],
    }


def _latest(metrics: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The point of each metric that the runs page shows: the highest step, then the last told."""
    found: dict[str, dict[str, Any]] = {}
    for point in metrics:
        held = found.get(point["key"])
        if held is None or point["step"] >= held["step"]:
            found[point["key"]] = point
    return found
