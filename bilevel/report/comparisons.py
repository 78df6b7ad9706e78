"""Every arm against the controls of its study, or the reason why there is no comparison."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import fmean

from bilevel.report import statistics
from bilevel.report.alike import refusal
from bilevel.report.numbers import SearchRow
from bilevel.report.statistics import Interval

# The arms that every other is compared with; a control, with those before it.
CONTROLS = ("level1", "restart", "sham", "as_published", "level1_tokens", "tpe")
# Level 1 by construction: as a control it would put every arm to the same test twice, and each
# test makes the others' correction dearer. It is held against level 1, and nothing else.
CHECK, CHECKED = "placebo", "level1"
OUTCOMES: Mapping[str, Callable[[SearchRow], float | None]] = {
    "confirmed delta": lambda row: row.confirmed_delta,
    "delta": lambda row: row.delta,
}


@dataclass(frozen=True)
class Comparison:
    """One arm minus one control. With a `refusal` there is nothing else; `p_holm` is corrected for
    the controls this arm is compared with, `p_holm_study` for all comparisons of the outcome."""

    outcome: str
    arm: str
    control: str
    refusal: str = ""
    paired: bool = True
    n: int = 0
    n_control: int = 0
    difference: float | None = None
    interval: Interval | None = None
    p: float | None = None
    p_holm: float | None = None
    p_holm_study: float | None = None
    test: str = ""
    smallest_p: float | None = None
    hedges_g: float | None = None
    seeds_needed: int | None = None
    note: str = ""


def comparisons(rows: Sequence[SearchRow]) -> tuple[Comparison, ...]:
    """Arms that are no controls first; no pair is tested twice. An outcome that no search has is
    left out."""
    arms = {arm: list(group) for arm, group in groupby(rows, key=lambda row: row.arm)}
    found: list[Comparison] = []
    for outcome, of in OUTCOMES.items():
        if all(of(row) is None for row in rows):
            continue
        made = [_compared(outcome, arms[arm], arms[control]) for arm, control in _pairs(arms)]
        found += _corrected(made)
    return tuple(found)


def _pairs(arms: Iterable[str]) -> list[tuple[str, str]]:
    known = list(arms)
    controls = [arm for arm in CONTROLS if arm in known]
    pairs = [(arm, c) for arm in known if arm not in (*controls, CHECK) for c in controls]
    pairs += [(arm, c) for place, arm in enumerate(controls) for c in controls[:place]]
    return pairs + [(CHECK, CHECKED)] * (CHECK in known and CHECKED in known)


def _compared(outcome: str, arm: list[SearchRow], control: list[SearchRow]) -> Comparison:
    made = Comparison(outcome, arm[0].arm, control[0].arm, refusal(arm, control))
    if made.refusal:
        return made
    treated, notes = _values(outcome, arm)
    untreated, more = _values(outcome, control)
    shared = sorted(treated.keys() & untreated.keys())
    paired = len(shared) >= 2
    if paired:
        lost = len(treated.keys() | untreated.keys()) - len(shared)
        notes += [*more, f"{lost} seeds of one arm only, left out"] if lost else more
        a, b = [treated[seed] for seed in shared], [untreated[seed] for seed in shared]
    else:
        notes += [*more, "fewer than two shared seeds"]
        a, b = list(treated.values()), list(untreated.values())
    if min(len(a), len(b)) < 2:
        few = f"fewer than two seeds with a {outcome}: {len(a)} and {len(b)}"
        return replace(made, refusal=few)
    return _tested(made, a, b, paired, notes)


def _tested(
    made: Comparison, a: list[float], b: list[float], paired: bool, notes: list[str]
) -> Comparison:
    test = statistics.permutation_test(a, b, paired=paired)
    assert test is not None
    if test.smallest_p > statistics.ALPHA:
        notes = [*notes, f"so few seeds cannot give a p below {test.smallest_p:.3g}"]
    return replace(
        made,
        paired=paired,
        n=len(a),
        n_control=len(b),
        difference=fmean(a) - fmean(b),
        interval=statistics.difference_interval(a, b, paired=paired),
        p=test.p,
        test=f"all {test.relabellings:,}" if test.exact else f"{test.relabellings:,} drawn",
        smallest_p=test.smallest_p,
        hedges_g=statistics.hedges_g(a, b),
        seeds_needed=statistics.seeds_needed(a, b, paired=paired),
        note="; ".join(notes),
    )


def _values(outcome: str, rows: Sequence[SearchRow]) -> tuple[dict[int, float], list[str]]:
    """The outcome by seed, and what is missing."""
    of, notes = OUTCOMES[outcome], []
    ended = [row for row in rows if row.state != "unfinished"]
    found = {row.seed: value for row in ended if (value := of(row)) is not None}
    if len(ended) < len(rows):
        notes.append(f"{rows[0].arm}: {len(rows) - len(ended)} unfinished, left out")
    if len(found) < len(ended):
        notes.append(f"{rows[0].arm}: {len(ended) - len(found)} without a {outcome}")
    return found, notes


def _corrected(made: Sequence[Comparison]) -> list[Comparison]:
    everywhere = _holm(made)
    by_arm: dict[str, list[Comparison]] = {}
    for one in made:
        by_arm.setdefault(one.arm, []).append(one)
    own = {key: p for family in by_arm.values() for key, p in _holm(family).items()}
    return [
        replace(
            one,
            p_holm=own.get((one.arm, one.control)),
            p_holm_study=everywhere.get((one.arm, one.control)),
        )
        for one in made
    ]


def _holm(family: Sequence[Comparison]) -> dict[tuple[str, str], float]:
    tested = [(one, one.p) for one in family if one.p is not None]
    adjusted = statistics.holm([p for _, p in tested])
    return {(one.arm, one.control): p for (one, _), p in zip(tested, adjusted, strict=True)}
