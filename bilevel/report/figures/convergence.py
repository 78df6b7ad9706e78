"""Best-so-far by trials, modelled seconds and tokens: what a gain cost, in every currency."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bilevel.report.figures.drawing import Canvas, Drawing
from bilevel.report.numbers import SearchRow
from bilevel.report.reading import Study

_GRID = 120  # points at which curves with different steps are averaged
_MANY = 4  # arms, beyond which bands are fainter and single seeds are not drawn
_FEW_SEEDS = 12
KEY_IN, LETTER_IN = 1.35, 0.085  # of the legend: a line and its number of seeds, a letter of a name
_Curve = tuple[Any, Any]  # cost and best value after each trial


def convergence(study: Study, rows: Sequence[SearchRow], title: str) -> Drawing:
    """Return the drawing of the best value so far; an arm's mean ends where its shortest search
    does."""
    arms = list(dict.fromkeys(row.arm for row in rows))
    currencies = {"trial (0 is the baseline)": ""}
    for label, metric in (("modelled seconds", "modelled_s"), ("tokens", "tokens")):
        if any(search.totals.get(metric) for search in study.searches):
            currencies[label] = metric
    curves = {label: _curves(study, rows, metric) for label, metric in currencies.items()}
    better = "lower" if study.objective.direction == "minimize" else "higher"

    wide_in = 4.2 * len(curves) + 1.2
    columns = max(1, int(wide_in / (KEY_IN + LETTER_IN * max(map(len, arms), default=0))))

    def paint(canvas: Canvas) -> None:
        grid = canvas.figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
        for axes, (label, by_arm) in zip(grid, curves.items(), strict=True):
            for arm in arms:
                _arm(axes, arm, by_arm.get(arm, []), canvas, len(arms))
            axes.set_xlabel(label)
            axes.margins(x=0.01)
            axes.locator_params(axis="x", nbins=5)
        grid[0].set_ylabel(f"best {study.objective.metric} so far ({better} is better)")
        handles, labels = grid[0].get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside lower center", ncols=columns)

    return Drawing(
        "convergence",
        f"{title}: best so far",
        _caption(len(arms), list(currencies.values())),
        f"Curves of the best value so far for {', '.join(arms)}, by {', '.join(curves)}.",
        (wide_in, 4.2 + 0.24 * -(-len(arms) // columns)),
        paint,
    )


def _caption(arms: int, currencies: Sequence[str]) -> str:
    faint = ", faint where there are many arms."
    said = "Mean over seeds; the band is the middle 80 % of them"
    said += faint if arms > _MANY else ", thin lines are single seeds."
    if "tokens" in currencies:
        said += " Tokens include those of the levels above."
    if len(currencies) > 1:
        said += " Curves over tokens or seconds end where their arm's cheapest search ended."
    return said


def _curves(study: Study, rows: Sequence[SearchRow], metric: str) -> dict[str, list[_Curve]]:
    found: dict[str, list[_Curve]] = {}
    for search, row in zip(study.searches, rows, strict=True):
        steps = range(len(row.curve))
        if not row.curve:
            continue
        spent = search.curve(metric) if metric else dict(zip(steps, map(float, steps), strict=True))
        if metric and not any(spent.values()):
            continue  # an arm without tokens has no curve against them
        at = [step for step in steps if step in spent]
        curve = (np.array([spent[s] for s in at]), np.array([row.curve[s] for s in at]))
        if at:
            found.setdefault(row.arm, []).append(curve)
    return found


def _arm(axes: Any, arm: str, curves: Sequence[_Curve], canvas: Canvas, arms: int) -> None:
    if not curves:
        return
    look = canvas.looks[arm]
    start, end = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    grid = np.linspace(start, end, _GRID) if end > start else np.array([start])
    values = np.array([_at(grid, *curve) for curve in curves])
    style: Mapping[str, Any] = {"color": look.colour, "drawstyle": "steps-post"}
    axes.plot(grid, values.mean(axis=0), linewidth=2, linestyle=look.dashes, zorder=3,
              label=f"{arm} (n={len(curves)})", **style)  # fmt: skip
    if len(curves) > 1:
        low, high = np.quantile(values, [0.1, 0.9], axis=0)
        axes.fill_between(grid, low, high, step="post", color=look.colour, linewidth=0,
                          alpha=0.16 if arms <= _MANY else 0.3 / arms)  # fmt: skip
    if arms <= _MANY and len(curves) <= _FEW_SEEDS:
        for cost, value in curves:
            axes.plot(cost, value, linewidth=0.7, alpha=0.4, **style)


def _at(grid: Any, cost: Any, value: Any) -> Any:
    """Return the value in force at each point of the grid of costs."""
    return value[np.maximum(np.searchsorted(cost, grid + 1e-9, side="right") - 1, 0)]
