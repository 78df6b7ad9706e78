"""Judges a mechanism by the trials it caused beside the proposer's, and by what the rounds with it
earned over those without; says how surely."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bilevel.credit import NO_TRIALS, Credit, shared
from bilevel.loop.activations import COIN
from bilevel.loop.loop import Loop
from bilevel.statistics.power import ALPHA, best_choices
from bilevel.trace import Objective, Trace, Trial

_DRAWN = 9_999  # assignments of the coin, where there are more


@dataclass(frozen=True)
class Judgement:
    """What each trial improved the best value by, while the mechanism was on, and while off; and
    the trials that it caused, beside the proposer's in the same span."""

    on: tuple[float, ...]
    off: tuple[float, ...]
    own: Credit = NO_TRIALS
    proposers: Credit = NO_TRIALS
    direction: str = "minimize"

    @property
    def gain(self) -> float | None:
        """What a trial with it earned over one without, on average; None without both."""
        return fmean(self.on) - fmean(self.off) if self.on and self.off else None

    @property
    def ahead(self) -> float | None:
        """By how much its own trials changed the metric for the better than the proposer's, on
        average; None where it caused none, or the proposer had none."""
        own, proposers = self.own.mean_change, self.proposers.mean_change
        if own is None or proposers is None:
            return None
        return Objective("", self.direction).gain(proposers, own)

    @property
    def p_value(self) -> float | None:
        """One-sided exact permutation test of the means; None without two of each."""
        if min(len(self.on), len(self.off)) < 2:
            return None
        from scipy.stats import permutation_test

        def difference(on: Sequence[float], off: Sequence[float]) -> float:
            return fmean(on) - fmean(off)

        found = permutation_test(
            (self.on, self.off),
            difference,
            alternative="greater",
            vectorized=False,
            n_resamples=_DRAWN,
            rng=0,
        )
        return float(found.pvalue)

    @property
    def smallest_p(self) -> float | None:
        """What p would be had the most earning trials all been on. Most trials earn nothing, and
        then it is far above what so many trials could tell if all of them earned something."""
        if min(len(self.on), len(self.off)) < 2:
            return None
        every = (*self.on, *self.off)
        ways = math.comb(len(every), len(self.on))
        return max(best_choices(every, len(self.on)) / ways, 1 / min(ways, _DRAWN + 1))

    def metrics(self) -> dict[str, float]:
        """The numbers that an outcome keeps, without those there are none of."""
        found = {
            "on_trials": float(len(self.on)),
            "off_trials": float(len(self.off)),
            "mechanism_gain": self.gain,
            "mechanism_p": self.p_value,
            "own_ahead": self.ahead,
            "mechanism_smallest_p": self.smallest_p,
        }
        told = {name: value for name, value in found.items() if value is not None}
        return {**told, **self.own.metrics("own"), **self.proposers.metrics("proposers")}

    def __str__(self) -> str:
        credit = f"it caused {self.own}; the proposer meanwhile: {self.proposers}"
        return f"{credit}. {self._by_the_coin()}"

    def _by_the_coin(self) -> str:
        if self.gain is None:
            return f"On in {len(self.on)} trials, off in {len(self.off)}: nothing to compare"
        said = (
            f"By the coin, {len(self.on)} trials with it earned {fmean(self.on):.6f} each, "
            f"{len(self.off)} without {fmean(self.off):.6f}: a difference of {self.gain:+.6f}"
        )
        if len({*self.on, *self.off}) == 1:
            return f"{said}. Nothing varied, so nothing can be told of its worth"
        if self.p_value is None or self.smallest_p is None:
            return f"{said}. One trial on a side tells nothing of its worth"
        said += f", p = {self.p_value:.3f}, one-sided"
        if self.smallest_p > ALPHA:
            return (
                f"{said}. What was earned could not have given a p below {self.smallest_p:.3f}, "
                "whoever earned it, so nothing is told of its worth"
            )
        return said if self.p_value <= ALPHA else f"{said}: chance gives as much"


def judgement(loop: Loop, name: str, since: int) -> Judgement:
    """Of the trials from `since` on, as long as it was attached; without a coin the mechanism was
    on in all of them."""
    rows = loop.pipeline.ledger.rows(name)
    tossed = {row.trial: row.did == "on" for row in rows if row.hook == COIN}
    last = len(loop.trace)
    own, proposers = shared(name, loop.trace, since, loop.pipeline.until(name))
    if name not in {mechanism.name for mechanism in loop.pipeline.attached}:
        last = max((row.trial for row in rows), default=-1)  # it failed too often, or was left out
    earned: dict[bool, list[float]] = {True: [], False: []}
    on = True
    for trial in loop.trace[since : last + 1]:
        on = tossed.get(trial.number, on)
        if trial.retest_of is None:
            earned[on].append(_improvement(loop, trial))
    return Judgement(
        tuple(earned[True]), tuple(earned[False]), own, proposers, loop.task.objective.direction
    )


def _improvement(loop: Loop, trial: Trial) -> float:
    """By how much a trial improved the best value that stood before it, if it stands itself."""
    best = Trace(loop.trace[: trial.number]).best(loop.task.objective)
    if trial not in loop.trace.standing or best is None or best.value is None:
        return 0.0
    assert trial.value is not None  # what stands has a value
    return max(0.0, loop.task.objective.gain(best.value, trial.value))
