"""A search as an optimiser with BLADE's signature; it needs a function, and not BLADE itself."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bilevel.blade.optimiser import Optimiser
from bilevel.errors import BadInput
from tests.discovery.mechanisms import GOOD, REFUSED


class Bowl:
    """A function as ioh makes them, with its evaluations noted."""

    def __init__(self, instance: int = 0, dim: int = 3) -> None:
        self.bounds = SimpleNamespace(lb=[-5.0] * dim, ub=[5.0] * dim)
        self.meta_data = SimpleNamespace(problem_id=100, instance=instance)
        self.points: list[list[float]] = []

    def __call__(self, point: Sequence[float]) -> float:
        self.points.append(list(point))
        return sum((x - 1.5) ** 2 for x in point)


def made(**how: Any) -> type[Optimiser]:
    return type("Made", (Optimiser,), how)


def searched(func: Bowl, budget: int = 12, **how: Any) -> tuple[float, Any]:
    return made(**how)(budget, len(func.bounds.lb))(func)


@pytest.mark.parametrize("arm", ["cmaes", "level1"])
def test_it_spends_its_budget_in_the_box_and_returns_the_lowest(arm: str) -> None:
    func = Bowl()
    value, point = searched(func, arm=arm)
    points = func.points.copy()
    assert len(points) == 12
    assert all(-5 <= x <= 5 for found in points for x in found)
    assert value == min(Bowl()(found) for found in points)
    assert Bowl()(point) == value


def test_the_same_class_makes_the_same_search_and_starts_elsewhere_on_another_instance() -> None:
    one, same, other, seeded = Bowl(), Bowl(), Bowl(instance=1), Bowl()
    for func, seed in ((one, 1), (same, 1), (other, 1), (seeded, 2)):
        searched(func, seed=seed)
    assert one.points == same.points
    assert len({str(func.points[0]) for func in (one, other, seeded)}) == 3


def test_a_mechanism_is_attached_by_name() -> None:
    """The first point is the same; what comes then is the mechanism's."""
    alone, beside = Bowl(), Bowl()
    without, _ = searched(alone, budget=30)
    with_it, _ = searched(beside, budget=30, mechanism="separable_bowl")
    assert alone.points[0] == beside.points[0]
    assert with_it < without / 2


@pytest.mark.slow
def test_a_generated_one_passes_the_gates_first_and_is_confined(tmp_path: Path) -> None:
    good, refused = tmp_path / "good.py", tmp_path / "refused.py"
    good.write_text(GOOD)
    refused.write_text(REFUSED)
    alone, beside = Bowl(), Bowl()
    searched(alone)
    searched(beside, mechanism=str(good))
    assert alone.points[0] == beside.points[0]
    assert alone.points != beside.points
    with pytest.raises(BadInput, match="is not admitted: lint"):
        searched(Bowl(), mechanism=str(refused))


def test_what_cannot_be_run_is_refused() -> None:
    with pytest.raises(BadInput, match="budget=1: expected at least 2"):
        searched(Bowl(), budget=1)
    with pytest.raises(BadInput, match=r"mechanism=no_such: expected one of .*kriging_ensemble"):
        searched(Bowl(), mechanism="no_such")
