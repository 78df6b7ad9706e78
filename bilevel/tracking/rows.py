"""Whole runs as rows of MLflow's own tables, because its interface costs a transaction a call.

A search of 30 trials is some 400 calls of `MlflowClient`, each a session, a few queries and a
commit: 20 to 30 ms a trial, whoever calls. MLflow has no bulk interface, so this module fills the
models that its store fills, through its session. They are no public interface: importing this
module fails with a reason where MLflow is not of the version whose rows were compared.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow

PROVEN = "3.17."  # tests/tracking/test_bulk.py compares every row with what this version writes
if not mlflow.__version__.startswith(PROVEN):
    raise ImportError(f"rows are known for mlflow {PROVEN}x, and {mlflow.__version__} is installed")

import sqlalchemy  # noqa: E402
from mlflow.entities import Metric, Param, RunTag, Span  # noqa: E402
from mlflow.entities.entity_type import EntityAssociationType  # noqa: E402
from mlflow.store.tracking.dbmodels import models  # noqa: E402
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: E402
from mlflow.store.tracking.utils.sql_trace_rollups import rollups_enabled  # noqa: E402
from mlflow.store.tracking.utils.trace_analytics import (  # noqa: E402
    COST_COLUMN_BY_KEY,
    TOKEN_COLUMN_BY_KEY,
)
from mlflow.tracing.constant import SpanAttributeKey, SpansLocation, TraceTagKey  # noqa: E402
from mlflow.tracing.otel.translation import translate_span_when_storing  # noqa: E402
from mlflow.tracing.utils import (  # noqa: E402
    TraceJSONEncoder,
    aggregate_cost_from_spans,
    aggregate_usage_from_spans,
)
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME  # noqa: E402
from mlflow.utils.uri import append_to_uri_path  # noqa: E402
from mlflow.utils.validation import _validate_batch_log_data  # noqa: E402

Rows = list[dict[str, Any]]
_validated: Any = _validate_batch_log_data
_below: Any = append_to_uri_path
BUSY_MS = 60_000  # how long a writer waits for another one's lock of a sqlite file
_IDS = 500  # how many a query may name


@dataclass
class HeldRun:
    """A run that is not in the store yet; times in ms since the epoch, metrics with their step."""

    run_id: str
    name: str
    start_ms: int
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    status: str = "RUNNING"
    end_ms: int | None = None

    def latest(self) -> dict[str, Metric]:
        """The last point of every metric, as MLflow counts: by step, then time, then value."""
        found: dict[str, Metric] = {}
        for metric in sorted(self.metrics, key=lambda m: (m.step, m.timestamp, m.value)):
            found[metric.key] = metric
        return found


def check(store: Any) -> None:
    """Raises ImportError if a tracking store is of a kind whose rows are not known."""
    if type(store) is not SqlAlchemyStore:
        raise ImportError(f"rows are not known for a {type(store).__name__}")
    if rollups_enabled():
        raise ImportError("rows are not known with MLFLOW_SQL_TRACE_ROLLUPS_ENABLED")


def artifact_uri(experiment: Any, run: HeldRun) -> str:
    folder = SqlAlchemyStore.ARTIFACTS_FOLDER_NAME
    return str(_below(experiment.artifact_location, run.run_id, folder))


def write(store: Any, experiment: Any, runs: Sequence[HeldRun]) -> None:
    """All of it in one transaction: afterwards there is everything, or nothing."""
    tables: dict[Any, Rows] = {
        models.SqlRun: [_run(experiment, run) for run in runs],
        models.SqlTag: [row for run in runs for row in _tags(run)],
        models.SqlParam: [row for run in runs for row in _params(run)],
        models.SqlMetric: [row for run in runs for row in _metrics(run, set(run.metrics))],
        models.SqlLatestMetric: [
            row for run in runs for row in _metrics(run, set(run.latest().values()))
        ],
    }
    traces, tags, spans, links = _traces(store, experiment, runs)
    tables |= {
        models.SqlTraceInfo: traces,
        models.SqlTraceTag: tags,
        models.SqlSpan: spans,
        models.SqlEntityAssociation: links,
    }
    with store.ManagedSessionMaker(read_only=False) as session:
        if store.db_type == "sqlite":
            session.execute(sqlalchemy.text(f"PRAGMA busy_timeout = {BUSY_MS}"))
        _remove(session, [row["request_id"] for row in traces])
        for model, rows in tables.items():
            if rows:
                session.execute(sqlalchemy.insert(model.__table__), rows)


def _remove(session: Any, ids: Sequence[str]) -> None:
    """Traces of the same trials, left by a search whose runs were deleted."""
    known: Any = models.SqlTraceInfo
    for start in range(0, max(1, len(ids)), _IDS):
        chosen = known.request_id.in_(ids[start : start + _IDS])
        session.execute(sqlalchemy.delete(known.__table__).where(chosen))


def _run(experiment: Any, run: HeldRun) -> dict[str, Any]:
    return {
        "run_uuid": run.run_id,
        "name": run.name,
        "artifact_uri": artifact_uri(experiment, run),
        "experiment_id": int(experiment.experiment_id),
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "unknown",
        "status": run.status,
        "start_time": run.start_ms,
        "end_time": run.end_ms,
        "deleted_time": None,
        "lifecycle_stage": "active",
    }


def _tags(run: HeldRun) -> Iterator[dict[str, Any]]:
    _, _, tags = _validated([], [], [RunTag(n, v) for n, v in run.tags.items()])
    for tag in [*tags, RunTag(MLFLOW_RUN_NAME, run.name)]:
        yield {"run_uuid": run.run_id, "key": tag.key, "value": tag.value}


def _params(run: HeldRun) -> Iterator[dict[str, Any]]:
    _, params, _ = _validated([], [Param(n, v) for n, v in run.params.items()], [])
    for param in params:
        yield {"run_uuid": run.run_id, "key": param.key, "value": param.value}


def _metrics(run: HeldRun, metrics: set[Metric]) -> Iterator[dict[str, Any]]:
    """Every value is finite: `content.finite` leaves out what is not."""
    _validated(list(metrics), [], [])
    for metric in metrics:
        yield {
            "run_uuid": run.run_id,
            "key": metric.key,
            "value": metric.value,
            "timestamp": metric.timestamp,
            "step": metric.step,
            "is_nan": False,
        }


def _traces(store: Any, experiment: Any, runs: Sequence[HeldRun]) -> tuple[Rows, Rows, Rows, Rows]:
    traces: Rows = []
    tags: Rows = []
    spans: Rows = []
    links: Rows = []
    for run in runs:
        for span in run.spans:
            data = translate_span_when_storing(span)
            traces.append(_trace(store, experiment, span, data))
            tags += _trace_tags(store, experiment, span)
            spans.append(_span(store, experiment, span, data))
            links.append(_link(run, span))
    return traces, tags, spans, links


def _trace(store: Any, experiment: Any, span: Any, data: dict[str, Any]) -> dict[str, Any]:
    """One span is one whole trace, so that its numbers are the trace's."""
    empty = models.SqlTraceInfo()
    previews = {c.key: text for c, text in store._update_trace_info_attributes(empty, data).items()}
    usage = aggregate_usage_from_spans([span]) or {}
    cost = aggregate_cost_from_spans([span]) or {}
    start_ms, end_ms = span.start_time_ns // 1_000_000, span.end_time_ns // 1_000_000
    return {
        "request_id": span.trace_id,
        "experiment_id": int(experiment.experiment_id),
        "timestamp_ms": start_ms,
        "execution_time_ms": end_ms - start_ms,
        "status": store._get_trace_status_from_root_span([span]),
        "trace_name": span.name,
        "db_payload_generation": 1,
        "request_preview": previews.get("request_preview"),
        "response_preview": previews.get("response_preview"),
        **{column: usage.get(key) for key, column in TOKEN_COLUMN_BY_KEY.items()},
        **{column: cost.get(key) for key, column in COST_COLUMN_BY_KEY.items()},
    }


def _trace_tags(store: Any, experiment: Any, span: Any) -> Iterator[dict[str, Any]]:
    prefix = SpanAttributeKey.TRACE_TAG_PREFIX
    place = store._get_trace_artifact_location_tag(experiment, span.trace_id)
    found = {name[len(prefix) :]: text for name, text in span.attributes.items()
             if name.startswith(prefix)}  # fmt: skip
    found.pop(TraceTagKey.TRACE_NAME)  # a column of the trace
    found |= {
        place.key: place.value,
        TraceTagKey.SPANS_LOCATION: SpansLocation.TRACKING_STORE.value,
    }
    for name, text in found.items():
        yield {"request_id": span.trace_id, "key": name, "value": text}


def _span(store: Any, experiment: Any, span: Any, data: dict[str, Any]) -> dict[str, Any]:
    cost = span.attributes.get(SpanAttributeKey.LLM_COST) or {}
    return {
        "trace_id": span.trace_id,
        "experiment_id": int(experiment.experiment_id),
        "span_id": span.span_id,
        "parent_span_id": None,
        "name": span.name,
        "type": span.span_type,
        "status": span.status.status_code,
        "start_time_unix_nano": span.start_time_ns,
        "end_time_unix_nano": span.end_time_ns,
        "content": json.dumps(data, cls=TraceJSONEncoder, ensure_ascii=store.db_type == "mssql"),
        **{column: cost.get(key) for key, column in COST_COLUMN_BY_KEY.items()},
        "model_name": span.attributes.get(SpanAttributeKey.MODEL),
        "model_provider": span.attributes.get(SpanAttributeKey.MODEL_PROVIDER),
    }


def _link(run: HeldRun, span: Any) -> dict[str, Any]:
    """MLflow draws a random id for the link; nothing refers to it."""
    return {
        "association_id": f"{span.trace_id[3:]}",
        "source_type": EntityAssociationType.TRACE,
        "source_id": span.trace_id,
        "destination_type": EntityAssociationType.RUN,
        "destination_id": run.run_id,
    }
