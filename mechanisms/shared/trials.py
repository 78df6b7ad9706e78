"""What a trace says to a mechanism: what was tried, what was good, and where a candidate lands."""

from bilevel.errors import ConfigError, SpaceError
from bilevel.space import Config
from bilevel.trace import Proposal, Trial
from bilevel.view import View


def whole(mechanism: str, key: str, value: object, least: int) -> int:
    """Return a setting that must be a whole number of at least `least`. Raises ConfigError."""
    if type(value) is not int or value < least:
        expected = f"expected a whole number of at least {least}"
        raise ConfigError(f"{mechanism}: {key}={value!r}: {expected}")
    return value


def share(mechanism: str, key: str, value: object) -> float:
    """Return a setting that must be a number above 0 and at most 1. Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"{mechanism}: {key}={value!r}: expected a number in (0, 1]")
    return float(value)


def landing(view: View, candidate: Proposal) -> Config | None:
    """Return the configuration of a candidate; None where it has none."""
    if candidate.problem:
        return None
    try:
        return {**view.base, **view.space.check(candidate.changes)}
    except SpaceError:
        return None


def tried_moves(view: View) -> set[tuple[str, str]]:
    return {move for trial in view.trace for move in trial.moves}


def loss(view: View, trial: Trial) -> float | None:
    """Return the trial's value with its sign set so that lower is better."""
    return None if trial.value is None else view.objective.loss(trial.value)
