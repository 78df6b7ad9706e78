"""Credit by trials: what the trials that a mechanism caused achieved, beside the proposer's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from bilevel.trace import Decision, Trial


@dataclass(frozen=True)
class Credit:
    """The credit for a set of trials. `mean_change` is the mean change of the metric against the
    trial built on, over the trials where both have a value; None where there are none."""

    trials: int = 0
    kept: int = 0
    failed: int = 0
    mean_change: float | None = None

    def metrics(self, whose: str) -> dict[str, float]:
        """Returns the numbers as metrics: `{whose}_trials` and so on."""
        found: dict[str, float | None] = {
            f"{whose}_trials": self.trials,
            f"{whose}_kept": self.kept,
            f"{whose}_failed": self.failed,
            f"{whose}_mean_change": self.mean_change,
        }
        return {name: float(number) for name, number in found.items() if number is not None}

    def __str__(self) -> str:
        if not self.trials:
            return "no trials"
        change = "" if self.mean_change is None else f", mean change {self.mean_change:+.6f}"
        return f"{self.trials} trials, {self.kept} kept, {self.failed} failed{change}"


NO_TRIALS = Credit()


def credit(trials: Iterable[Trial], trace: Sequence[Trial]) -> Credit:
    """Returns the credit for some trials of a trace; re-tests and the baseline do not count."""
    mine = [t for t in trials if t.retest_of is None and t.parent is not None]
    changes = [
        trial.value - before
        for trial in mine
        if trial.value is not None and (before := trace[trial.parent or 0].value) is not None
    ]
    return Credit(
        trials=len(mine),
        kept=sum(trial.kept for trial in mine),
        failed=sum(trial.decision is Decision.FAIL for trial in mine),
        mean_change=fmean(changes) if changes else None,
    )


def shared(
    name: str, trace: Sequence[Trial], since: int, until: int | None = None
) -> tuple[Credit, Credit]:
    """Returns the credit for what a mechanism caused from trial `since` up to `until`, and for the
    proposer's trials in that span that no mechanism caused."""
    span = trace[since:until]
    own = [trial for trial in span if name in trial.caused_by]
    proposers = [trial for trial in span if not trial.caused_by]
    return credit(own, trace), credit(proposers, trace)
