"""Runs one composed search to its end, tells the tracker, and leaves what was measured behind."""

import contextlib
import hashlib
import inspect
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig

from bilevel.errors import BudgetExhausted
from bilevel.identity import Identity
from bilevel.journal import Journal
from bilevel.ledger import Effect, Liveness
from bilevel.llm.ledger import Call, Ledger
from bilevel.llm.session import Session
from bilevel.loop import Loop, Observer
from bilevel.plan import plan
from bilevel.progress import Progress
from bilevel.search import JOURNAL, Summary, begin, levels, opened, plain, summarise
from bilevel.settings import check, without_passwords
from bilevel.trace import Trial
from bilevel.tracking import MechanismRecord, SearchInfo, Tracker, TrialRecord
from bilevel.view import Asker, nobody

TRACKED = "tracked"  # names the store that holds the whole of a finished search


def run(config: DictConfig) -> None:
    """One search, new, continued or finished already. Raises what its exit code says."""
    settings = plain(config)
    check(settings)
    if settings["dry_run"]:
        print(plan(settings))
        return
    identity, folder = begin(settings)
    tracker: Tracker = instantiate(settings["tracking"])
    with opened(identity, folder) as journal:
        if journal.holds("end", "end") and _in_store(settings, folder):
            print(Summary(**journal.once("end", "end", dict), finished_before=True))
            return
        _Running(identity, settings, folder, journal, tracker).to_the_end()


def _in_store(settings: Mapping[str, Any], folder: Path) -> bool:
    """Whether nothing is left to write to the tracking store that this command names."""
    uri, mark = settings["tracking"].get("uri"), folder / TRACKED
    return uri is None or (mark.exists() and mark.read_text() == _digest(uri))


def _digest(uri: str) -> str:
    """Names a store without the password that its address may hold."""
    return hashlib.sha256(uri.encode()).hexdigest()


class _Running:
    """A search on its way: its loops, its model, and what the tracker has been told."""

    def __init__(
        self,
        identity: Identity,
        settings: Mapping[str, Any],
        folder: Path,
        journal: Journal,
        tracker: Tracker,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._folder = folder
        self._journal = journal
        self._tracker = tracker
        self._calls = Ledger()
        self._seen = 0
        self._waiting: list[Call] = []
        self._modelled_s = self._wall_s = 0.0

    def to_the_end(self) -> None:
        with contextlib.ExitStack() as stack:
            asker = self._model(stack)
            task = instantiate(self._settings["task"], _convert_="all")
            stack.callback(task.close)
            title = f"{self._identity.arm} seed {self._identity.seed}"
            progress = Progress(title, self._settings["search"]["trials"], _position())
            stack.callback(progress.close)
            observers: list[Observer] = [self._track, progress]
            loops = levels(
                self._settings, task, journal=self._journal, asker=asker, observers=observers
            )
            self._start(loops[0])
            try:
                loops[-1].run()
            except BudgetExhausted:
                self._end(loops, "exhausted")
                raise
            except Exception:
                self._end(loops, "failed")
                raise
            self._end(loops, "done")
        print(self._finish(loops[0]))

    def _model(self, stack: contextlib.ExitStack) -> Asker:
        """The search's model, if it has one; its settings are checked before anything is spent."""
        if self._settings["llm"].get("_target_") is None:
            return nobody
        client = instantiate(self._settings["llm"])
        client.endpoint.check()
        self._calls = Ledger(client.endpoint.caps)
        session = Session(client, self._journal, self._calls, self._identity.seed)
        stack.callback(session.close)
        return session.asker

    def _start(self, inner: Loop) -> None:
        born = self._journal.once("search", "id", lambda: {"clock": {"id": uuid.uuid4().hex[:12]}})
        identity, settings = self._identity, self._settings
        if settings["fresh"]:
            self._tracker.supersede(identity.study, identity.arm, identity.seed)
        self._tracker.start(
            SearchInfo(
                study=identity.study,
                arm=identity.arm,
                seed=identity.seed,
                llm=settings["llm"]["name"],
                task=inner.task.name,
                search_id=born["clock"]["id"],
                fingerprint=identity.fingerprint,
                objective=inner.task.objective,
                config_yaml=yaml.safe_dump(without_passwords(settings), sort_keys=False),
                journal=self._folder / JOURNAL,
            )
        )

    def _track(self, loop: Loop, trial: Trial) -> None:
        """An observer of every level."""
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

    def _end(self, loops: list[Loop], status: str) -> None:
        records = [record for loop in loops for record in _mechanisms(loop)]
        self._tracker.mechanisms(records)
        for record in records:
            if record.state == Liveness.DEAD:
                print(
                    f"{self._identity.search}: mechanism {record.name} is DEAD: "
                    f"in {len(loops[0].trace)} trials it changed nothing",
                    file=sys.stderr,
                )
        kept = sum(1 for trial in loops[0].trace if trial.kept)
        totals = {"trials": max(0.0, len(loops[0].trace) - 1.0), "kept": kept, **self._totals()}
        self._tracker.end(status, totals)

    def _finish(self, inner: Loop) -> Summary:
        summary = summarise(self._identity, inner)
        self._journal.note("end", "end", summary.to_json())
        uri = self._settings["tracking"].get("uri")
        if uri is not None and not self._tracker.problem:
            (self._folder / TRACKED).write_text(_digest(uri))
        return summary


def _mechanisms(loop: Loop) -> list[MechanismRecord]:
    ledger, trials = loop.pipeline.ledger, len(loop.trace)
    return [
        MechanismRecord(
            name=mechanism.name,
            carrier=mechanism.carrier,
            state=str(loop.pipeline.liveness(mechanism.name, trials)),
            source=inspect.getsource(inspect.getmodule(mechanism) or type(mechanism)),
            rows=[r.to_json() for r in ledger.rows(mechanism.name) if r.effect != Effect.NONE],
            counts=ledger.counts(mechanism.name),
            level=loop.level,
        )
        for mechanism in loop.pipeline.known
    ]


def _position() -> int:
    """Which line of the terminal is this search's, among those that a sweep runs at a time."""
    if not HydraConfig.initialized():
        return 0
    config = HydraConfig.get()
    return int(config.job.num) if config.mode == RunMode.MULTIRUN else 0
