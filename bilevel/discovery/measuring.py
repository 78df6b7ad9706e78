"""Runs the searches of a suite's tasks, several at a time, each in whichever process is free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from joblib import Parallel, delayed

from bilevel.discovery.cells import PLACES, Cell
from bilevel.discovery.contestant import Attached, Contestant
from bilevel.randomness import digest
from bilevel.sandbox.worker_handle import Limits
from bilevel.space import Config
from bilevel.tasks.base import Task


class Judge(Protocol):
    """A task that cells are searches of; a member of a suite is one."""

    @property
    def name(self) -> str: ...

    def task(self) -> Task:
        """The task, made once a process."""
        ...

    def gain(self, config: Config, seed: int) -> float:
        """The share of the way from the baseline to the best that a configuration goes."""
        ...


_Measured = tuple[Cell, Mapping[str, float]]
"""A cell and what it cost: hook_s, hook_calls, tokens, calls, usd."""


@dataclass(frozen=True)
class Measuring:
    """An arm, what confines the mechanism beside it, the time its hooks may take in one search, and
    how many searches are run at a time."""

    contestant: Contestant
    limits: Limits
    hook_limit_s: float
    workers: int

    def cells(
        self, places: Sequence[tuple[Judge, int]], seed: int, attached: Attached | None = None
    ) -> list[_Measured]:
        """The cells of these (task, repeat), in order. The seed of a search is drawn from the
        task, the repeat and `seed`, whatever the mechanism: cells are paired."""
        arm = self.contestant.text()
        found: list[_Measured] = Parallel(self.workers)(
            delayed(_measured)(arm, member, repeat, seed, attached, self.limits, self.hook_limit_s)
            for member, repeat in places
        )
        return found


def _measured(
    arm: str,
    member: Judge,
    repeat: int,
    seed: int,
    attached: Attached | None,
    limits: Limits,
    hook_limit_s: float,
) -> _Measured:
    task = member.task()
    own = digest(seed, member.name, repeat) % 2**30
    mechanism = attached.made(limits) if attached else None
    found = Contestant.from_text(arm).searched(task, own, mechanism, hook_limit_s)
    trials = found.loop.trace[1:]
    best = found.loop.best
    assert best is not None  # a search begins with a baseline that runs
    name = attached.name if attached else ""
    cell = Cell(
        task=member.name,
        repeat=repeat,
        gain=round(member.gain(best.config, own), PLACES),
        taken=round(sum(bool(t.caused_by) for t in trials) / max(1, len(trials)), PLACES),
        failed=sum(trial.value is None for trial in trials),
        errors=found.errors(name) if name else 0,
        stopped=found.stopped,
        cut_short=found.cut_short,
    )
    cost = {
        "hook_s": found.hook_s,
        "hook_calls": found.hook_calls,
        "tokens": found.tokens,
        "calls": found.calls,
        "usd": found.usd,
    }
    return cell, cost
