"""The power of permutation tests over seeds, and the smallest p that they can give."""

import math
from collections.abc import Sequence

ALPHA = 0.05
POWER = 0.8
EXACT_PAIRS = 20  # up to so many, every way to flip their signs is counted
_EXACT_LABELS = 2**14  # up to so many, every way to exchange labels is counted
DRAWN = 99_999  # of more, so many are drawn, and the observed one counts among them
_MOST_SEEDS = 100_000
_ONE_BY_ONE = 64  # from so many seeds on, more of them never have less power


def relabellings(n: int, n_control: int, *, paired: bool) -> tuple[int, bool]:
    """Return how many relabellings a test goes through, and whether they are all that exist."""
    if min(n, n_control) > EXACT_PAIRS:
        return DRAWN + 1, False
    ways = 2**n if paired else math.comb(n + n_control, n)
    exact = paired or ways <= _EXACT_LABELS
    return (ways if exact else DRAWN + 1), exact


def reachable(level: float, ways: int, sides: int = 2) -> float:
    """Return the largest p up to `level` that a test with `ways` relabellings can give; 0 if
    none."""
    return sides * math.floor(level * ways / sides + 1e-9) / ways


def seeds_to_reach(level: float, *, paired: bool) -> int | None:
    """Return the fewest seeds per arm at which a test can give a p up to `level`; None if none
    can."""
    for seeds in range(2, 2 * EXACT_PAIRS):
        if reachable(level, relabellings(seeds, seeds, paired=paired)[0]):
            return seeds
    return None


def best_choices(values: Sequence[float], chosen: int) -> int:
    """Return how many subsets of `chosen` values have the largest sum: 1 without ties."""
    ordered = sorted(values, reverse=True)
    edge = ordered[chosen - 1]
    return math.comb(ordered.count(edge), ordered[:chosen].count(edge))


def power(effect: float, seeds: int, level: float, *, paired: bool) -> float:
    """Return the power of a two-sided permutation test of `seeds` seeds per arm for normal data;
    `effect` is in standard deviations, of the differences if `paired`, else of one arm.

    Computed as that of a t test with one seed fewer, at the largest level that the permutation test
    can reach: the two differ by about one seed where the level is small. Where only the most
    extreme of all sign flips is significant, it is the chance that all differences have one sign.
    """
    from scipy.special import nctdtr, ndtr, stdtrit

    ways, exact = relabellings(seeds, seeds, paired=paired)
    level = reachable(level, ways)
    if not level or seeds < 3:
        return 0.0
    degrees = seeds - 2 if paired else 2 * seeds - 4
    bound = stdtrit(degrees, 1 - level / 2)
    shift = effect * math.sqrt((seeds - 1) / (1 if paired else 2))
    wrong_side = nctdtr(degrees, shift, -bound)  # no number where it is too small for one
    found = 1 - nctdtr(degrees, shift, bound) + (0.0 if math.isnan(wrong_side) else wrong_side)
    alike = ndtr(effect) ** seeds + ndtr(-effect) ** seeds if paired and exact else 0.0
    return float(alike if level * ways <= 2 and paired else max(found, alike))


def seeds_for(effect: float, level: float, *, paired: bool) -> int | None:
    """Return the fewest seeds per arm that find the effect with a power of 80 %; None above
    100,000."""

    def enough(seeds: int) -> bool:
        return power(effect, seeds, level, paired=paired) >= POWER

    for seeds in range(2, _ONE_BY_ONE):
        if enough(seeds):
            return seeds
    low, high = _ONE_BY_ONE - 1, _ONE_BY_ONE
    while not enough(high):
        if high >= _MOST_SEEDS:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= _MOST_SEEDS else None


def detectable(sd: float, seeds: int) -> float | None:
    """Return the difference of two arms that a two-sided, unpaired permutation test at 5 % finds
    with a power of 80 %, for normal data with standard deviation `sd`; None where it finds none."""
    from scipy.special import nctdtrinc, stdtrit

    level = reachable(ALPHA, relabellings(seeds, seeds, paired=False)[0])
    if not level:
        return None
    degrees = 2 * seeds - 2
    bound = stdtrit(degrees, 1 - level / 2)
    return float(nctdtrinc(degrees, 1 - POWER, bound)) * sd * math.sqrt(2 / seeds)
