"""Kriging ensemble: several Gaussian processes, weighted by their skill, pick every trial."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.stats import norm

from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice
from bilevel.space import Config, canonical
from bilevel.toolkit import (
    best_and_latest,
    changes_to,
    mine_first,
    open_parameters,
    runs,
    step,
    tried,
    unit,
)
from bilevel.trace import Proposal
from bilevel.view import View

_Array = Any
_LENGTHS = (0.25, 0.5, 1.0)  # of a range
_SHARES = (0.0, 0.25, 1.0)  # of the kernel that is a product over parameters: interactions
_NOISES = (0.01, 0.1, 0.4)  # variance, against a signal of one
_RELEVANCES = (0.02, 1.0, 4.0)
_MOST = 60  # runs that are fitted to
_EARLY = 6  # trials until which forecasters are equally trusted


class KrigingEnsemble(Mechanism):
    """Every trial, the largest expected improvement under a skill-weighted ensemble.

    A member is kriging with one covariance: a sum over parameters, a product, or both, at one
    length and one noise; its weight is its leave-one-out likelihood. Parameters get relevances by
    the same skill. Failures are forecast apart, and lower the expected improvement. Fitted to the
    best and the latest of what ran, 60 at most.

    Written by a language model that was asked freely for a mechanism for any task. Krishnamurti et
    al., "Improved weather and seasonal climate forecasts from multimodel superensemble", Science
    285, 1999; Duvenaud et al., "Additive Gaussian processes", NIPS 2011.
    """

    name: ClassVar[str] = "kriging_ensemble"

    def propose(self, view: View) -> Sequence[Proposal]:
        parameters = open_parameters(view)
        shown = runs(view)
        if not parameters or not any(value is not None for _, value in shown):
            return ()
        model = _Ensemble(parameters, best_and_latest(shown, _MOST))
        seen = tried(view)
        rng = np.random.default_rng(view.rng.randrange(2**32))
        size = 0.35 if view.trial <= _EARLY else 0.5
        pool: dict[str, Config] = {}
        centres = [{**view.base, **changes_to(view, model.centre)}, dict(view.base)]
        for turn in range(1 if view.trial <= _EARLY else 4):  # no climb on what is not known yet
            for _ in range(250 if turn == 0 else 120):
                made = _mutated(parameters, centres[rng.integers(len(centres))], rng, size)
                text = canonical(made)
                if text not in seen:
                    pool.setdefault(text, made)
            if not pool:
                return ()
            configs = list(pool.values())
            gains = model.improvement(configs)
            order = np.argsort(-gains, kind="stable")[:6]
            centres = [dict(configs[n]) for n in order]
            pool = {canonical(configs[n]): configs[n] for n in order}
            size = size * 0.6
        changes = changes_to(view, centres[0])
        return [Proposal(changes, "largest improvement forecast")] if changes else ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)


class _Ensemble:
    def __init__(
        self, parameters: Sequence[Any], shown: Sequence[tuple[Config, float | None]]
    ) -> None:
        self._parameters = parameters
        configs = [c for c, v in shown if v is not None]
        raw = np.array([v for _, v in shown if v is not None])
        spread = float(np.median(raw) - raw.min()) or float(np.std(raw)) or 1.0
        self._y = np.log1p((raw - raw.min()) / (2 * spread))  # far worse is only worse
        self._x = self._coordinates(configs)
        self._all = self._coordinates([c for c, _ in shown])
        self._failed = np.array([float(v is None) for _, v in shown])
        self._relevance = np.ones(len(parameters))
        squares = _squares(self._x, self._x)
        if len(raw) > _EARLY:
            self._weigh(squares)
        members = [(a, b, c) for a in _LENGTHS for b in _SHARES for c in _NOISES]
        fits = [self._fit(squares, *m) for m in members]
        skill = np.array([f[0] for f in fits])
        if len(raw) <= _EARLY:
            skill = np.zeros(len(skill))
        weights = np.exp(skill - skill.max())
        keep = [n for n in np.argsort(-weights, kind="stable")[:9] if weights[n] > 0.01]
        self._members = [(weights[n], members[n], fits[n]) for n in keep]
        means = sum(w * m for w, m, _ in self._forecasts(self._x)) / sum(weights[keep])
        self._best = float(means.min())
        self.centre = configs[int(np.argmin(means))]

    def improvement(self, configs: Sequence[Config]) -> _Array:
        points = self._coordinates(configs)
        total = 0.0
        for weight, mean, deviation in self._forecasts(points):
            z = (self._best - mean) / deviation
            total = total + weight * deviation * (z * norm.cdf(z) + norm.pdf(z))
        return total * self._survival(points)

    def _survival(self, points: _Array) -> _Array:
        if not self._failed.any():
            return 1.0
        inner = self._kernel(_squares(self._all, self._all), 0.25, 0.4)
        inner[np.diag_indices(len(inner))] += 0.1
        weights = np.linalg.solve(inner, self._failed - 0.05)
        risk = 0.05 + self._kernel(_squares(points, self._all), 0.25, 0.4) @ weights
        return np.clip(1 - risk, 0.02, 1) ** 2

    def _forecasts(self, points: _Array) -> Any:
        squares = _squares(points, self._x)
        for weight, (length, share, _), (_, inverse, level, scale) in self._members:
            cross = self._kernel(squares, length, share)
            mean = level + cross @ (inverse @ (self._y - level))
            left = 1 - np.einsum("ij,jk,ik->i", cross, inverse, cross)
            yield weight, mean, np.sqrt(scale * np.clip(left, 1e-6, None))

    def _fit(self, squares: _Array, length: float, share: float, noise: float) -> Any:
        """The leave-one-out log likelihood, the inverse covariance, the level and the variance."""
        inner = self._kernel(squares, length, share)
        inverse = np.linalg.inv(inner + noise * np.eye(len(inner)))
        level = float(inverse.sum(0) @ self._y / inverse.sum())
        solved = inverse @ (self._y - level)
        scale = max(float((self._y - level) @ solved) / len(self._y), 1e-3)
        variance = scale / np.diag(inverse)
        missed = solved / np.diag(inverse)
        return float(norm.logpdf(missed, 0, np.sqrt(variance)).sum()), inverse, level, scale

    def _weigh(self, squares: _Array) -> None:
        """Each parameter's relevance in turn, where it forecasts better by enough."""
        for _ in range(2):
            for n in range(len(self._relevance)):
                held, skills = self._relevance[n], []
                for value in _RELEVANCES:
                    self._relevance[n] = value
                    skill = max(self._fit(squares, 0.5, 0.25, noise)[0] for noise in _NOISES)
                    skills.append(skill + (value == held) * 0.5)
                self._relevance[n] = _RELEVANCES[int(np.argmax(skills))]

    def _kernel(self, squares: _Array, length: float, share: float) -> _Array:
        scaled = squares / (2 * length**2)
        relevance = self._relevance[:, None, None]
        added = (relevance * np.exp(-scaled)).sum(0) / self._relevance.sum()
        joint = np.exp(-(np.minimum(relevance, 2) * scaled).sum(0) / 3)
        return (1 - share) * added + share * joint

    def _coordinates(self, configs: Sequence[Config]) -> list[_Array]:
        """For each parameter: (configurations, coordinates), choices closer to each other."""
        sizes = [(p, 0.4 if isinstance(p, Choice) else 1.0) for p in self._parameters]
        return [size * np.array([unit(p, c[p.name]) for c in configs]) for p, size in sizes]


def _squares(one: list[_Array], other: list[_Array]) -> _Array:
    return np.array(
        [((a[:, None, :] - b[None, :, :]) ** 2).sum(-1) for a, b in zip(one, other, strict=True)]
    )


def _mutated(parameters: Sequence[Any], centre: Config, rng: Any, size: float) -> Config:
    """One to half of the parameters, each a step of a random size away, or a choice."""
    most = max(1, (len(parameters) + 1) // 2)
    count = 1 + int(rng.integers(most))
    made = dict(centre)
    for n in rng.choice(len(parameters), count, replace=False):
        p = parameters[n]
        way = p.directions[rng.integers(len(p.directions))]
        value = step(p, made[p.name], way, size * 2 ** -rng.uniform(0, 3))
        if value is not None:
            made[p.name] = value
    return made
