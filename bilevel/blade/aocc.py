"""Searches of ours in the field's unit: AOCC on the MA-BBOB instances that IOH-BLADE lists.

AOCC is the area over the convergence curve: the mean over the evaluations of a budget of how low
the best value so far is, on a logarithmic scale from 100 (0) to 1e-8 (1); BLADE's own code runs and
scores. It depends on the budget, which BLADE has at 2,000 evaluations for each dimension.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from joblib import Parallel, delayed

from bilevel.discovery.cells import PLACES, Cell
from bilevel.errors import BadInput, ConfigError
from bilevel.tasks.bbob import INSTALL_BLADE

TRAINING, TEST = "training", "test"
HALVES: Mapping[str, range] = {TRAINING: range(20), TEST: range(20, 120)}
"""The instances that BLADE searches on, and those that it judges on, unless told otherwise."""


@dataclass(frozen=True)
class Searcher:
    """An arm, with a mechanism attached (empty: none), and the model that answers it."""

    arm: str
    mechanism: str = ""
    llm: str = "scripted"

    def text(self, seed: int) -> str:
        """The optimiser as BLADE reads it: the text of a class `Searched`."""
        return (
            "from bilevel.blade import Optimiser\n\n\n"
            "class Searched(Optimiser):\n"
            f"    arm, mechanism, llm = {self.arm!r}, {self.mechanism!r}, {self.llm!r}\n"
            f"    seed = {seed}\n"
        )


@dataclass(frozen=True)
class Measured:
    """The MA-BBOB instances of one half, from its first on, and how they are searched."""

    half: str
    instances: int
    dimension: int
    budget_factor: int
    """Evaluations for each dimension."""

    def __post_init__(self) -> None:
        if self.half not in HALVES:
            raise BadInput(f"half={self.half}: expected one of {', '.join(HALVES)}")
        if self.instances > len(HALVES[self.half]):
            raise BadInput(
                f"instances={self.instances}: the {self.half} half has {len(HALVES[self.half])}"
            )
        if not 2 <= self.dimension <= 20:
            raise BadInput(f"dimension={self.dimension}: BLADE lists optima of 2 to 20")
        if importlib.util.find_spec("iohblade") is None:
            raise ConfigError(f"AOCC is measured by iohblade: {INSTALL_BLADE}")

    @property
    def budget(self) -> int:
        return self.budget_factor * self.dimension

    def aocc(self, searchers: Sequence[Searcher], seeds: int, workers: int) -> list[list[Cell]]:
        """The AOCC of every searcher on every instance at seeds 1 to `seeds`, as the gain of a
        cell; `workers` seeds of a searcher are run at a time."""
        each = [(searcher, seed) for searcher in searchers for seed in range(1, seeds + 1)]
        found: list[list[Cell]] = Parallel(workers)(
            delayed(_cells)(self, searcher, seed) for searcher, seed in each
        )
        return [
            [cell for cells in found[at : at + seeds] for cell in cells]
            for at in range(0, len(found), seeds)
        ]


def _cells(how: Measured, searcher: Searcher, seed: int) -> list[Cell]:
    from iohblade.benchmarks.BBOB.mabbob import MA_BBOB
    from iohblade.solution import Solution

    instances = HALVES[how.half][: how.instances]
    problem = MA_BBOB(
        training_instances=instances, dims=[how.dimension], budget_factor=how.budget_factor
    )
    scored = problem.evaluate(Solution(code=searcher.text(seed), name="Searched"))
    return [
        Cell(f"ma-bbob-{instance}", seed, round(float(found), PLACES))
        for instance, found in zip(instances, scored.get_metadata("aucs"), strict=True)
    ]
