"""The gain on every task of a suite without a mechanism and with the one that was found."""

from collections.abc import Mapping

from bilevel.report.discovery import Contrast, Discovery
from bilevel.report.figures.drawing import Canvas, Drawing

_GAP = 0.6  # between the rows of tasks and those of means, in rows


def gains(found: Discovery, place: int, title: str) -> Drawing | None:
    """Return the drawing of one search of mechanisms, the `place`th of its study; None where it
    kept nothing, so that both gains are one."""
    if not found.kept:
        return None
    means = _means(found)
    groups = [means, _sorted(found.by_task), _sorted(found.held_out_by_task)]
    rows = [row for group in groups for row in group]
    heights: list[float] = []
    for group in groups:
        start = heights[-1] + 1 + _GAP if heights else 0.0
        heights += [start + place for place in range(len(group))]

    def paint(canvas: Canvas) -> None:
        axes = canvas.figure.subplots()
        colour = canvas.looks[found.arm].colour
        axes.axvline(0, color=canvas.theme.faint, linewidth=1)
        for height, (_, one) in zip(heights, rows, strict=True):
            width = 2.6 if height < len(means) else 1.6
            axes.hlines(height, *sorted((one.alone, one.attached)), color=colour, linewidth=width,
                        alpha=0.6, linestyle="-" if one.difference >= 0 else ":")  # fmt: skip
        axes.scatter([one.alone for _, one in rows], heights, s=34, color=canvas.theme.ground,
                     edgecolors=canvas.theme.ink, linewidths=1.2, zorder=3,
                     label="without a mechanism")  # fmt: skip
        axes.scatter([one.attached for _, one in rows], heights, s=34, color=colour, linewidths=0,
                     zorder=4, label=f"with {found.incumbent.mechanism}")  # fmt: skip
        axes.set_yticks(heights, [name for name, _ in rows])
        axes.set_ylim(heights[-1] + 0.6, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("gain: 0 is a task's baseline, 1 the best known")
        handles, labels = axes.get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside lower center", ncols=2)

    return Drawing(
        name_of(place),
        f"{title}: gain by task, {found.arm} seed {found.seed}",
        "Hollow: the arm without a mechanism; filled: with the incumbent attached; dotted where it "
        "is worse. Above the means over tasks, then the tasks of the training half at the seeds of "
        "the search, then those that were held out, at fresh seeds; most gained first.",
        f"Gain without and with {found.incumbent.mechanism}: "
        + "; ".join(f"{name} {one.alone:.3f} and {one.attached:.3f}" for name, one in rows),
        (8.5, 1.7 + 0.27 * len(rows)),
        paint,
    )


def _sorted(by_task: Mapping[str, Contrast]) -> list[tuple[str, Contrast]]:
    return sorted(by_task.items(), key=lambda one: -one[1].difference)


def name_of(place: int) -> str:
    """Return the name of the figure of the `place`th search of mechanisms, from 0 on."""
    return f"discovery_{place + 1:02d}"


def _means(found: Discovery) -> list[tuple[str, Contrast]]:
    named = {
        "mean, own seeds": found.own,
        "mean, fresh seeds": found.fresh,
        "mean, held out": found.held_out,
    }
    return [(name, one) for name, one in named.items() if one is not None]
