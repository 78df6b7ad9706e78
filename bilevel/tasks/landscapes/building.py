"""Makes an effect of each shape, given where its best point and the baseline lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from bilevel.tasks.landscapes.effects import (
    Bowl,
    Conditional,
    Effect,
    Lure,
    Monotone,
    Multimodal,
    Options,
    Plateau,
    Ridge,
    Together,
)

SIZES: Mapping[str, tuple[int, int, int]] = {
    **dict.fromkeys(("bowl", "monotone", "plateau", "multimodal", "lure"), (1, 1, 0)),
    "options": (0, 0, 1),
    "ridge": (2, 3, 0),
    "together": (2, 3, 0),
    "conditional": (1, 1, 1),
}
"""Of each shape: the least and the most numbers that it takes, and how many choices."""


@dataclass(frozen=True)
class Site:
    """The coordinates of an effect, choices first; `options` is 0 for a number."""

    axes: tuple[int, ...]
    best: tuple[float, ...]
    start: tuple[float, ...]
    options: tuple[int, ...]
    is_key: bool

    def reach(self, rng: Random, place: int = 0) -> float:
        """How far an effect reaches: to the baseline, or what a kept one is wide."""
        apart = abs(self.start[place] - self.best[place])
        return apart if self.is_key else rng.uniform(0.4, 0.8)


def _bowl(rng: Random, site: Site) -> Effect:
    return Bowl(site.axes[0], site.best[0], site.reach(rng))


def _monotone(rng: Random, site: Site) -> Effect:
    return Monotone(site.axes[0], site.best[0], site.reach(rng), rng.choice((0.5, 1.0, 1.5)))


def _plateau(rng: Random, site: Site) -> Effect:
    return Plateau(site.axes[0], site.best[0], rng.uniform(0.06, 0.15))


def _multimodal(rng: Random, site: Site) -> Effect:
    waves, height = rng.uniform(2.5, 6.0), rng.uniform(0.3, 0.8)
    return Multimodal(site.axes[0], site.best[0], site.reach(rng), waves, height)


def _lure(rng: Random, site: Site) -> Effect:
    """The second basin is on the other side of the baseline, as far as the range goes."""
    (best,), (start,) = site.best, site.start
    there = start + rng.uniform(0.4, 0.8) * (start - best)
    inside = min(max(there, 0.0), 1.0)
    return Lure(site.axes[0], best, site.reach(rng), inside, rng.uniform(0.5, 0.75))


def _options(rng: Random, site: Site) -> Effect:
    best = int(site.best[0])
    costs = [0.0 if at == best else rng.uniform(0.3, 1.3) for at in range(site.options[0])]
    return Options(site.axes[0], tuple(costs))


def _ridge(rng: Random, site: Site) -> Effect:
    """Through the baseline, where it is a key; so bent that halfway it is that far off straight."""
    along = site.start[0] - site.best[0] if site.is_key else rng.choice((-0.5, 0.5))
    slopes, bends = [], []
    for best, start in zip(site.best[1:], site.start[1:], strict=True):
        rise = start - best if site.is_key else rng.uniform(-0.5, 0.5)
        bend = rng.choice((-4.0, 4.0)) * rng.uniform(0.03, 0.15) / along**2
        slopes.append(rise / along - bend * along)
        bends.append(bend)
    return Ridge(
        site.axes,
        site.best,
        site.reach(rng),
        tuple(slopes),
        tuple(bends),
        width=rng.uniform(0.15, 0.35),
        wall=rng.uniform(0.3, 0.8),
    )


def _together(rng: Random, site: Site) -> Effect:
    reaches = tuple(site.reach(rng, place) for place in range(len(site.axes)))
    return Together(site.axes, site.best, reaches, alone=rng.uniform(0.1, 0.6))


def _conditional(rng: Random, site: Site) -> Effect:
    """At the baseline's option the number is at its best already, and wrong for the best option."""
    best, start = int(site.best[0]), int(site.start[0])
    centres = [rng.uniform(0.0, 1.0) for _ in range(site.options[0])]
    heights = [rng.uniform(0.5, 1.2) for _ in centres]
    centres[start], centres[best] = site.start[1], site.best[1]
    heights[best] = 0.0
    choice, axis = site.axes
    return Conditional(choice, axis, tuple(centres), tuple(heights), 0.8 * site.reach(rng, 1))


BUILD: Mapping[str, Callable[[Random, Site], Effect]] = {
    "bowl": _bowl,
    "monotone": _monotone,
    "plateau": _plateau,
    "multimodal": _multimodal,
    "lure": _lure,
    "options": _options,
    "ridge": _ridge,
    "together": _together,
    "conditional": _conditional,
}
