"""The published study (arXiv 2603.23420): its numbers, and what its published trials show.

`published.csv` holds the 378 trials of its twelve searches: figures only, as its authors published
them with the paper. Nothing here is a result of this platform.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import groupby
from statistics import fmean, stdev

from bilevel.loop.behaviour import longest_streak

_METRIC = "val_bpb"
SOURCE = "arXiv 2603.23420"
HARDWARE = "RTX 5090, 300 s a trial, three repeats"
_ARMS = {"level1": "A", "level1_5": "B", "bilevel": "C", "level2": "D"}
CLASSICAL_SOURCE = "arXiv 2603.24647"
CLASSICAL_HARDWARE = "H200, 24 h, three seeds, 14 hyperparameters"
CLASSICAL = {  # best val_bpb; one number, or the range or the sd that is given
    "Centaur": "0.9739 to 0.9767",
    "TPE": "0.9768 ± 0.0019",
    "an agent that edits code": "0.9770",
    "SMAC": "0.9778",
    "CMA-ES": "0.9785",
    "random search": "0.9873",
    "a model on the same parameters": "0.9904",
}
GENERATED = {  # group -> what its artifacts show of the code that was written in it
    "A": "none written",
    "B": "none written",
    "C": "five classes inserted, none ever called",
    "D": "six patches, none applied",
}


@dataclass(frozen=True)
class _PublishedTrial:
    segment: int
    value: float | None
    status: str
    baseline: bool


@dataclass(frozen=True)
class _PublishedSearch:
    """One published search. `restarts` are new runners, each with an empty history; the first
    trial of one that has no baseline of its own is kept whatever it gives."""

    group: str
    repeat: int
    baseline: float
    best: float
    evaluations: int
    restarts: int
    extra_baselines: int
    kept_unseen: int
    crashes: int
    longest_streak: int
    best_at: int
    best_segment: int

    @property
    def delta(self) -> float:
        return self.best - self.baseline


@dataclass(frozen=True)
class PublishedGroup:
    group: str
    arm: str
    searches: tuple[_PublishedSearch, ...]

    @property
    def deltas(self) -> tuple[float, ...]:
        return tuple(search.delta for search in self.searches)

    @property
    def mean(self) -> float:
        return fmean(self.deltas)

    @property
    def sd(self) -> float:
        return stdev(self.deltas)


@lru_cache(maxsize=1)
def published() -> tuple[PublishedGroup, ...]:
    """Return the four published groups, computed from their trials."""
    text = resources.files("bilevel.report").joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    arms = {group: arm for arm, group in _ARMS.items()}
    found: dict[str, list[_PublishedSearch]] = {}
    for (group, repeat), trials in groupby(rows, key=lambda row: (row["group"], row["repeat"])):
        found.setdefault(group, []).append(_search(group, int(repeat), list(map(_trial, trials))))
    return tuple(PublishedGroup(g, arms[g], tuple(searches)) for g, searches in found.items())


def group_of(arm: str, metric: str = _METRIC) -> PublishedGroup | None:
    """Return the published group that an arm reconstructs; None if there is none or the metric
    differs."""
    return next((g for g in published() if g.arm == arm and metric == _METRIC), None)


def _trial(row: dict[str, str]) -> _PublishedTrial:
    value = float(row["val_bpb"]) if row["val_bpb"] else None
    return _PublishedTrial(int(row["segment"]), value, row["status"], row["note"] == "baseline")


def _search(group: str, repeat: int, trials: Sequence[_PublishedTrial]) -> _PublishedSearch:
    """Return one published search. Its best is the lowest kept value, from whichever runner, as
    the paper counts."""
    kept = [
        (t.value, n) for n, t in enumerate(trials) if t.status == "keep" and t.value is not None
    ]
    best, at = min(kept)
    first = trials[0].value
    assert first is not None
    starts = [n for n in range(1, len(trials)) if trials[n].segment != trials[n - 1].segment]
    return _PublishedSearch(
        group=group,
        repeat=repeat,
        baseline=first,
        best=best,
        evaluations=len(trials) - 1,
        restarts=len(starts),
        extra_baselines=sum(trials[n].baseline for n in starts),
        kept_unseen=sum(not trials[n].baseline and trials[n].status == "keep" for n in starts),
        crashes=sum(trial.status == "crash" for trial in trials),
        longest_streak=longest_streak(trial.status == "keep" for trial in trials[1:]),
        best_at=at,
        best_segment=trials[at].segment,
    )
