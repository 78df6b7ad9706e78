"""Bandit: moves of several sizes compete for trials by what their kind has earned so far."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.moves import distance, ways
from bilevel.mechanisms.shared.trials import landing, whole
from bilevel.parameters import Parameter, Value
from bilevel.randomness import keyed
from bilevel.space import Config, canonical
from bilevel.toolkit import open_parameters, step, tried
from bilevel.trace import Proposal
from bilevel.view import View

_Arm = tuple[str, str, str]  # parameter, direction, scale
_SCALES: Mapping[str, float] = {"small": 1 / 32, "medium": 1 / 8, "large": 1 / 2}
_NEIGHBOUR = 0.5  # what evidence for one scale counts for the other scales of the same move


class Bandit(Mechanism):
    """Every `every` trials, proposes the move, and orders the candidates, by Thompson sampling.

    An arm is (parameter, direction, scale) and is won by being kept. Its success rate has a Beta
    posterior around the whole search's rate, so that many arms can be told apart in few trials.

    Thompson, Biometrika 25, 1933; Chapelle and Li, "An Empirical Evaluation of Thompson
    Sampling", NeurIPS 2011. Arms as moves of several step sizes follow adaptive operator
    selection: Fialho et al., Annals of Mathematics and Artificial Intelligence 60, 2010.
    """

    name: ClassVar[str] = "bandit"

    def __init__(self, every: int = 3) -> None:
        self.every = whole(self.name, "every", every, 1)

    def propose(self, view: View) -> Sequence[Proposal]:
        if not view.trace or view.trial % self.every:
            return ()
        draws, seen = _Draws(view), tried(view)
        ranked = sorted(_arms(view), key=lambda entry: -draws[entry[0]])
        for (name, way, scale), value in ranked:
            if canonical({**view.base, name: value}) not in seen:
                return [Proposal({name: value}, f"bandit: a {scale} step of {name} {way}")]
        return ()

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        if view.trial % self.every or len(candidates) < 2:
            return candidates
        draws = _Draws(view)
        return sorted(candidates, key=lambda candidate: -_score(view, candidate, draws))


class _Draws:
    """One draw of every arm's success rate, the same at every hook of a trial."""

    def __init__(self, view: View) -> None:
        self._key = (view.seed, view.level, view.trial, "bandit/draws")
        self._won: dict[_Arm, float] = {}
        self._lost: dict[_Arm, float] = {}
        told = [t for t in view.trace if t.parent is not None and t.duplicate_of is None]
        self._rate = (1 + sum(t.kept for t in told)) / (2 + len(told))
        for trial in told:
            record = self._won if trial.kept else self._lost
            for arm in _arms_between(view, view.trace[trial.parent].config, trial.config):
                for scale in _SCALES:
                    near = (*arm[:2], scale)
                    record[near] = record.get(near, 0.0) + (1.0 if near == arm else _NEIGHBOUR)

    def __getitem__(self, arm: _Arm) -> float:
        rng = keyed(*self._key, *arm)
        won, lost = self._won.get(arm, 0.0), self._lost.get(arm, 0.0)
        return rng.betavariate(2 * self._rate + won, 2 * (1 - self._rate) + lost)


def _score(view: View, candidate: Proposal, draws: _Draws) -> float:
    """Return the mean draw of a candidate's moves; candidates that cannot run are last."""
    after = landing(view, candidate)
    arms = [] if after is None else list(_arms_between(view, view.base, after))
    return math.fsum(draws[arm] for arm in arms) / len(arms) if arms else -1.0


def _arms(view: View) -> Iterator[tuple[_Arm, Value]]:
    """Yields every arm available from the base, with the value it leads to."""
    for parameter in open_parameters(view):
        before = view.base[parameter.name]
        for way in ways(parameter):
            found: dict[str, Value] = {}
            for size in _SCALES.values():
                value = step(parameter, before, way, size)
                if value is not None:
                    found.setdefault(_scale(parameter, before, value), value)
            yield from (((parameter.name, way, scale), value) for scale, value in found.items())


def _arms_between(view: View, before: Config, after: Config) -> Iterator[_Arm]:
    for name, way in sorted(view.space.moves(before, after)):
        yield name, way, _scale(view.space[name], before[name], after[name])


def _scale(parameter: Parameter, before: Value, after: Value) -> str:
    """Return the scale whose size is nearest to this step's, by ratio."""
    size = max(distance(parameter, before, after), 1e-9)
    return min(_SCALES, key=lambda scale: abs(math.log(size / _SCALES[scale])))
