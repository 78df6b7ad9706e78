"""Permutation tests against enumeration, and what the values at hand could have given at most."""

import math
from itertools import combinations, product
from random import Random
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from bilevel.statistics.permutation import permutation_test
from bilevel.statistics.power import DRAWN
from tests.statistics.test_estimates import A, B


def test_a_paired_test_flips_every_sign() -> None:
    apart = [a - b for a, b in zip(A, B, strict=True)]
    means = [fmean(s * d for s, d in zip(signs, apart, strict=True))
             for signs in product((1, -1), repeat=6)]  # fmt: skip
    seen = fmean(apart)
    below = sum(mean <= seen + 1e-12 for mean in means)
    above = sum(mean >= seen - 1e-12 for mean in means)
    test = permutation_test(A, B, paired=True)
    assert test is not None
    assert test.p == pytest.approx(2 * min(below, above) / 64)
    assert (test.relabellings, test.exact, test.smallest_p) == (64, True, 2 / 64)


def test_an_unpaired_test_exchanges_every_label() -> None:
    pool, seen = [*A, *B[:4]], fmean(A) - fmean(B[:4])
    differences = []
    for chosen in combinations(range(10), 6):
        rest = [pool[i] for i in range(10) if i not in chosen]
        differences.append(fmean(pool[i] for i in chosen) - fmean(rest))
    below = sum(difference <= seen + 1e-12 for difference in differences)
    test = permutation_test(A, B[:4], paired=False)
    assert test is not None
    assert test.p == pytest.approx(2 * below / math.comb(10, 6))
    assert test.relabellings == math.comb(10, 6)


def test_the_smallest_p_is_reached_where_nothing_is_as_extreme() -> None:
    test = permutation_test([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], paired=True)
    assert test is not None
    assert test.p == test.smallest_p == 0.25


def test_pairs_without_a_difference_and_ties_make_the_smallest_p_larger() -> None:
    """Eight seeds, of which two differ, can say no more than two seeds can."""
    paired = permutation_test([1.0, 2.0, *B], [0.0, 0.0, *B], paired=True)
    assert paired is not None
    assert paired.p == paired.smallest_p == 0.5
    equal = permutation_test(B, B, paired=True)
    assert equal is not None
    assert equal.p == equal.smallest_p == 1.0
    tied = permutation_test([1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], paired=False)
    assert tied is not None
    assert tied.p == pytest.approx(tied.smallest_p) == pytest.approx(2 * 5 / 35)


def test_twenty_pairs_are_all_counted() -> None:
    rng = Random(2)
    a, b = ([rng.gauss(mean, 1) for _ in range(20)] for mean in (0.9, 0.0))
    test = permutation_test(a, b, paired=True)
    assert test is not None
    assert (test.exact, test.relabellings) == (True, 2**20)
    assert (test.p * 2**20).is_integer()
    assert test.p == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=0.5)


@pytest.mark.parametrize("paired", [True, False])
def test_beyond_enumeration_relabellings_are_drawn_the_same_each_time(paired: bool) -> None:
    rng = Random(1)
    a, b = ([rng.gauss(mean, 1) for _ in range(30)] for mean in (0.4, 0.0))
    test, again = (permutation_test(a, b, paired=paired) for _ in range(2))
    assert test is not None
    assert test == again
    assert (test.exact, test.relabellings) == (False, DRAWN + 1)
    t = stats.ttest_rel(a, b) if paired else stats.ttest_ind(a, b)
    assert test.p == pytest.approx(t.pvalue, abs=0.01)


def test_where_nothing_differs_one_study_in_twenty_at_most_looks_as_if() -> None:
    rng = np.random.default_rng(4)
    for paired, n in ((True, 8), (False, 5)):
        tests = [permutation_test(*rng.normal(0, 1, (2, n)), paired=paired) for _ in range(300)]
        assert np.mean([test is not None and test.p <= 0.05 for test in tests]) <= 0.06


def test_one_seed_is_no_test() -> None:
    assert permutation_test([0.1], [0.2], paired=False) is None
