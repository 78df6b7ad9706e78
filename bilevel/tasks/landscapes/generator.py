"""Draws a landscape: which parameters act together and how, where it is lowest, where it starts.

A few key effects hold what there is to gain, each a share of it, and their best points are far
from the baseline. The other effects keep the baseline near their best points, so that moving them
mostly harms; some parameters do nothing. Every effect is 0 at one and the same legal
configuration, the optimum, and at least 0 everywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from random import Random
from typing import Any

from bilevel.parameters import Choice, Parameter
from bilevel.space import Config, SearchSpace
from bilevel.tasks.landscapes.building import BUILD, SIZES, Site
from bilevel.tasks.landscapes.cliffs import cliffs
from bilevel.tasks.landscapes.effects import Cliff, Effect, Pit
from bilevel.tasks.landscapes.spaces import parameters
from bilevel.tasks.landscapes.units import Encoder, encoder, legal, width

_STARTS = {"good": (2, 3, 0.04), "middling": (3, 5, 0.12), "trap": (2, 4, 0.08)}
"""Of each kind of baseline: least and most key effects, and how far the others are from best."""
_KEY = {
    **{"bowl": 3, "monotone": 3, "plateau": 2, "multimodal": 2, "lure": 1, "options": 2},
    **{"ridge": 4, "together": 3, "conditional": 2},
}
_KEPT = {"bowl": 4, "monotone": 2, "multimodal": 2, "options": 3, "ridge": 1}
_NOISE = {"none": 0.0, "small": 0.01, "medium": 0.05, "large": 0.2}  # sd, in what there is to gain
_HARM = (0.04, 0.35)  # the most that an effect weighs whose best the baseline is near


@dataclass(frozen=True)
class Drawn:
    """A landscape as drawn: its value is floor + scale * the sum of weighted effects."""

    space: SearchSpace
    encoders: tuple[tuple[str, Encoder], ...]
    optimum: Config
    parts: tuple[tuple[float, Effect], ...]
    cliffs: tuple[Cliff, ...]
    floor: float
    scale: float
    noise_sd: float
    traits: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """Coordinates with an effect in common; `share` of the gain, or None where it is no key."""

    shape: str
    axes: tuple[int, ...]
    share: float | None


def draw(rng: Random) -> Drawn:
    """A landscape that depends on the generator alone."""
    kinds = parameters(rng)
    start = rng.choice(tuple(_STARTS))
    options = [
        len(p.choices) if isinstance(p, Choice) else 0 for p in kinds for _ in range(width(p))
    ]
    groups = _groups(rng, options, start)
    targets = _targets(rng, options, groups, _STARTS[start][2])
    best, base = [_legal(kinds, [t[end] for t in targets]) for end in (0, 1)]
    encoders = tuple((p.name, encoder(p)) for p in kinds)
    goal, origin = (
        [u for (_, code), v in zip(encoders, at, strict=True) for u in code(v)]
        for at in (best, base)
    )
    harm = _log_uniform(rng, *_HARM)
    parts = tuple(_part(rng, group, options, goal, origin, harm) for group in groups)
    traits = {group.shape for group in groups if group.share is not None}
    if start == "trap":
        parts, traits = _with_pit(rng, groups, parts, origin), {*traits, "pit"}
    drops = cliffs(rng, options, goal, origin)
    noise = rng.choice(tuple(_NOISE))
    gain, level = _size(rng)
    idle = len(options) > sum(len(group.axes) for group in groups)
    more = [f"baseline: {start}", f"noise: {noise}"]
    return Drawn(
        space=SearchSpace(
            tuple(replace(p, baseline=v) for p, v in zip(kinds, base, strict=True))  # type: ignore[type-var]
        ),
        encoders=encoders,
        optimum={p.name: value for p, value in zip(kinds, best, strict=True)},
        parts=parts,
        cliffs=drops,
        floor=level - gain,
        scale=gain / sum(weight * effect(origin) for weight, effect in parts),
        noise_sd=gain * _NOISE[noise],
        traits=(*sorted(traits), *["idle"][:idle], *["cliff"][: len(drops)], *more),
    )


def _size(rng: Random) -> tuple[float, float]:
    """What there is to gain, and the value of the baseline."""
    level = _log_uniform(rng, 0.2, 50.0)
    return level * _log_uniform(rng, 0.03, 0.5), level


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _groups(rng: Random, options: Sequence[int], start: str) -> list[_Group]:
    """Key groups first, then those of the coordinates that are left and not idle."""
    free = rng.sample(range(len(options)), len(options))
    least, most, _ = _STARTS[start]
    del free[: rng.randint(0, len(free) // 4)]
    count, decay = rng.randint(least, most), rng.uniform(0.2, 0.7)
    keys: list[_Group] = []
    while free and len(keys) < count:
        keys.append(_take(rng, _KEY, free, options, math.exp(-decay * len(keys))))
    whole = sum(group.share or 0.0 for group in keys)
    found = [replace(group, share=(group.share or 0.0) / whole) for group in keys]
    while free:
        found.append(_take(rng, _KEPT, free, options, None))
    return found


def _take(
    rng: Random, among: dict[str, int], free: list[int], options: Sequence[int], share: float | None
) -> _Group:
    """A shape that what is free suffices for, and the coordinates it takes."""
    choices = [axis for axis in free if options[axis]]
    lines = [axis for axis in free if not options[axis]]
    fitting = {
        shape: weight
        for shape, weight in among.items()
        if SIZES[shape][0] <= len(lines) and SIZES[shape][2] <= len(choices)
    }
    (shape,) = rng.choices(tuple(fitting), tuple(fitting.values()))
    least, most, category = SIZES[shape]
    taken = (*choices[:category], *lines[: rng.randint(least, min(most, len(lines)))])
    for axis in taken:
        free.remove(axis)
    return _Group(shape, taken, share)


def _targets(
    rng: Random, options: Sequence[int], groups: Sequence[_Group], spread: float
) -> list[tuple[float, float]]:
    """For each coordinate where to look for the optimum and for the baseline."""
    targets = [_near(rng, count, spread) for count in options]
    for group in groups:
        for axis in group.axes:
            if options[axis]:
                option = rng.randrange(options[axis])
                step = rng.randrange(1, options[axis]) if group.share is not None else 0
                targets[axis] = float(option), float((option + step) % options[axis])
                continue
            if group.share is not None:
                targets[axis] = _far(rng)
            if group.shape == "monotone":
                best, base = targets[axis]
                end = float(round(best))
                away = abs(best - base)
                targets[axis] = end, abs(end - away)
    return targets


def _near(rng: Random, options: int, spread: float) -> tuple[float, float]:
    if options:
        return float(rng.randrange(options)), float(rng.randrange(options))
    best = rng.uniform(0.0, 1.0)
    return best, min(max(best + rng.gauss(0.0, spread), 0.0), 1.0)


def _far(rng: Random) -> tuple[float, float]:
    """Two places at least three tenths of the range apart."""
    apart = rng.uniform(0.3, 0.6)
    lower = rng.uniform(0.03, 0.97 - apart)
    ends = lower, lower + apart
    return ends if rng.random() < 0.5 else ends[::-1]


def _legal(kinds: Sequence[Parameter], units: Sequence[float]) -> list[Any]:
    ends = pairwise(accumulate(map(width, kinds), initial=0))
    return [legal(p, units[a:b]) for p, (a, b) in zip(kinds, ends, strict=True)]


def _part(
    rng: Random,
    group: _Group,
    options: Sequence[int],
    goal: Sequence[float],
    origin: Sequence[float],
    harm: float,
) -> tuple[float, Effect]:
    """The effect and its weight: a key one is worth its share at the baseline."""
    site = Site(
        group.axes,
        tuple(goal[axis] for axis in group.axes),
        tuple(origin[axis] for axis in group.axes),
        tuple(options[axis] for axis in group.axes),
        is_key=group.share is not None,
    )
    effect = BUILD[group.shape](rng, site)
    if group.share is None:
        return harm * rng.uniform(0.3, 1.0), effect
    return group.share / effect(origin), effect


def _with_pit(
    rng: Random,
    groups: Sequence[_Group],
    parts: Sequence[tuple[float, Effect]],
    origin: Sequence[float],
) -> tuple[tuple[float, Effect], ...]:
    """The key effects, which come to 1 at the baseline, with a local optimum there."""
    keys = [group for group in groups if group.share is not None]
    lines = tuple(axis for group in keys for axis in group.axes)
    pit = Pit(
        tuple(parts[: len(keys)]),
        lines,
        tuple(origin[axis] for axis in lines),
        depth=rng.uniform(0.6, 0.9),
        steepness=rng.uniform(2.0, 8.0),
    )
    return ((1.0, pit), *parts[len(keys) :])
