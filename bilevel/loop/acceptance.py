"""Acceptance policies: they decide whether the best trial of a round becomes the incumbent."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Protocol

from bilevel.errors import ConfigError
from bilevel.settings import Amount, Spread, Whole
from bilevel.trace import Trial
from bilevel.view import View

COIN, CREDIT = "coin", "credit"  # what a mechanism is judged by


class Acceptance(Protocol):
    """An acceptance policy. Its methods are pure functions of the view, so that re-execution
    decides the same."""

    def accept(self, view: View, trial: Trial) -> bool:
        """Returns whether `trial`, which has a value, replaces `view.incumbent`; for a re-test,
        whether the incumbent stands."""

    def retest(self, view: View) -> Trial | None:
        """Returns the trial to measure again on another seed before the next round, if any."""
        return None


class Greedy(Acceptance):
    """An acceptance policy: keeps what is better than the incumbent, as autoresearch does."""

    def accept(self, view: View, trial: Trial) -> bool:
        if trial.value is None:
            return False
        incumbent = view.incumbent
        if incumbent is None or incumbent.value is None:
            return True
        return view.objective.better(trial.value, than=incumbent.value)


class Always(Acceptance):
    """An acceptance policy: keeps whatever is valid, as arXiv 2603.23420 does above level 1."""

    def accept(self, view: View, trial: Trial) -> bool:
        return trial.value is not None


class Gain(Acceptance):
    """An acceptance policy above level 1: keeps a mechanism only if every kind of evidence in `by`
    is in its favour, and keeps anything else that is valid. `coin`: the rounds with it gained more
    than those without, in a probation in which a coin decides (arms that use it set
    `attaching.coin`). `credit`: the trials that it caused did more for the metric than the
    proposer's did in the same span, where both had some.

    Ten trials are weak evidence: the outcome's notes say how strong it could have been at most.
    """

    def __init__(self, by: Sequence[str] = (COIN,)) -> None:
        unknown = [name for name in by if name not in (COIN, CREDIT)]
        if unknown or not by:
            raise ConfigError(f"acceptance.by={list(by)}: expected some of {COIN}, {CREDIT}")
        self._by = tuple(by)

    def accept(self, view: View, trial: Trial) -> bool:
        proposed = trial.proposal.mechanism
        if trial.value is None or proposed is None or not proposed.admitted:
            return trial.value is not None
        found = trial.outcome.metrics
        if COIN in self._by and found.get("mechanism_gain", 0.0) <= 0:
            return False
        return CREDIT not in self._by or found.get("own_ahead", 1.0) > 0


class NoiseAware(Acceptance):
    """An acceptance policy: keeps what is better by more than `threshold_sds` standard deviations
    of a difference between two measurements (the square root of two times `sd`), and measures an
    incumbent whose gain was below `lucky_sds` of them again; it stands if the mean of its re-tests,
    without the value it was chosen for, still beats the mean of what it replaced, by the threshold
    for means of so many.

    A search trains on one seed, so what it compares is paired and the threshold is conservative;
    re-tests are on other seeds and are not. Not covered: noise that differs between
    configurations, and the search's choice among many trials beyond one re-test each.
    """

    def __init__(
        self,
        sd: Spread,
        threshold_sds: Amount = 1.0,
        lucky_sds: Amount = 2.0,
        retests: Whole = 1,
    ) -> None:
        if sd is None:
            raise ConfigError(
                "acceptance.sd=None: expected the standard deviation of one measurement over seeds"
            )
        self.unit = math.sqrt(2) * sd
        self._threshold = threshold_sds * self.unit
        self._lucky = lucky_sds * self.unit
        self._retests = retests

    def accept(self, view: View, trial: Trial) -> bool:
        if trial.retest_of is not None:
            return self._stands(view, trial)
        incumbent = view.incumbent
        if trial.value is None or incumbent is None or incumbent.value is None:
            return trial.value is not None
        if trial.duplicate_of in {t.refutes for t in view.trace if t.refutes is not None}:
            return False  # the lucky value would come straight back
        return view.objective.gain(incumbent.value, trial.value) > self._threshold

    def retest(self, view: View) -> Trial | None:
        """Returns the incumbent while its gain looks lucky and it has not been re-tested often
        enough."""
        standing = view.trace.standing
        if len(standing) < 2:
            return None
        before, now = standing[-2:]
        tried = sum(trial.retest_of == now.number for trial in view.trace)
        if before.value is None or now.value is None or tried >= self._retests:
            return None
        return now if view.objective.gain(before.value, now.value) < self._lucky else None

    def _stands(self, view: View, retest: Trial) -> bool:
        before, now = view.trace.standing[-2:]
        old = _values(view.trace, before)
        again = [t for t in (*view.trace, retest) if t.retest_of == now.number]
        new = [t.value for t in again if t.value is not None]
        scale = math.sqrt((1 / len(old) + 1 / len(new)) / 2)
        return view.objective.gain(fmean(old), fmean(new)) > self._threshold * scale


def _values(trials: Sequence[Trial], trial: Trial) -> list[float]:
    """Returns the values of a trial and of its re-tests."""
    mine = [t for t in trials if trial.number in (t.number, t.retest_of)]
    return [t.value for t in mine if t.value is not None]
