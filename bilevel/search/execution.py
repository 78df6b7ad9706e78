"""Executes one search: its loops, its model, and the records that its tracker is given.

The same execution serves a live search, a continued one, a replay and a sync: answers in the
journal are used first, and a sealed journal allows no others.
"""

import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import instantiate
from threadpoolctl import threadpool_limits

from bilevel.config.arms import role_in
from bilevel.config.checks import without_passwords
from bilevel.errors import BudgetExhausted, TrackingError, Unrecorded
from bilevel.journal import JOURNAL, VOLATILE, Journal, projection
from bilevel.llm import versions
from bilevel.llm.ledger import Call, CallLedger
from bilevel.llm.recorded import Silent
from bilevel.llm.session import Client, Session
from bilevel.loop.activations import Effect
from bilevel.loop.loop import Loop, Observer
from bilevel.search import same_world
from bilevel.search.build import Summary, levels, summarise
from bilevel.search.confirmation import HELD_OUT, Confirmation, confirmed
from bilevel.search.identity import Identity
from bilevel.search.seed_noise import noise_text
from bilevel.tasks.base import Task
from bilevel.trace import Trial
from bilevel.tracking import MechanismRecord, NullTracker, SearchInfo, Tracker, TrialRecord
from bilevel.view import About, Asker, Standing, nobody
from bilevel.workers.executor import Executor

_log = logging.getLogger(__name__)


class Execution:
    """One execution of a search: its loops, model, journal and tracker. `loops` are innermost first
    and empty until it has begun; `complete` is true once it ran to its end, `untracked` is the
    reason why the tracking store does not hold all of it."""

    def __init__(
        self,
        identity: Identity,
        settings: Mapping[str, Any],
        folder: Path,
        journal: Journal,
        tracker: Tracker,
        *,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.identity = identity
        self.loops: list[Loop] = []
        self.confirmation: Confirmation | None = None
        self.held_out: Confirmation | None = None
        self.complete = False
        self.untracked = ""
        self._settings = settings
        self._folder = folder
        self._journal = journal
        self._tracker = tracker
        self._observers = observers
        self._calls = CallLedger()
        self._versions: Mapping[str, str] = {}
        self._llm, self._whose = settings["llm"]["name"], ""
        self._seen = 0
        self._waiting: list[Call] = []
        self._modelled_s = self._wall_s = 0.0

    def to_the_end(self) -> Summary:
        """Runs the search and returns its summary. Raises Unrecorded where a sealed journal ends
        early; the tracker has then been given everything that is recorded."""
        with contextlib.ExitStack() as stack:
            asker = self._model(stack)
            task = self._task(stack)
            executor: Executor = instantiate(self._settings["executor"])
            stack.callback(executor.close)
            self.loops = levels(
                self._settings,
                task,
                journal=self._journal,
                asker=asker,
                observers=[self._track, *self._observers],
                executor=executor,
                about=self._about(task),
            )
            stack.enter_context(threadpool_limits(1))  # with more, sums come out otherwise
            for loop in self.loops:
                stack.callback(loop.pipeline.close)
            self._start(self.loops[0])
            try:
                self.loops[-1].run()
                self._confirm(self.loops[0], executor)
            except Unrecorded:
                self._leave()
                raise
            except BudgetExhausted:
                self._end("exhausted")
                raise
            except Exception:
                self._end("failed")
                raise
            self._end("done")
        self.untracked = self.untracked or self._tracker.problem
        self.complete = True
        summary = summarise(self.identity, self.loops[0])
        self._journal.note("end", "end", summary.to_json())
        return summary

    @property
    def reworded(self) -> int:
        """How many recorded answers were used for a question that is worded differently
        now, because another version ran the search."""
        return len(self._journal.reworded)

    @property
    def inventory(self) -> list[tuple[Loop, Standing]]:
        """Every mechanism that was ever attached, with its loop."""
        return [(loop, one) for loop in self.loops for one in loop.view().mechanisms()]

    def _model(self, stack: contextlib.ExitStack) -> Asker:
        """Returns the asker of the search's model, or one that refuses where there is none; the
        model's settings are checked before anything is spent. The journal notes which model
        answered, so that a replay needs no model."""
        llm, journal = self._settings["llm"], self._journal
        if llm.get("_target_") is None:
            return nobody
        if journal.sealed:
            whose = journal.once("search", "model", dict)
            self._versions = versions.kept(journal)
            return self._session(Silent.like(llm, whose))
        client: Client = instantiate(llm)
        stack.callback(client.close)
        endpoint = client.endpoint
        endpoint.check()
        self._calls = CallLedger(endpoint.caps)
        whose = {"name": endpoint.name, "model": endpoint.model}
        journal.note("search", "model", {**whose, "temperature": endpoint.temperature})
        self._versions = versions.kept(journal, versions.today(client))
        return self._session(client)

    def _session(self, client: Client) -> Asker:
        endpoint = client.endpoint
        self._llm, self._whose = endpoint.name, endpoint.described
        title = f"{self.identity.arm} seed {self.identity.seed}"
        return Session(client, self._journal, self._calls, self.identity.seed, title).asker

    def _task(self, stack: contextlib.ExitStack) -> Task:
        """Returns the task, ready to evaluate unless the journal is sealed. Its material (a script,
        for example) is noted in the journal, or read from there when an execution is repeated."""
        journal = self._journal
        if journal.sealed:
            kept = journal.peek("search", "material")  # it has its turn where the world is kept
            if kept is None:
                kept = journal.once("search", "material", dict)
        else:
            kept = journal.recording.note("search", "material") or {}
        task: Task = instantiate(
            self._settings["task"], **projection(kept), **kept.get(VOLATILE, {}), _convert_="all"
        )
        stack.callback(task.close)
        if not journal.sealed:
            task.ready()
        details = {VOLATILE: task.details()} if task.details() else {}
        same_world.keep(journal, task, {**task.material(), **details}, self.identity.search)
        return task

    def _about(self, task: Task) -> About:
        """Returns the task's description and its known noise as the journal recorded them when the
        search began; empty for a search of before they were recorded."""
        journal = self._journal
        if journal.sealed and not journal.holds("search", "about"):
            return About()

        def described() -> dict[str, Any]:
            return replace(task.describe(), noise=noise_text(self._settings, task)).to_json()

        return About(**journal.once("search", "about", described))

    def _start(self, inner: Loop) -> None:
        born = self._journal.once("search", "id", lambda: {"clock": {"id": uuid.uuid4().hex[:12]}})
        identity, settings = self.identity, self._settings
        info = SearchInfo(
            study=identity.study,
            arm=identity.arm,
            seed=identity.seed,
            llm=self._llm,
            task=inner.task.name,
            search_id=born["clock"]["id"],
            fingerprint=identity.fingerprint,
            objective=inner.task.objective,
            config_yaml=yaml.safe_dump(without_passwords(settings), sort_keys=False),
            journal=self._folder / JOURNAL,
            model=self._whose,
            task_settings=without_passwords(identity.task_settings) | inner.task.material(),
            dependent_seeds=identity.dependent_seeds,
            prompts=self._versions.get("prompts", ""),
            stand_in_version=self._versions.get("stand_in", ""),
            noise_told=inner.view().about.noise,
            role=role_in(settings).to_tag(),
        )
        try:
            if settings["fresh"]:
                self._tracker.supersede(identity.study, identity.arm, identity.seed)
            self._tracker.start(info)
        except TrackingError as error:
            if self._journal.sealed:
                raise  # nothing is measured here that could be lost
            _log.warning("%s runs untracked: %s", identity.search, error)
            self.untracked, self._tracker = str(error), NullTracker()

    def _track(self, loop: Loop, trial: Trial) -> None:
        """Gives a decided trial of any level to the tracker."""
        if loop.level == 1:
            self._modelled_s += trial.outcome.cost.get("modelled_s", 0.0)
            self._wall_s += trial.outcome.clock.get("wall_s", 0.0)
        best = loop.best
        self._tracker.trial(
            TrialRecord(
                level=loop.level,
                trial=trial,
                baseline=loop.trace[0].value,
                best=None if best is None else best.value,
                calls=self._calls_of(loop.level, trial.number),
                totals=self._totals(),
                hooks=[row.to_json() for row in loop.pipeline.ledger.of_trial(trial.number)],
                metric=loop.task.objective.metric,
            )
        )

    def _calls_of(self, level: float, trial: int) -> list[Call]:
        self._waiting += self._calls.since(self._seen)
        self._seen = len(self._calls)
        mine = [c for c in self._waiting if (c.level, c.trial) == (level, trial)]
        self._waiting = [c for c in self._waiting if (c.level, c.trial) != (level, trial)]
        return mine

    def _totals(self) -> dict[str, float]:
        total = self._calls.total
        return {
            "tokens": total.tokens,
            "llm_calls": total.calls,
            "usd": total.usd,
            "modelled_s": self._modelled_s,
            "wall_s": self._wall_s,
        }

    def _confirm(self, inner: Loop, executor: Executor) -> None:
        """Measures baseline and best again, and on what the task holds out; both are charged to
        the search, outside its budget."""
        repeats = self._settings["search"]["confirm_seeds"]
        if not repeats or inner.best is None:
            return
        again = self.identity.seed, repeats, self._journal, executor
        self.confirmation = confirmed(inner.task, inner.best, *again)
        self._journal.note("confirmation", "confirmation", self.confirmation.noted())
        held_out = inner.task.held_out
        if held_out is not None:
            self.held_out = confirmed(held_out, inner.best, *again, HELD_OUT)
            self._journal.note("confirmation", HELD_OUT, self.held_out.noted())

    def _leave(self) -> None:
        """Tracks an unfinished search as far as it got; it may be continued."""
        self._tracker.mechanisms(self._mechanisms())
        self._tracker.leave_running()

    def _end(self, status: str) -> None:
        self._tracker.mechanisms(self._mechanisms())
        trace = self.loops[0].trace
        kept = sum(1 for trial in trace if trial.kept)
        totals = {"trials": max(0.0, len(trace) - 1.0), "kept": kept, **self._totals()}
        if self.confirmation is not None:
            totals |= self.confirmation.metrics()
        if self.held_out is not None:
            totals |= self.held_out.held_out_metrics()
        self._tracker.end(status, totals)

    def _mechanisms(self) -> list[MechanismRecord]:
        return [record for loop in self.loops for record in _mechanisms(loop)]


def _mechanisms(loop: Loop) -> list[MechanismRecord]:
    ledger, trials = loop.pipeline.ledger, len(loop.trace)
    standings = {one.name: one for one in loop.view().mechanisms()}
    return [
        MechanismRecord(
            name=mechanism.name,
            carrier=mechanism.carrier,
            state=str(loop.pipeline.liveness(mechanism.name, trials)),
            source=mechanism.source(),
            rows=[r.to_json() for r in ledger.rows(mechanism.name) if r.effect != Effect.NONE],
            counts=ledger.counts(mechanism.name),
            level=loop.level,
            credit={
                **standings[mechanism.name].credit.metrics("own"),
                **standings[mechanism.name].proposers.metrics("proposers"),
            },
        )
        for mechanism in loop.pipeline.known
    ]
