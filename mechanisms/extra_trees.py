"""Extra-trees: a forest of random trees, each grown on its own bag of runs, picks every trial."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.stats import norm

from bilevel.mechanism import Mechanism
from bilevel.space import Config, canonical
from bilevel.toolkit import (
    best_and_latest,
    changes_to,
    mine_first,
    open_parameters,
    point,
    runs,
    step,
    tried,
)
from bilevel.trace import Proposal, Trial, elites
from bilevel.view import View

_Array = Any
_TREES = 60
_LEAF = 2  # runs that are not split further
_MOST = 60  # runs that trees are grown on
_TRIES = 6  # random cuts that a split chooses from
_SOWN = 7  # trials before the forest is asked
_POOL = 5  # the best runs that offspring come from


class ExtraTrees(Mechanism):
    """Sows a few runs around the baseline, then takes the largest expected improvement by a forest.

    Candidates are offspring of the best runs: a cross of two, or one with a few parameters moved,
    near or far. Trees cut at random places, so cliffs, plateaus, choices, interactions and idle
    parameters are all the same to them; their disagreement is the uncertainty. A failed run counts
    as worse than the worst.

    Written by a language model that was asked freely for a mechanism for any task. Geurts, Ernst
    and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006; Hutter, Hoos and
    Leyton-Brown, "Sequential model-based optimization", LION 5, 2011.
    """

    name: ClassVar[str] = "extra_trees"

    def propose(self, view: View) -> Sequence[Proposal]:
        parameters = open_parameters(view)
        best = elites(view.trace, view.objective, _POOL)
        if not parameters or not best:
            return ()
        rng = np.random.default_rng(view.rng.randrange(2**32))
        seen = tried(view)
        if view.trial <= _SOWN:
            made = self._sown(view, parameters, rng)
            if made and canonical({**view.base, **made}) not in seen:
                return [Proposal(made, "sown")]
            return ()
        pool: dict[str, Config] = {}
        for _ in range(500):
            child = {**view.base, **changes_to(view, _offspring(parameters, best, rng))}
            text = canonical(child)
            if text not in seen:
                pool.setdefault(text, child)
        if not pool:
            return ()
        configs = list(pool.values())
        gains = _improvement(view, parameters, configs, rng)
        changes = changes_to(view, configs[int(np.argmax(gains))])
        return [Proposal(changes, "the forest's largest expected improvement")] if changes else ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)

    def _sown(self, view: View, parameters: Sequence[Any], rng: Any) -> dict[str, Any]:
        """A third of the parameters, the least often moved first, a good step the rarer way."""
        gone = [move for t in view.trace for move in t.moves]
        often = {p.name: sum(name == p.name for name, _ in gone) for p in parameters}
        order = sorted(parameters, key=lambda p: (often[p.name], rng.random()))
        made = {}
        for p in order[: max(2, len(parameters) // 3)]:
            here = view.base[p.name]
            found = [(gone.count((p.name, way)), rng.random(), way) for way in p.directions]
            for _, _, way in sorted(found):
                value = step(p, here, way, rng.uniform(0.12, 0.3))
                if value is not None:
                    made[p.name] = value
                    break
        return made


def _offspring(parameters: Sequence[Any], best: Sequence[Trial], rng: Any) -> Config:
    """Of a run that is the more likely the better it was."""
    shares = 0.6 ** np.arange(len(best))
    shares /= shares.sum()
    made = dict(best[rng.choice(len(best), p=shares)].config)
    if rng.random() < 0.35:
        other = best[rng.integers(len(best))].config
        made.update({p.name: other[p.name] for p in parameters if rng.random() < 0.5})
    for n in rng.choice(len(parameters), min(len(parameters), rng.integers(1, 5)), replace=False):
        p = parameters[n]
        value = step(
            p,
            made[p.name],
            p.directions[rng.integers(len(p.directions))],
            0.4 * rng.random() ** 1.5,
        )
        if value is not None:
            made[p.name] = value
    return made


def _improvement(view: View, parameters: Any, configs: Sequence[Config], rng: Any) -> _Array:
    shown = best_and_latest(runs(view), _MOST)
    raw = np.array([np.nan if v is None else v for _, v in shown])
    low, spread = np.nanmin(raw), float(np.nanmedian(raw) - np.nanmin(raw)) or 1.0
    y = np.log1p((raw - low) / spread)
    y = np.where(np.isnan(y), np.nanmax(y) + 0.5, y)
    x = np.array([point(parameters, c) for c, _ in shown])
    points = np.array([point(parameters, c) for c in configs])
    votes, fitted = [], []
    for _ in range(_TREES):
        bag = np.unique(rng.integers(len(y), size=int(1.5 * len(y))))
        tree = _grown(x[bag], y[bag], rng)
        votes.append(_asked(tree, points))
        fitted.append(_asked(tree, x))
    mean, deviation = np.mean(votes, axis=0), np.std(votes, axis=0) + 0.03
    z = (np.mean(fitted, axis=0).min() - mean) / deviation
    return deviation * (z * norm.cdf(z) + norm.pdf(z))


def _grown(x: _Array, y: _Array, rng: Any) -> Any:
    """A leaf's mean, or (coordinate, cut, below, above)."""
    wide = np.flatnonzero(np.ptp(x, axis=0) > 1e-9)
    if len(y) <= _LEAF or not len(wide):
        return float(y.mean())
    best = None
    for n in rng.choice(wide, min(_TRIES, len(wide)), replace=False):
        cut = rng.uniform(x[:, n].min(), x[:, n].max())
        below = x[:, n] <= cut
        if below.all() or not below.any():
            continue
        left = below.sum() * y[below].var() + (~below).sum() * y[~below].var()
        if best is None or left < best[0]:
            best = (left, n, cut, below)
    if best is None:
        return float(y.mean())
    _, n, cut, below = best
    return n, cut, _grown(x[below], y[below], rng), _grown(x[~below], y[~below], rng)


def _asked(tree: Any, points: _Array) -> _Array:
    if isinstance(tree, float):
        return np.full(len(points), tree)
    n, cut, below, above = tree
    low = points[:, n] <= cut
    made = np.empty(len(points))
    made[low], made[~low] = _asked(below, points[low]), _asked(above, points[~low])
    return made
