"""Keeps a mechanism that is ahead of the incumbent on the same tasks and seeds, surely enough."""

import math

from bilevel.discovery.cells import paired, read
from bilevel.loop.acceptance import Acceptance
from bilevel.settings import Factor
from bilevel.trace import Trial
from bilevel.view import View


class Paired(Acceptance):
    """An acceptance policy for `Suite`: the one-sided paired t-test over tasks, corrected for how
    many candidates a search tries.

    `alpha` is the chance that a search of candidates without any effect keeps one. A search of n
    trials tests each at alpha / n (Bonferroni); one without a budget spends alpha 6 / (pi k)^2 on
    its kth trial, which sums to alpha. A candidate that was stopped early is never kept.
    """

    def __init__(self, alpha: Factor = 0.1) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"acceptance.alpha={alpha}: expected a number between 0 and 1")
        self.alpha = alpha

    def accept(self, view: View, trial: Trial) -> bool:
        if view.incumbent is None:
            return True
        if trial.outcome.metrics.get("stopped_early"):
            return False
        ahead = paired(read(trial.outcome.notes), read(view.incumbent.outcome.notes))
        return ahead.p_ahead <= self._each(view)

    def _each(self, view: View) -> float:
        if view.trials_left is None:
            return self.alpha * 6 / (math.pi * max(1, view.trial)) ** 2
        return self.alpha / max(1, view.trial - 1 + view.trials_left)
