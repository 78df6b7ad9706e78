"""Who proposed the trials of an arm, and what came of them, where more than one did."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bilevel.report.reading import Search, Study, Tried

_NOBODY = ("", "baseline", "retest")  # origins of trials that nobody proposed


@dataclass(frozen=True)
class Origin:
    """The trials of an arm that had one origin (a proposer, a member of a portfolio, a mechanism),
    over its searches. `gain` is by how much they bettered the best value, a search on average;
    `share` is their share of what all trials of the arm did, None where that is nothing."""

    arm: str
    origin: str
    trials: int
    kept: int
    failed: int
    gain: float
    share: float | None


def origins(study: Study) -> tuple[Origin, ...]:
    """Return a row for each origin, by arm, those that gained most first; none for an arm whose
    trials all have the same."""
    found: list[Origin] = []
    for arm, searches in study.arms.items():
        by_origin: dict[str, list[tuple[Tried, float]]] = defaultdict(list)
        for search in searches:
            for tried, gain in _gains(search):
                by_origin[tried.origin].append((tried, gain))
        if len(by_origin) < 2:
            continue
        whole = sum(gain for made in by_origin.values() for _, gain in made)
        rows = [_row(arm, o, made, len(searches), whole) for o, made in by_origin.items()]
        found += sorted(rows, key=lambda row: (-row.gain, row.origin))
    return tuple(found)


def _row(
    arm: str, origin: str, made: Sequence[tuple[Tried, float]], searches: int, whole: float
) -> Origin:
    gained = sum(gain for _, gain in made)
    return Origin(
        arm=arm,
        origin=origin,
        trials=len(made),
        kept=sum(tried.decision == "keep" for tried, _ in made),
        failed=sum(tried.decision == "fail" for tried, _ in made),
        gain=gained / searches,
        share=gained / whole if whole else None,
    )


def _gains(search: Search) -> Iterator[tuple[Tried, float]]:
    """Yields every proposed trial with how much better than the best before it was; 0 where it was
    no better, was not kept, or a re-test found it to be luck."""
    objective, best = search.objective, None
    luck = {tried.retest_of for tried in search.trials if tried.decision == "discard"}
    for tried in search.trials:
        value = None if tried.retest_of is not None or tried.number in luck else tried.value
        gain = 0.0
        if value is not None and tried.decision == "keep":
            gain = 0.0 if best is None else max(0.0, objective.gain(best, value))
            best = value if best is None or gain else best
        if tried.origin not in _NOBODY:
            yield tried, gain
