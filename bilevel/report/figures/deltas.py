"""The delta of every arm: each seed a dot, the mean with its interval, the published beside it."""

from collections.abc import Sequence
from typing import Any

from bilevel.report.figures.drawing import Canvas, Drawing, jitter
from bilevel.report.numbers import ArmRow, SearchRow
from bilevel.report.published import HARDWARE, SOURCE, group_of
from bilevel.report.reading import Study
from bilevel.statistics.estimates import Interval

_SHIFT = 0.2  # how far the search's own delta stands from the confirmed one


def deltas(study: Study, rows: Sequence[SearchRow], arms: Sequence[ArmRow], title: str) -> Drawing:
    published = any(group_of(row.arm, study.objective.metric) for row in arms)

    def paint(canvas: Canvas) -> None:
        wide = {"width_ratios": (3, 1.25)} if published else {}
        grid = canvas.figure.subplots(1, 1 + published, sharey=True, squeeze=False, **wide)[0]
        for place, arm in enumerate(arms):
            mine = [row for row in rows if row.arm == arm.arm]
            _row(grid[0], place, arm, mine, canvas)
            if published:
                _published(grid[1], place, arm.arm, canvas)
        _dress(grid[0], study, [f"{arm.arm} (n={arm.n})" for arm in arms], canvas)
        if published:
            grid[1].set_xlabel(f"delta published\n({SOURCE})")
            grid[1].axvline(0, color=canvas.theme.faint, linewidth=1)
            grid[1].locator_params(axis="x", nbins=3)

    beside = f" On the right, on a scale of its own: the published searches ({HARDWARE})."
    return Drawing(
        "delta",
        f"{title}: delta by arm (filled: confirmed, hollow: its own)",
        "Filled dots: the confirmed delta of each seed (best and baseline measured again on fresh "
        "seeds), with their mean and, from five seeds on, its 95 % interval (Student's). Hollow "
        "dots: the search's own delta, a minimum over noisy draws, and so too good."
        + (beside if published else ""),
        "Delta by arm: " + "; ".join(_said(arm) for arm in arms),
        (9.5, 1.7 + 0.62 * len(arms)),
        paint,
    )


def _row(axes: Any, place: int, arm: ArmRow, rows: Sequence[SearchRow], canvas: Canvas) -> None:
    look = canvas.looks[arm.arm]
    confirmed = [row.confirmed_delta for row in rows if row.confirmed_delta is not None]
    own = [row.delta for row in rows if row.delta is not None]
    size = 22 if len(rows) <= 30 else 8
    up, down = (place - _SHIFT, place + _SHIFT) if confirmed else (place, place)
    offsets = [down + 0.5 * dy for dy in jitter(len(own))]
    axes.scatter(own, offsets, s=size * 0.7, facecolors="none", edgecolors=look.colour,
                 linewidths=0.8, alpha=0.7)  # fmt: skip
    _mean(axes, arm.delta, arm.delta_interval, down, look.colour, 1.2, canvas)
    offsets = [up + 0.5 * dy for dy in jitter(len(confirmed))]
    axes.scatter(confirmed, offsets, s=size, color=look.colour, marker=look.marker, linewidths=0,
                 alpha=0.75)  # fmt: skip
    _mean(axes, arm.confirmed_delta, arm.confirmed_interval, up, look.colour, 2.4, canvas)


def _mean(
    axes: Any, mean: float | None, band: Interval | None, at: float, colour: str, width: float,
    canvas: Canvas,
) -> None:  # fmt: skip
    if mean is None:
        return
    if band is not None:
        axes.hlines(at, band.low, band.high, color=colour, linewidth=width, zorder=3)
    axes.scatter([mean], [at], marker="|", s=140, color=canvas.theme.ink, linewidths=1.8, zorder=4)


def _published(axes: Any, place: int, arm: str, canvas: Canvas) -> None:
    group = group_of(arm)
    if group is None:
        return
    axes.scatter(group.deltas, [place] * len(group.deltas), marker="x", s=30,
                 color=canvas.looks[arm].colour, linewidths=1.4)  # fmt: skip
    axes.annotate(group.group, (0, place), xytext=(4, 0), textcoords="offset points", va="center",
                  fontsize=9)  # fmt: skip


def _dress(axes: Any, study: Study, names: Sequence[str], canvas: Canvas) -> None:
    axes.axvline(0, color=canvas.theme.faint, linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.6)
    axes.grid(visible=False, axis="y")
    better = "left" if study.objective.direction == "minimize" else "right"
    axes.set_xlabel(f"delta of {study.objective.metric} (best - baseline; {better} is better)")


def _said(arm: ArmRow) -> str:
    value = arm.confirmed_delta if arm.confirmed_delta is not None else arm.delta
    return f"{arm.arm} " + ("without a value" if value is None else f"{value:+.4f}")
