"""A Gaussian process with learned relevances chooses every trial, and judges it without noise."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from bilevel.mechanism import Mechanism
from bilevel.parameters import Parameter, Value
from bilevel.randomness import keyed
from bilevel.space import Config, canonical
from bilevel.toolkit import (
    changes_to,
    mine_first,
    open_parameters,
    owners,
    point,
    runs,
    step,
    tried,
    unit,
)
from bilevel.trace import Proposal, Trial, elites
from bilevel.view import View

_Array = Any
_START = 3  # trials of the design
_SHRINK = 0.5  # how far the design is drawn towards the baseline
_SAMPLES = 200  # candidates of the first of three rounds
_LAST = 4  # trials at the end that take the best mean
_TINY = 1e-9


class RelevanceGaussianProcess(Mechanism):
    """A Latin hypercube first, then expected improvement under a Bayesian Gaussian process.

    Its kernel is one-dimensional kernels summed, and their product; their relevances, the share of
    either and the noise are drawn by Metropolis. Another process on what failed gives the chance
    of running. Every second trial takes the best mean instead. A trial is kept where the model
    believes it better than the incumbent.

    Written by a language model that was asked freely for a mechanism for any task; the fourth of
    five, with the scores of those before it shown. Duvenaud et al., "Additive Gaussian processes",
    NIPS 2011; Snoek, Larochelle and Adams, "Practical Bayesian optimization", NIPS 2012.
    """

    name: ClassVar[str] = "relevance_gaussian_process"

    def propose(self, view: View) -> Sequence[Proposal]:
        parameters = open_parameters(view)
        if not parameters:
            return ()
        designed = view.trial <= _START
        chosen = _designed(view, parameters) if designed else _modelled(view, parameters)
        changes = changes_to(view, chosen) if chosen else {}
        return [Proposal(changes, "model")] if changes else ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)

    def accept(self, view: View, trial: Trial) -> bool | None:
        best = view.incumbent
        if view.trial <= _START or trial.value is None or best is None:
            return None
        parameters = open_parameters(view)
        shown = [*runs(view), (trial.config, view.objective.loss(trial.value))]
        seen = _Seen(parameters, shown, view, 90, 3)
        if not seen.fits:
            return None
        means = seen.mean([point(parameters, one.config) for one in (trial, best)])
        return bool(means[0] < means[1])


def _designed(view: View, parameters: Sequence[Parameter]) -> Config:
    """A Latin hypercube, drawn towards the baseline."""
    deal, config = keyed(view.seed, view.level, 0, "design"), view.space.baseline
    for p in parameters:
        cells = list(range(_START))
        deal.shuffle(cells)
        place = (cells[(view.trial - 1) % _START] + view.rng.random()) / _START
        config[p.name] = _drawn_towards(p, config[p.name], place, view.rng)
    return config


def _drawn_towards(p: Parameter, base: Value, place: float, rng: Random) -> Value:
    """A value near `place` of the range, drawn towards the base."""
    at = unit(p, base)
    if len(at) != 1 or p.directions != ("up", "down"):
        return p.sample(rng) if rng.random() < _SHRINK else base
    by = _SHRINK * (place - at[0])
    moved = step(p, base, "up" if by > 0 else "down", abs(by))
    return base if moved is None else moved


def _modelled(view: View, parameters: Sequence[Parameter]) -> Config | None:
    seen = _Seen(parameters, runs(view), view)
    if not seen.fits:
        return None
    left = view.trials_left
    greedy = view.trial % 2 == 0 or (left is not None and left <= _LAST)
    done = tried(view)
    best = [dict(t.config) for t in elites(view.trace, view.objective, 4)]
    for turn in range(3):
        made = [_mutant(view.rng, parameters, best, turn) for _ in range(_SAMPLES // (1 + turn))]
        pool = [c for c in made if canonical(c) not in done] + (best if turn else [])
        if not pool:
            return None
        score = seen.score([point(parameters, c) for c in pool], greedy)
        best = [pool[i] for i in np.argsort(-score)[:5]]
    return best[0]


def _mutant(
    rng: Random, parameters: Sequence[Parameter], around: Sequence[Config], turn: int
) -> dict[str, Value]:
    """A config near a good one: some parameters moved or drawn anew, at first also mixed."""
    if turn == 0 and rng.random() < 0.1:
        return {**around[0], **{p.name: p.sample(rng) for p in parameters}}
    config = dict(around[min(int(rng.expovariate(0.8)), len(around) - 1)])
    if turn == 0 and len(around) > 1 and rng.random() < 0.3:
        other = rng.choice(around)
        config = {k: (other[k] if rng.random() < 0.5 else v) for k, v in config.items()}
    for p in rng.sample(parameters, min(len(parameters), 1 + int(rng.expovariate(0.5)))):
        way = rng.choice(p.directions)
        moved = step(p, config[p.name], way, 2 ** -rng.uniform(1 + turn, 5 + turn))
        anew = moved is None or rng.random() < 0.25 / (1 + turn)
        config[p.name] = p.sample(rng) if anew or moved is None else moved
    return config


class _Seen:
    """What the runs say: Gaussian processes of the loss and of crashing."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        shown: Sequence[tuple[Config, float | None]],
        view: View,
        steps: int = 120,
        keep: int = 4,
    ) -> None:
        points = np.array([point(parameters, config) for config, _ in shown])
        ran = np.array([loss is not None for _, loss in shown])
        losses = np.array([loss for _, loss in shown if loss is not None])
        self.fits: list[Any] = []
        self._crash: list[Any] = []
        if len(losses) < 3 or np.ptp(losses) == 0:
            return
        rng = np.random.default_rng(view.rng.getrandbits(63))
        self._group = np.array(owners(parameters))
        self.fits = _posterior(points[ran], _squashed(losses), self._group, rng, steps, keep)
        if not ran.all():
            self._crash = _posterior(points, 1.0 - ran, self._group, rng, steps=60, keep=2)

    def mean(self, points: Sequence[Sequence[float]]) -> _Array:
        at = np.array(points)
        return np.mean([_predicted(fit, at, self._group)[0] for fit in self.fits], axis=0)

    def score(self, points: Sequence[Sequence[float]], greedy: bool) -> _Array:
        """Expected improvement on the best mean so far, or the mean's own improvement when greedy,
        by the chance of running."""
        at, total = np.array(points), 0.0
        for fit in self.fits:
            m, sd = _predicted(fit, at, self._group)
            sd = 0.1 * sd if greedy else sd
            u = (fit["best"] - m) / sd
            density = np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
            total = total + sd * (u * ndtr(u) + density) + _TINY * u
        if self._crash:
            risks = (_predicted(fit, at, self._group) for fit in self._crash)
            chances = [ndtr((0.5 - m) / np.sqrt(sd**2 + 0.02)) for m, sd in risks]
            total = total * np.mean(chances, axis=0) ** 2
        return total


def _squashed(y: _Array) -> _Array:
    """Losses in units of best to median, what is worse pressed together; standardised."""
    scale = (np.median(y) - y.min()) or y.std()
    t = (y - y.min()) / scale
    z = np.where(t <= 1, t, 1 + np.log(np.maximum(t, 1)))
    return (z - z.mean()) / (z.std() or 1.0)


def _apart(one: _Array, other: _Array, group: _Array) -> _Array:
    """(parameters, rows, columns): squared distances, one parameter at a time."""
    squares = (one.T[:, :, None] - other.T[:, None, :]) ** 2
    return np.add.reduceat(squares, np.flatnonzero(np.r_[True, np.diff(group) > 0]), axis=0)


def _kernel(apart: _Array, theta: _Array) -> _Array:
    """One-dimensional kernels summed, and their product; theta: log relevances, share, noise."""
    relevance = np.exp(theta[:-2])
    alone = np.exp(-0.5 * apart * (relevance**2)[:, None, None])
    share = 1 / (1 + math.exp(-theta[-2]))
    added = np.tensordot(relevance / relevance.sum(), alone, 1)
    return share * added + (1 - share) * alone.prod(0)


def _noisy(apart: _Array, theta: _Array) -> _Array:
    return _kernel(apart, theta) + (math.exp(theta[-1]) + 1e-6) * np.eye(apart.shape[1])


def _evidence(apart: _Array, z: _Array, theta: _Array) -> float:
    try:
        root = np.linalg.cholesky(_noisy(apart, theta))
    except np.linalg.LinAlgError:
        return -math.inf
    a = np.linalg.solve(root, z)
    prior = (theta[:-2] ** 2).sum() + (theta[-2] / 1.5) ** 2 + ((theta[-1] + 4) / 1.5) ** 2
    return float(-0.5 * (a @ a + prior) - np.log(np.diag(root)).sum())


def _posterior(
    points: _Array, z: _Array, group: _Array, rng: Any, steps: int, keep: int
) -> list[dict[str, Any]]:
    """Metropolis over the kernel's parameters; models at some of the later states."""
    apart, theta = _apart(points, points, group), np.r_[np.zeros(group.max() + 1), 0.0, -4.0]
    now, kept = _evidence(apart, z, theta), []
    for i in range(1, steps + 1):
        new, places = theta.copy(), rng.integers(len(theta), size=2)
        new[places] += rng.normal(0, 0.8, size=2)
        then = _evidence(apart, z, new)
        if math.log(rng.random() + 1e-300) < then - now:
            theta, now = new, then
        if i > steps // 3 and i % (2 * steps // (3 * keep)) == 0:
            kept.append(theta)
    fits = []
    for t in kept:
        inverse = np.linalg.inv(_noisy(apart, t))
        a = inverse @ z
        best = (_kernel(apart, t) @ a).min()
        fits.append({"points": points, "theta": t, "inverse": inverse, "a": a, "best": best})
    return fits


def _predicted(fit: Any, at: _Array, group: _Array) -> tuple[_Array, _Array]:
    k = _kernel(_apart(at, fit["points"], group), fit["theta"])
    spread = 1 - ((k @ fit["inverse"]) * k).sum(1)
    return k @ fit["a"], np.sqrt(np.maximum(spread, _TINY))
