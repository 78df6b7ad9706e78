"""What a trace says to a sampler: every configuration that was tried, with a number for it."""

from bilevel.errors import ConfigError
from bilevel.frozen import frozen
from bilevel.space import Config
from bilevel.trace import FailureKind, Trial
from bilevel.view import View

FAR, NEAR = "far", "near"
_MARGIN = 10.0  # far: by how much of the values' size or range a failure is worse than the worst
_FIRST = 0.1  # near, while there is no range yet: by how much of the values' size


class Results:
    """The results of a trace as losses for a sampler, each given once; the same trace gives the
    same.

    A failure counts as worse than the worst value so far: `far` by ten times the values' size or
    range, for samplers that go by rank, `near` by their range, for those that fit the values.
    """

    def __init__(self, failures: str = FAR) -> None:
        if failures not in (FAR, NEAR):
            raise ConfigError(f"failures={failures!r}: expected {FAR} or {NEAR}")
        self._failures = failures
        self._told = 0
        self._losses: list[float] = []

    def news(self, view: View) -> list[tuple[Config, float]]:
        """Return the configurations tried since the last call, each with a loss (lower is better).

        Re-tests are left out, since another seed makes them incomparable, and so are proposals
        without a configuration.
        """
        fresh = [t for t in view.trace[self._told :] if t.retest_of is None and was_tried(t)]
        self._told = len(view.trace)
        return [(trial.config, self._loss(view, trial)) for trial in fresh]

    def _loss(self, view: View, trial: Trial) -> float:
        if trial.value is not None:
            self._losses.append(view.objective.loss(trial.value))
            return self._losses[-1]
        worst, best = max(self._losses, default=0.0), min(self._losses, default=0.0)
        if self._failures == FAR:
            return worst + _MARGIN * max(worst - best, abs(worst), 1.0)
        return worst + (worst - best or _FIRST * max(abs(worst), 1.0))


def was_tried(trial: Trial) -> bool:
    """Return whether the trial's configuration was evaluated; a refused proposal's trial has its
    parent's."""
    failure = trial.outcome.failure
    refused = failure is not None and failure.kind is FailureKind.INVALID_PROPOSAL
    return not refused or bool(trial.moves)


def drawn_once(view: View, config: Config) -> Config:
    """Return the configuration that the journal holds for this trial, or record and return this
    one."""
    found = view.recall(f"drawn/{view.purpose}", {}, lambda: {"config": dict(config)})
    drawn: Config = frozen(found["config"])
    return drawn
