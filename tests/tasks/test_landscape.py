"""Landscapes by number: optima that nothing beats, starts and cliffs as said, all traits drawn."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import ConfigError
from bilevel.parameters import Choice, Float, Parameter, Tuple, Value
from bilevel.space import Config
from bilevel.tasks.landscapes.effects import Lure, Pit
from bilevel.tasks.landscapes.task import Landscape
from bilevel.tasks.landscapes.units import width
from bilevel.tasks.surrogate import Crash
from bilevel.trace import FailureKind, Proposal

FAMILY = [(number, half) for half in ("training", "held_out") for number in range(100)]
TRAITS = {
    **{"bowl": 0.25, "monotone": 0.2, "ridge": 0.3, "together": 0.2, "plateau": 0.15},
    **{"multimodal": 0.15, "options": 0.1, "conditional": 0.1, "lure": 0.06, "idle": 0.5},
    **{"pit": 0.2, "cliff": 0.5, "baseline: good": 0.2, "baseline: middling": 0.2},
    **{"baseline: trap": 0.2, "noise: none": 0.15, "noise: small": 0.15, "noise: medium": 0.15},
    "noise: large": 0.15,
}
"""At least this share of landscapes has each."""

made = cache(Landscape)
numbered = st.builds(Landscape, st.integers(0, 10**6), st.sampled_from(["training", "held_out"]))


def drawn(task: Landscape, rng: Random) -> Config:
    return {parameter.name: parameter.sample(rng) for parameter in task.space.parameters}


def value(task: Landscape, config: Config) -> float:
    try:
        return task.exact(config)
    except Crash:
        return math.inf


def gain(task: Landscape) -> float:
    return task.exact(task.space.baseline) - task.best_known


@given(numbered)
def test_the_optimum_is_legal_and_neither_it_nor_the_baseline_crashes(task: Landscape) -> None:
    assert task.space.check(task.optimum) == task.optimum
    assert 8 <= len(task.space.parameters) <= 14
    assert gain(task) > 0.01 * task.exact(task.space.baseline) > 0
    assert task.evaluate(None, Proposal({}), seed=1).value is not None
    assert task.evaluate(None, Proposal(task.optimum), seed=1).value is not None


@given(numbered, st.integers(0, 2**31))
def test_nothing_drawn_is_better_than_the_optimum(task: Landscape, seed: int) -> None:
    assert value(task, drawn(task, Random(seed))) >= task.best_known


@given(st.integers(0, 10**6), st.integers(0, 2**31))
def test_a_number_is_one_landscape_of_its_half(number: int, seed: int) -> None:
    one, same, other = Landscape(number), Landscape(number), Landscape(number, "held_out")
    config = drawn(one, Random(seed))
    first = one.evaluate(None, Proposal(config), seed)
    assert same.space == one.space
    assert same.evaluate(None, Proposal(config), seed) == first
    assert (other.space, other.optimum) != (one.space, one.optimum)


def test_halves_and_numbers_are_different_landscapes() -> None:
    found = {(made(*which).best_known, str(made(*which).space)) for which in FAMILY}
    assert len(found) == len(FAMILY)


def steps(parameter: Parameter, now: Value) -> Iterator[Value]:
    """Where a coordinate search looks: every value, or a grid and finer steps around this one."""
    if parameter.listed:
        yield from parameter.listed
    elif isinstance(parameter, Tuple):
        assert isinstance(now, tuple)
        for place, (low, high) in enumerate(zip(parameter.low, parameter.high, strict=True)):
            for at in grid(low, high, now[place]):
                yield (*now[:place], at, *now[place + 1 :])
    elif isinstance(parameter, Float) and parameter.log:
        assert isinstance(now, float)
        for at in grid(math.log(parameter.low), math.log(parameter.high), math.log(now)):
            yield min(max(math.exp(at), parameter.low), parameter.high)
    elif isinstance(parameter, Float):
        assert isinstance(now, float)
        yield from grid(parameter.low, parameter.high, now)
    else:
        yield from sorted({round(at) for at in grid(parameter.low, parameter.high, now)})  # type: ignore[attr-defined, arg-type]


def grid(low: float, high: float, now: float) -> Iterator[float]:
    for place in range(17):
        yield low + place / 16 * (high - low)
    for part in (0.1, 0.03, 0.01, 0.003, 0.001):
        yield max(low, now - part * (high - low))
        yield min(high, now + part * (high - low))


def descended(task: Landscape, config: Config, rounds: int = 6) -> float:
    """The value that a coordinate search on a grid comes to from there."""
    at, lowest = dict(config), value(task, config)
    for _ in range(rounds):
        before = lowest
        for parameter in task.space.parameters:
            for step in list(steps(parameter, at[parameter.name])):
                found = value(task, {**at, parameter.name: step})
                if found < lowest:
                    at[parameter.name], lowest = step, found
        if lowest == before:
            break
    return lowest


@pytest.mark.slow
@pytest.mark.parametrize("half", ["training", "held_out"])
def test_no_search_finds_a_lower_value(half: str) -> None:
    for number in range(50):
        task, rng = made(number, half), Random(number)
        points = sorted((drawn(task, rng) for _ in range(2000)), key=lambda at: value(task, at))
        lowest = min(descended(task, at) for at in (points[0], task.optimum, task.space.baseline))
        assert lowest >= task.best_known, task.name


@pytest.mark.parametrize("which", FAMILY[::5], ids=str)
def test_configurations_crash_but_not_too_many(which: tuple[int, str]) -> None:
    task, rng = made(*which), Random(7)
    outcomes = [task.evaluate(None, Proposal(drawn(task, rng)), 1) for _ in range(200)]
    kinds = Counter(one.failure.kind for one in outcomes if one.failure is not None)
    assert set(kinds) <= {FailureKind.CRASH, FailureKind.OUT_OF_MEMORY}
    assert kinds.total() <= 0.45 * 200  # 0.4 of all, give or take what 200 draws do
    assert "cliff" in task.traits or not kinds


def test_every_trait_is_there_often_enough() -> None:
    counts = Counter(trait for which in FAMILY for trait in made(*which).traits)
    assert set(counts) == set(TRAITS)
    for trait, share in TRAITS.items():
        assert counts[trait] >= share * len(FAMILY), trait


def test_what_there_is_to_gain_is_of_any_size() -> None:
    gains = sorted(gain(made(*which)) for which in FAMILY)
    assert gains[10] < 0.05
    assert gains[-10] > 5.0


def test_a_small_step_out_of_a_pit_harms() -> None:
    pits = [made(*which) for which in FAMILY if "pit" in made(*which).traits]
    for task in pits:
        (effect,) = [effect for _, effect in task._drawn.parts if isinstance(effect, Pit)]
        start = [u for n, code in task._drawn.encoders for u in code(task.space.baseline[n])]
        kinds = [p for p in task.space.parameters for _ in range(width(p))]
        for axis in effect.axes:
            if not isinstance(kinds[axis], Choice):
                for step in (-0.02, 0.02):
                    moved = [u + step * (place == axis) for place, u in enumerate(start)]
                    assert effect(moved) > effect(start)


def searched(task: Landscape, seed: int, trials: int = 30) -> float:
    """The share of the gain in what random search believes to be the best."""
    rng, lowest, found = Random(seed), math.inf, 0.0
    start = task.exact(task.space.baseline)
    for proposal in [{}, *(drawn(task, rng) for _ in range(trials))]:
        told = task.evaluate(None, Proposal(proposal), seed).value
        if told is not None and told < lowest:
            lowest = told
            exact = task.exact({**task.space.baseline, **proposal})
            found = (start - exact) / gain(task)
    return found


def test_random_search_leaves_room_above_it() -> None:
    shares = [statistics.mean(searched(made(*w), seed) for seed in range(3)) for w in FAMILY]
    print(f"random search gains {statistics.mean(shares):.3f} of what there is")
    assert 0.2 <= statistics.mean(shares) <= 0.45
    assert sum(share >= 0.9 for share in shares) <= 0.02 * len(shares)


def test_noise_can_be_set_and_belongs_to_configuration_and_seed() -> None:
    task = Landscape(3, noise_sd=0.5)
    values = [task.evaluate(None, Proposal({}), seed).value or 0.0 for seed in range(400)]
    assert task.evaluate(None, Proposal({}), 7).value == values[7]
    assert statistics.stdev(values) == pytest.approx(0.5, rel=0.15)
    exact = Landscape(3, noise_sd=0.0)
    assert exact.evaluate(None, Proposal({}), 7).value == exact.exact(exact.space.baseline)


def test_what_is_told_says_nothing_of_the_structure_but_that_some_may_crash() -> None:
    tasks = [made(*which) for which in FAMILY]
    crashing, (told,) = (
        {task.describe().facts for task in tasks if ("cliff" in task.traits) == cliffs}
        for cliffs in (True, False)
    )
    assert crashing == {f"{told} Some configurations may crash."}
    assert not any(word in told for word in ("ridge", "cliff", "trap", "crash", "noise", "effect"))
    choices = [p for w in FAMILY for p in made(*w).space.parameters if isinstance(p, Choice)]
    assert all(set(choice.choices) <= set("ABCDE") for choice in choices)


def test_an_unknown_half_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="valid: training, held_out"):
        Landscape(1, "test")


def test_a_lure_leads_away_from_the_best_point() -> None:
    parts = [part for which in FAMILY for part in made(*which)._drawn.parts]
    found = [effect for _, effect in parts if isinstance(effect, Lure)]
    pits = [effect for _, effect in parts if isinstance(effect, Pit)]
    found += [effect for pit in pits for _, effect in pit.parts if isinstance(effect, Lure)]
    assert len(found) > 10
    for lure in found:
        at = [0.0] * lure.axis
        assert abs(lure.lure - lure.best) >= lure.reach - 1e-9  # which is the baseline's distance
        assert lure([*at, lure.lure]) == lure.depth < 1.0
        assert lure([*at, lure.best]) == 0.0
