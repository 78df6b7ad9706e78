"""A surrogate of the real task, fitted to what its trace has measured so far."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cache
from statistics import fmean, pstdev
from typing import Any, Self

from threadpoolctl import ThreadpoolController

from bilevel.parameters import Choice, Float, Int, Parameter, PowerOfTwo, Subset, Text, Tuple
from bilevel.randomness import keyed
from bilevel.space import Config, SearchSpace, canonical
from bilevel.tasks.base import Task
from bilevel.trace import Failure, FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import View

_WINDOW = 300  # of the latest trials; the cost grows with its cube
REACH = 0.25  # of the measured range: how far beyond it a prediction may lie


_Known = tuple[list[float], float]
_Mean = Callable[[list[float]], float]
Regression = Callable[[Sequence[_Known]], tuple[_Mean, float]]
"""From encoded configurations with their values to what is predicted, and the standard deviation of
the noise around it."""


class Fitted(Task):
    """A regression of the values on the configuration scaled to the unit cube, with noise; a
    configuration whose nearest neighbour failed fails the same way. Without another `regression` it
    is a Gaussian process that estimates the noise, clipped a little beyond the measured range.

    With fewer than two different values it is flat and without noise. The baseline never fails.
    """

    noise_sd: float

    name = "fitted"
    _edges: Sequence[tuple[int, float]] = ()

    def __init__(
        self,
        space: SearchSpace,
        objective: Objective,
        trials: Iterable[Trial],
        *,
        seed: int = 0,
        render: Callable[[Config], str] | None = None,
        regression: Regression | None = None,
    ) -> None:
        self.space, self.objective = space, objective
        self._render = render or super().render
        self._seed = seed
        told = [t for t in trials if tells(t)][-_WINDOW:]
        self._near = [(encoded(space, t.config), t.outcome.failure) for t in told]
        valued = [(at, t.value) for (at, _), t in zip(self._near, told, strict=True)]
        self._mean, self.noise_sd = (regression or _process)(
            [(at, value) for at, value in valued if value is not None]
        )

    @classmethod
    def of(cls, view: View) -> Self:
        """Returns the one that is fitted to the trace of a loop."""
        return cls(view.space, view.objective, view.trace, seed=view.seed, render=view.render)

    def crashing(self) -> "Fitted":
        """Returns the same task with regions that crash: for every dimension of the encoding one
        side is drawn, on which whatever lies more than half way from the baseline to its end
        crashes."""
        made, rng = copy(self), keyed(self._seed, "crashing")
        numbers = range(len(encoded(self.space, self.space.baseline)))
        made._edges = [(n, rng.choice((-1.0, 1.0))) for n in numbers]
        return made

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        config = self.configured(parent, proposal)
        if config != self.space.baseline:
            failure = self.failure(config)
            if failure is not None:
                return Outcome(None, failure)
        return Outcome(
            self.exact(config) + keyed(seed, canonical(config)).gauss(0.0, self.noise_sd)
        )

    def exact(self, config: Config) -> float:
        """The prediction, whether or not the configuration fails."""
        return self._mean(encoded(self.space, config))

    def render(self, config: Config) -> str:
        return self._render(config)

    def failure(self, config: Config) -> Failure | None:
        """How this configuration fails, if it does; of the baseline it is not asked."""
        at = encoded(self.space, config)
        base = encoded(self.space, self.space.baseline)
        for number, side in self._edges:
            room = 1.0 - base[number] if side > 0 else base[number]
            if side * (at[number] - base[number]) > room / 2:
                return Failure(FailureKind.CRASH, "it ran out of its numbers: too far on one side")
        if not any(failure for _, failure in self._near):
            return None
        return min(self._near, key=lambda known: math.dist(known[0], at))[1]


def tells(trial: Trial) -> bool:
    """Returns whether a trial tells something of its configuration that no other one tells."""
    failure = trial.outcome.failure
    invalid = failure is not None and failure.kind is FailureKind.INVALID_PROPOSAL
    return not invalid and trial.duplicate_of is None


def encoded(space: SearchSpace, config: Config) -> list[float]:
    """Returns the open parameters as numbers in [0, 1]; a choice or a subset takes one number a
    member."""
    return [x for parameter in space.active for x in _encoded(parameter, config[parameter.name])]


def _encoded(parameter: Parameter, value: Any) -> list[float]:
    match parameter:
        case Float(low=low, high=high, log=log):
            numbers = [_share(low, high, value, log)]
        case Int(low=low, high=high) | PowerOfTwo(low=low, high=high):
            numbers = [_share(low, high, value, isinstance(parameter, PowerOfTwo))]
        case Tuple(low=lows, high=highs):
            numbers = [_share(a, b, x) for a, b, x in zip(lows, highs, value, strict=True)]
        case Choice(choices=choices):
            numbers = [float(value == choice) for choice in choices]
        case Subset(members=members):
            numbers = [float(member in value) for member in members]
        case Text(baseline=baseline):
            numbers = [float(value != baseline)]
        case _:
            raise TypeError(f"{type(parameter).__name__} has no encoding")
    return numbers


def _share(low: float, high: float, value: float, log: bool = False) -> float:
    """Returns where a value lies in its range, from 0 to 1."""
    if log and low > 0:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def _process(known: Sequence[_Known]) -> tuple[_Mean, float]:
    values = [value for _, value in known]
    if len(set(values)) < 2:
        flat = values[0] if values else 0.0
        return lambda at: flat, 0.0
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    middle, scale = fmean(values), pstdev(values)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(1.0, (0.1, 10.0), nu=2.5) + WhiteKernel(
        1e-2, (1e-6, 1.0)
    )
    process = GaussianProcessRegressor(kernel)
    with warnings.catch_warnings(), _threads().limit(limits=1):
        warnings.simplefilter("ignore")  # a hyperparameter at its bound is good enough here
        process.fit([at for at, _ in known], [(value - middle) / scale for value in values])
    noise = math.sqrt(float(process.kernel_.k2.noise_level)) * scale
    low, high = min(values), max(values)
    reach = REACH * (high - low)

    def mean(at: list[float]) -> float:
        near = process.kernel_([at], process.X_train_)  # `predict` takes ten times as long
        predicted = middle + scale * float((near @ process.alpha_)[0])
        return min(max(predicted, low - reach), high + reach)

    return mean, noise


@cache
def _threads() -> ThreadpoolController:
    """Returns the controller of the loaded numeric libraries' threads: sums depend on their
    number."""
    return ThreadpoolController()
