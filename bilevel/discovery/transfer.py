"""How far a mechanism carries: the arm with it beside other arms, on tasks that nobody searched."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from bilevel.discovery.cells import Cell, Difference, level, means, paired
from bilevel.errors import BadInput
from bilevel.statistics.estimates import Interval, holm, interval


@dataclass(frozen=True)
class Row:
    """One arm of the table: its gain over tasks, its mean rank among the arms (1 is the best), and
    the mechanism's gain minus its own, paired by task. The mechanism's own row has no difference.
    """

    title: str
    gain: Difference
    gain_interval: Interval | None
    rank: float
    ahead: Difference | None = None
    ahead_interval: Interval | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class Transfer:
    """The cells of every arm by its title, the mechanism's first, and what they were made with."""

    cells: Mapping[str, Sequence[Cell]]
    made_with: Mapping[str, Any]

    def rows(self) -> list[Row]:
        """The mechanism, and the other arms by their gain. p values are two-sided, of a paired
        t-test over tasks, corrected for the number of arms (Holm)."""
        first, *others = self.cells
        ahead = {title: paired(self.cells[first], self.cells[title]) for title in others}
        tests = [2 * min(0.5, d.p_ahead, d.p_behind) for d in ahead.values()]
        corrected = dict(zip(others, holm(tests), strict=True))
        ranks = self._ranks()
        found = [
            Row(
                title,
                gain := level(cells),
                interval(list(gain.by_task.values())),
                ranks[title],
                ahead.get(title),
                interval(list(ahead[title].by_task.values())) if title in ahead else None,
                corrected.get(title),
            )
            for title, cells in self.cells.items()
        ]
        return [found[0], *sorted(found[1:], key=lambda row: -row.gain.mean)]

    def _ranks(self) -> dict[str, float]:
        """The mean over tasks of each arm's rank; equal gains share theirs."""
        by_arm = {title: means(cells) for title, cells in self.cells.items()}
        ranks: dict[str, list[float]] = {title: [] for title in by_arm}
        for task in next(iter(by_arm.values())):
            gains = {title: round(found[task], 6) for title, found in by_arm.items()}
            for title, gain in gains.items():
                better = sum(other > gain for other in gains.values())
                equal = sum(other == gain for other in gains.values())
                ranks[title].append(better + (equal + 1) / 2)
        return {title: fmean(found) for title, found in ranks.items()}

    def save(self, path: Path) -> None:
        cells = {title: [c.to_json() for c in found] for title, found in self.cells.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"made_with": dict(self.made_with), "cells": cells}, indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises BadInput for a file that is none."""
        try:
            data = json.loads(path.read_text())
            cells = {t: [Cell.from_json(c) for c in found] for t, found in data["cells"].items()}
            return cls(cells, data["made_with"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path} holds no transfer: {error}") from None
