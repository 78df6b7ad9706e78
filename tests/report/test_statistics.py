"""The statistics against computations of another kind: enumeration, formulae, resampling."""

import math
from collections.abc import Sequence
from itertools import combinations, product
from random import Random
from statistics import NormalDist, fmean, stdev

import pytest
from scipy import stats

from bilevel.report import statistics as own

A = (-0.031, -0.012, -0.044, -0.027, -0.006, -0.038)
B = (-0.011, -0.014, -0.017, -0.003, -0.008, -0.021)


def test_a_paired_test_flips_every_sign() -> None:
    apart = [a - b for a, b in zip(A, B, strict=True)]
    means = [fmean(s * d for s, d in zip(signs, apart, strict=True))
             for signs in product((1, -1), repeat=6)]  # fmt: skip
    seen = fmean(apart)
    below = sum(mean <= seen + 1e-12 for mean in means)
    above = sum(mean >= seen - 1e-12 for mean in means)
    test = own.permutation_test(A, B, paired=True)
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
    test = own.permutation_test(A, B[:4], paired=False)
    assert test is not None
    assert test.p == pytest.approx(2 * below / math.comb(10, 6))
    assert test.relabellings == math.comb(10, 6)


def test_the_smallest_p_is_reached_where_nothing_is_as_extreme() -> None:
    test = own.permutation_test([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], paired=True)
    assert test is not None
    assert test.p == test.smallest_p == 0.25


def test_beyond_enumeration_relabellings_are_drawn_the_same_each_time() -> None:
    rng = Random(1)
    a, b = ([rng.gauss(mean, 1) for _ in range(30)] for mean in (0.4, 0.0))
    test, again = (own.permutation_test(a, b, paired=True) for _ in range(2))
    assert test is not None
    assert test == again
    assert (test.exact, test.relabellings) == (False, own.DRAWN + 1)
    assert test.p == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


def bca(values: Sequence[float], draws: int = 20_000) -> tuple[float, float]:
    """Efron's BCa interval of a mean, step by step."""
    rng, n, normal = Random(3), len(values), NormalDist()
    means = sorted(fmean(rng.choices(values, k=n)) for _ in range(draws))
    seen = fmean(values)
    below = fmean((mean < seen) + 0.5 * math.isclose(mean, seen) for mean in means)
    shift = normal.inv_cdf(below)
    left_out = [(sum(values) - value) / (n - 1) for value in values]
    apart = [fmean(left_out) - one for one in left_out]
    speed = sum(d**3 for d in apart) / (6 * sum(d**2 for d in apart) ** 1.5)

    def bound(share: float) -> float:
        z = shift + normal.inv_cdf(share)
        return means[int(normal.cdf(shift + z / (1 - speed * z)) * draws)]

    return bound(0.025), bound(0.975)


def test_an_interval_is_the_bca_bootstrap() -> None:
    values = (*A, -0.09, -0.011)
    found, (low, high) = own.interval(values), bca(values)
    assert found is not None
    assert found.low == pytest.approx(low, abs=0.06 * (high - low))
    assert found.high == pytest.approx(high, abs=0.06 * (high - low))
    assert own.difference_interval(A, [0.0] * 6, paired=True) == own.interval(A)


def test_an_unpaired_interval_holds_the_difference_between_its_bounds() -> None:
    found = own.difference_interval(A, B[:4], paired=False)
    assert found is not None
    assert found.low < fmean(A) - fmean(B[:4]) < found.high


def test_hedges_g_is_cohens_d_corrected() -> None:
    pooled = math.sqrt((5 * stdev(A) ** 2 + 5 * stdev(B) ** 2) / 10)
    expected = (fmean(A) - fmean(B)) / pooled * (1 - 3 / (4 * 10 - 1))
    assert own.hedges_g(A, B) == pytest.approx(expected, rel=1e-3)


def power_of_a_paired_t_test(effect: float, n: int) -> float:
    bound = stats.t.ppf(0.975, n - 1)
    shifted = stats.nct(n - 1, effect * math.sqrt(n))
    return float(shifted.sf(bound) + shifted.cdf(-bound))


def test_the_seeds_needed_are_the_first_that_have_the_power() -> None:
    needed = own.seeds_needed(A, B, paired=True)
    assert needed is not None
    apart = [a - b for a, b in zip(A, B, strict=True)]
    effect = abs(fmean(apart)) / stdev(apart)
    assert power_of_a_paired_t_test(effect, needed) >= 0.8
    assert power_of_a_paired_t_test(effect, needed - 1) < 0.8


def test_a_smaller_effect_needs_more_seeds_and_none_needs_no_number() -> None:
    strong, weak = (own.seeds_needed(A, [a + shift + 0.01 * (i % 2) for i, a in enumerate(A)],
                                     paired=False) for shift in (0.03, 0.01))  # fmt: skip
    assert strong is not None
    assert weak is not None
    assert weak > strong
    assert own.seeds_needed(A, A, paired=True) is None
    hardly = [1.0 + 1e-6, 2.0 + 1e-9, 1.5 - 1e-6]
    assert own.seeds_needed([1.0, 2.0, 1.5], hardly, paired=False) is None


def test_holm_steps_down() -> None:
    assert own.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert own.holm([]) == []


def test_entropy_is_in_bits() -> None:
    assert own.entropy_bits([1, 1, 1, 1]) == pytest.approx(2)
    assert own.entropy_bits([5]) == 0
    assert own.entropy_bits([]) is None


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.1, 0.1]])
def test_what_cannot_be_computed_is_none(values: list[float]) -> None:
    assert own.interval(values) is None
    assert own.hedges_g(values, values) is None
    assert own.seeds_needed(values, values, paired=True) is None
    if len(values) < 2:
        assert own.permutation_test(values, values, paired=False) is None
