"""Measures the baseline and the best of a search again on fresh seeds: what of its gain is left.

The best value of a search is the luckiest of many noisy draws, and all of them were trained on one
seed. These are measured on seeds that no search can draw, and charged apart from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from bilevel.executor import Executor
from bilevel.journal import Journal
from bilevel.randomness import confirmation_seed
from bilevel.repeats import repeated
from bilevel.tasks.base import Task
from bilevel.trace import Outcome, Proposal, Trial


@dataclass(frozen=True)
class Confirmation:
    """The outcomes of both configurations, paired by seed."""

    baseline: tuple[Outcome, ...]
    best: tuple[Outcome, ...]

    @property
    def differences(self) -> tuple[float, ...]:
        """best - baseline for every seed at which both have a value."""
        pairs = zip(self.best, self.baseline, strict=True)
        return tuple(
            a.value - b.value for a, b in pairs if a.value is not None and b.value is not None
        )

    def metrics(self) -> dict[str, float]:
        """What is tracked: every value, the differences' mean and sample standard deviation, and
        what it cost."""
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
        return Confirmation(baseline, baseline)
    return Confirmation(baseline, outcomes("best", Proposal(changes, origin="confirmation")))
