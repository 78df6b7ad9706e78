"""How far a mechanism carries: the arm with it beside other arms, on tasks that nobody searched."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from bilevel.discovery.cells import Cell, Difference, level, means, paired
from bilevel.errors import BadInput
from bilevel.statistics.estimates import Interval, holm, interval

OWN_METHOD = 0.9  # the share of the trials from which on a mechanism is a search of its own
FOLDER = "transfer"  # of a folder of results
DIGEST = "digest"
"""Of what a transfer was made with: the digest of the mechanism's text."""


@dataclass(frozen=True)
class HookTime:
    """How many hooks an arm called in all of its searches, and what they took, in seconds."""

    calls: int = 0
    seconds: float = 0.0

    @property
    def ms_a_call(self) -> float | None:
        return 1000 * self.seconds / self.calls if self.calls else None


@dataclass(frozen=True)
class Row:
    """One arm of the table: its gain over tasks, its mean rank (1 is the best), the share of its
    trials that mechanisms took, the mean time of a hook call in milliseconds, and the mechanism's
    gain minus its own, paired by task. The mechanism's own row has no difference. Ranks are those
    among the arms of the same `group`.
    """

    title: str
    gain: Difference
    gain_interval: Interval | None
    rank: float
    taken: float
    hook_ms: float | None
    group: int
    ahead: Difference | None = None
    ahead_interval: Interval | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class Transfer:
    """The cells of every arm by its title, the arm with the mechanism first and the arm alone
    second, and what they were made with; `hooks` is the time of hook calls by title, `classical`
    are the titles of searches without a model."""

    cells: Mapping[str, Sequence[Cell]]
    made_with: Mapping[str, Any]
    hooks: Mapping[str, HookTime] = field(default_factory=dict)
    classical: Collection[str] = ()

    @property
    def is_own_method(self) -> bool:
        """Whether the mechanism took nearly all trials, so that nothing is the arm's below."""
        return self._taken(next(iter(self.cells))) >= OWN_METHOD

    def rows(self) -> list[Row]:
        """The mechanism, and the other arms by their gain. A mechanism that is a search method of
        its own has a group with the classical searches, and the other arms have another one;
        else all are one group. p values are two-sided, of a paired t-test over tasks, corrected
        for the number of arms (Holm)."""
        first, *others = self.cells
        ahead = {title: paired(self.cells[first], self.cells[title]) for title in others}
        tests = [2 * min(0.5, d.p_ahead, d.p_behind) for d in ahead.values()]
        corrected = dict(zip(others, holm(tests), strict=True))
        leads = {title: interval([*d.by_task.values()]) for title, d in ahead.items()}
        groups = self._groups()
        ranks = [self._ranks(group) for group in groups]
        found = [
            Row(
                title=title,
                gain=(gain := level(self.cells[title])),
                gain_interval=interval(list(gain.by_task.values())),
                rank=ranks[number][title],
                taken=self._taken(title),
                hook_ms=self.hooks.get(title, HookTime()).ms_a_call,
                group=number,
                ahead=ahead.get(title),
                ahead_interval=leads.get(title),
                p_holm=corrected.get(title),
            )
            for number, group in enumerate(groups)
            for title in group
        ]
        return [found[0], *sorted(found[1:], key=lambda row: (row.group, -row.gain.mean))]

    def _groups(self) -> list[list[str]]:
        first, *others = self.cells
        if not self.is_own_method:
            return [[first, *others]]
        methods = [title for title in others if title in self.classical]
        rest = [title for title in others if title not in self.classical]
        return [[first, *methods], *([rest] if rest else [])]

    def _taken(self, title: str) -> float:
        return fmean(cell.taken for cell in self.cells[title])

    def _ranks(self, group: Sequence[str]) -> dict[str, float]:
        """The mean over tasks of the rank of each arm of a group; equal gains share theirs."""
        by_arm = {title: means(self.cells[title]) for title in group}
        ranks: dict[str, list[float]] = {title: [] for title in by_arm}
        for task in next(iter(by_arm.values())):
            gains = {title: round(found[task], 6) for title, found in by_arm.items()}
            for title, gain in gains.items():
                better = sum(other > gain for other in gains.values())
                equal = sum(other == gain for other in gains.values())
                ranks[title].append(better + (equal + 1) / 2)
        return {title: fmean(found) for title, found in ranks.items()}

    def told(self) -> str:
        """The result in a paragraph: what the mechanism gained, and what that cost."""
        first, *others = self.rows()
        with_, alone = self.made_with, [*self.cells][1]
        lead = next(row for row in others if row.title == alone)
        assert lead.ahead is not None  # every row but the first has a lead
        shown = lead.ahead_interval is not None and lead.ahead_interval.low > 0
        cost = "" if first.hook_ms is None else f" A hook call took {first.hook_ms:.1f} ms."
        own = ": it is a search method of its own" if self.is_own_method else ""
        return (
            f"Transfer to {with_['suite']}, {with_['half']} ({len(first.gain.by_task)} tasks, "
            f"{with_['repeats']} seeds, {with_['trials']} trials a search): a gain of "
            f"{first.gain.mean:.3f}{_between(first.gain_interval, '')}, ahead of {alone} by "
            f"{lead.ahead.mean:+.3f}{_between(lead.ahead_interval, '+')}, p = {lead.p_holm:.2g} "
            f"(Holm, {len(others)} arms). {'' if shown else 'It is not shown to gain anything. '}"
            f"It took {first.taken:.0%} of the trials{own}.{cost}"
        )

    def save(self, path: Path) -> None:
        cells = {title: [c.to_json() for c in found] for title, found in self.cells.items()}
        made = {
            "made_with": dict(self.made_with),
            "hooks": {title: asdict(time) for title, time in self.hooks.items()},
            "classical": [*self.classical],
            "cells": cells,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made, indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises BadInput for a file that is none."""
        try:
            data = json.loads(path.read_text())
            cells = {t: [Cell.from_json(c) for c in found] for t, found in data["cells"].items()}
            hooks = {t: HookTime(**time) for t, time in data.get("hooks", {}).items()}
            return cls(cells, data["made_with"], hooks, tuple(data.get("classical", ())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path} holds no transfer: {error}") from None


def kept_of(folder: Path, digest: str, half: str) -> list[Transfer]:
    """The transfers of this very text to this half that a folder of results holds."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            one = Transfer.load(path)
        except BadInput:
            continue  # what cannot be read proves nothing
        if (one.made_with.get(DIGEST), one.made_with.get("half")) == (digest, half):
            found.append(one)
    return found


def _between(found: Interval | None, sign: str) -> str:
    return "" if found is None else f" (95 %: {found.low:{sign}.3f} to {found.high:{sign}.3f})"
