"""When mechanisms acted, under the curve of their arm."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bilevel.report.figures.drawing import Canvas, Drawing
from bilevel.report.numbers import SearchRow
from bilevel.report.reading import Search, Study

_ACROSS = 3
_Shares = tuple[list[float], list[float]]  # by trial: decisions, and prompts alone


def activations(study: Study, rows: Sequence[SearchRow], title: str) -> Drawing | None:
    """Return the drawing of when mechanisms acted; None where no mechanism of any arm ever did."""
    arms = {arm: searches for arm, searches in study.arms.items() if _acted(searches)}
    if not arms:
        return None
    across = min(_ACROSS, len(arms))
    down = -(-len(arms) // across)

    def paint(canvas: Canvas) -> None:
        grid = canvas.figure.subplots(
            2 * down, across, squeeze=False, sharex="col", sharey="row",
            height_ratios=[2.2, 1] * down,
        )  # fmt: skip
        for place, (arm, searches) in enumerate(arms.items()):
            row, column = divmod(place, across)
            curves = [r.curve for r in rows if r.arm == arm and r.curve]
            _curve(grid[2 * row, column], arm, curves, canvas)
            _bars(grid[2 * row + 1, column], shares(searches), canvas.looks[arm].colour)
            if column == 0:
                grid[2 * row, 0].set_ylabel(f"best {study.objective.metric}")
                grid[2 * row + 1, 0].set_ylabel("searches")
        for empty in range(len(arms), across * down):
            row, column = divmod(empty, across)
            grid[2 * row, column].set_axis_off()
            grid[2 * row + 1, column].set_axis_off()

    return Drawing(
        "activations",
        f"{title}: when mechanisms acted",
        "Above the mean of the best so far; below the share of searches in which a mechanism "
        "changed a decision in that trial (dark) or only what the proposer read (light). Where "
        "searches end at different trials, the share is of those that got so far.",
        f"Activations of mechanisms by trial for {', '.join(arms)}.",
        (4.0 * across + 0.6, 3.6 * down + 0.5),
        paint,
    )


def shares(searches: Sequence[Search]) -> _Shares:
    """Return two shares by trial number, of the searches that reached it: those in which a
    mechanism changed a decision, and those in which it changed a prompt only."""
    last = max((t.number for s in searches for t in s.trials), default=0)
    decided, prompted, reached = np.zeros(last + 1), np.zeros(last + 1), np.zeros(last + 1)
    for search in searches:
        for trial in search.trials:
            effects = {act.effect for act in trial.acts}
            reached[trial.number] += 1
            decided[trial.number] += "decision" in effects
            prompted[trial.number] += effects == {"prompt"}
    of = np.maximum(reached, 1)
    return (decided / of).tolist(), (prompted / of).tolist()


def _acted(searches: Sequence[Search]) -> bool:
    return any(trial.acts for search in searches for trial in search.trials)


def _curve(axes: Any, arm: str, curves: Sequence[Sequence[float]], canvas: Canvas) -> None:
    look = canvas.looks[arm]
    axes.set_title(f"{arm} (n={len(curves)})")
    if curves:
        shortest = min(map(len, curves))
        mean = np.mean([curve[:shortest] for curve in curves], axis=0)
        axes.plot(range(shortest), mean, color=look.colour, linestyle=look.dashes, linewidth=2,
                  drawstyle="steps-post")  # fmt: skip


def _bars(axes: Any, found: _Shares, colour: str) -> None:
    decided, prompted = found
    axes.bar(range(len(decided)), decided, color=colour, width=0.85)
    axes.bar(range(len(prompted)), prompted, bottom=decided, color=colour, alpha=0.35, width=0.85)
    axes.set_ylim(0, 1)
    axes.set_yticks((0, 0.5, 1), ("0", "half", "all"))
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("trial")
