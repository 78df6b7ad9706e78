"""Measures the baseline and the best of a search again on fresh seeds: what of its gain is left.

The best value of a search is the luckiest of many noisy draws, and all of them were trained on one
seed. These are measured on seeds that no search can draw, and charged apart from it. Where every
seed gives the same values to the last digit, this was one measurement, and it confirms nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from bilevel.journal import Journal
from bilevel.loop.evaluation import repeated, seed_reaches
from bilevel.randomness import confirmation_seed
from bilevel.tasks.base import Task
from bilevel.trace import Outcome, Proposal, Trial
from bilevel.workers.executor import Executor


@dataclass(frozen=True)
class Confirmation:
    """The outcomes of both configurations, paired by seed; `unseeded` is the task's word on why a
    seed would reach none of them."""

    baseline: tuple[Outcome, ...]
    best: tuple[Outcome, ...]
    unseeded: str = ""

    @property
    def differences(self) -> tuple[float, ...]:
        """best - baseline for every seed at which both have a value."""
        pairs = zip(self.best, self.baseline, strict=True)
        return tuple(
            a.value - b.value for a, b in pairs if a.value is not None and b.value is not None
        )

    @property
    def seed_reaches(self) -> bool | None:
        """Whether seeds made a difference; None where fewer than two gave a value."""
        return seed_reaches(self.baseline, self.best)

    def metrics(self) -> dict[str, float]:
        """What is tracked: what was noted and whether seeds reach it; where they do not, no
        difference is confirmed."""
        found = self.noted()
        if self.seed_reaches is None:
            return found
        if not self.seed_reaches:
            found = {n: v for n, v in found.items() if n not in ("confirmed_delta", "confirmed_sd")}
            found["confirmed_n"] = 0.0
        return {**found, "seed_reaches": float(self.seed_reaches)}

    def noted(self) -> dict[str, float]:
        """What a journal holds and executing it again must come to: every value, the differences'
        mean and sample standard deviation whatever they are worth, and what it cost."""
        found = {"confirmed_n": float(len(self.differences))}
        if self.differences:
            found["confirmed_delta"] = fmean(self.differences)
        if len(self.differences) > 1:
            found["confirmed_sd"] = stdev(self.differences)
        for name, outcomes in (("baseline", self.baseline), ("best", self.best)):
            for repeat, outcome in enumerate(outcomes):
                if outcome.value is not None:
                    found[f"confirmed/{name}/{repeat}"] = outcome.value
        every = (*self.baseline, *self.best)
        found["confirmation_trials"] = float(len(every))
        found["confirmation_modelled_s"] = sum(o.cost.get("modelled_s", 0.0) for o in every)
        return found

    def __str__(self) -> str:
        tried = len(self.baseline)
        if not self.differences:
            return f"not confirmed: none of {tried} fresh seeds gave both values"
        if self.seed_reaches is False:
            return (
                f"nothing confirmed: {len(self.differences)} of {tried} fresh seeds gave the same "
                f"values to the last digit (difference {self.differences[0]:+.6f}), so the seed "
                f"reaches nothing that is measured{self.unseeded and f': {self.unseeded}'}"
            )
        said = f"confirmed delta {fmean(self.differences):+.6f}"
        if len(self.differences) > 1:
            said += f" (sd {stdev(self.differences):.6f})"
        return f"{said} on {len(self.differences)} of {tried} fresh seeds"


def confirmed(
    task: Task, best: Trial, seed: int, repeats: int, journal: Journal, executor: Executor
) -> Confirmation:
    """Re-measures both; where the best is the baseline its outcomes are the baseline's."""
    start = task.space.baseline
    changes: Mapping[str, object] = {n: v for n, v in best.config.items() if v != start[n]}

    def outcomes(name: str, proposal: Proposal) -> tuple[Outcome, ...]:
        seeds = {f"confirm/{name}/{r}": confirmation_seed(seed, r) for r in range(repeats)}
        return tuple(repeated(task, proposal, seeds, journal, executor))

    baseline = outcomes("baseline", Proposal({}, origin="confirmation"))
    if not changes:
        return Confirmation(baseline, baseline, task.unseeded)
    best_outcomes = outcomes("best", Proposal(changes, origin="confirmation"))
    return Confirmation(baseline, best_outcomes, task.unseeded)
