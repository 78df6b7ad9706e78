"""Surrogates of one search as tasks: each is fitted to a sample of what its trace has measured."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from statistics import fmean, median
from typing import Self

from bilevel.admission.fitted import Fitted, Regression, tells
from bilevel.parameters import Text
from bilevel.randomness import keyed
from bilevel.sandbox.wire import pack, unpack
from bilevel.space import Config, SearchSpace
from bilevel.trace import Outcome, Proposal, Trial
from bilevel.view import View

_DRAWN = 300  # configurations, for the best that a surrogate has
_NEAR, _OFTEN = 0.9, 0.05  # of the way to the best, and the share of draws that may go it
_SAMPLES = 4  # of the trace, for each surrogate that is wanted
_TREES = 30
_NORMAL = 1.4826  # the standard deviation of normal noise in median absolute deviations


@dataclass(frozen=True)
class Fit:
    """A surrogate, as plain text, so that any process can make it again: extremely randomised trees
    (Geurts, Ernst and Wehenkel, Machine Learning 63, 2006) on a bootstrap sample of the trace. Its
    noise is as large as what it does not predict of the trials left out (1.4826 times the median
    absolute residual). Its best value is that of the best of 300 random configurations and of those
    that it was fitted to."""

    name: str
    text: str

    @classmethod
    def to(cls, view: View, number: int) -> Self:
        """Returns the surrogate of this number, by which its sample of the trace is keyed, as by
        the trial; the baseline is in each."""
        rng = keyed(view.seed, view.level, view.trial, "surrogate", number)
        first, *others = [_plain(trial) for trial in _telling(view)]
        drawn = rng.choices(range(len(others)), k=len(others))
        bag = [first, *(others[place] for place in sorted(drawn))]
        left_out = [trial for place, trial in enumerate(others) if place not in drawn]
        parts = [view.space, view.objective, bag, left_out, rng.getrandbits(30)]
        return cls(f"surrogate {number}", json.dumps(pack(parts)))

    def task(self) -> Fitted:
        """The surrogate, made once a process."""
        return _fitted(self.text)[0]

    def gain(self, config: Config, seed: int) -> float:
        """The share of the way from the prediction at the baseline to the best one that this
        configuration goes, between -1 and 1."""
        task = self.task()
        start = task.exact(task.space.baseline)
        return max(-1.0, min(1.0, task.objective.gain(start, task.exact(config)) / self.reachable))

    @property
    def reachable(self) -> float:
        """By how much the best prediction is better than that at the baseline."""
        return _fitted(self.text)[1]

    @property
    def tells(self) -> bool:
        """Whether searches of it can differ: something can be gained, and not by nearly any
        configuration, as where few trials make few and wide steps."""
        _, reachable, near = _fitted(self.text)
        return reachable > 0 and near <= _OFTEN


def fits(view: View, count: int, least: int) -> list[Fit]:
    """Returns `count` surrogates of the loop that `view` shows, the first ones that tell something
    of four times as many, or fewer; none before `least` of its trials have a value or where texts
    are searched."""
    valued = sum(trial.value is not None for trial in _telling(view))
    texts = any(isinstance(parameter, Text) for parameter in view.space.active)
    if texts or valued < max(2, least):
        return []
    found = (Fit.to(view, number) for number in range(1, _SAMPLES * count + 1))
    return [*islice((fit for fit in found if fit.tells), count)]


def _telling(view: View) -> list[Trial]:
    """Returns the trials that a surrogate can be fitted to."""
    return [trial for trial in view.trace if tells(trial) and trial.retest_of is None]


def _plain(trial: Trial) -> Trial:
    """Returns a trial without whose it was and what was noted of it."""
    outcome = Outcome(trial.value, trial.outcome.failure)
    return replace(trial, proposal=Proposal({}), outcome=outcome, caused_by=(), displaced=None)


@lru_cache(maxsize=8)
def _fitted(text: str) -> tuple[Fitted, float, float]:
    """Returns the surrogate of this text, by how much its best is better than its baseline, and the
    share of random configurations that go nearly so far."""
    space, objective, bag, left_out, seed = unpack(json.loads(text))
    task = Fitted(space, objective, bag, seed=seed, regression=_forest(seed))
    missed = [abs(t.value - task.exact(t.config)) for t in left_out if t.value is not None]
    task.noise_sd = _NORMAL * median(missed) if missed else 0.0
    start = task.exact(space.baseline)
    drawn, tried = (
        [objective.gain(start, task.exact(c)) for c in configs if task.failure(c) is None]
        for configs in (_drawn(space), [trial.config for trial in bag])
    )
    reachable = max(0.0, *drawn, *tried)
    near = sum(gain >= _NEAR * reachable for gain in drawn) / _DRAWN
    return task, reachable, near


def _forest(seed: int) -> Regression:
    def regression(
        known: Sequence[tuple[list[float], float]],
    ) -> tuple[Callable[[list[float]], float], float]:
        import numpy as np
        from sklearn.ensemble import ExtraTreesRegressor

        points = np.array([at for at, _ in known], np.float32)
        forest = ExtraTreesRegressor(_TREES, random_state=seed)
        trees = forest.fit(points, [value for _, value in known]).estimators_

        def mean(at: list[float]) -> float:
            point = np.array([at], np.float32)
            return fmean(float(tree.predict(point, check_input=False)[0]) for tree in trees)

        return mean, 0.0

    return regression


def _drawn(space: SearchSpace) -> list[Config]:
    """Returns random configurations, the same for every surrogate."""
    rng, start = keyed(0, "configurations of a surrogate"), space.baseline
    active = space.active
    return [{**start, **{p.name: p.sample(rng) for p in active}} for _ in range(_DRAWN)]
