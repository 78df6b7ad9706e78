"""Coordinate yield: one parameter at a time, where the next step promises the largest gain."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar

from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice, Tuple, Value
from bilevel.space import Config, canonical
from bilevel.toolkit import DOWN, UP, mine_first, open_parameters, step, tried, unit
from bilevel.trace import Proposal, Trial
from bilevel.view import View

_STRIDE = 0.25  # of a range, at first
_NEAR = 0.02  # of a range: what is closer was measured
_Sides = dict[str, list[tuple[float, float | None]]]
_Step = tuple[str, float, float, str]  # way, size, what it promises, why


class CoordinateYield(Mechanism):
    """Every trial, a step of the one parameter with the largest expected gain.

    A parameter's profile is what its single-parameter trials gained and lost, added up along the
    trace. It says where to step next: the roomier side of what is unknown; further, and with a
    longer stride, where the last step was good; the other side of a loss; the vertex of a parabola
    between three points. A parameter is left when its next step promises less than another (the
    mean of all for one not yet tried). When all promise little, two are stepped at a time.

    Written by a language model that was asked freely for a mechanism for any task. Charnov,
    "Optimal foraging, the marginal value theorem", Theoretical Population Biology 9, 1976; Brent,
    "Algorithms for minimization without derivatives", 1973, for the parabola.
    """

    name: ClassVar[str] = "coordinate_yield"

    def propose(self, view: View) -> Sequence[Proposal]:
        profiles = _profiles(view)
        bites: list[tuple[float, float, dict[str, Value], str]] = []
        gains = [max(0.0, -d) for p in profiles.values() for d in p["deltas"]]
        losses = [abs(d) for p in profiles.values() for d in p["deltas"]]
        habitat = max(fmean(gains), 0.15 * fmean(losses)) if gains else 1.0
        seen = tried(view)
        for parameter in open_parameters(view):
            profile = profiles[parameter.name]
            for promise, value, why in _bites(parameter, view.base, profile, habitat, view.rng):
                changes = {parameter.name: value}
                if canonical({**view.base, **changes}) not in seen:
                    bites.append((promise, view.rng.random(), changes, f"{parameter.name} {why}"))
        if not bites:
            return ()
        bites.sort(key=lambda bite: (-bite[0], bite[1]))
        rich = [bite for bite in bites if bite[0] > 0.05 * habitat]
        if not rich and len(bites) > 1:
            one, other = view.rng.sample(bites[:8], 2)
            return [Proposal({**one[2], **other[2]}, f"poor habitat: {one[3]}; {other[3]}")]
        promise, _, changes, why = bites[0]
        partner = [b for b in rich[1:] if not set(b[2]) & set(changes) and b[0] > 0.5 * promise]
        if partner and "vertex" in why and "vertex" in partner[0][3]:
            return [Proposal({**changes, **partner[0][2]}, f"{why}; {partner[0][3]}")]
        return [Proposal(changes, why)]

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)


def _profiles(view: View) -> dict[str, dict[str, Any]]:
    """For each parameter: its known values, each with what it costs; a crash costs None."""
    made: dict[str, dict[str, Any]] = {
        p.name: {"points": {}, "deltas": []} for p in open_parameters(view)
    }
    for trial in view.trace:
        parent = None if trial.parent is None else view.trace[trial.parent]
        if parent is None:
            for name, profile in made.items():
                profile["points"][trial.config[name]] = 0.0
            continue
        moved = [n for n in trial.config if trial.config[n] != parent.config[n]]
        after, before = _loss(view, trial), _loss(view, parent)
        if trial.proposal.problem or before is None or trial.duplicate_of is not None:
            continue
        for name in (n for n in moved if n in made):
            points = made[name]["points"]
            start = points.get(parent.config[name])
            here = trial.config[name]
            if after is None:
                if len(moved) == 1:
                    points.setdefault(here, None)
                    made[name]["deltas"].append(0.0)
                continue
            delta = (after - before) / len(moved)  # blamed on all the same
            if len(moved) == 1 or trial.kept:
                old = points.get(here)
                new = (start or 0.0) + delta
                points[here] = new if old is None else (old + new) / 2
            if len(moved) == 1:
                made[name]["deltas"].append(delta)
    return made


def _bites(p: Any, base: Config, profile: Any, habitat: float, rng: Any) -> list[Any]:
    """At most one next step: what it promises, the value and why."""
    here, points = base[p.name], profile["points"]
    fresh = habitat * (1.0 if profile["deltas"] else 1.3)
    if isinstance(p, Choice):
        others = [choice for choice in p.choices if choice not in points]
        rng.shuffle(others)
        known = [abs(d) for d in profile["deltas"]]
        return [(min(fresh, 2 * max(known)) if known else fresh, c, "untried") for c in others[:1]]
    if isinstance(p, Tuple):
        way = rng.choice(p.directions)
        value = step(p, here, way, _STRIDE * 2 ** -len(profile["deltas"]) + _NEAR)
        return [] if value is None else [(fresh / (1 + len(profile["deltas"])), value, way)]
    at = unit(p, here)[0]
    sides, room = _sides(p, at, points, points.get(here) or 0.0), {UP: 1 - at, DOWN: at}
    if sides[UP] and sides[DOWN]:
        way, size, gain, why = _between(*sides[UP][0], *sides[DOWN][0])
    elif sides[UP] or sides[DOWN]:
        way, size, gain, why = _onwards(sides, room, fresh, habitat)
    else:
        way = UP if rng.random() < room[UP] else DOWN
        size, gain, why = min(_STRIDE, max(0.12, 0.5 * room[way])), fresh, "unknown"
    value = step(p, here, way, size)
    return [] if value is None else [(gain, value, f"{way}, {why}")]


def _sides(p: Any, at: float, points: Any, level: float) -> _Sides:
    """What is known on either side, nearest first: how far away, and what it costs against here."""
    sides: _Sides = {UP: [], DOWN: []}
    for value, cost in points.items():
        gap = unit(p, value)[0] - at
        if abs(gap) > 1e-9:
            more = None if cost is None else cost - level
            sides[UP if gap > 0 else DOWN].append((abs(gap), more))
    for side in sides.values():
        side.sort(key=lambda entry: entry[0])
    return sides


def _between(a: float, up: float | None, b: float, down: float | None) -> _Step:
    """With a neighbour known on both sides."""
    if up is None or down is None:  # half way to a cliff, if the other side is uphill
        way, gap, slope = (UP, a, down) if up is None else (DOWN, b, up)
        return way, gap / 2, 0.3 * max(slope or 0.0, 0.0), "towards a cliff"
    bend = (up / a + down / b) / (a + b)
    if bend <= 0:
        way, gap = (UP, a) if up < down else (DOWN, b)
        return way, gap, max(0.0, -min(up, down)), "downhill"
    vertex = -(up / a - bend * a) / (2 * bend)
    way, gap = (UP, min(vertex, a)) if vertex > 0 else (DOWN, min(-vertex, b))
    return way, max(gap, _NEAR), bend * vertex**2 if gap > _NEAR else 0.0, "vertex"


def _onwards(sides: _Sides, room: Mapping[str, float], fresh: float, habitat: float) -> _Step:
    """With neighbours known on one side."""
    way, other = (UP, DOWN) if sides[UP] else (DOWN, UP)
    gap, cost = sides[way][0]
    if room[other] < _NEAR:
        return way, gap / 2, 0.3 * max(cost or 0.0, 0.0), "back a little"
    if cost is None:
        return other, min(_STRIDE, 0.5 * room[other]), fresh, "from a cliff"
    stride = min(1.3 * gap, max(0.6 * room[other], _NEAR))
    return other, stride, min(0.6 * max(cost, 0.0), 2 * habitat), "onwards"


def _loss(view: View, trial: Trial) -> float | None:
    return None if trial.value is None else view.objective.loss(trial.value)
