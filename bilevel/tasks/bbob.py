"""The noiseless BBOB functions and their affine combinations, through the package ioh, which is an
optional extra: continuous landscapes that the literature knows."""

import importlib.util
from typing import Annotated, Any

from annotated_types import Interval

from bilevel.errors import ConfigError
from bilevel.parameters import Float
from bilevel.randomness import keyed
from bilevel.settings import Count, Expected
from bilevel.space import Config, SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.view import About

_END = 5.0  # of the range, in either direction
_Function = Annotated[int, Interval(ge=1, le=24), Expected("a function of BBOB, from 1 to 24")]
_Dimension = Annotated[int, Interval(ge=5, le=20), Expected("a number of parameters, 5 to 20")]


class _IohProblem(Task):
    """A problem of ioh, to be minimised: its value above its optimum's, without noise."""

    noise_sd: float = 0.0
    best_known = 0.0

    def __init__(self, problem: Any, own: str, name: str) -> None:
        self.name = name or own
        self.objective = Objective("loss")
        self._problem = problem
        self._names = tuple(f"X{place:02}" for place in range(1, problem.meta_data.n_variables + 1))
        rng = keyed(problem.meta_data.instance, "baseline", own)
        start = [round(rng.uniform(-0.9 * _END, 0.9 * _END), 2) for _ in self._names]
        self.space = SearchSpace(
            tuple(Float(x, -_END, _END, at) for x, at in zip(self._names, start, strict=True))
        )

    @property
    def unseeded(self) -> str:
        return "the functions of BBOB are without noise"

    @property
    def optimum(self) -> Config:
        """The configuration with the lowest value."""
        return dict(zip(self._names, map(float, self._problem.optimum.x), strict=True))

    def exact(self, config: Config) -> float:
        """The value above the optimum's."""
        value = self._problem([config[name] for name in self._names])
        return float(value - self._problem.optimum.y)

    def describe(self) -> About:
        return About(
            "A formula answers in place of a training run: nothing is trained, and a run costs "
            "nothing. It is a benchmark function of real numbers, without noise, and loss is its "
            "distance from the lowest value."
        )

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        return Outcome(self.exact(self.configured(parent, proposal)))


class Bbob(_IohProblem):
    """One of BBOB's 24 noiseless functions, in an instance of it. The baseline depends on
    function, instance and dimension alone. Raises ConfigError where ioh is missing.

    Hansen et al., "COCO: a platform for comparing continuous optimizers in a black-box setting",
    Optimization Methods and Software 36, 2021.
    """

    def __init__(
        self, function: _Function, instance: Count, dimension: _Dimension, name: str = ""
    ) -> None:
        ioh = _ioh("task=bbob")
        problem = ioh.get_problem(function, instance, dimension, ioh.ProblemClass.BBOB)
        super().__init__(problem, f"bbob-f{function}-i{instance}-d{dimension}", name)


class MaBbob(_IohProblem):
    """An affine combination of BBOB's functions with its optimum somewhere else, as ioh draws it
    from the number of the instance. Raises ConfigError where ioh is missing.

    Vermetten et al., "MA-BBOB: A Problem Generator for Black-Box Optimization Using Affine
    Combinations and Shifts", ACM TELO 5, 2025.
    """

    def __init__(self, instance: Count, dimension: _Dimension, name: str = "") -> None:
        problem = _ioh("task=ma_bbob").problem.ManyAffine(instance, dimension)
        super().__init__(problem, f"ma-bbob-i{instance}-d{dimension}", name)


def _ioh(chosen: str) -> Any:
    if importlib.util.find_spec("ioh") is None:
        raise ConfigError(f"{chosen} needs ioh: .venv/bin/pip install -e '.[bbob]'")
    import ioh

    return ioh
