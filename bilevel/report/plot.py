"""Best-so-far curves by arm, with a band, as a PNG."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bilevel.report.numbers import SearchRow
from bilevel.report.output import title
from bilevel.report.reading import Study

# Okabe and Ito's palette, told apart with any colour vision; dashes tell arms apart in print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))


def draw(study: Study, rows: Sequence[SearchRow], path: Path) -> Path:
    """Mean over seeds after each trial, and the range from the worst to the best seed.

    Means and bands stop where the shortest search of an arm stops; thin lines are single seeds.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8.5, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (arm, group) in enumerate(groupby(rows, key=lambda row: row.arm)):
        curves = [row.curve for row in group if row.curve]
        if curves:
            _draw_arm(axes, arm, curves, _COLOURS[place % 7], _DASHES[place % 4])
    arrow = "lower" if study.objective.direction == "minimize" else "higher"
    axes.set_title(title(study), loc="left", fontsize=12)
    axes.set_xlabel("trial (0 is the baseline)")
    axes.set_ylabel(f"best {study.objective.metric} so far ({arrow} is better)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, title="mean, and range over seeds", alignment="left")
    figure.savefig(path, format="png")
    return path


def _draw_arm(
    axes: Any, arm: str, curves: Sequence[Sequence[float]], colour: str, dashes: Any
) -> None:
    trials = range(min(map(len, curves)))
    columns = [[curve[trial] for curve in curves] for trial in trials]
    means = [sum(column) / len(column) for column in columns]
    band = f"n={len(curves)}" + (", min to max" if len(curves) > 1 else ", no band")
    axes.plot(
        trials, means, color=colour, linestyle=dashes, linewidth=2.2, label=f"{arm} ({band})",
        drawstyle="steps-post", zorder=3,
    )  # fmt: skip
    if len(curves) > 1:
        lows, highs = [min(column) for column in columns], [max(column) for column in columns]
        axes.fill_between(trials, lows, highs, step="post", color=colour, alpha=0.13, linewidth=0)
        for curve in curves:
            axes.plot(range(len(curve)), curve, color=colour, linewidth=0.7, alpha=0.45,
                      drawstyle="steps-post")  # fmt: skip
