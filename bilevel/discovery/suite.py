"""The task whose configurations are mechanisms: each is judged by what an arm makes of a suite."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated

from bilevel.admission import admit
from bilevel.discovery import members as suites
from bilevel.discovery.accounts import MECHANISM
from bilevel.discovery.cells import CELLS, Cell, level, means, paired, read, written
from bilevel.discovery.contestant import Attached, Contestant, half_searched, settings_of_arm
from bilevel.discovery.measuring import Measuring
from bilevel.discovery.members import HELD_OUT, TRAINING, Member
from bilevel.invention import Admission
from bilevel.parameters import Text as FreeText
from bilevel.sandbox.worker_handle import Limits
from bilevel.settings import FREE, Amount, Count, Seconds, Text
from bilevel.space import SearchSpace
from bilevel.tasks.base import InnerSearches, Task
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import About, View

_MAX_CHARS = 60_000


class Suite(Task):
    """A task: mechanisms are what is searched. A configuration is a mechanism's text (empty:
    none); evaluating it searches every task of the training half at `repeats` seeds with the arm
    `inner`, the mechanism attached, in the sandbox.

    The value is the gain: the mean over tasks of the share of the way from a task's baseline to
    its best known value, of the configuration that the inner search ended with, without noise.
    Cells are run in blocks, one seed of every task; a candidate that is behind the trial it builds
    on is stopped after a block (`stopped_early`), where the chance of stopping one that is not
    behind is at most `race` over all blocks (0: never). Its value is then that trial's, and the
    difference so far. `hook_limit_s` is what the hooks of a mechanism may take in one cell; beyond
    it is detached for the rest of that cell. `workers` cells are run at a time.

    The half that is held out is `held_out`, a task of its own that no search evaluates.
    """

    def __init__(
        self,
        *,
        name: Text,
        suite: Text,
        inner: Text,
        llm: Text,
        trials: Count,
        repeats: Count,
        race: Amount,
        hook_limit_s: Seconds,
        limits: Limits,
        workers: Annotated[Count, FREE] = 2,
        members_text: str | None = None,
        inner_text: str | None = None,
    ) -> None:
        self.name = name
        self.space = SearchSpace((FreeText(MECHANISM, _MAX_CHARS),))
        self.objective = Objective("gain", "maximize")
        self.suite = suite
        self.trials, self.repeats = trials, repeats
        self._race, self._hook_limit_s = race, hook_limit_s
        self._limits, self._workers = limits, workers
        known = suites.members(suite) if members_text is None else suites.read(members_text)
        self._halves = known
        self.members: Sequence[Member] = known[TRAINING]
        self.contestant = (
            Contestant.named(inner, llm, trials)
            if inner_text is None
            else Contestant.from_text(inner_text)
        )
        self._arm = inner, llm
        self._admissions: dict[str, Admission] = {}

    @property
    def held_out(self) -> Task:
        """The same arm on the tasks that no search reads."""
        other = copy.copy(self)
        other.members, other.name = self._halves[HELD_OUT], f"{self.name}, held out"
        return other

    def material(self) -> dict[str, str]:
        return {"members_text": suites.written(self._halves), "inner_text": self.contestant.text()}

    def world(self) -> dict[str, str]:
        """The version of what the arm is asked, and of the stand-in if that answers it."""
        return {f"{k} of {self.contestant.title}": v for k, v in self.contestant.versions.items()}

    def describe(self) -> About:
        """The protocol, as whoever writes mechanisms is told it."""
        count, held = len(self.members), len(self._halves[HELD_OUT])
        sizes = sorted(len(member.task().space.active) for member in self.members)
        return About(
            f"What is searched is the text of a mechanism. It is judged on {count} tasks that "
            f"differ in every way, at {self.repeats} seeds each, by what a search of "
            f"{self.trials} trials ({self.contestant.title} proposes, one candidate a trial) comes "
            "to with it attached from the first trial on. The gain of such a search is the share "
            "of the way from the task's baseline to its best known value that its last incumbent "
            "goes, measured without noise: 0 is the baseline, 1 the best. The value is the mean "
            f"over tasks. In the end what was found is measured on {held} other tasks. Tasks have "
            f"{sizes[0]} to {sizes[-1]} parameters of every kind, whose names tell nothing; values "
            "are noisy, from not at all to as much as what can be gained; some configurations "
            "crash; some parameters do nothing, some matter only together; baselines are good, "
            "middling or traps."
        )

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        source = str(self.configured(parent, proposal)[MECHANISM])
        attached = None
        if source:
            admission = self._admission(source, proposal)
            if not admission.admitted:
                reason = f"not admitted: {admission.problem}"
                return Outcome.failed(FailureKind.INVALID_PROPOSAL, reason)
            attached = Attached.admitted(source, admission)
        rival = read(parent.outcome.notes) if parent is not None else []
        cells: list[Cell] = []
        spent: dict[str, float] = {}
        stopped = False
        for block in self._blocks(attached, seed):
            for cell, cost in block:
                cells.append(cell)
                spent = {name: spent.get(name, 0.0) + cost[name] for name in cost}
            stopped = self._is_behind(cells, rival)
            if stopped:
                break
        return self._outcome(cells, rival, spent, stopped)

    def inner_searches(self) -> InnerSearches:
        """Those of a candidate that is neither refused nor stopped early."""
        settings = settings_of_arm(*self._arm, self.trials)
        return InnerSearches(settings, [member.task() for member in self.members], self.repeats)

    def below(self) -> View:
        """A search of the first task without a mechanism and without a model, half way: what the
        gates try a mechanism on, whose words a prompt uses."""
        return self._reference

    def close(self) -> None:
        suites.close_tasks()

    @cached_property
    def _reference(self) -> View:
        return half_searched(self.members[0].task(), self.trials)

    def _admission(self, source: str, proposal: Proposal) -> Admission:
        """The gates' verdict, which whoever wrote the text may have asked for already."""
        made = proposal.mechanism
        if made is not None and made.attempts and made.source == source:
            return made.attempts[-1].admission
        if source not in self._admissions:
            self._admissions[source] = admit(source, self._reference, self._limits)
        return self._admissions[source]

    def _blocks(
        self, attached: Attached | None, seed: int
    ) -> Iterator[Sequence[tuple[Cell, Mapping[str, float]]]]:
        how = Measuring(self.contestant, self._limits, self._hook_limit_s, self._workers)
        for repeat in range(self.repeats):
            yield how.cells([(member, repeat) for member in self.members], seed, attached)

    def _is_behind(self, cells: Sequence[Cell], rival: Sequence[Cell]) -> bool:
        """After the last block there is nothing left to stop."""
        is_whole = len(cells) == self.repeats * len(self.members)
        if not self._race or not rival or is_whole:
            return False
        return paired(cells, rival).p_behind <= self._race / (self.repeats - 1)

    def _outcome(
        self,
        cells: Sequence[Cell],
        rival: Sequence[Cell],
        spent: Mapping[str, float],
        stopped: bool,
    ) -> Outcome:
        gain = level(cells)
        value = level(rival).mean + paired(cells, rival).mean if stopped else gain.mean
        metrics = {
            "stopped_early": float(stopped),
            "cells": float(len(cells)),
            "gain_se": gain.se,
            "taken": sum(cell.taken for cell in cells) / len(cells),
            "failed_trials": float(sum(cell.failed for cell in cells)),
            "hook_errors": float(sum(cell.errors for cell in cells)),
            "cut_short": float(sum(cell.cut_short for cell in cells)),
            "over_hook_limit": float(sum(cell.stopped for cell in cells)),
            **{f"gain/{task}": mean for task, mean in means(cells).items()},
        }
        cost = {name: spent[name] for name in ("tokens", "calls", "usd")}
        return Outcome(
            value,
            metrics=metrics,
            cost=cost,
            clock={"hook_s": spent["hook_s"]},
            notes={CELLS: written(cells)},
        )
