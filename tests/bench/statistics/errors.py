"""How often something looks different where nothing is: of one test, of a family, of a study."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bilevel.config.arms import role_of
from bilevel.levels.judging import Judgement
from bilevel.report.comparisons import pairs
from bilevel.statistics.permutation import permutation_test
from bilevel.statistics.power import ALPHA
from tests.bench.statistics.shapes import SHAPES, SIZES, Draw, table

TESTS, STUDIES, PROBATIONS = 1_000, 1_000, 400
ALIKE = ("normal", "skewed (exponential)", "two optima, 1 in 4")
SMALL = ("bilevel", "level1", "restart", "sham", "tpe")
LARGE = ("bilevel", "level1_5", "level2", "tabu", "curated", "centaur", "optuna", "iid_llm",
         "level1", "restart", "sham", "as_published", "level1_tokens",
         "random", "tpe", "cmaes", "gp", "smac")  # fmt: skip


def markdown() -> Iterator[str]:
    yield from table(
        f"Share of {TESTS:,} permutation tests of equal arms with p of 0.05 or less (a fifth as "
        "many of twenty seeds or unpaired: chance moves their shares by 0.03)",
        ("values", *(f"{n} pairs" for n in SIZES), *(f"{n} a side" for n in (4, 5, 6))),
        (
            (
                name,
                *(_one(SHAPES[name].draw, n, paired=True) for n in SIZES),
                *(_one(SHAPES[name].draw, n, paired=False) for n in (4, 5, 6)),
            )
            for name in ALIKE
        ),
    )
    yield from table(
        "Share of studies without any difference that show one (Holm at 5 %): "
        f"{STUDIES:,} of {len(SMALL)} arms, {STUDIES // 5:,} of {len(LARGE)}",
        ("arms", "seeds", "comparisons", "values", "uncorrected", "in one arm's family, worst",
         "in some family", "over the study"),
        (
            (
                str(len(arms)),
                str(seeds),
                str(len(pairs({arm: role_of(arm) for arm in arms}))),
                name,
                *(f"{share:.3f}" for share in families(arms, SHAPES[name].draw, seeds, many)),
            )
            for arms, seeds, many in ((SMALL, 10, STUDIES), (LARGE, 14, STUDIES // 5))
            for name in ALIKE
        ),
    )  # fmt: skip
    yield from table(
        f"{PROBATIONS} probations of ten trials by the coin, of a mechanism that changes nothing",
        ("trials that earn something", "p of 0.05 or less", "p of 0.05 was possible"),
        ((f"{share:.0%}", *_probations(share)) for share in (0.1, 0.2, 0.4, 0.7)),
    )


def _one(draw: Draw, n: int, *, paired: bool) -> str:
    rng, many = np.random.default_rng(n), TESTS if paired and n < 20 else TESTS // 5
    found = [permutation_test(*draw(rng, (2, n)), paired=paired) for _ in range(many)]
    return f"{np.mean([test is not None and test.p <= ALPHA for test in found]):.3f}"


def families(arms: tuple[str, ...], draw: Draw, seeds: int, studies: int) -> tuple[float, ...]:
    """Of studies where nothing differs, the shares that show a difference: uncorrected, in the
    worst of the arms' families, in some of them, and after the correction for the study."""
    rng, tested = np.random.default_rng(len(arms)), pairs({arm: role_of(arm) for arm in arms})
    hits: list[tuple[bool, bool, bool]] = []
    by_arm: dict[str, list[bool]] = {arm: [] for arm, _ in tested}
    for _ in range(studies):
        values: Any = dict(zip(arms, draw(rng, (len(arms), seeds)), strict=True))
        p = {pair: _p(values[pair[0]], values[pair[1]]) for pair in tested}
        families = {arm: [p[pair] for pair in tested if pair[0] == arm] for arm in by_arm}
        shown = {arm: _shows(family) for arm, family in families.items()}
        for arm, found in shown.items():
            by_arm[arm].append(found)
        hits.append((min(p.values()) <= ALPHA, any(shown.values()), _shows([*p.values()])))
    uncorrected, some, study_wide = np.mean(hits, axis=0)
    worst = max(float(np.mean(found)) for found in by_arm.values())
    return float(uncorrected), worst, float(some), float(study_wide)


def _shows(p_values: list[float]) -> bool:
    """Whether Holm's correction leaves one: its first step asks this of the smallest."""
    return min(p_values) * len(p_values) <= ALPHA


def _p(a: Any, b: Any) -> float:
    test = permutation_test(a, b, paired=True)
    assert test is not None
    return test.p


def _probations(share: float) -> Iterator[str]:
    rng = np.random.default_rng(10)
    shown = possible = 0
    for _ in range(PROBATIONS):
        earned = (rng.random(10) < share) * rng.exponential(size=10)
        on = rng.random(10) < 0.5
        judged = Judgement(tuple(map(float, earned[on])), tuple(map(float, earned[~on])))
        shown += judged.p_value is not None and judged.p_value <= ALPHA
        possible += judged.smallest_p is not None and judged.smallest_p <= ALPHA
    yield from (f"{count / PROBATIONS:.3f}" for count in (shown, possible))
