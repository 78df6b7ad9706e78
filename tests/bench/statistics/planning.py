"""What is behind "seeds needed": the power that so many seeds really have, and what pilots say."""

from collections.abc import Iterator
from statistics import fmean

import numpy as np

from bilevel.statistics.permutation import permutation_test
from bilevel.statistics.planning import seeds_needed
from bilevel.statistics.power import ALPHA, POWER, power, seeds_for
from tests.bench.statistics.shapes import table

STUDIES, PILOTS = 300, 300
EFFECTS, TESTS = (1.2, 1.6, 2.4), (1, 4, 10, 40)
PILOT_EFFECT, PILOT_TESTS = 1.2, 10


def markdown() -> Iterator[str]:
    yield from table(
        "Seeds needed for an effect (in standard deviations of the paired differences) that is "
        f"known, and the power of the sign-flip test with so many, of {STUDIES} studies; before, "
        "seeds were planned for one uncorrected t test",
        ("effect", "comparisons", "seeds needed", "power", "planned before", "power"),
        (_known(effect, tests) for effect in EFFECTS for tests in TESTS),
    )
    yield from table(
        f"What {PILOTS} pilots say of a true effect of {PILOT_EFFECT} and {PILOT_TESTS} "
        f"comparisons, which need {seeds_for(PILOT_EFFECT, ALPHA / PILOT_TESTS, paired=True)} "
        "seeds",
        ("pilot's seeds", "seeds needed, median", "its 10 to 90 %", "ranges that hold the true "
         "number", "ranges without an end", "power with the number, mean"),
        (_pilots(n) for n in (3, 5, 8, 10, 20)),
    )  # fmt: skip


def _known(effect: float, tests: int) -> tuple[str, ...]:
    needed, before = seeds_for(effect, ALPHA / tests, paired=True), _before(effect)
    assert needed is not None
    cells = [str(effect), str(tests)]
    for seeds in (needed, before):
        cells += [str(seeds), f"{_power(effect, seeds, ALPHA / tests):.2f}"]
    return tuple(cells)


def _before(effect: float) -> int:
    from statsmodels.stats.power import TTestPower

    return next(n for n in range(2, 999) if TTestPower().power(effect, n, ALPHA) >= POWER)


def _power(effect: float, seeds: int, level: float) -> float:
    rng, nothing = np.random.default_rng(seeds), [0.0] * seeds
    drawn = rng.normal(effect, 1, (STUDIES, seeds))
    found = [permutation_test(values, nothing, paired=True) for values in drawn]
    return fmean(test is not None and test.p <= level for test in found)


def _pilots(n: int) -> tuple[str, ...]:
    level = ALPHA / PILOT_TESTS
    truly = seeds_for(PILOT_EFFECT, level, paired=True)
    assert truly is not None
    rng, nothing = np.random.default_rng(n), [0.0] * n
    drawn = rng.normal(PILOT_EFFECT, 1, (PILOTS, n))
    plans = [seeds_needed(list(v), nothing, paired=True, tests=PILOT_TESTS) for v in drawn]
    if any(plan.reason.startswith("fewer") for plan in plans):
        return (str(n), "none", "", "", "", "")
    told = [plan.observed for plan in plans if plan.observed is not None]
    low, middle, high = np.quantile(told, [0.1, 0.5, 0.9])
    held = fmean((p.fewest or 0) <= truly <= (p.most or 10**9) for p in plans)
    open_ended = fmean(plan.most is None for plan in plans)
    reached = fmean(power(PILOT_EFFECT, seeds, level, paired=True) for seeds in told)
    return (
        str(n), f"{middle:.0f}", f"{low:.0f} to {high:.0f}", f"{held:.2f}", f"{open_ended:.2f}",
        f"{reached:.2f}",
    )  # fmt: skip
