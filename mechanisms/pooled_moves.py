"""Pooled moves: many share one trial, and which of them helped is worked out afterwards."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from bilevel.mechanism import Mechanism
from bilevel.parameters import Choice, Value
from bilevel.space import canonical
from bilevel.toolkit import measured, mine_first, open_parameters, owners, point, runs, step, tried
from bilevel.trace import Proposal
from bilevel.view import View

_Array = Any
_WIDE, _NARROW = 0.3, 0.04  # the step, of a range
_GROWS, _SHRINKS = 1.25, 0.88  # so that a success in three or so leaves it as it is
_REACH = 0.35  # of a range: a difference measured farther away says less of here
_DRAWS = 40


class PooledMoves(Mechanism):
    """Every trial, a pool of moves with the most expected gain under a draw of their effects.

    The effects of small moves at the base are a ridge regression on every run, near ones weighing
    more, so that a pool that got worse turns the signs of its moves, one by one as other pools
    tell them apart. A pool is half of the moves at first: it grows after a success, and is halved
    after a failure or two losses in a row (with a step that shrinks), down to single moves.

    Written by a language model that was asked freely for a mechanism for any task. Dorfman, "The
    detection of defective members of large populations", Annals of Mathematical Statistics 14(4),
    1943; mirrored samples as in Brockhoff et al., PPSN 2010.
    """

    name: ClassVar[str] = "pooled_moves"

    def propose(self, view: View) -> Sequence[Proposal]:
        parameters = open_parameters(view)
        if not parameters or not measured(view):
            return ()
        size, pooled = _scheduled(view, len(parameters))
        rng = np.random.default_rng(view.rng.randrange(2**32))
        moves = []
        for p in parameters:
            for way in p.directions:
                value = step(p, view.base[p.name], way, size * 2 ** rng.uniform(-0.5, 0.5))
                if value is not None:
                    moves.append((p.name, way, value))
        if not moves:
            return ()
        base = np.array(point(parameters, view.base))
        changes = [{name: value} for name, _, value in moves]
        steps = np.array([np.array(point(parameters, {**view.base, **c})) - base for c in changes])
        mean, root = _effects(view, parameters, base, size)
        seen = tried(view)
        for attempt in range(_DRAWS):
            drawn = mean + (1 + 0.1 * attempt) * root @ rng.standard_normal(len(mean))
            gains = -(steps @ drawn)
            pool: dict[str, Value] = {}
            for n in np.argsort(-gains, kind="stable"):
                name, _, value = moves[n]
                if name not in pool and (gains[n] > 0 or not pool) and len(pool) < pooled:
                    pool[name] = value
            if canonical({**view.base, **pool}) not in seen:
                return [Proposal(pool, f"a pool of {len(pool)} moves, step {size:.2f}")]
        return ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)


def _scheduled(view: View, count: int) -> tuple[float, int]:
    """The step and how many moves share a test, from how the tests so far went."""
    size, pooled, lost = 0.18, max(2.0, count / 2), 0
    for trial in view.trace[1:]:
        if trial.proposal.origin != PooledMoves.name:
            continue
        if trial.kept:
            size, pooled, lost = size * _GROWS, pooled * 1.2, 0
        elif trial.value is None:
            size, pooled, lost = size * 0.8, pooled / 2, 0
        else:
            size, lost = size * _SHRINKS, lost + 1
            if lost % 2 == 0:
                pooled /= 1.5
        size, pooled = min(max(size, _NARROW), _WIDE), min(max(pooled, 1.0), 0.7 * count)
        if lost and lost % 7 == 0:  # stuck: as at first
            size, pooled = 0.2, max(2.0, count / 3)
    return size, max(1, round(pooled))


def _effects(view: View, parameters: Any, base: _Array, size: float) -> tuple[_Array, _Array]:
    """The posterior of the effect of each coordinate around the base: a mean and a root."""
    shown = runs(view)
    values = [v for _, v in shown if v is not None]
    low, spread = min(values), (float(np.median(values)) - min(values)) or float(np.std(values))
    spread = spread or 1.0
    bad = max(low + 3 * spread, low)
    again = (v for c, v in reversed(shown) if v is not None and dict(c) == dict(view.base))
    here = next(again, low)
    at = np.array([point(parameters, c) for c, _ in shown]) - base
    losses = np.array([bad if v is None else min(v, bad) for _, v in shown])
    y = (losses - here) / spread
    gaps = np.abs(at)
    numeric = np.array([not isinstance(parameters[n], Choice) for n in owners(parameters)])
    # a bowl's own part, the same for all: what is far is worse whichever way it lies
    bowl = (at[:, numeric] ** 2).sum(1)
    features = np.hstack([np.ones((len(at), 1)), bowl[:, None], at])
    distance = np.sqrt((np.minimum(gaps, 1) ** 2).mean(1)) / _REACH
    noise = 0.2 + 0.8 * distance**2 + 0.2 * np.abs(y)
    prior = np.concatenate([[0.5, 2.0], np.where(numeric, 3.0, 0.7)])
    ahead = np.concatenate([[0.0, 1.5], np.zeros(len(base))])
    weighted = features / noise[:, None]
    precision = weighted.T @ weighted + np.diag(prior**-2.0)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (weighted.T @ (y / noise) + ahead / prior**2)
    inner = covariance[2:, 2:]
    spectrum, vectors = np.linalg.eigh((inner + inner.T) / 2)
    return mean[2:], vectors * np.sqrt(np.clip(spectrum, 0, None))
