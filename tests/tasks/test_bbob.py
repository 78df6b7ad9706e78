"""BBOB through ioh: the declared optimum is one, and a name stands for one problem."""

import importlib.util
from random import Random

import pytest

from bilevel.errors import ConfigError
from bilevel.settings import settings_of
from bilevel.tasks.bbob import Bbob, BladeMaBbob, MaBbob
from bilevel.trace import Proposal

needs_ioh = pytest.mark.skipif(
    importlib.util.find_spec("ioh") is None, reason="needs the extra bbob"
)
needs_blade = pytest.mark.skipif(
    importlib.util.find_spec("iohblade") is None, reason="needs the extra blade"
)


def tasks(dimension: int) -> list[Bbob | MaBbob]:
    functions = [Bbob(function, 3, dimension) for function in range(1, 25)]
    return [*functions, *(MaBbob(instance, dimension) for instance in range(1, 41))]


@needs_ioh
@pytest.mark.parametrize("dimension", [5, 20])
def test_nothing_is_better_than_the_optimum(dimension: int) -> None:
    for task in tasks(dimension):
        assert task.space.check(task.optimum) == task.optimum
        assert task.exact(task.optimum) == pytest.approx(task.best_known, abs=1e-9)
        assert task.exact(task.space.baseline) > 0.1
        rng = Random(1)
        for _ in range(200):
            config = {p.name: p.sample(rng) for p in task.space.parameters}
            assert task.exact(config) >= task.best_known - 1e-9


@needs_ioh
def test_a_problem_is_the_same_every_time_at_every_seed() -> None:
    for one, same in zip(tasks(5), tasks(5), strict=True):
        assert one.space == same.space
        values = [
            task.evaluate(None, Proposal({"X01": 1.5}), seed)
            for task in (one, same)
            for seed in (1, 2)
        ]
        assert values == [values[0]] * 4


@needs_ioh
def test_functions_instances_and_dimensions_start_elsewhere() -> None:
    others = [Bbob(1, 1, 5), Bbob(2, 1, 5), Bbob(1, 2, 5), MaBbob(1, 5)]
    assert len({str(task.space.baseline) for task in others}) == len(others)
    assert Bbob(1, 1, 5, name="mine").space == others[0].space


@needs_blade
def test_those_of_blade_are_its_own_and_their_optimum_is_one() -> None:
    rng = Random(1)
    for instance in range(0, 1000, 37):
        task, drawn = BladeMaBbob(instance, 5), MaBbob(instance + 1, 5)
        assert task.space.check(task.optimum) == task.optimum
        assert task.optimum != drawn.optimum
        assert task.exact(task.optimum) == pytest.approx(task.best_known, abs=1e-9)
        config = {p.name: p.sample(rng) for p in task.space.parameters}
        assert task.exact(config) > 0


@pytest.mark.parametrize(
    ("name", "legal", "illegal"), [("function", 24, 25), ("dimension", 20, 4), ("instance", 1, 0)]
)
def test_its_settings_are_checked(name: str, legal: int, illegal: int) -> None:
    said = settings_of(Bbob)[name]
    assert said.allows(legal)
    assert not said.allows(illegal)
    assert not said.allows(1.5)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"task=bbob needs ioh: .*'\.\[bbob\]'"):
        Bbob(1, 1, 5)
    with pytest.raises(ConfigError, match=r"task=ma_bbob needs ioh"):
        MaBbob(1, 5)
    with pytest.raises(ConfigError, match=r"task=blade_ma_bbob needs ioh"):
        BladeMaBbob(1, 5)


def test_without_blade_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ioh")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if "blade" in n else find(n))
    with pytest.raises(ConfigError, match=r"needs iohblade: .*--no-deps 'iohblade"):
        BladeMaBbob(1, 5)
