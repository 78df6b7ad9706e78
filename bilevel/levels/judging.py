"""Judges a mechanism by the trials it caused against the proposer's, and by the rounds with it
against those without, with a permutation test."""

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
    """The evidence on a mechanism: each trial's improvement of the best value with the mechanism on
    and off, and the credit of the trials that it caused beside the proposer's in the same span."""

    on: tuple[float, ...]
    off: tuple[float, ...]
    own: Credit = NO_TRIALS
    proposers: Credit = NO_TRIALS
    direction: str = "minimize"

    @property
    def gain(self) -> float | None:
        """The mean improvement with it minus the mean without; None unless there are
        both."""
        return fmean(self.on) - fmean(self.off) if self.on and self.off else None

    @property
    def ahead(self) -> float | None:
        """By how much its trials changed the metric for the better than the proposer's, on
        average; None where either has none."""
        own, proposers = self.own.mean_change, self.proposers.mean_change
        if own is None or proposers is None:
            return None
        return Objective("", self.direction).gain(proposers, own)

    @property
    def p_value(self) -> float | None:
        """P of a one-sided permutation test of the means; None without two trials of
        each."""
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
        """The smallest p that these improvements allow: had the largest ones all been with
        it on. As most trials improve nothing, it is far above the smallest p of so many distinct
        values."""
        if min(len(self.on), len(self.off)) < 2:
            return None
        every = (*self.on, *self.off)
        ways = math.comb(len(every), len(self.on))
        return max(best_choices(every, len(self.on)) / ways, 1 / min(ways, _DRAWN + 1))

    def metrics(self) -> dict[str, float]:
        """Returns the metrics for an outcome; those without a value are left out."""
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
    """Returns the judgement of a mechanism over the trials from `since` on, as long as it was
    attached; without a coin it counts as on in all of them."""
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
    """Returns how much a trial improved the best value before it; 0.0 where it does not stand."""
    best = Trace(loop.trace[: trial.number]).best(loop.task.objective)
    if trial not in loop.trace.standing or best is None or best.value is None:
        return 0.0
    assert trial.value is not None  # what stands has a value
    return max(0.0, loop.task.objective.gain(best.value, trial.value))
