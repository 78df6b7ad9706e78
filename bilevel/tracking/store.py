"""What is asked of mlflow, in one place: every failure there becomes a TrackingError."""

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bilevel.errors import TrackingError
from bilevel.tracking.artifacts import Artifacts
from bilevel.tracking.database import log_in, prepare
from bilevel.tracking.location import (
    REMEDY,
    address,
    artifacts_root,
    local_path,
    reach,
    resolve,
    restore_command,
    shown,
    study_folder,
)
from bilevel.tracking.records import CallRecord, Run
from bilevel.tracking.spans import spans

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is reported to third parties
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a dead server must not hold a search for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for every trial otherwise
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}.items():
    os.environ.setdefault(_name, _value)

import mlflow  # noqa: E402
from mlflow.entities import Metric, Param, RunTag, Span  # noqa: E402
from mlflow.tracing.client import TracingClient  # noqa: E402

_PAGE = 5_000
_TRACES_PAGE = 100


class Store:
    """A tracking store: a local sqlite file (made on first use), a database or a server."""

    def __init__(self, uri: str, artifacts: str | None = None, *, write: bool = True) -> None:
        self.uri = resolve(uri)
        self._artifacts = artifacts_root(self.uri, artifacts)
        with self.guard("opening"), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # mlflow's, of its own parts
            # it would print a hundred lines of SQLAlchemy where `_guard` says one
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
            reach(self.uri)
            path = local_path(self.uri)
            if path is not None:
                prepare(path, _migrate, write=write)
            elif not self.uri.startswith(("http", "databricks")):
                log_in(self.uri, _migrate)
            self._client = mlflow.MlflowClient(tracking_uri=address(self.uri))
            self._tracing = TracingClient(address(self.uri))
        self._files = Artifacts(self._client)

    @contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """Turns any failure inside the block into a one-line TrackingError: what, where, why and
        the remedy."""
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:  # mlflow, SQLAlchemy, drivers and the disk raise their own kinds
            cause = _driver_error(error)
            reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
            if isinstance(cause, ImportError):
                reason += "; install that driver"
            if "database is locked" in reason:
                reason += " by another program: wait for that one, or end it"
            raise TrackingError(
                f"{doing} failed in the tracking store {shown(self.uri)}: {reason[:300]}; mend it, "
                f"or {REMEDY}"
            ) from error

    def studies(self) -> dict[str, str]:
        """Return experiment ids by name, without MLflow's default experiment."""

        def page(token: str | None) -> Any:
            return self._client.search_experiments(max_results=_PAGE, page_token=token)

        with self.guard("listing studies"):
            return {e.name: e.experiment_id for e in _every(page) if e.name != "Default"}

    def experiment(self, study: str, tags: Mapping[str, str]) -> str:
        """Return the id of the study's experiment, which is created if missing; sets the tags it
        lacks."""
        with self.guard(f"opening study {study}"):
            found = self._client.get_experiment_by_name(study) or self._create(study)
            if found.lifecycle_stage != "active":
                raise TrackingError(
                    f"study {study} was deleted in {shown(self.uri)}; restore it with `"
                    f"{restore_command(self.uri, found.experiment_id)}`, or choose another study "
                    "name"
                )
            for name, text in tags.items():
                if found.tags.get(name) != text:
                    self._tag(found.experiment_id, name, text)
            identifier: str = found.experiment_id
            return identifier

    def _tag(self, experiment: str, name: str, text: str) -> None:
        try:
            self._client.set_experiment_tag(experiment, name, text)
        except mlflow.MlflowException:
            if self._client.get_experiment(experiment).tags.get(name) != text:
                raise  # another search of the study may have been a moment earlier

    def _create(self, study: str) -> Any:
        place = self._artifacts and f"{self._artifacts}/{study_folder(study)}"
        try:
            self._client.create_experiment(study, artifact_location=place)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise  # another search of the study may have been a moment earlier
        return self._client.get_experiment_by_name(study)

    def runs(self, experiment: str, query: str) -> list[Run]:
        """Return every active run that matches the query, oldest first."""

        def page(token: str | None) -> Any:
            return self._client.search_runs(
                [experiment],
                query,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )

        with self.guard("reading runs"):
            return [_run(run) for run in _every(page)]

    def curve(self, run_id: str, metric: str) -> dict[int, float]:
        """Return a metric's value by step; the last one where it was logged twice."""
        with self.guard("reading metrics"):
            points = self._client.get_metric_history(run_id, metric)
            return {m.step: m.value for m in sorted(points, key=lambda m: m.timestamp)}

    def text(self, run_id: str, path: str) -> str:
        """Return a text artifact."""
        with self.guard(f"reading {path}"):
            return self._files.read(run_id, path)

    def create(
        self,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        parent: str = "",
        age_s: float = 0.0,
    ) -> str:
        """Creates a run that is RUNNING and began `age_s` ago; returns its id."""
        every = {**tags, "mlflow.parentRunId": parent} if parent else dict(tags)
        start_ms = int((time.time() - age_s) * 1000)
        with self.guard(f"starting run {name}"):
            made = self._client.create_run(experiment, start_ms, tags=every, run_name=name)
            identifier: str = made.info.run_id
            self._files.belong(identifier, made.info.artifact_uri)
            return identifier

    def log(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Logs metrics, params and tags in one call."""
        with self.guard("logging"):
            self._client.log_batch(
                run_id,
                metrics=_points({step: metrics or {}}),
                params=[Param(n, v) for n, v in (params or {}).items()],
                tags=[RunTag(n, v) for n, v in (tags or {}).items()],
            )

    def log_curves(self, run_id: str, curves: Mapping[int, Mapping[str, float]]) -> None:
        """Logs metrics by step (step -> metrics) in one call."""
        with self.guard("logging"):
            self._client.log_batch(run_id, metrics=_points(curves))

    def latest(self, run_id: str) -> Mapping[str, float]:
        """Return the last value of every metric."""
        with self.guard("reading metrics"):
            found: Mapping[str, float] = self._client.get_run(run_id).data.metrics
            return found

    def files(self, run_id: str, files: Mapping[str, str]) -> None:
        """Writes texts as artifacts (path -> text)."""
        with self.guard("storing artifacts"):
            self._files.texts(run_id, files)

    def file(self, run_id: str, path: Path) -> None:
        with self.guard(f"storing {path.name}"):
            self._files.copy(run_id, path)

    def traces(self, experiment: str, told: Mapping[str, Sequence[CallRecord]], model: str) -> None:
        """Writes model calls as traces, a hundred in one request.

        `told` maps a trial's name in the experiment to its calls, whichever run the trial has.
        Until `link` the traces belong to no run; `delete` finds them by ids that follow from the
        name.
        """
        with self.guard("storing traces"):
            made = [
                Span.from_dict(data)
                for name, calls in told.items()
                for data in spans(name, calls, model)
            ]
            for page in _pages(made):
                self._tracing.log_spans(experiment, page)

    def link(self, run_id: str, traces: Sequence[str]) -> None:
        """Assigns traces, by id, to a run."""
        with self.guard("storing traces"):
            for page in _pages(traces):
                self._client.link_traces_to_run(page, run_id)

    def status(self, run_id: str, status: str) -> None:
        """Sets a run's status: RUNNING, FINISHED, FAILED or KILLED; all but the first also end
        the run."""
        with self.guard("closing a run"):
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status)

    def delete(self, experiment: str, run_id: str, traces: Sequence[str] = ()) -> None:
        """Deletes a run, and traces by id if they exist."""
        with self.guard("removing a run that was cut off"):
            for page in _pages(traces):
                self._client.delete_traces(experiment, trace_ids=page)
            self._client.delete_run(run_id)


def _driver_error(error: BaseException) -> BaseException:
    """Return the database driver's error, if there is one inside SQLAlchemy's; else the error
    itself."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(origin := getattr(link, "orig", None), BaseException):
            return origin
        link = link.__cause__
    return error


def _points(curves: Mapping[int, Mapping[str, float]]) -> list[Metric]:
    now_ms = int(time.time() * 1000)
    return [Metric(n, v, now_ms, step) for step, one in curves.items() for n, v in one.items()]


def _pages(traces: Sequence[Any]) -> Iterator[list[Any]]:
    """Yields the traces in batches of as many as one request may name."""
    for start in range(0, len(traces), _TRACES_PAGE):
        yield list(traces[start : start + _TRACES_PAGE])


def _every(page: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yields all entries of a paged answer."""
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token or None
        if token is None:
            return


def _run(run: Any) -> Run:
    info, data = run.info, run.data
    return Run(info.run_id, info.run_name or "", info.status, dict(data.tags), dict(data.metrics))


def _migrate(uri: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    mlflow.MlflowClient(tracking_uri=uri).search_experiments()
