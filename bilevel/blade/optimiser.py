"""A search of ours as an optimiser of IOH-BLADE: it has its signature, and runs an arm's loop."""

from functools import cache
from typing import Any, ClassVar

import numpy as np
from hydra.utils import instantiate

from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.discovery.contestant import Attached, Contestant, with_mechanism
from bilevel.errors import BadInput
from bilevel.parameters import Float
from bilevel.randomness import digest, keyed
from bilevel.sandbox.worker_handle import Limits
from bilevel.space import Config, SearchSpace
from bilevel.tasks.base import Task
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Objective, Outcome, Proposal, Trial
from bilevel.view import About


class Optimiser:
    """Minimises a function of a continuous box with `budget` evaluations; subclasses say how.

    `arm` proposes, `mechanism` is attached to it (a file of conf/mechanisms, or the path of a
    generated one, which has to pass the gates and runs in the sandbox; empty: none), `llm` answers
    an arm that asks one. The first evaluation is a point drawn from `seed`, the function's number
    and instance: the baseline. The same class on the same function makes the same search. Raises
    BadInput, ConfigError.
    """

    arm: ClassVar[str] = "random"
    mechanism: ClassVar[str] = ""
    llm: ClassVar[str] = "scripted"
    seed: ClassVar[int] = 1

    def __init__(self, budget: int, dim: int) -> None:
        if budget < 2:
            raise BadInput(f"budget={budget}: expected at least 2, a start and a trial")
        self.budget, self.dim = int(budget), dim

    def __call__(self, func: Any) -> tuple[float, Any]:
        """Returns the lowest value, and the point that has it."""
        about = func.meta_data
        seed = digest(self.seed, about.problem_id, about.instance, self.dim) % 2**30
        box = _Box(func, seed)
        contestant, attached, limits = _search(self.arm, self.mechanism, self.llm, self.budget - 1)
        beside = None if attached is None else attached.made(limits)
        best = contestant.searched(box, seed, beside).loop.best
        assert best is not None  # a search begins with a baseline that runs
        assert best.value is not None
        return best.value, np.array(box.point(best.config))


class _Box(Task):
    """A function of BLADE as a task: its value is what is minimised."""

    noise_sd = 0.0

    def __init__(self, func: Any, seed: int) -> None:
        self.name, self.objective = "blade", Objective("loss")
        self._func = func
        rng, bounds = keyed(seed, "baseline"), func.bounds
        self.space = SearchSpace(
            tuple(
                Float(f"X{place:02}", float(low), float(high), rng.uniform(low, high))
                for place, (low, high) in enumerate(zip(bounds.lb, bounds.ub, strict=True), 1)
            )
        )

    def point(self, config: Config) -> list[float]:
        values: Any = [config[parameter.name] for parameter in self.space.parameters]
        return [float(value) for value in values]

    def describe(self) -> About:
        return About(
            "A formula answers in place of a training run: nothing is trained, and a run costs "
            "nothing. It is a benchmark function of real numbers, without noise, to be minimised."
        )

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        return Outcome(float(self._func(self.point(self.configured(parent, proposal)))))


@cache
def _search(
    arm: str, mechanism: str, llm: str, trials: int
) -> tuple[Contestant, Attached | None, Limits]:
    """What is run, composed and admitted once a process."""
    limits: Limits = instantiate(composed(CONF, ["task=trap", "arm=random"])["sandbox"])
    probe = Surrogate("trap")
    return *with_mechanism(mechanism, arm, llm, trials, probe, limits), limits
