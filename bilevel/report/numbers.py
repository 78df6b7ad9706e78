"""The numbers of a report, each defined where it is computed."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bilevel.loop.behaviour import longest_streak, repetition_rate
from bilevel.report.reading import Search, Study
from bilevel.statistics.estimates import Interval, entropy_bits, interval


@dataclass(frozen=True)
class SearchRow:
    """One search in numbers; None where a number cannot be computed. `unreached` means that the
    training seed affects nothing measured: repeats are equal to the last digit, which confirms
    nothing."""

    arm: str
    seed: int
    llm: str
    model: str
    task: str
    task_settings: str
    fingerprint: str
    dependent_seeds: str
    state: str
    trials: int
    baseline: float | None
    best: float | None
    delta: float | None
    confirmed_delta: float | None
    confirmed_seeds: int
    unreached: bool
    kept: int
    discarded: int
    failed: int
    repetition: float | None
    longest_streak: int | None
    entropy_bits: float | None
    distinct_moves: int
    llm_calls: int
    tokens: float
    modelled_s: float
    wall_s: float
    curve: tuple[float, ...]
    prompts: str = ""
    stand_in_version: str = ""
    noise_told: str = ""
    role: str = ""


@dataclass(frozen=True)
class ArmRow:
    """One arm: means over its `n` searches that have a baseline, of which `unfinished` still run
    or were cut off. The confirmed delta is the mean over the `confirmed_n` searches that have
    one; `sd` is the sample standard deviation over searches, None for a single one. Where
    `no_repeats` says why its seeds are no independent repeats, there is no interval."""

    arm: str
    n: int
    unfinished: int
    no_repeats: str
    baseline: float | None
    best: float | None
    confirmed_delta: float | None
    confirmed_sd: float | None
    confirmed_n: int
    confirmed_interval: Interval | None
    delta: float | None
    delta_sd: float | None
    delta_interval: Interval | None
    kept: int
    discarded: int
    failed: int
    repetition: float | None
    distinct_moves: float | None
    tokens: float | None
    modelled_s: float | None
    wall_s: float | None


def search_row(search: Search) -> SearchRow:
    """Return a search in numbers. `baseline` is the value of trial 0, `best` the best value of a
    kept trial (the baseline is one), `delta` = best - baseline: the luckiest of many noisy
    values, which the confirmed delta is not. Counts and shares leave the baseline out."""
    after = [trial for trial in search.trials if trial.number > 0]
    curve = best_so_far(search)
    first = search.trials[0] if search.trials else None
    baseline = first.value if first is not None and first.number == 0 else None
    best = curve[-1] if curve else None
    decisions = [trial.decision for trial in after if trial.retest_of is None]
    moves = Counter(move for trial in after for move in trial.moves)
    unreached = _unreached(search)
    return SearchRow(
        arm=search.arm,
        seed=search.seed,
        llm=search.llm,
        model=search.model,
        task=search.task,
        task_settings=search.task_settings,
        fingerprint=search.fingerprint,
        dependent_seeds=search.dependent_seeds,
        state=search.ended or "unfinished",
        trials=len(after),
        baseline=baseline,
        best=best,
        delta=best - baseline if best is not None and baseline is not None else None,
        confirmed_delta=None if unreached else search.totals.get("confirmed_delta"),
        confirmed_seeds=int(search.totals.get("confirmed_n", 0)),
        unreached=unreached,
        kept=decisions.count("keep"),
        discarded=decisions.count("discard"),
        failed=decisions.count("fail"),
        repetition=repetition_rate(trial.moves for trial in after),
        longest_streak=longest_streak(one == "keep" for one in decisions) if decisions else None,
        entropy_bits=entropy_bits(list(moves.values())),
        distinct_moves=len(moves),
        llm_calls=int(search.totals.get("llm_calls", 0)),
        tokens=search.totals.get("tokens", 0.0),
        modelled_s=search.totals.get("modelled_s", 0.0),
        wall_s=search.totals.get("wall_s", 0.0),
        curve=curve,
        prompts=search.prompts,
        stand_in_version=search.stand_in_version,
        noise_told=search.noise_told,
        role=search.role,
    )


def _unreached(search: Search) -> bool:
    """Return whether the seed affects nothing, as the search recorded it; for an older search,
    whether a delta was the same on all fresh seeds."""
    totals = search.totals
    if "seed_reaches" in totals:
        return totals["seed_reaches"] == 0
    repeated = totals.get("confirmed_n", 0) >= 2 and totals.get("confirmed_sd") == 0
    return repeated and totals.get("confirmed_delta", 0) != 0


def best_so_far(search: Search) -> tuple[float, ...]:
    """Return the best kept value after each trial from the baseline on. The curve ends before
    the first missing trial, and gets worse where a re-test refuted the best."""
    curve: list[float] = []
    standing: dict[int, float] = {}
    for place, trial in enumerate(search.trials):
        if trial.number != place or (place == 0 and trial.value is None):
            break
        if trial.retest_of is None and trial.decision == "keep" and trial.value is not None:
            standing[trial.number] = trial.value
        elif trial.retest_of is not None and trial.decision == "discard":
            del standing[trial.retest_of]
        best = min if search.objective.direction == "minimize" else max
        curve.append(best(standing.values()))
    return tuple(curve)


def arm_rows(rows: Sequence[SearchRow]) -> tuple[ArmRow, ...]:
    """Return one row per arm. `distinct_moves`, tokens and seconds are means per search; keep,
    discard and fail are sums over the arm."""
    return tuple(_arm(arm, list(group)) for arm, group in groupby(rows, key=lambda row: row.arm))


def rows_of(study: Study) -> tuple[SearchRow, ...]:
    return tuple(search_row(search) for search in study.searches)


def no_repeats(rows: Sequence[SearchRow]) -> str:
    """Return why the seeds of one arm are no independent repeats, or the empty string."""
    if any(row.unreached for row in rows):
        return "reach nothing (measured again, all is the same to the last digit)"
    shared = sorted({row.dependent_seeds for row in rows if row.dependent_seeds})
    if shared:
        return f"share a memory ({', '.join(shared)}) and are no independent repeats"
    if len({row.fingerprint for row in rows if row.fingerprint}) > 1:
        return "were run with different configurations"
    return ""


def interval_of(values: Sequence[float], rows: Sequence[SearchRow]) -> Interval | None:
    """Return the interval of an arm's measure; None where its seeds are no independent repeats."""
    return None if no_repeats(rows) else interval(values)


def _arm(arm: str, rows: Sequence[SearchRow]) -> ArmRow:
    measured = [row for row in rows if row.baseline is not None]

    def mean(of: Callable[[SearchRow], float | None]) -> float | None:
        values = [value for row in measured if (value := of(row)) is not None]
        return statistics.fmean(values) if values else None

    deltas = [row.delta for row in measured if row.delta is not None]
    confirmed = [row.confirmed_delta for row in measured if row.confirmed_delta is not None]
    return ArmRow(
        arm=arm,
        n=len(measured),
        unfinished=sum(row.state == "unfinished" for row in rows),
        no_repeats=no_repeats(measured),
        baseline=mean(lambda row: row.baseline),
        best=mean(lambda row: row.best),
        confirmed_delta=mean(lambda row: row.confirmed_delta),
        confirmed_sd=_sd(confirmed),
        confirmed_n=len(confirmed),
        confirmed_interval=interval_of(confirmed, measured),
        delta=mean(lambda row: row.delta),
        delta_sd=_sd(deltas),
        delta_interval=interval_of(deltas, measured),
        kept=sum(row.kept for row in rows),
        discarded=sum(row.discarded for row in rows),
        failed=sum(row.failed for row in rows),
        repetition=mean(lambda row: row.repetition),
        distinct_moves=mean(lambda row: row.distinct_moves),
        tokens=mean(lambda row: row.tokens),
        modelled_s=mean(lambda row: row.modelled_s),
        wall_s=mean(lambda row: row.wall_s),
    )


def _sd(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
