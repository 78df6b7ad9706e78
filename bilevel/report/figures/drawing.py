"""Draws figures with matplotlib and writes them down, for either theme."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.report.figures.themes import THEMES, Look, Theme, looks

_DPI = 150


@dataclass(frozen=True)
class Canvas:
    """A matplotlib figure to paint on, with the theme and each arm's look."""

    figure: Any
    theme: Theme
    looks: dict[str, Look]


@dataclass(frozen=True)
class Figure:
    """A figure's files; `alt` describes it in words."""

    name: str
    title: str
    caption: str
    alt: str
    light: Path
    dark: Path


@dataclass(frozen=True)
class Drawing:
    """A function that paints a figure, with its `size` in inches."""

    name: str
    title: str
    caption: str
    alt: str
    size: tuple[float, float]
    paint: Callable[[Canvas], None]


def draw(drawing: Drawing, arms: Sequence[str], folder: Path) -> Figure:
    """Writes the drawing as NAME.png and NAME.dark.png."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    paths = []
    for theme in THEMES:
        with rc_context(theme.settings()):
            sheet = Sheet(figsize=drawing.size, dpi=_DPI, layout="constrained")
            FigureCanvasAgg(sheet)
            sheet.suptitle(drawing.title, x=0.01, ha="left", fontsize=12)
            drawing.paint(Canvas(sheet, theme, looks(arms, theme)))
            name = drawing.name + ("" if theme.name == "light" else f".{theme.name}") + ".png"
            sheet.savefig(folder / name, format="png", metadata={"Software": None})
            paths.append(folder / name)
    return Figure(drawing.name, drawing.title, drawing.caption, drawing.alt, *paths)


def jitter(count: int, width: float = 0.22) -> list[float]:
    """Return fixed offsets that keep the dots of one row apart."""
    return [width * ((place * 0.618034) % 1 - 0.5) * 2 for place in range(count)]
