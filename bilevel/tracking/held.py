"""A store that holds a new search back in memory and then writes the whole of it at once."""

import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Span
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from bilevel.tracking import rows
from bilevel.tracking.records import CallRecord
from bilevel.tracking.rows import HeldRun
from bilevel.tracking.spans import spans
from bilevel.tracking.store import Store, now_ms

_is_local: Any = is_local_uri
_path: Any = local_file_uri_to_path


class HeldStore(Store):
    """What concerns a search that began here, and its children, waits for `write`.

    Whatever was in the store before is read and changed there at once, as `Store` does.
    """

    def __init__(self, uri: str, artifacts: str | None = None) -> None:
        super().__init__(uri, artifacts)
        rows.check(self.backend)
        self._held: dict[str, HeldRun] = {}
        self._experiment = ""

    def write(self) -> None:
        """The files of all held runs, then their rows, all or none."""
        if not self._held:
            return
        held = list(self._held.values())
        with self.guard(f"writing {held[0].name} and its {len(held) - 1} runs"):
            experiment = self._client.get_experiment(self._experiment)
            places = [rows.artifact_uri(experiment, run) for run in held]
            try:
                for run, place in zip(held, places, strict=True):
                    _put(place, run.texts, run.files)
                rows.write(self.backend, experiment, held)
            except BaseException:
                for folder in filter(None, map(_local, places)):
                    shutil.rmtree(folder.parent, ignore_errors=True)
                raise
        self._held = {}

    def drop(self) -> None:
        """Forgets what was not written."""
        self._held = {}

    def create(
        self,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        parent: str = "",
        age_s: float = 0.0,
    ) -> str:
        if parent and parent not in self._held:
            return super().create(experiment, name, tags, parent, age_s)
        above = {"mlflow.parentRunId": parent} if parent else {}
        start_ms = int((time.time() - age_s) * 1000)
        run = HeldRun(uuid.uuid4().hex, name, start_ms, {**tags, **above})
        self._held[run.run_id] = run
        self._experiment = experiment
        return run.run_id

    def log(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        if run_id not in self._held:
            super().log(run_id, metrics=metrics, step=step, params=params, tags=tags)
            return
        run, when_ms = self._held[run_id], now_ms()
        run.metrics += [Metric(n, float(v), when_ms, step) for n, v in (metrics or {}).items()]
        run.params.update(params or {})
        run.tags.update(tags or {})

    def latest(self, run_id: str) -> Mapping[str, float]:
        if run_id not in self._held:
            return super().latest(run_id)
        return {name: metric.value for name, metric in self._held[run_id].latest().items()}

    def files(self, run_id: str, files: Mapping[str, str]) -> None:
        if run_id in self._held:
            self._held[run_id].texts.update(files)
        else:
            super().files(run_id, files)

    def file(self, run_id: str, path: Path) -> None:
        if run_id in self._held:
            self._held[run_id].files.append(path)
        else:
            super().file(run_id, path)

    def calls(
        self, experiment: str, run_id: str, name: str, calls: Sequence[CallRecord], model: str
    ) -> None:
        if run_id in self._held:
            made = [Span.from_dict(data) for data in spans(name, calls, model)]
            self._held[run_id].spans += made
        else:
            super().calls(experiment, run_id, name, calls, model)

    def status(self, run_id: str, status: str) -> None:
        if run_id not in self._held:
            super().status(run_id, status)
            return
        run = self._held[run_id]
        run.status = status
        if status != "RUNNING":
            run.end_ms = now_ms()


def _put(place: str, texts: Mapping[str, str], files: Sequence[Path]) -> None:
    """Artifacts where they belong: a local folder is written as it is, the rest is sent there."""
    local = _local(place)
    if local is not None:
        _fill(local, texts, files)
        return
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), texts, files)
        repository: Any = get_artifact_repository(place)
        repository.log_artifacts(folder)


def _local(place: str) -> Path | None:
    """The folder that a place is, unless it is one of another machine or service."""
    return Path(_path(place)) if _is_local(place) else None


def _fill(folder: Path, texts: Mapping[str, str], files: Sequence[Path]) -> None:
    for below in {Path(name).parent for name in texts} | {Path()}:
        (folder / below).mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for path in files:
        shutil.copyfile(path, folder / path.name)
