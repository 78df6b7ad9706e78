"""Colours of a figure on a light and on a dark page, and one look for every arm in all figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v")


@dataclass(frozen=True)
class Theme:
    """The colours of a figure; `palette` is distinguishable with any colour vision (after Okabe
    and Ito)."""

    name: str
    ground: str
    ink: str
    faint: str
    palette: tuple[str, ...]

    def settings(self) -> Any:
        """Return the theme as matplotlib's rcParams."""
        return {
            "figure.facecolor": self.ground,
            "savefig.facecolor": self.ground,
            "axes.facecolor": self.ground,
            "axes.edgecolor": self.faint,
            "axes.labelcolor": self.ink,
            "axes.titlecolor": self.ink,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": self.faint,
            "grid.alpha": 0.3,
            "grid.linewidth": 0.6,
            "text.color": self.ink,
            "xtick.color": self.ink,
            "ytick.color": self.ink,
            "legend.frameon": False,
            "font.size": 10,
        }


_LIGHT = Theme(
    "light", "#ffffff", "#1c1f24", "#8a919c",
    ("#0072b2", "#d55e00", "#00855f", "#b5478f", "#9a7200", "#3a9bd9", "#2b2f36"),
)  # fmt: skip
_DARK = Theme(
    "dark", "#14171c", "#e8eaed", "#767e8a",
    ("#4aa8e8", "#ff8b4a", "#35c796", "#e78cc6", "#e8bc3f", "#a6d8ff", "#e8eaed"),
)  # fmt: skip
THEMES = (_LIGHT, _DARK)


@dataclass(frozen=True)
class Look:
    colour: str
    dashes: Any
    marker: str


def looks(arms: Sequence[str], theme: Theme) -> dict[str, Look]:
    """Return the look of each arm, by its place among the study's arms; 140 different ones
    exist."""
    return {
        arm: Look(theme.palette[place % 7], _DASHES[place % 4], _MARKERS[place % 5])
        for place, arm in enumerate(arms)
    }
