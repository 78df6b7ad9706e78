"""The tracker that writes a search to MLflow, and writes it once however often it is told."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bilevel.errors import TrackingError
from bilevel.settings import Switch
from bilevel.tracking import content, view
from bilevel.tracking.environment import environment_json
from bilevel.tracking.location import DEFAULT_URI, deep_link, resolve, ui_command
from bilevel.tracking.records import (
    MechanismRecord,
    Run,
    SearchInfo,
    TrialRecord,
    check_ending,
)
from bilevel.tracking.spans import trace_ids

if TYPE_CHECKING:
    from bilevel.tracking.store import Store

_STATUS = {"done": "FINISHED", "failed": "FAILED", "exhausted": "KILLED"}
_log = logging.getLogger(__name__)


class MlflowTracker:
    """A tracker that writes to MLflow: one experiment per study, one parent run per search, a child
    run for each trial and mechanism.

    A child run is complete when its status is FINISHED; one that was cut off is deleted and written
    again. If the store fails after the start, that is reported once, `problem` says why, and
    nothing more is written: running the same command again fills the gap from the journal.
    """

    def __init__(
        self, uri: str = DEFAULT_URI, artifacts: str | None = None, traces: Switch = True
    ) -> None:
        self.uri = resolve(uri)
        self.problem = ""
        self._artifacts = artifacts
        self._traces = traces
        self._store: Store | None = None
        self._info: SearchInfo | None = None
        self._experiment = ""
        self._parent = ""
        self._children: dict[str, Run] = {}
        self._steps: set[int] = set()
        self._told: dict[str, MechanismRecord] = {}

    @property
    def store(self) -> "Store":
        """The open store; the first use imports mlflow, which takes seconds."""
        if self._store is None:
            from bilevel.tracking.store import Store

            self._store = Store(self.uri, self._artifacts)
        return self._store

    @property
    def link(self) -> str:
        """The link to the page of the study's searches, once the search is started."""
        return deep_link(self.uri, self._experiment)

    @property
    def command(self) -> str:
        """The shell command that serves that page."""
        return ui_command(self.uri)

    def start(self, info: SearchInfo) -> None:
        """Creates or finds the search's run. Raises TrackingError if the store cannot be
        written."""
        self.problem, self._info, self._told = "", info, {}
        self._experiment = self.store.experiment(
            info.study, {view.TAG: view.state(info.objective.metric)}
        )
        current = self._searches(info.study, info.arm, info.seed)
        mine = [run for run in current if run.tags.get("search_id") == info.search_id]
        older = [run for run in current if run.tags.get("search_id") != info.search_id]
        if older:
            self._mark(older)
            _log.warning(
                "tracking: %d earlier search(es) of %s/%s seed %d are marked superseded",
                len(older),
                info.study,
                info.arm,
                info.seed,
            )
        tags = content.search_tags(info)
        if mine:
            self._parent = mine[0].run_id
            self.store.status(self._parent, "RUNNING")
            lacking = {name: text for name, text in tags.items() if name not in mine[0].tags}
            if lacking:  # an older version began it
                self.store.log(self._parent, tags=lacking)
            self._find_children()
        else:
            self._parent = self.store.create(self._experiment, f"{info.arm} seed {info.seed}", tags)
            self._children, self._steps = {}, set()
        self.store.files(
            self._parent,
            {"config.yaml": info.config_yaml, "environment.json": environment_json()},
        )

    def trial(self, record: TrialRecord) -> None:
        """Writes a decided trial, unless its run is complete already."""
        self._unless_broken(f"trial {record.label}", lambda: self._write([record]))

    def mechanisms(self, records: Sequence[MechanismRecord]) -> None:
        """Writes the current state of the mechanisms, as far as it changed since the last call."""

        def write() -> None:
            for record in records:
                self._mechanism(record)
                self._told[record.label] = record

        self._unless_broken("the mechanisms", write)

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        """Ends the search's run: final metrics, journal, activation ledger and status."""
        check_ending(status)
        self._unless_broken("the end of the search", lambda: self._end(status, summary))

    def leave_running(self) -> None:
        """Does nothing: everything is written already, and the run stays open for a resumed
        search."""

    def supersede(self, study: str, arm: str, seed: int) -> int:
        """Marks every search of this (study, arm, seed) as superseded; returns how many."""
        self._experiment = self.store.experiment(study, {})
        found = self._searches(study, arm, seed)
        self._mark(found)
        return len(found)

    def _searches(self, study: str, arm: str, seed: int) -> list[Run]:
        """Return the searches of (study, arm, seed) that are not superseded.

        Only searches have the tag `superseded`; filtering by it first avoids scanning every trial.
        """
        query = f"tags.superseded = 'false' AND tags.seed = '{seed}'"
        found = self.store.runs(self._experiment, query)
        return [r for r in found if r.tags.get("arm") == arm and r.tags.get("study") == study]

    def _mark(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self.store.log(run.run_id, tags={"superseded": "true"})
            if run.status == "RUNNING":
                self.store.status(run.run_id, "KILLED")

    def _find_children(self) -> None:
        query = f"tags.`mlflow.parentRunId` = '{self._parent}'"
        self._children = {
            run.tags["label"]: run
            for run in self.store.runs(self._experiment, query)
            if "label" in run.tags
        }
        self._steps = set(self.store.curve(self._parent, content.STEP_MARK))

    def _unless_broken(self, what: str, write: Callable[[], None]) -> None:
        if self.problem:
            return
        if self._info is None:
            raise TrackingError(f"{what} was told to a tracker that was not started: call start()")
        try:
            write()
        except TrackingError as error:
            self.problem = str(error)
            _log.warning(
                "tracking stopped at %s: %s. The search goes on and its journal is complete; run "
                "the same command again to fill the gap",
                what,
                error,
            )

    @property
    def _search(self) -> SearchInfo:
        assert self._info is not None
        return self._info

    def _child(self, label: str, name: str, tags: Mapping[str, str], age_s: float = 0.0) -> str:
        every = content.common_tags(self._search) | dict(tags) | {"label": label}
        return self.store.create(self._experiment, name, every, self._parent, age_s)

    def _write(self, records: Sequence[TrialRecord]) -> None:
        """Writes the trials whose runs are not complete. Runs are created first and finished
        last, so that an interrupted write is found and repeated."""
        known = self._children
        fresh = [r for r in records if r.label not in known or known[r.label].status != "FINISHED"]
        runs = [self._begun(record) for record in fresh]
        self._log_curves(fresh)
        if self._traces:
            told = {self._name(record): record.calls for record in fresh}
            self.store.traces(self._experiment, told, self._search.llm)
        for run_id, record in zip(runs, fresh, strict=True):
            self._complete(run_id, record)

    def _name(self, record: TrialRecord) -> str:
        """Return the name from which the ids of a trial's traces follow."""
        return f"{self._experiment}/{self._search.search_id}/{record.label}"

    def _begun(self, record: TrialRecord) -> str:
        """Creates a trial's run, after deleting one that was cut off; returns its id."""
        if record.label in self._children:
            cut = self._children[record.label].run_id
            self.store.delete(self._experiment, cut, trace_ids(self._name(record), record.calls))
        return self._child(
            record.label,
            content.trial_name(record),
            content.trial_tags(record, self._search.objective),
            age_s=content.spent_s(record),
        )

    def _log_curves(self, records: Sequence[TrialRecord]) -> None:
        """Logs the trials' points of the search's curves, except at steps that are logged
        already."""
        curves = {
            record.trial.number: content.search_metrics(record, self._search.objective)
            for record in records
            if record.level == 1 and record.trial.number not in self._steps
        }
        if curves:
            self.store.log_curves(self._parent, curves)
            self._steps |= curves.keys()

    def _complete(self, run_id: str, record: TrialRecord) -> None:
        self.store.log(
            run_id,
            metrics=content.trial_metrics(record, self._search.objective),
            step=record.trial.number,
            params=content.trial_params(record.trial),
        )
        self.store.files(run_id, content.trial_files(record))
        if self._traces:
            self.store.link(run_id, trace_ids(self._name(record), record.calls))
        self.store.status(run_id, "FINISHED")

    def _mechanism(self, record: MechanismRecord) -> None:
        """Creates or updates the one run of a mechanism; counts never go back to fewer calls."""
        tags, calls = content.mechanism_tags(record), content.hook_calls(record)
        known = self._children.get(record.label)
        if known is not None and known.status == "RUNNING":
            self.store.delete(self._experiment, known.run_id)
            known = None
        held = -1 if known is None else int(known.tags.get("hook_calls", -1))
        if known is not None and (held > calls or known.tags.get("digest") == tags["digest"]):
            return
        if known is None:
            run_id = self._child(
                record.label, content.mechanism_name(record), {"kind": "mechanism"}
            )
        else:
            run_id = known.run_id
            self.store.status(run_id, "RUNNING")
        self.store.files(run_id, content.mechanism_files(record))
        grown = content.mechanism_metrics(record) if calls > held else {}
        self.store.log(run_id, metrics=grown, step=calls, tags=tags)
        status = "FAILED" if record.state == "dead" else "FINISHED"
        self.store.status(run_id, status)
        self._children[record.label] = Run(run_id, record.name, status, tags, {})

    def _end(self, status: str, summary: Mapping[str, float]) -> None:
        store = self.store
        if self._told:
            store.files(self._parent, {"mechanisms.json": content.mechanisms_json(self._told)})
        journal = self._search.journal
        if journal is not None and journal.exists():
            store.file(self._parent, journal)
        held = store.latest(self._parent)
        fresh = {n: v for n, v in content.finite(summary).items() if held.get(n) != v}
        store.log(
            self._parent, metrics=fresh, step=max(self._steps, default=0), tags={"ended": status}
        )
        store.status(self._parent, _STATUS[status])
