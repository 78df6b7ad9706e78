"""How many seeds a study would need to find what it observed, and how uncertain that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bilevel.statistics.estimates import CONFIDENCE, FEWEST_SEEDS, spread
from bilevel.statistics.power import ALPHA, seeds_for

_Sample = Sequence[float]


@dataclass(frozen=True)
class Seeds:
    """The number of seeds per arm needed for the effect as observed, and for the largest and the
    smallest effect of its 95 % interval. `most` is None where that interval contains no effect
    at all, so that no number suffices. Without `observed` there is the `reason`."""

    observed: int | None = None
    fewest: int | None = None
    most: int | None = None
    reason: str = ""


def seeds_needed(treated: _Sample, control: _Sample, *, paired: bool, tests: int) -> Seeds:
    """Return the number of seeds per arm needed to find the difference with a power of 80 % by a
    permutation test at 5 %, corrected as Holm does the first of `tests` tests."""
    n, other = len(treated), len(control)
    if min(n, other) < FEWEST_SEEDS:
        return Seeds(reason=f"fewer than {FEWEST_SEEDS} seeds do not tell how large an effect is")
    if paired:
        apart = [a - b for a, b in zip(treated, control, strict=True)]
        sd, degrees, weight = spread(apart), n - 1, math.sqrt(n)
    else:
        squares = (n - 1) * spread(treated) ** 2 + (other - 1) * spread(control) ** 2
        degrees, weight = n + other - 2, math.sqrt(n * other / (n + other))
        sd = math.sqrt(squares / degrees)
    if not sd:
        return Seeds(reason="nothing varies from seed to seed")
    effect = abs(fmean(treated) - fmean(control)) / sd
    small, large = _bounds(effect * weight, degrees)
    corrected = effect * (1 - 3 / (4 * degrees - 1))  # Hedges: a small sample shows too large ones
    needed = (
        seeds_for(size, ALPHA / tests, paired=paired)
        for size in (corrected, large / weight, small / weight)
    )
    observed, fewest, most = needed
    if observed is None:
        return Seeds(fewest=fewest, reason="too small an effect for any number of seeds")
    return Seeds(observed, fewest, most)


def _bounds(t: float, degrees: int) -> tuple[float, float]:
    """Return the 95 % interval of a noncentral t's noncentrality, given one observed `t`; bounds
    are at least 0."""
    from scipy.special import nctdtrinc

    tail = (1 - CONFIDENCE) / 2
    low, high = (float(nctdtrinc(degrees, share, t)) for share in (1 - tail, tail))
    return max(0.0, low), high
