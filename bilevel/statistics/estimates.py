"""Intervals, effect sizes and corrections, each one call of scipy or statsmodels.

Nothing here knows of arms. What cannot be computed, or would not hold what it promises, is None,
never a number that looks like one. `python -m tests.bench statistics` measures what holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEWEST_SEEDS = 5
"""Below that there is no interval. On normal data Student's holds what it promises with two; but
where one search in four finds another optimum, four seeds leave the true mean out in a third of all
cases and three in 42 %, for most samples show one of the two only. With five it is one in four, the
most that is let pass here."""
Sample = Sequence[float]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, in the unit of the values it was made from."""

    low: float
    high: float


def interval(values: Sample) -> Interval | None:
    """Return Student's 95 % interval of the mean; None for fewer than five seeds or if all
    values are equal."""
    if len(values) < FEWEST_SEEDS or not spread(values):
        return None
    return _interval(stats.ttest_1samp(values, 0.0))


def difference_interval(treated: Sample, control: Sample, *, paired: bool) -> Interval | None:
    """Return Student's 95 % interval of the difference of two means (Welch's if unpaired); None
    as for `interval`."""
    if paired:
        return interval([a - b for a, b in zip(treated, control, strict=True)])
    if min(len(treated), len(control)) < FEWEST_SEEDS or not (spread(treated) or spread(control)):
        return None
    return _interval(stats.ttest_ind(treated, control, equal_var=False))


def hedges_g(treated: Sample, control: Sample) -> float | None:
    """Return Hedges' g: the difference of the means in pooled standard deviations, corrected for
    small samples."""
    from statsmodels.stats.meta_analysis import effectsize_smd

    if min(len(treated), len(control)) < 2 or not (spread(treated) or spread(control)):
        return None
    g, _ = effectsize_smd(
        np.mean(treated), spread(treated), len(treated),
        np.mean(control), spread(control), len(control),
    )  # fmt: skip
    return float(g)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of one family of tests, adjusted by Holm's step-down correction
    (1979)."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def entropy_bits(counts: Sequence[int]) -> float | None:
    """Return the Shannon entropy of the counts in bits: 0 if all fell on one of them, log2(k) if
    k have equal shares. None without counts."""
    return float(stats.entropy(counts, base=2)) if sum(counts) else None


def spread(values: Sample) -> float:
    """Return the sample standard deviation over seeds, 0 where it is only rounding error."""
    found = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return 0.0 if found <= 1e-12 * max(1.0, float(np.max(np.abs(values)))) else found


def _interval(test: Any) -> Interval:
    found = test.confidence_interval(CONFIDENCE)
    return Interval(float(found.low), float(found.high))
