"""What a trace says to a sampler: every configuration that was tried, with a number for it."""

from bilevel.space import Config
from bilevel.trace import FailureKind, Trial
from bilevel.view import View

MARGIN = 10.0  # by how much of the values' size or range a failure is worse than the worst


class Results:
    """Remembers what it has told; the same trace is told in the same way."""

    def __init__(self) -> None:
        self._told = 0
        self._losses: list[float] = []

    def news(self, view: View) -> list[tuple[Config, float]]:
        """The configurations tried since the last call, each with a loss (lower is better).

        A failure counts as worse than the worst value so far by a wide margin, so that samplers,
        which go by rank, keep away. Left out are re-tests, whose other seed makes them no match
        for the rest, and proposals that stood for no configuration.
        """
        fresh = [t for t in view.trace[self._told :] if t.retest_of is None and was_tried(t)]
        self._told = len(view.trace)
        return [(trial.config, self._loss(view, trial)) for trial in fresh]

    def _loss(self, view: View, trial: Trial) -> float:
        if trial.value is not None:
            self._losses.append(view.objective.loss(trial.value))
            return self._losses[-1]
        worst, best = max(self._losses, default=0.0), min(self._losses, default=0.0)
        return worst + MARGIN * max(worst - best, abs(worst), 1.0)


def was_tried(trial: Trial) -> bool:
    """A refused proposal leaves its trial with the configuration it was built on."""
    failure = trial.outcome.failure
    refused = failure is not None and failure.kind is FailureKind.INVALID_PROPOSAL
    return not refused or bool(trial.moves)
