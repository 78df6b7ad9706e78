"""What searches of the tasks of a suite came to, one cell a search, and how two sets compare.

A cell is one search of one task at one seed; its gain is the share of the way from the task's
baseline to the best value known that the search went. Two mechanisms are compared on the cells
that both have, paired, and the unit of the error is the task: how a mechanism does on other tasks
is the question, and more seeds of the same task do not answer it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any, Self

CELLS = "cells"
"""The note of an outcome that holds them, as JSON."""
PLACES = 6  # decimals of a gain that are kept


@dataclass(frozen=True)
class Cell:
    """One search of one task.

    `taken` is the share of its trials that would have been others without the mechanism, `failed`
    counts trials without a value, `errors` hook calls that raised; `stopped` tells that the
    mechanism was detached because its hooks took longer than they may, `cut_short` that a cap of
    its model ended the search before its trials were spent.
    """

    task: str
    repeat: int
    gain: float
    taken: float = 0.0
    failed: int = 0
    errors: int = 0
    stopped: bool = False
    cut_short: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


@dataclass(frozen=True)
class Difference:
    """The mean over tasks of a paired difference in gain, with its standard error over tasks;
    infinite with fewer than two tasks. `by_task` is in the order of the tasks."""

    by_task: Mapping[str, float]

    @property
    def mean(self) -> float:
        return fmean(self.by_task.values()) if self.by_task else 0.0

    @property
    def se(self) -> float:
        values = [*self.by_task.values()]
        return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf

    @property
    def p_ahead(self) -> float:
        """One-sided p of Student's t: how likely so large a mean is if there is no difference."""
        return _tail(self.mean, self.se, len(self.by_task))

    @property
    def p_behind(self) -> float:
        """The same for a mean so low."""
        return _tail(-self.mean, self.se, len(self.by_task))

    def __str__(self) -> str:
        said = f"{self.mean:+.3f}" + (f" ± {self.se:.3f}" if math.isfinite(self.se) else "")
        return f"{said}, equal within its error" if self.is_equal else said

    @property
    def is_equal(self) -> bool:
        """Whether the mean is no larger than its standard error."""
        return abs(self.mean) <= self.se


def _tail(mean: float, se: float, count: int) -> float:
    if count < 2:
        return 1.0
    if se == 0.0:
        return 0.0 if mean > 0 else 1.0
    from scipy.stats import t

    return float(t.sf(mean / se, count - 1))


def means(cells: Iterable[Cell]) -> dict[str, float]:
    """The mean gain of each task over its seeds, in the order in which tasks come."""
    return {task: fmean(c.gain for c in found) for task, found in _by_task(cells).items()}


def spreads(cells: Iterable[Cell]) -> dict[str, float]:
    """The standard deviation of each task's gain over its seeds; 0 where there is one."""
    groups = _by_task(cells).items()
    return {t: stdev([c.gain for c in g]) if len(g) > 1 else 0.0 for t, g in groups}


def level(cells: Iterable[Cell]) -> Difference:
    """The mean gain itself, as a difference from none."""
    return Difference(means(cells))


def paired(cells: Sequence[Cell], others: Sequence[Cell]) -> Difference:
    """`cells` minus `others`, on the searches that both have."""
    known = {(c.task, c.repeat): c.gain for c in others}
    both = [c for c in cells if (c.task, c.repeat) in known]
    groups = _by_task(both).items()
    return Difference(
        {task: fmean(c.gain - known[c.task, c.repeat] for c in found) for task, found in groups}
    )


def _by_task(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.task, []).append(cell)
    return groups


def written(cells: Iterable[Cell]) -> str:
    return json.dumps([cell.to_json() for cell in cells])


def read(notes: Mapping[str, str]) -> list[Cell]:
    """The cells among the notes of an outcome; none where it has none."""
    return [Cell.from_json(data) for data in json.loads(notes.get(CELLS, "[]"))]
