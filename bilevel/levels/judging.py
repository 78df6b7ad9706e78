"""Judges a mechanism by what the rounds with it earned over those without, and says how surely."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from bilevel.ledger import COIN
from bilevel.loop import Loop
from bilevel.trace import Trial

SIGNIFICANCE, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Judgement:
    """What each trial improved the best value by, while the mechanism was on, and while off."""

    on: tuple[float, ...]
    off: tuple[float, ...]

    @property
    def gain(self) -> float | None:
        """What a trial with it earned over one without, on average; None without both."""
        return fmean(self.on) - fmean(self.off) if self.on and self.off else None

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
            n_resamples=9_999,
            rng=0,
        )
        return float(found.pvalue)

    @property
    def detectable(self) -> float | None:
        """The difference of means that a test at 5 % would find in 80 % of such probations, by the
        normal approximation; None where nothing varies."""
        every = (*self.on, *self.off)
        if self.gain is None or len(every) < 3 or stdev(every) == 0:
            return None
        z = NormalDist().inv_cdf(1 - SIGNIFICANCE) + NormalDist().inv_cdf(POWER)
        return z * stdev(every) * math.sqrt(1 / len(self.on) + 1 / len(self.off))

    def metrics(self) -> dict[str, float]:
        """The numbers that an outcome keeps, without those there are none of."""
        found = {
            "on_trials": float(len(self.on)),
            "off_trials": float(len(self.off)),
            "mechanism_gain": self.gain,
            "mechanism_p": self.p_value,
            "detectable_gain": self.detectable,
        }
        return {name: value for name, value in found.items() if value is not None}

    def __str__(self) -> str:
        if self.gain is None:
            return f"on in {len(self.on)} trials, off in {len(self.off)}: nothing to compare"
        said = (
            f"{len(self.on)} trials with it earned {fmean(self.on):.6f} each, {len(self.off)} "
            f"without {fmean(self.off):.6f}: a difference of {self.gain:+.6f}"
        )
        if self.p_value is not None:
            said += f", p = {self.p_value:.3f}"
        if self.detectable is None:
            return f"{said}. Nothing varied, so nothing can be told of its worth"
        return (
            f"{said}. So few trials find a difference of {self.detectable:.6f} in 80 % of cases; "
            "a smaller one is mostly missed"
        )


def judgement(loop: Loop, name: str, since: int) -> Judgement:
    """Of the trials from `since` on; without a coin the mechanism was on in all of them."""
    tossed = {r.trial: r.did == "on" for r in loop.pipeline.ledger.rows(name) if r.hook == COIN}
    earned: dict[bool, list[float]] = {True: [], False: []}
    on = True
    for trial in loop.trace[since:]:
        on = tossed.get(trial.number, on)
        if trial.retest_of is None:
            earned[on].append(_improvement(loop, trial))
    return Judgement(tuple(earned[True]), tuple(earned[False]))


def _improvement(loop: Loop, trial: Trial) -> float:
    """By how much a trial improved the best value that was kept before it."""
    before: Sequence[Trial] = loop.trace[: trial.number]
    values = [t.value for t in before if t.kept and t.value is not None]
    if not trial.kept or trial.value is None or not values:
        return 0.0
    if loop.task.objective.direction == "minimize":
        return max(0.0, min(values) - trial.value)
    return max(0.0, trial.value - max(values))
