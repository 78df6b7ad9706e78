"""How arms behaved: repetition, streaks, spread and first moves, each seed a dot."""

from collections.abc import Callable, Sequence
from typing import Any

from bilevel.report.behaviour import Behaviour, Measure
from bilevel.report.figures.drawing import Canvas, Drawing, jitter

_PANELS: tuple[tuple[str, Callable[[Behaviour], Measure]], ...] = (
    ("repetition rate", lambda one: one.repetition),
    ("longest discard streak", lambda one: one.longest_streak),
    ("entropy of moves, bits", lambda one: one.entropy_bits),
)


def measures(found: Sequence[Behaviour], title: str) -> Drawing:
    def paint(canvas: Canvas) -> None:
        panels = canvas.figure.subplots(1, 4, sharey=True)
        for axes, (name, of) in zip(panels, _PANELS, strict=False):
            for place, one in enumerate(found):
                _dots(axes, place, of(one), one.arm, canvas)
            axes.set_xlabel(name)
        for place, one in enumerate(found):
            look = canvas.looks[one.arm]
            panels[3].barh(place, one.agreement or 0, height=0.5, color=look.colour)
        panels[3].set_xlim(0, 1)
        panels[3].set_xlabel("seeds with the\ncommonest first move")
        for axes in panels:
            axes.grid(visible=False, axis="y")
            axes.locator_params(axis="x", nbins=4)
        panels[0].set_yticks(range(len(found)), [one.arm for one in found])
        panels[0].set_ylim(len(found) - 0.4, -0.6)

    return Drawing(
        "behaviour",
        f"{title}: how arms searched",
        "Each seed a dot, the mean a bar with, from five seeds on, its 95 % interval (Student's). "
        "Repetition: the share of trials whose moves were all tried together before. Streak: "
        "trials in a row that were not kept. Entropy: over (parameter, direction), 0 if always the "
        "same.",
        f"Behaviour measures by arm for {', '.join(one.arm for one in found)}.",
        (11.5, 1.5 + 0.45 * len(found)),
        paint,
    )


def _dots(axes: Any, place: int, measure: Measure, arm: str, canvas: Canvas) -> None:
    look = canvas.looks[arm]
    offsets = [place + dy for dy in jitter(len(measure.values))]
    axes.scatter(measure.values, offsets, s=14, color=look.colour, marker=look.marker, alpha=0.6,
                 linewidths=0)  # fmt: skip
    if measure.mean is None:
        return
    if measure.interval is not None:
        band = measure.interval
        axes.hlines(place, band.low, band.high, color=look.colour, linewidth=2.2, zorder=3)
    axes.scatter([measure.mean], [place], marker="|", s=130, color=canvas.theme.ink, linewidths=1.8,
                 zorder=4)  # fmt: skip
