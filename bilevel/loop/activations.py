"""The activation ledger: every hook call, what it changed, and whether a mechanism is alive."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bilevel.view import Standing

COIN = "coin"  # the row that says whether a mechanism on probation was on in a round


class Effect(StrEnum):
    """The effect of one hook call on the step of the loop that it was called in."""

    DECISION = "decision"  # another candidate tried, another parent, another verdict: see `Rules`
    PROMPT = "prompt"  # what the proposer read; whether it then proposed otherwise is not known
    NONE = "none"
    ERROR = "error"


class Liveness(StrEnum):
    """The state of a mechanism, by all its hook calls: live, prompted, on probation or dead."""

    LIVE = "live"
    PROMPTED = "prompted"
    PROBATION = "on probation"
    DEAD = "dead"


@dataclass(frozen=True)
class HookCall:
    """A row of the activation ledger: one hook call, what it did, and what would have happened
    without it.

    An error's text may hold addresses and times; only its kind is compared between journals.
    """

    trial: int
    mechanism: str
    hook: str
    effect: Effect
    did: str = ""
    without: str = ""
    error: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "trial": self.trial,
            "mechanism": self.mechanism,
            "hook": self.hook,
            "effect": str(self.effect),
            "did": self.did,
            "without": self.without,
            "error": self.error.partition(":")[0],
            "clock": {"seconds": self.seconds, "error": self.error},
        }


class ActivationLedger:
    """All hook calls of one loop, in order."""

    def __init__(self, probation: int = 10) -> None:
        self.probation = probation
        self._rows: list[HookCall] = []
        self._by_trial: dict[int, list[HookCall]] = {}

    def add(self, call: HookCall) -> None:
        self._rows.append(call)
        self._by_trial.setdefault(call.trial, []).append(call)

    def decided(self, trial: int, mechanism: str, hook: str, did: str, without: str) -> None:
        """Marks the latest call of this hook in this round as a decision."""
        rows = self._by_trial[trial]
        place = max(n for n, r in enumerate(rows) if (r.mechanism, r.hook) == (mechanism, hook))
        old = rows[place]
        rows[place] = replace(old, effect=Effect.DECISION, did=did, without=without)
        self._rows[next(n for n, row in enumerate(self._rows) if row is old)] = rows[place]

    def of_trial(self, trial: int) -> tuple[HookCall, ...]:
        return tuple(self._by_trial.get(trial, ()))

    def rows(self, mechanism: str | None = None) -> tuple[HookCall, ...]:
        return tuple(r for r in self._rows if mechanism in (None, r.mechanism))

    def errors(self, mechanism: str) -> int:
        return sum(1 for r in self._rows if r.mechanism == mechanism and r.effect is Effect.ERROR)

    def last_error(self, mechanism: str) -> str:
        return next((r.error for r in reversed(self.rows(mechanism)) if r.error), "")

    def liveness(self, mechanism: str, trials: int) -> Liveness:
        """Returns live if it ever changed a decision, prompted if it only changed what was read,
        else dead.

        `trials` is how many trials it has been attached for; before the end of probation none is
        dead.
        """
        effects = {row.effect for row in self.rows(mechanism)}
        if Effect.DECISION in effects:
            return Liveness.LIVE
        if Effect.PROMPT in effects:
            return Liveness.PROMPTED
        return Liveness.DEAD if trials >= self.probation else Liveness.PROBATION

    def counts(self, mechanism: str) -> dict[str, int]:
        """Returns how often each effect of each hook happened, as `hook.effect` -> count."""
        return dict(Counter(_labels(self.rows(mechanism))))


def account(one: Standing) -> str:
    """Returns a mechanism's state in words: one that did nothing but raise has failed, not only
    died."""
    failed = sum(n for label, n in one.counts.items() if label.endswith(f".{Effect.ERROR}"))
    if not failed:
        return one.state
    raised = f"raised in {failed} of {sum(one.counts.values())} hook calls"
    helpless = one.state in (Liveness.DEAD, Liveness.PROBATION)
    return f"failed: {raised}" if helpless else f"{one.state}, {raised}"


def _labels(rows: Iterable[HookCall]) -> Iterable[str]:
    return (f"{row.hook}.{row.effect}" for row in rows)
