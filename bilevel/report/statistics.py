"""Intervals, tests, effect sizes and sample sizes, each one call of scipy or statsmodels.

Nothing here knows of arms. What cannot be computed is None, never a number that looks like one.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
EXACT_UP_TO = 2**14  # relabellings that are all enumerated
DRAWN = 9_999  # of more than that, so many are drawn, and the observed one counts among them
RESAMPLES = 9_999
MOST_SEEDS = 100_000
_SEED = 20_260_323
Sample = Sequence[float]


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Test:
    """A two-sided permutation test: `relabellings` are all there are if `exact`, else a draw.
    `smallest_p` is what the test would give if every relabelling but the observed were milder."""

    p: float
    relabellings: int
    exact: bool
    smallest_p: float


def interval(values: Sample) -> Interval | None:
    """The mean's 95 % interval, a BCa bootstrap over seeds. None for fewer than two seeds, or
    where all of them gave the same value."""
    return _bootstrap((np.asarray(values),), lambda x, axis: np.mean(x, axis=axis))


def difference_interval(treated: Sample, control: Sample, *, paired: bool) -> Interval | None:
    """The same for the difference of two means."""
    a, b = np.asarray(treated), np.asarray(control)
    if paired:
        return interval(list(a - b))
    return _bootstrap((a, b), _difference)


def permutation_test(treated: Sample, control: Sample, *, paired: bool) -> Test | None:
    """Of equal means: paired, the signs of the differences are flipped; else, labels exchanged."""
    a, b = np.asarray(treated, float), np.asarray(control, float)
    if min(len(a), len(b)) < 2:
        return None
    data: tuple[Any, ...]
    statistic: Any
    if paired:
        ways, kind, data, statistic = 2 ** len(a), "samples", (a - b,), _mean
    else:
        ways, kind, data = math.comb(len(a) + len(b), len(a)), "independent", (a, b)
        statistic = _difference
    exact = ways <= EXACT_UP_TO
    done = stats.permutation_test(
        data,
        statistic,
        permutation_type=kind,
        n_resamples=np.inf if exact else DRAWN,
        vectorized=True,
        batch=4096,
        alternative="two-sided",
        rng=np.random.default_rng(_SEED),
    )
    count = ways if exact else DRAWN + 1
    return Test(float(done.pvalue), count, exact, 2 / count)


def hedges_g(treated: Sample, control: Sample) -> float | None:
    """The difference of the means in pooled standard deviations of seeds, corrected for few."""
    from statsmodels.stats.meta_analysis import effectsize_smd

    if min(len(treated), len(control)) < 2 or not (_spread(treated) or _spread(control)):
        return None
    g, _ = effectsize_smd(
        np.mean(treated), _spread(treated), len(treated),
        np.mean(control), _spread(control), len(control),
    )  # fmt: skip
    return float(g)


def seeds_needed(treated: Sample, control: Sample, *, paired: bool) -> int | None:
    """How many seeds an arm a two-sided t test at 5 % needs to find the observed effect four times
    in five. None where there is no effect, no spread, or more than 100,000 would be needed."""
    from statsmodels.stats.power import TTestIndPower, TTestPower

    if min(len(treated), len(control)) < 2:
        return None
    solver: Any
    if paired:
        apart = np.asarray(treated) - np.asarray(control)
        sd, solver = _spread(apart), TTestPower()
        effect = abs(float(np.mean(apart))) / sd if sd else 0.0
    else:
        effect, solver = abs(hedges_g(treated, control) or 0.0), TTestIndPower()
    if not effect:
        return None

    def enough(seeds: int) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its series end early where the power is 1
            power = solver.power(effect, seeds, ALPHA)
        return bool(power >= POWER or math.isnan(power))

    low, high = 1, 2
    while not enough(high):
        low, high = high, high * 2
        if low >= MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the p-values of one family, adjusted."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, alpha=ALPHA, method="holm")[1]]


def entropy_bits(counts: Sequence[int]) -> float | None:
    """0 if everything fell on one, log2(k) if it was spread over k alike."""
    return float(stats.entropy(counts, base=2)) if sum(counts) else None


def _bootstrap(data: tuple[Any, ...], statistic: Any) -> Interval | None:
    if min(map(len, data)) < 2 or not any(_spread(values) for values in data):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a bound that is not a number is told as None below
        done = stats.bootstrap(
            data,
            statistic,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            method="BCa",
            vectorized=True,
            rng=np.random.default_rng(_SEED),
        ).confidence_interval
    low, high = float(done.low), float(done.high)
    return Interval(low, high) if math.isfinite(low) and math.isfinite(high) else None


def _spread(values: Any) -> float:
    """The standard deviation over seeds, without the dust of floating point."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return 0.0 if spread <= 1e-12 * max(1.0, float(np.max(np.abs(values)))) else spread


def _mean(x: Any, axis: int) -> Any:
    return np.mean(x, axis=axis)


def _difference(x: Any, y: Any, axis: int) -> Any:
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)
