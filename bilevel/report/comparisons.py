"""Every arm against the controls of its study, or the reason why there is no comparison."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from statistics import fmean

from bilevel.config.arms import CLASSICAL, Role, checks, controls, role_of
from bilevel.report.alike import refusal
from bilevel.report.numbers import SearchRow
from bilevel.statistics import estimates
from bilevel.statistics.estimates import Interval
from bilevel.statistics.permutation import permutation_test
from bilevel.statistics.planning import Seeds, seeds_needed
from bilevel.statistics.power import ALPHA, seeds_to_reach
from bilevel.trace import Objective

OUTCOMES: Mapping[str, Callable[[SearchRow], float | None]] = {
    "confirmed delta": lambda row: row.confirmed_delta,
    "delta": lambda row: row.delta,
}
UNTOLD, UNREACHABLE = "not told apart", "cannot be told"


@dataclass(frozen=True)
class Comparison:
    """The comparison of one arm with one control (arm minus control). With a `refusal` there is
    nothing else. `p_holm_study` is corrected for all comparisons of the outcome and decides the
    `verdict`: better, worse, not told apart, or, where `least_p` (the least it could have been,
    whatever the values) is above 5 %, cannot be told, for the reason in `reach`; `p_holm` is
    corrected for the controls of this arm alone and decides nothing."""

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
    verdict: str = ""
    test: str = ""
    smallest_p: float | None = None
    least_p: float | None = None
    hedges_g: float | None = None
    seeds_needed: Seeds = field(default_factory=Seeds)
    reach: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Matched:
    """The values of two arms that may be compared, with notes on what is missing."""

    made: Comparison
    treated: list[float]
    control: list[float]
    notes: list[str]


def comparisons(rows: Sequence[SearchRow], objective: Objective) -> tuple[Comparison, ...]:
    """Return all comparisons, arms that are no controls first; no pair is tested twice. An
    outcome that no search has is left out; the first that is there is the headline, and only it
    gets verdicts."""
    arms = {arm: list(group) for arm, group in groupby(rows, key=lambda row: row.arm)}
    asked, found = pairs(roles_of(rows)), list[Comparison]()
    for outcome, of in OUTCOMES.items():
        if all(of(row) is None for row in rows):
            continue
        matched = [_matched(outcome, arms[arm], arms[control]) for arm, control in asked]
        tests = sum(isinstance(one, _Matched) for one in matched)
        made = [_tested(one, tests) if isinstance(one, _Matched) else one for one in matched]
        corrected = _corrected(made)
        headline = not found
        found += [_decided(c, tests, objective) for c in corrected] if headline else corrected
    return tuple(found)


def roles_of(rows: Sequence[SearchRow]) -> dict[str, Role]:
    """Return each arm's role, as its first search has it. A classical search is always a
    control, so that the tests counted by the correction include the strongest, which only the
    results can name."""
    found: dict[str, Role] = {}
    for row in rows:
        found.setdefault(row.arm, role_of(row.arm, row.role))
    return found


def pairs(roles: Mapping[str, Role]) -> list[tuple[str, str]]:
    """Return (arm, control) for every comparison to be made among these arms."""
    known, held = controls(roles), checks(roles)
    made = [(arm, c) for arm in roles if arm not in (*known, *held) for c in known]
    made += [
        (arm, c)
        for place, arm in enumerate(known)
        for c in known[:place]
        if not roles[arm].control == roles[c].control == CLASSICAL
    ]
    return made + [(arm, against) for arm, against in held.items() if against in roles]


def _matched(outcome: str, arm: list[SearchRow], control: list[SearchRow]) -> Comparison | _Matched:
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
    return _Matched(replace(made, paired=paired), a, b, notes)


def _tested(one: _Matched, tests: int) -> Comparison:
    a, b, paired = one.treated, one.control, one.made.paired
    test = permutation_test(a, b, paired=paired)
    assert test is not None
    return replace(
        one.made,
        n=len(a),
        n_control=len(b),
        difference=fmean(a) - fmean(b),
        interval=estimates.difference_interval(a, b, paired=paired),
        p=test.p,
        test=f"all {test.relabellings:,}" if test.exact else f"{test.relabellings:,} drawn",
        smallest_p=test.smallest_p,
        hedges_g=estimates.hedges_g(a, b),
        seeds_needed=seeds_needed(a, b, paired=paired, tests=tests),
        note="; ".join(one.notes),
    )


def _decided(one: Comparison, tests: int, objective: Objective) -> Comparison:
    """Return the comparison with its verdict and, where none is possible, the number of seeds
    that would allow one."""
    if one.p_holm_study is None or one.least_p is None or one.difference is None:
        return one
    if one.least_p > ALPHA:
        enough = seeds_to_reach(ALPHA / tests, paired=one.paired)
        alike = "" if enough is None or enough > one.n else " that differ"
        said = f"corrected for {tests} comparisons, {one.n} seeds cannot give a p below "
        said += f"{one.least_p:.2g}" + (f", from {enough}{alike} on they can" if enough else "")
        return replace(one, verdict=UNREACHABLE, reach=said)
    if one.p_holm_study > ALPHA:
        return replace(one, verdict=UNTOLD)
    better = objective.better(one.difference, than=0.0)
    return replace(one, verdict="better" if better else "worse")


def _values(outcome: str, rows: Sequence[SearchRow]) -> tuple[dict[int, float], list[str]]:
    """Return the outcome by seed, and notes on what is missing."""
    of, notes = OUTCOMES[outcome], []
    ended = [row for row in rows if row.state != "unfinished"]
    found = {row.seed: value for row in ended if (value := of(row)) is not None}
    if len(ended) < len(rows):
        notes.append(f"{rows[0].arm}: {len(rows) - len(ended)} unfinished, left out")
    if len(found) < len(ended):
        notes.append(f"{rows[0].arm}: {len(ended) - len(found)} without a {outcome}")
    return found, notes


def _corrected(made: Sequence[Comparison]) -> list[Comparison]:
    everywhere, least = _holm(made, lambda one: one.p), _holm(made, lambda one: one.smallest_p)
    by_arm: dict[str, list[Comparison]] = {}
    for one in made:
        by_arm.setdefault(one.arm, []).append(one)
    families = [_holm(family, lambda one: one.p) for family in by_arm.values()]
    own = {key: p for family in families for key, p in family.items()}
    return [
        replace(
            one,
            p_holm=own.get((one.arm, one.control)),
            p_holm_study=everywhere.get((one.arm, one.control)),
            least_p=least.get((one.arm, one.control)),
        )
        for one in made
    ]


def _holm(
    family: Sequence[Comparison], of: Callable[[Comparison], float | None]
) -> dict[tuple[str, str], float]:
    tested = [(one, p) for one in family if (p := of(one)) is not None]
    adjusted = estimates.holm([p for _, p in tested])
    return {(one.arm, one.control): p for (one, _), p in zip(tested, adjusted, strict=True)}
