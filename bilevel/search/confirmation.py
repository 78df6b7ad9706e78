"""Confirmation: measures the baseline and the best configuration of a search on fresh seeds.

The best value of a search is biased upwards: it is the best of many noisy values on one training
seed. Confirmation uses seeds that no search draws, and its cost is counted apart. Where all seeds
give exactly the same value there is only one measurement, and nothing is confirmed.
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

CONFIRMATION, HELD_OUT = "confirm", "held_out"
"""The places of the two in a journal: on the task that was searched, and on what it held out."""


@dataclass(frozen=True)
class Confirmation:
    """The outcomes of both configurations, paired by seed; `unseeded` is the task's reason why a
    seed cannot reach them."""

    baseline: tuple[Outcome, ...]
    best: tuple[Outcome, ...]
    unseeded: str = ""

    @property
    def differences(self) -> tuple[float, ...]:
        """Best - baseline for every seed at which both have a value."""
        pairs = zip(self.best, self.baseline, strict=True)
        return tuple(
            a.value - b.value for a, b in pairs if a.value is not None and b.value is not None
        )

    @property
    def seed_reaches(self) -> bool | None:
        """Whether values differ between seeds; None where fewer than two seeds gave a
        value."""
        return seed_reaches(self.baseline, self.best)

    def metrics(self) -> dict[str, float]:
        """Returns the metrics for the tracker: those of `noted` and `seed_reaches`; where seeds
        reach nothing, `confirmed_n` is 0, without delta and deviation."""
        found = self.noted()
        if self.seed_reaches is None:
            return found
        if not self.seed_reaches:
            found = {n: v for n, v in found.items() if n not in ("confirmed_delta", "confirmed_sd")}
            found["confirmed_n"] = 0.0
        return {**found, "seed_reaches": float(self.seed_reaches)}

    def noted(self) -> dict[str, float]:
        """Returns what the journal keeps and re-execution must reproduce: every value, the mean and
        sample standard deviation of the differences, and the cost."""
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

    def held_out_metrics(self) -> dict[str, float]:
        """What is tracked of a confirmation on what the task holds out: values, difference, and the
        other metrics at the first seed."""
        noted = self.noted()
        names = {name: name.replace("confirmed", HELD_OUT, 1) for name in noted}
        found = {names[name]: value for name, value in noted.items() if name != names[name]}
        for whose, outcomes in (("baseline", self.baseline), ("best", self.best)):
            for outcome in outcomes[:1]:
                found |= {f"{HELD_OUT}/{whose}/{n}": v for n, v in outcome.metrics.items()}
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
    task: Task,
    best: Trial,
    seed: int,
    repeats: int,
    journal: Journal,
    executor: Executor,
    place: str = CONFIRMATION,
) -> Confirmation:
    """Measures the baseline and the best on `repeats` fresh seeds; where the best is the baseline,
    its outcomes are the baseline's."""
    start = task.space.baseline
    changes: Mapping[str, object] = {n: v for n, v in best.config.items() if v != start[n]}

    def outcomes(name: str, proposal: Proposal) -> tuple[Outcome, ...]:
        seeds = {f"{place}/{name}/{r}": confirmation_seed(seed, r) for r in range(repeats)}
        return tuple(repeated(task, proposal, seeds, journal, executor))

    baseline = outcomes("baseline", Proposal({}, origin="confirmation"))
    if not changes:
        return Confirmation(baseline, baseline, task.unseeded)
    proposal = Proposal(changes, origin="confirmation", mechanism=best.proposal.mechanism)
    best_outcomes = outcomes("best", proposal)
    return Confirmation(baseline, best_outcomes, task.unseeded)
