"""Seeds needed: for the test that is used, after the correction that is made, with their range."""

import numpy as np
import pytest

from bilevel.statistics.planning import seeds_needed
from bilevel.statistics.power import power
from tests.statistics.test_estimates import A, B


def test_the_seeds_needed_have_the_power_after_the_correction() -> None:
    few, many = (seeds_needed(A, B, paired=True, tests=tests) for tests in (1, 30))
    assert few.observed is not None
    assert many.observed is not None
    apart = np.array(A) - np.array(B)
    effect = abs(apart.mean()) / apart.std(ddof=1) * (1 - 3 / (4 * 5 - 1))
    for tests, needed in ((1, few.observed), (30, many.observed)):
        assert power(effect, needed, 0.05 / tests, paired=True) >= 0.8
        assert power(effect, needed - 1, 0.05 / tests, paired=True) < 0.8
    assert many.observed > few.observed


def test_an_effect_that_may_be_none_has_no_upper_end() -> None:
    needed = seeds_needed(A, [b - 0.005 for b in B], paired=True, tests=4)
    assert needed.fewest is not None
    assert needed.observed is not None
    assert needed.fewest < needed.observed
    assert needed.most is None
    clear = seeds_needed(A, [b + 0.1 for b in B], paired=True, tests=4)
    assert clear.observed == clear.fewest == 8  # no fewer pairs can give a p below 0.0125
    assert clear.most is not None


@pytest.mark.parametrize("n", [2, 3, 4])
def test_from_too_few_seeds_nothing_is_told(n: int) -> None:
    needed = seeds_needed(A[:n], [b + 0.5 for b in B[:n]], paired=True, tests=1)
    assert (needed.observed, needed.fewest, needed.most) == (None, None, None)
    assert needed.reason == "fewer than 5 seeds do not tell how large an effect is"


@pytest.mark.parametrize("paired", [True, False])
def test_no_plan_promises_what_the_test_cannot_reach(paired: bool) -> None:
    """However large the effect: six pairs, or four a side, are the fewest."""
    needed = seeds_needed(A, [b + 9 for b in B], paired=paired, tests=1)
    assert needed.observed == needed.fewest == (6 if paired else 4)


def test_where_nothing_varies_or_differs_there_is_a_reason() -> None:
    assert seeds_needed(A, A, paired=True, tests=1).reason == "nothing varies from seed to seed"
    same = seeds_needed([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 4.0, 3.0, 2.0, 1.0], paired=False, tests=1)
    assert same.observed is None
    assert same.most is None
    assert same.fewest is not None
    assert same.reason == "too small an effect for any number of seeds"


def test_the_range_holds_the_true_number_in_95_of_100() -> None:
    from bilevel.statistics.power import seeds_for

    truly, rng, hits = seeds_for(1.0, 0.05 / 4, paired=True), np.random.default_rng(9), 0
    assert truly is not None
    for _ in range(200):
        needed = seeds_needed(list(rng.normal(1.0, 1, 8)), [0.0] * 8, paired=True, tests=4)
        assert needed.fewest is not None
        hits += needed.fewest <= truly <= (needed.most or 1e9)
    assert hits / 200 >= 0.93
