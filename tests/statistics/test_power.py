"""What tests can reach and find, against counting and against the tests themselves."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from bilevel.statistics.permutation import permutation_test
from bilevel.statistics.power import (
    best_choices,
    detectable,
    power,
    reachable,
    relabellings,
    seeds_for,
    seeds_to_reach,
)


@pytest.mark.parametrize(
    ("tests", "seeds"),
    [(1, 6), (2, 7), (4, 8), (10, 9), (30, 11), (120, 13)],
)
def test_from_how_many_pairs_on_a_corrected_verdict_is_possible(tests: int, seeds: int) -> None:
    """2 of 2 ** n sign flips are the least, and 5 % over so many tests has to be met."""
    assert seeds_to_reach(0.05 / tests, paired=True) == seeds
    assert 2 / 2**seeds <= 0.05 / tests < 2 / 2 ** (seeds - 1)


def test_five_pairs_never_have_power_and_are_never_enough() -> None:
    assert power(50.0, 5, 0.05, paired=True) == 0.0
    assert seeds_for(50.0, 0.05, paired=True) == 6
    assert seeds_for(50.0, 0.05, paired=False) == 4  # 2 of 70
    assert seeds_for(0.0, 0.05, paired=True) is None


def test_a_draw_reaches_what_its_size_allows() -> None:
    assert relabellings(20, 20, paired=True) == (2**20, True)
    assert relabellings(21, 21, paired=True) == (100_000, False)
    assert seeds_to_reach(1e-9, paired=True) is None
    assert reachable(0.05, 32) == 0.0
    assert reachable(0.05, 64) == 2 / 64
    assert reachable(0.05, 252, sides=1) == 12 / 252


@pytest.mark.parametrize("values", [(1, 2, 3, 4), (0, 0, 0, 0.5), (0, 0, 0, 0), (3, 3, 1, 3)])
@pytest.mark.parametrize("chosen", [1, 2, 3])
def test_the_best_choices_are_counted(values: tuple[float, ...], chosen: int) -> None:
    sums = [sum(some) for some in combinations(values, chosen)]
    assert best_choices(values, chosen) == sums.count(max(sums))


def found(effect: float, seeds: int, level: float, *, paired: bool, studies: int = 300) -> float:
    """In what share of studies the test itself finds it."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(studies):
        a = rng.normal(effect, 1, seeds)
        b = np.zeros(seeds) if paired else rng.normal(0, 1, seeds)
        test = permutation_test(list(a), list(b), paired=paired)
        assert test is not None
        hits += test.p <= level
    return hits / studies


@pytest.mark.parametrize(
    ("effect", "tests", "paired"),
    [(1.0, 1, True), (1.2, 4, True), (1.5, 30, True), (2.5, 4, True), (2.6, 1, False)],
)
def test_so_many_seeds_find_it_four_times_in_five(effect: float, tests: int, paired: bool) -> None:
    """By the test that is used, at the level of Holm's first step."""
    level = 0.05 / tests
    seeds = seeds_for(effect, level, paired=paired)
    assert seeds is not None
    assert found(effect, seeds, level, paired=paired) >= 0.76
    assert power(effect, seeds - 1, level, paired=paired) < 0.8


def test_what_is_told_detectable_is_found_four_times_in_five() -> None:
    difference = detectable(1.0, 5)
    assert difference is not None
    assert found(difference, 5, 0.05, paired=False) == pytest.approx(0.8, abs=0.04)
    assert detectable(1.0, 3) is None  # 2 of 20 relabellings are 10 %


@pytest.mark.parametrize("paired", [True, False])
def test_power_is_a_number_that_grows_however_far_it_is_from_the_middle(paired: bool) -> None:
    for effect in (0.05, 0.3, 1.2, 5.0, 50.0):
        found = [
            power(effect, n, 0.005, paired=paired) for n in (30, 54, 200, 1000, 10_000, 100_000)
        ]
        assert all(later >= before - 1e-9 for before, later in pairwise(found))
        assert 0 < found[0] <= found[-1] <= 1
