"""Crash memory: what crashed is not tried again, nor what lies close beside it."""

from collections.abc import Sequence
from typing import ClassVar

from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.moves import distance
from bilevel.mechanisms.shared.trials import landing, share
from bilevel.space import Config
from bilevel.trace import FailureKind, Proposal, Trial
from bilevel.view import View


class CrashMemory(Mechanism):
    """Rejects candidates within `radius` of a crash in all the parameters that explain it.

    A crash is explained by what its configuration changed in a parent that ran. `radius` is a
    part of a parameter's range. An explanation is dropped once something ran as close to it.

    The difference of a passing and a failing run as the explanation: Zeller and Hildebrandt,
    IEEE Transactions on Software Engineering 28(2), 2002. Learning where evaluation fails:
    Gelbart, Snoek and Adams, "Bayesian Optimization with Unknown Constraints", UAI 2014.
    """

    name: ClassVar[str] = "crash_memory"

    def __init__(self, radius: float = 0.1) -> None:
        self.radius = share(self.name, "radius", radius)

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        crashes = [trial for trial in view.trace if _crashed(trial)]
        if not crashes:
            return candidates
        return [self._judged(view, candidate, crashes) for candidate in candidates]

    def _judged(self, view: View, candidate: Proposal, crashes: Sequence[Trial]) -> Proposal:
        after = landing(view, candidate)
        if after is None:
            return candidate
        for crash in crashes:
            names = _explanation(view, crash)
            ran = (t for t in view.trace if t.value is not None)
            if not names or not self._near(view, names, crash.config, after):
                continue
            if any(self._near(view, names, crash.config, t.config) for t in ran):
                continue
            failure = crash.outcome.failure
            detail = "failed" if failure is None else f"{failure.kind}: {failure.detail}"
            where = ", ".join(f"{name}={crash.config[name]!r}" for name in names)
            return candidate.reject(f"too close to trial {crash.number} ({where}), {detail}")
        return candidate

    def _near(self, view: View, names: Sequence[str], one: Config, other: Config) -> bool:
        return all(distance(view.space[n], one[n], other[n]) <= self.radius for n in names)


def _crashed(trial: Trial) -> bool:
    failure = trial.outcome.failure
    return failure is not None and failure.kind is not FailureKind.INVALID_PROPOSAL


def _explanation(view: View, crash: Trial) -> list[str]:
    """Return the parameters in which a crash differs from its parent, or from the baseline if
    that failed."""
    parent = view.trace[crash.parent or 0]
    ran = parent.config if parent.value is not None else view.space.baseline
    return [name for name, value in crash.config.items() if value != ran[name]]
