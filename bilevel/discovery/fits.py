"""Surrogates of one search as tasks: each is fitted to a sample of what its trace has measured."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Self

from bilevel.admission.fitted import Fitted, tells
from bilevel.parameters import Text
from bilevel.randomness import keyed
from bilevel.sandbox.wire import pack, unpack
from bilevel.space import Config
from bilevel.trace import Proposal, Trial
from bilevel.view import View

_DRAWN = 500  # configurations, for the best that a surrogate has


@dataclass(frozen=True)
class Fit:
    """A surrogate (a Gaussian process with noise of its own), as plain text, so that any process
    can make it again. Its best value is that of the best of 500 random configurations and of those
    that it was fitted to."""

    name: str
    text: str

    @classmethod
    def to(cls, view: View, number: int) -> Self:
        """Returns the surrogate of a bootstrap sample of the trace, keyed by the trial and this
        number. It holds every trial of the sample once, for copies would tell that there is no
        noise, and the baseline."""
        rng = keyed(view.seed, view.level, view.trial, "surrogate", number)
        first, *others = _telling(view)
        drawn = set(rng.choices(range(len(others)), k=len(others)))
        bag = [first, *(trial for place, trial in enumerate(others) if place in drawn)]
        plain = [replace(t, proposal=Proposal({}), caused_by=(), displaced=None) for t in bag]
        text = json.dumps(pack([view.space, view.objective, plain, rng.getrandbits(30)]))
        return cls(f"surrogate {number}", text)

    def task(self) -> Fitted:
        """The surrogate, made once a process."""
        return _fitted(self.text)[0]

    def gain(self, config: Config, seed: int) -> float:
        """The share of the way from the prediction at the baseline to the best one that this
        configuration goes, between -1 and 1."""
        task = self.task()
        start = task.exact(task.space.baseline)
        return max(-1.0, min(1.0, task.objective.gain(start, task.exact(config)) / self.reachable))

    @cached_property
    def reachable(self) -> float:
        """By how much the best prediction is better than that at the baseline."""
        return _fitted(self.text)[1]


def fits(view: View, count: int, least: int) -> list[Fit]:
    """Returns `count` surrogates of the loop that `view` shows; none before `least` of its trials
    have a value or where texts are searched, and none on which nothing can be gained."""
    valued = sum(trial.value is not None for trial in _telling(view))
    texts = any(isinstance(parameter, Text) for parameter in view.space.active)
    if texts or valued < max(2, least):
        return []
    found = [Fit.to(view, number) for number in range(1, count + 1)]
    return [fit for fit in found if fit.reachable > 0]


def _telling(view: View) -> list[Trial]:
    return [trial for trial in view.trace if tells(trial) and trial.retest_of is None]


@lru_cache(maxsize=8)
def _fitted(text: str) -> tuple[Fitted, float]:
    """Returns the surrogate of this text, and by how much its best is better than its baseline."""
    space, objective, trials, seed = unpack(json.loads(text))
    task = Fitted(space, objective, trials, seed=seed)
    task.best_known = min(_values(task, trials, seed), key=objective.loss)
    return task, objective.gain(task.exact(space.baseline), task.best_known)


def _values(task: Fitted, trials: list[Trial], seed: int) -> Iterator[float]:
    """Yields what the surrogate predicts at the baseline and wherever it does not fail, of what was
    tried and of what is drawn."""
    rng, start = keyed(seed, "best of a surrogate"), task.space.baseline
    yield task.exact(start)
    drawn = (
        {**start, **{parameter.name: parameter.sample(rng) for parameter in task.space.active}}
        for _ in range(_DRAWN)
    )
    for config in (*(trial.config for trial in trials), *drawn):
        if task.failure(config) is None:
            yield task.exact(config)
