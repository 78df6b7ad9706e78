"""A proposer without a model: it repeats the changes of earlier proposals in the trace."""

from collections.abc import Sequence
from random import Random
from typing import Any

from bilevel.errors import SpaceError
from bilevel.parameters import Value
from bilevel.space import Config, SearchSpace
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View

_WINDOW = 300  # of the latest trials


class Resampling:
    """Proposes the changes of a random earlier proposal on the present parent.

    Where they would change nothing, and otherwise half of the time, the same parameters get new
    values, so that a search can leave what its trace has tried. A trace without proposals gives any
    parameter.
    """

    def __init__(self, view: View) -> None:
        self.settings: SearchSpace = view.settings_space
        self._known = [made for t in view.trace[-_WINDOW:] if (made := _legal(t, view.space))]

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        rng = view.rng
        active = view.space.active
        if not active:
            return [Proposal({}, "nothing is open", origin="resampled")]
        drawn: dict[str, Any] = rng.choice(self._known) if self._known else {}
        if not drawn:
            drawn = {rng.choice(active).name: None}
        again = _differing(view.base, drawn)
        changes = again if again and rng.random() < 0.5 else _renewed(view, drawn, rng)
        return [Proposal(changes, "resampled from the trace", origin="resampled")]


def _legal(trial: Trial, space: SearchSpace) -> dict[str, Value]:
    """Returns what an earlier proposal changed; empty where that was not legal."""
    try:
        return dict(space.check(trial.proposal.changes))
    except SpaceError:
        return {}


def _differing(base: Config, changes: dict[str, Any]) -> dict[str, Value]:
    return {n: v for n, v in changes.items() if v is not None and v != base[n]}


def _renewed(view: View, names: dict[str, Any], rng: Random) -> dict[str, Value]:
    """Returns new values for these parameters, of a few draws, as some kinds have few values."""
    for _ in range(5):
        drawn = {name: view.space[name].sample(rng) for name in names}
        if changes := _differing(view.base, drawn):
            return changes
    return {}
