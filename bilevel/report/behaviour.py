"""How the arms behaved: measures over seeds, and the moves that level 1 never makes."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from bilevel.report.numbers import SearchRow, interval_of
from bilevel.report.reading import Act, Search, Study, Tried
from bilevel.statistics.estimates import Interval

REFERENCE = "level1"
_ALONE = "no mechanism"
UNTOLD = "unknown: tracked by an older version"
_HOOKS = {  # by which a mechanism leads to a move, the most direct first
    "propose": "its own candidate",
    "review": "its review",
    "parent": "its choice of parent",
    "brief": "its prompt",
}
_Move = tuple[str, str]


@dataclass(frozen=True)
class Measure:
    """A measure of one arm: its value for every seed, their mean and its interval."""

    values: tuple[float, ...]
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Behaviour:
    """How one arm behaved. `agreement` is the share of seeds that open with the commonest first
    move."""

    arm: str
    repetition: Measure
    longest_streak: Measure
    entropy_bits: Measure
    first_move: str
    agreement: float | None
    openers: int


@dataclass(frozen=True)
class Avoided:
    """A move that no seed of level 1 makes: how many seeds of this arm make it, at which trial
    at the earliest, how many kept it at least once, and what led to it the first time."""

    move: str
    arm: str
    seeds: int
    of: int
    first_trial: int
    kept_in: int
    led_by: str


def behaviour(study: Study, rows: Sequence[SearchRow]) -> tuple[Behaviour, ...]:
    found = []
    searches = study.arms
    for arm, group in groupby(rows, key=lambda row: row.arm):
        members = list(group)
        opened = Counter(filter(None, (_opening(search) for search in searches[arm])))
        first, times = opened.most_common(1)[0] if opened else ("", 0)
        openers = opened.total()
        found.append(
            Behaviour(
                arm,
                _measure(members, lambda row: row.repetition),
                _measure(members, lambda row: row.longest_streak),
                _measure(members, lambda row: row.entropy_bits),
                first,
                times / openers if openers else None,
                openers,
            )
        )
    return tuple(found)


def avoided(study: Study) -> tuple[Avoided, ...]:
    """Return the moves that level 1 never makes, by arm, those that most of its seeds make
    first; empty without the arm level1."""
    arms = study.arms
    reference = {move for s in arms.get(REFERENCE, ()) for t in s.trials for move in t.moves}
    if REFERENCE not in arms:
        return ()
    found = []
    for arm, searches in arms.items():
        made = {m for s in searches for t in s.trials for m in t.moves} - reference
        found += sorted(
            (_avoided(move, arm, searches) for move in made), key=lambda a: (-a.seeds, a.move)
        )
    return tuple(found)


def leader(tried: Tried) -> str:
    """Return the mechanism that led most directly to a trial by the activation ledger, and by
    which hook."""
    own = [act for act in tried.acts if act.hook == "propose" and act.mechanism == tried.origin]
    for act in (*own, *_by_hook(tried.acts)):
        return f"{act.mechanism} ({_HOOKS[act.hook]})"
    return _ALONE


def _by_hook(acts: Sequence[Act]) -> Iterator[Act]:
    for hook in ("review", "parent", "brief"):
        yield from (act for act in acts if act.hook == hook)


def _avoided(move: _Move, arm: str, searches: Sequence[Search]) -> Avoided:
    firsts = [
        (search, first)
        for search in searches
        if (first := next((t for t in search.trials if move in t.moves), None)) is not None
    ]
    kept = sum(any(move in t.moves and t.decision == "keep" for t in s.trials) for s in searches)
    led = Counter(
        leader(first) if _ledger_told(search) else UNTOLD for search, first in firsts
    ).most_common()
    return Avoided(
        move=" ".join(move),
        arm=arm,
        seeds=len(firsts),
        of=len(searches),
        first_trial=min(first.number for _, first in firsts),
        kept_in=kept,
        led_by=", ".join(f"{name} {times}" for name, times in led),
    )


def _ledger_told(search: Search) -> bool:
    """Return whether the trials have their hook calls recorded, or no hook call ever changed
    anything."""
    acting = any(count and not name.endswith((".none", ".error"))
                 for one in search.attached for name, count in one.counts.items())  # fmt: skip
    return not acting or any(trial.acts for trial in search.trials)


def _opening(search: Search) -> str:
    """Return the moves of the first trial after the baseline, as one text."""
    first = next((trial for trial in search.trials if trial.number == 1), None)
    return "" if first is None else ", ".join(" ".join(move) for move in sorted(first.moves))


def _measure(rows: Sequence[SearchRow], of: Callable[[SearchRow], float | None]) -> Measure:
    known = tuple(float(value) for row in rows if (value := of(row)) is not None)
    return Measure(known, fmean(known) if known else None, interval_of(known, rows))
