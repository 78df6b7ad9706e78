"""The statistics against formulae, and intervals by what they promise: coverage."""

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from scipy import stats

from bilevel.statistics import estimates as own

A = (-0.031, -0.012, -0.044, -0.027, -0.006, -0.038)
B = (-0.011, -0.014, -0.017, -0.003, -0.008, -0.021)


def test_an_interval_is_students() -> None:
    found = own.interval(A)
    half = 2.570582 * stdev(A) / math.sqrt(6)  # the table's 97.5 % quantile with 5 degrees
    assert found is not None
    assert (found.low, found.high) == pytest.approx((fmean(A) - half, fmean(A) + half))
    assert own.difference_interval(A, [0.0] * 6, paired=True) == found


def test_an_unpaired_interval_is_welchs() -> None:
    found = own.difference_interval(A, B[:5], paired=False)
    one, other = stdev(A) ** 2 / 6, stdev(B[:5]) ** 2 / 5
    degrees = (one + other) ** 2 / (one**2 / 5 + other**2 / 4)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(one + other)
    middle = fmean(A) - fmean(B[:5])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))


@pytest.mark.parametrize("n", [5, 6, 8, 20])
def test_an_interval_of_normal_values_holds_their_mean_in_95_of_100(n: int) -> None:
    """A BCa bootstrap does so in 84, 86, 88 and 92."""
    drawn = np.random.default_rng(n).normal(3.0, 2.0, (800, n))
    found = [own.interval(list(values)) for values in drawn]
    assert np.mean([one is not None and one.low <= 3.0 <= one.high for one in found]) >= 0.93


@pytest.mark.parametrize(("n", "other", "sd"), [(5, 5, 1.0), (5, 5, 4.0), (5, 12, 0.3), (20, 8, 3)])
def test_an_interval_of_a_difference_holds_it_in_95_of_100(n: int, other: int, sd: float) -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(600):
        a, b = rng.normal(1.0, 1.0, n), rng.normal(0.0, sd, other)
        found = own.difference_interval(list(a), list(b), paired=False)
        hits += found is not None and found.low <= 1.0 <= found.high
    assert hits / 600 >= 0.93


def two_optima(n: int, share: float = 0.25) -> float:
    """How often Student's interval holds the mean where so many searches find another optimum."""
    rng = np.random.default_rng(3)
    drawn = (rng.random((4000, n)) < share) + rng.normal(0, 0.05, (4000, n))
    half = stats.t.ppf(0.975, n - 1) * drawn.std(axis=1, ddof=1) / math.sqrt(n)
    return float(np.mean(np.abs(drawn.mean(axis=1) - share) <= half))


def test_the_fewest_seeds_are_where_one_miss_in_four_is_the_worst() -> None:
    assert two_optima(own.FEWEST_SEEDS) == pytest.approx(0.75, abs=0.02)
    assert two_optima(own.FEWEST_SEEDS - 1) < 0.7


def test_hedges_g_is_cohens_d_corrected() -> None:
    pooled = math.sqrt((5 * stdev(A) ** 2 + 5 * stdev(B) ** 2) / 10)
    expected = (fmean(A) - fmean(B)) / pooled * (1 - 3 / (4 * 10 - 1))
    assert own.hedges_g(A, B) == pytest.approx(expected, rel=1e-3)


def test_holm_steps_down() -> None:
    assert own.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert own.holm([]) == []


def test_entropy_is_in_bits() -> None:
    assert own.entropy_bits([1, 1, 1, 1]) == pytest.approx(2)
    assert own.entropy_bits([5]) == 0
    assert own.entropy_bits([]) is None


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.2, 0.3, 0.4], [0.1] * 8, [0.1 + 0.2, 0.3]])
def test_where_no_interval_is_honest_there_is_none(values: list[float]) -> None:
    assert own.interval(values) is None
    assert own.difference_interval(values, values, paired=False) is None
    assert own.difference_interval(values, values, paired=True) is None


def test_no_spread_is_no_effect_size() -> None:
    assert own.hedges_g([0.1] * 3, [0.1] * 3) is None
    assert own.hedges_g([0.1], [0.2]) is None
