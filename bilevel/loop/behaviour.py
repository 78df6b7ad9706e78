"""Measures of how a search behaves, which show where it is stuck."""

from collections.abc import Iterable, Sequence

from bilevel.space import Config, SearchSpace
from bilevel.trace import Decision, Trial

_Moves = frozenset[tuple[str, str]]


def repetition_rate(moves: Iterable[_Moves]) -> float | None:
    """Returns the share of trials after the baseline whose set of moves (parameter, direction) was
    tried earlier in the same search. A trial without a move (a reply that could not be used) counts
    among the trials, never as a repetition."""
    seen: set[_Moves] = set()
    repeated = total = 0
    for moved in moves:
        total += 1
        if moved:
            repeated += moved in seen
            seen.add(moved)
    return repeated / total if total else None


def longest_streak(kept: Iterable[bool]) -> int:
    """Returns the largest number of consecutive trials that were not kept."""
    longest = streak = 0
    for keep in kept:
        streak = 0 if keep else streak + 1
        longest = max(longest, streak)
    return longest


def never_tried(
    space: SearchSpace, trials: Sequence[Trial], base: Config | None = None
) -> list[tuple[str, str]]:
    """Returns the moves of the active parameters that can be made from `base` (the baseline if it
    is not given) and that no trial has made; each place of a tuple counts on its own."""
    known = {trial.number: trial for trial in trials}
    tried: set[tuple[str, str]] = set()
    for trial in trials:
        parent = known.get(-1 if trial.parent is None else trial.parent)
        tried.update(trial.moves if parent is None else space.ways(parent.config, trial.config))
    at = space.baseline if base is None else base
    every = [(p.name, way) for p in space.active for way in p.ways_from(at[p.name])]
    return [move for move in every if move not in tried]


def since_gain(trials: Iterable[Trial]) -> int:
    """Returns how many trials followed the last kept one; re-tests do not count."""
    streak = 0
    for trial in trials:
        if trial.retest_of is None:
            streak = 0 if trial.kept else streak + 1
    return streak


def described(space: SearchSpace, trials: Sequence[Trial], base: Config | None = None) -> str:
    """Returns the behaviour after the baseline as lines for a prompt."""
    tried = [trial for trial in trials if trial.retest_of is None][1:]
    rate = repetition_rate(trial.moves for trial in tried)
    failed = sum(trial.decision is Decision.FAIL for trial in tried)
    untried = ", ".join(f"{name} {way}" for name, way in never_tried(space, trials, base))
    return "\n".join(
        [
            f"- trials: {len(tried)}, kept: {sum(t.kept for t in tried)}",
            f"- failed trials: {failed}",
            f"- repetition rate: {'none' if rate is None else f'{rate:.2f}'}",
            f"- longest discard streak: {longest_streak(t.kept for t in tried)}",
            f"- discards since the last gain: {since_gain(tried)}",
            f"- moves never tried: {untried or 'none'}",
        ]
    )
