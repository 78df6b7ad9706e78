"""The noiseless BBOB functions and their affine combinations, through the package ioh, which is an
optional extra: continuous landscapes that the literature knows."""

import csv
import importlib.util
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
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

INSTALL_BLADE = (
    ".venv/bin/pip install -e '.[blade]' && "
    ".venv/bin/pip install --no-deps 'iohblade>=1.1.1,<1.2' 'llamea>=1.4.1,<1.5'"
)
"""In two steps, for both ask for an older `openai` than this project's."""

_END = 5.0  # of the range, in either direction
_BLADE_ID = 100  # of every problem of IOH-BLADE's list
_Function = Annotated[int, Interval(ge=1, le=24), Expected("a function of BBOB, from 1 to 24")]
_Dimension = Annotated[int, Interval(ge=5, le=20), Expected("a number of parameters, 5 to 20")]
_Listed = Annotated[int, Interval(ge=0, le=999), Expected("an instance of IOH-BLADE, 0 to 999")]


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


class BladeMaBbob(_IohProblem):
    """One of the 1,000 affine combinations that IOH-BLADE judges on: its own list, which is none of
    those that ioh draws from a number. Raises ConfigError where ioh or iohblade is missing.

    van Stein et al., "BLADE: Benchmark suite for LLM-driven Automated Design and Evolution of
    iterative optimisation heuristics", GECCO companion, 2025.
    """

    def __init__(self, instance: _Listed, dimension: _Dimension, name: str = "") -> None:
        ioh = _ioh("task=blade_ma_bbob")
        where, weights, instances = _listed(instance)
        problem = ioh.problem.ManyAffine(
            xopt=where[:dimension],
            weights=weights,
            instances=[int(number) for number in instances],
            n_variables=dimension,
        )
        problem.set_id(_BLADE_ID)
        problem.set_instance(instance)
        super().__init__(problem, f"blade-ma-bbob-i{instance}-d{dimension}", name)


def _listed(instance: int) -> Iterator[list[float]]:
    """Yields the place of the optimum, the weights and the instances of BBOB's functions, from the
    files of iohblade, which is not imported: it would change how processes start."""
    package = importlib.util.find_spec("iohblade")
    if package is None or package.origin is None:
        raise ConfigError(f"task=blade_ma_bbob needs iohblade: {INSTALL_BLADE}")
    folder = Path(package.origin).parent / "benchmarks" / "BBOB" / "mabbob"
    for name in ("opt_locs", "weights", "iids"):
        with (folder / f"{name}.csv").open(newline="") as file:
            _, *values = next(islice(csv.reader(file), instance + 1, None))
        yield [float(value) for value in values]


def _ioh(chosen: str) -> Any:
    if importlib.util.find_spec("ioh") is None:
        raise ConfigError(f"{chosen} needs ioh: .venv/bin/pip install -e '.[bbob]'")
    import ioh

    return ioh
