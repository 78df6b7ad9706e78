"""Separable bowl: estimated as the search goes on, probed at first and trusted later."""

from collections.abc import Sequence
from itertools import product
from typing import Any, ClassVar

import numpy as np

from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice, Parameter
from bilevel.space import Config, canonical
from bilevel.toolkit import (
    changes_to,
    from_unit,
    mine_first,
    open_parameters,
    owners,
    point,
    runs,
    tried,
    unit,
)
from bilevel.trace import Proposal
from bilevel.view import View

_Array = Any
_SCALES = (0.3, 1.0, 3.0)  # of curvature, in units of the spread of the losses
_NOISES = (0.03, 0.1, 0.3)  # standard deviation, in the same units
_RELEVANCES = (0.05, 0.5, 1.0, 3.0)
_ENOUGH = 6  # runs before parameters are told apart
_HORIZON = 30  # trials, where no budget is known


class SeparableBowl(Mechanism):
    """Every trial, the minimum of a separable bowl drawn from its posterior.

    Each numeric coordinate has a slope and a curvature that is thought to be positive, each choice
    an offset; their sizes are fitted to the trace. Early draws are wide and so are probes, late
    ones are the estimate itself; steps are bounded by a radius that shrinks. A failed run counts as
    bad, and no step lands nearer to a failure than to what ran.

    Written by a language model that was asked freely for a mechanism for any task. Feldbaum, "Dual
    control theory", Automation and Remote Control 21, 1960; Thompson, Biometrika 25, 1933.
    """

    name: ClassVar[str] = "separable_bowl"

    def propose(self, view: View) -> Sequence[Proposal]:
        parameters = open_parameters(view)
        shown = runs(view)
        if not parameters or not any(value is not None for _, value in shown):
            return ()
        total = _HORIZON if view.trials_left is None else view.trials_left + view.trial - 1
        done = min(1.0, view.trial / max(1, total))
        bowl = _Bowl(parameters, shown)
        rng = np.random.default_rng(view.rng.randrange(2**32))
        seen, heat = tried(view), max(0.15, 1 - 1.1 * done)
        if view.trial % 3 == 2 and len(shown) > _ENOUGH:
            heat = 0.0  # certainty equivalence, to see whether the estimate holds
        centre = {**view.base, **changes_to(view, bowl.best)}
        radius = 0.3 - 0.12 * done
        for _ in range(30):
            target = bowl.minimum(centre, rng, heat, radius)
            changes = changes_to(view, {**view.base, **target})
            if bowl.risky(target):
                radius *= 0.7
            elif changes and canonical({**view.base, **changes}) not in seen:
                return [Proposal(changes, f"minimum of the bowl, heat {heat:.2f}")]
            heat = min(1.5, max(heat, 0.1) * 1.25)
        return ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)


class _Bowl:
    def __init__(
        self, parameters: Sequence[Parameter], shown: Sequence[tuple[Config, Any]]
    ) -> None:
        self._parameters = parameters
        valued = [v for _, v in shown if v is not None]
        low = min(valued)
        spread = float(np.median(valued)) - low or float(np.std(valued)) or 1.0
        bad = low + 4 * spread
        raw = np.array([bad if v is None else min(v, bad) for _, v in shown])
        self._y = (raw - low) / spread
        self._origin = np.array(point(parameters, shown[0][0]))
        self._owner = np.array(owners(parameters))
        self._numeric = np.array(
            [not isinstance(parameters[n], Choice) for n in self._owner], float
        )
        self._points = np.array([point(parameters, c) for c, _ in shown])
        self._failed = np.array([v is None for _, v in shown])
        at = self._points - self._origin
        self._x = np.hstack([np.ones((len(at), 1)), at, at**2 * self._numeric])
        self._relevance = np.ones(len(parameters))
        self._scale, self._noise = 1.0, 0.1
        if len(shown) > 3:
            for _ in range(2):
                self._tune(len(shown) > _ENOUGH)
        _, self._mean, self._root = self._posterior()
        fitted = self._x @ self._mean
        ran = [n for n, (_, v) in enumerate(shown) if v is not None]
        self.best = shown[min(ran, key=lambda n: 0.6 * fitted[n] + 0.4 * self._y[n])][0]

    def minimum(self, centre: Config, rng: Any, heat: float, radius: float) -> Config:
        drawn = self._mean + heat * (self._root @ rng.standard_normal(len(self._mean)))
        count, start = len(self._owner), np.array(point(self._parameters, centre))
        slope, bend = drawn[1 : 1 + count], drawn[1 + count :]
        made, gains, place = dict(centre), {}, 0
        for p in self._parameters:
            size = len(unit(p, centre[p.name]))
            if isinstance(p, Choice):
                offsets = slope[place : place + size]
                value = p.choices[int(np.argmin(offsets))]
                gain = offsets[p.choices.index(centre[p.name])] - offsets.min()
            else:
                parts, gain = [], 0.0
                for n in range(place, place + size):
                    grid = np.clip(start[n] + radius * np.linspace(-1, 1, 41), 0, 1)
                    at = grid - self._origin[n]
                    curve = slope[n] * at + bend[n] * at**2
                    here = start[n] - self._origin[n]
                    parts.append(grid[int(np.argmin(curve))])
                    gain += slope[n] * here + bend[n] * here**2 - curve.min()
                value = from_unit(p, parts)
            place += size
            if value != centre[p.name]:
                gains[p.name] = (float(gain), value)
        wanted = sorted(gains, key=lambda name: -gains[name][0])
        top = gains[wanted[0]][0] if wanted else 0.0
        for name in wanted[: max(2, (len(self._parameters) + 1) // 2)]:
            if gains[name][0] > 0.08 * top:
                made[name] = gains[name][1]
        return {p.name: made[p.name] for p in self._parameters}

    def risky(self, config: Config) -> bool:
        gaps = np.linalg.norm(self._points - np.array(point(self._parameters, config)), axis=1)
        return bool(self._failed.any() and gaps[self._failed].min() < gaps[~self._failed].min())

    def _posterior(self) -> tuple[float, _Array, _Array]:
        """The log evidence, the mean of the coefficients and a root of their covariance."""
        size = self._scale * self._relevance[self._owner]
        ahead = np.concatenate([[1.0], 0 * size, 2 * size * self._numeric])
        prior = np.concatenate(
            [[3.0], np.where(self._numeric, 2.5 * size, size), 2 * size * self._numeric + 1e-6]
        )
        noise = np.hypot(self._noise, 0.25 * self._y)  # what is far worse is not described as well
        rest = self._y - self._x @ ahead
        covariance = (self._x * prior**2) @ self._x.T + np.diag(noise**2)
        root = np.linalg.cholesky(covariance)
        half = np.linalg.solve(root, rest)
        evidence = -0.5 * float(half @ half) - float(np.log(np.diag(root)).sum())
        gain = np.linalg.solve(covariance, self._x * prior**2)
        mean = ahead + gain.T @ rest
        left = np.diag(prior**2) - (self._x * prior**2).T @ gain
        values, vectors = np.linalg.eigh((left + left.T) / 2)
        return evidence, mean, vectors * np.sqrt(np.clip(values, 0, None))

    def _tune(self, each: bool) -> None:
        shown = {}
        for self._scale, self._noise in product(_SCALES, _NOISES):
            shown[self._scale, self._noise] = self._posterior()[0]
        self._scale, self._noise = max(shown, key=lambda pair: shown[pair])
        for n in range(len(self._parameters) if each else 0):
            held, found = self._relevance[n], []
            for value in _RELEVANCES:
                self._relevance[n] = value
                found.append(self._posterior()[0] + 0.3 * (value == held) + 0.3 * (value == 1))
            self._relevance[n] = _RELEVANCES[int(np.argmax(found))]
