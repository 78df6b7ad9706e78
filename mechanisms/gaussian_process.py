"""Gaussian process: a model of what was measured says where improvement is to be expected."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.moves import ways
from bilevel.mechanisms.shared.surrogate import GaussianProcessModel
from bilevel.mechanisms.shared.trials import landing, loss, whole
from bilevel.space import Config, canonical
from bilevel.toolkit import open_parameters, step, tried
from bilevel.trace import FailureKind, Proposal
from bilevel.view import View


class GaussianProcess(Mechanism):
    """Every `every` trials, proposes and orders by the expected improvement under a surrogate.

    Fitted to the last `window` trials once there are `least` of them. A failed trial counts as
    the worst that was measured. Its own candidate is the best of `samples` drawn around the base,
    one to three parameters changed.

    Jones, Schonlau and Welch, "Efficient Global Optimization", Journal of Global Optimization 13,
    1998; with noise, the best predicted mean takes the best measurement's place (Picheny et al.,
    Structural and Multidisciplinary Optimization 48, 2013).
    """

    name: ClassVar[str] = "gaussian_process"

    def __init__(
        self, every: int = 2, least: int = 5, samples: int = 200, window: int = 150
    ) -> None:
        self.every = whole(self.name, "every", every, 1)
        self.least = whole(self.name, "least", least, 2)
        self.samples = whole(self.name, "samples", samples, 1)
        self.window = whole(self.name, "window", window, 2)

    def propose(self, view: View) -> Sequence[Proposal]:
        surrogate = self._fitted(view)
        if surrogate is None:
            return ()
        seen, drawn = tried(view), {}
        for _ in range(self.samples):
            changes = _drawn(view)
            text = canonical({**view.base, **changes})
            if text not in seen:
                drawn[text] = changes
        if not drawn:
            return ()
        pool = list(drawn.values())
        gains = surrogate.improvement([{**view.base, **changes} for changes in pool])
        return [Proposal(pool[int(np.argmax(gains))], f"expected improvement {max(gains):.3g} sd")]

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        surrogate = self._fitted(view) if len(candidates) > 1 else None
        if surrogate is None:
            return candidates
        gains = []
        for candidate in candidates:
            after = landing(view, candidate)
            gains.append(-1.0 if after is None else surrogate.improvement([after])[0])
        order = sorted(range(len(candidates)), key=lambda place: -gains[place])
        return [candidates[place] for place in order]

    def _fitted(self, view: View) -> GaussianProcessModel | None:
        if view.trial % self.every or not open_parameters(view):
            return None
        shown: list[tuple[Config, float | None]] = []
        for trial in view.trace[-self.window :]:
            failure = trial.outcome.failure
            invalid = failure is not None and failure.kind is FailureKind.INVALID_PROPOSAL
            if not invalid and trial.duplicate_of is None:
                shown.append((trial.config, loss(view, trial)))
        valued = [value for _, value in shown if value is not None]
        if len(shown) < self.least or len(set(valued)) < 2:
            return None
        worst = max(valued)
        losses = [worst if value is None else value for _, value in shown]
        return GaussianProcessModel(view.space.active, [config for config, _ in shown], losses)


def _drawn(view: View) -> dict[str, Any]:
    """Return changes of one to three open parameters, each drawn anew or moved by a random step."""
    rng, parameters = view.rng, open_parameters(view)
    changes: dict[str, Any] = {}
    for parameter in rng.sample(parameters, min(rng.randint(1, 3), len(parameters))):
        size = 2 ** -rng.uniform(1, 6)
        moved = step(parameter, view.base[parameter.name], rng.choice(ways(parameter)), size)
        fresh = moved is None or rng.random() < 0.5
        value = parameter.sample(rng) if fresh else moved
        if value != view.base[parameter.name]:
            changes[parameter.name] = value
    return changes
