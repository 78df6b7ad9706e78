"""The records of a search: proposals, outcomes, decisions, and the trace that orders them.

Every record is frozen through and through: its mappings and sequences are read-only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from bilevel.frozen import frozen
from bilevel.invention import Invention
from bilevel.space import Config, canonical


class FailureKind(StrEnum):
    """Why a trial has no value."""

    INVALID_PROPOSAL = "invalid_proposal"
    DIVERGENCE = "divergence"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    NO_METRIC = "no_metric"
    CRASH = "crash"


@dataclass(frozen=True)
class Failure:
    """A classified failure, with a sentence that a proposer can learn from."""

    kind: FailureKind
    detail: str


@dataclass(frozen=True)
class Proposal:
    """Changes to a parent configuration and why; an empty one runs the parent as it is.

    `problem` tells why a proposer's reply could not be used: the trial is charged and fails.
    `rejected` is set by a mechanism that drops a candidate in review, as the reason why.
    `mechanism` is what level 2 proposes, whether the gates let it in or not.
    """

    changes: Mapping[str, object]
    hypothesis: str = ""
    origin: str = ""
    prompt: str = ""
    problem: str = ""
    rejected: str = ""
    mechanism: Invention | None = None

    def __post_init__(self) -> None:
        _freeze(self, "changes")

    def reject(self, reason: str) -> Self:
        return replace(self, rejected=reason)

    def to_json(self) -> dict[str, Any]:
        return {
            "changes": dict(self.changes),
            "hypothesis": self.hypothesis,
            "origin": self.origin,
            "prompt": self.prompt,
            "problem": self.problem,
            **({"mechanism": self.mechanism.to_json()} if self.mechanism else {}),
        }


@dataclass(frozen=True)
class Outcome:
    """The result of an evaluation: a value or a classified failure, and its cost.

    `cost` counts what is the same on every machine (modelled seconds, steps); `clock` what is not
    (wall seconds, whether a cache answered), and is left out when journals are compared. `notes`
    are short texts worth keeping: the script's diff, the end of a failed run's output.
    """

    value: float | None
    failure: Failure | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    clock: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            raise ValueError("an outcome has either a value or a failure")
        _freeze(self, "metrics", "cost", "clock", "notes")

    @classmethod
    def failed(cls, kind: FailureKind, detail: str, **rest: Any) -> Self:
        return cls(None, Failure(kind, detail), **rest)

    def to_json(self) -> dict[str, Any]:
        failure = self.failure
        return {
            "value": self.value,
            "failure": failure and {"kind": str(failure.kind), "detail": failure.detail},
            "metrics": dict(self.metrics),
            "cost": dict(self.cost),
            "clock": dict(self.clock),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        fields = dict(data)
        failure = fields["failure"]
        if failure is not None:
            fields["failure"] = Failure(FailureKind(failure["kind"]), failure["detail"])
        return cls(**fields)


class Decision(StrEnum):
    """The verdict on a trial; the baseline is kept by definition."""

    KEEP = "keep"
    DISCARD = "discard"
    FAIL = "fail"


@dataclass(frozen=True)
class Trial:
    """One charged evaluation. `parent`, `duplicate_of` and `retest_of` are trial numbers.

    A re-test measures an incumbent again on another seed; discarded, it refutes that incumbent.
    `caused_by` names the mechanisms without any one of which another candidate, or another parent,
    would have been tried here; `displaced` are the changes that would have been tried without all
    of them, where those differ.
    """

    number: int
    parent: int | None
    proposal: Proposal
    config: Config
    seed: int
    outcome: Outcome
    decision: Decision
    duplicate_of: int | None = None
    moves: frozenset[tuple[str, str]] = frozenset()
    retest_of: int | None = None
    caused_by: tuple[str, ...] = ()
    displaced: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        _freeze(self, "config", "displaced")

    @property
    def value(self) -> float | None:
        return self.outcome.value

    @property
    def kept(self) -> bool:
        """Whether it became the incumbent, which a re-test does not."""
        return self.decision is Decision.KEEP and self.retest_of is None

    @property
    def refutes(self) -> int | None:
        """The trial that this re-test found to be luck."""
        return self.retest_of if self.decision is Decision.DISCARD else None


@dataclass(frozen=True)
class Objective:
    """The metric a task answers with, and which way is better."""

    metric: str
    direction: str = "minimize"

    def better(self, value: float, than: float) -> bool:
        return self.loss(value) < self.loss(than)

    @property
    def wanted(self) -> str:
        """Which values are better, as prompts say it."""
        return "lower" if self.direction == "minimize" else "higher"

    def loss(self, value: float) -> float:
        """The value, turned so that lower is better."""
        return value if self.direction == "minimize" else -value

    def gain(self, before: float, after: float) -> float:
        """By how much `after` is better."""
        return self.loss(before) - self.loss(after)


class Trace(Sequence[Trial]):
    """The trials of one loop in order: an immutable picture that grows by `plus` in O(1)."""

    def __init__(self, trials: Sequence[Trial] = ()) -> None:
        self._shared = list(trials)
        self._length = len(self._shared)

    def plus(self, trial: Trial) -> "Trace":
        """This trace and one more trial; the storage is shared, this picture stays as it is."""
        grown = Trace.__new__(Trace)
        fresh = self._length == len(self._shared)
        grown._shared = self._shared if fresh else self._shared[: self._length]
        grown._shared.append(trial)
        grown._length = self._length + 1
        return grown

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self._shared[: self._length][index])
        if not -self._length <= index < self._length:
            raise IndexError(f"trial {index} of {self._length}")
        return self._shared[index % self._length]

    def __iter__(self) -> Iterator[Trial]:
        return (self._shared[i] for i in range(self._length))

    @property
    def standing(self) -> tuple[Trial, ...]:
        """The kept trials that no re-test refuted, in order: the last one is the incumbent."""
        found: list[Trial] = []
        for trial in self:
            if trial.kept:
                found.append(trial)
            elif trial.refutes is not None:
                found = [one for one in found if one.number != trial.refutes]
        return tuple(found)

    def best(self, objective: Objective) -> Trial | None:
        """The standing trial with the best value ever, whatever the incumbent is now."""
        valued = [trial for trial in self.standing if trial.value is not None]
        return min(valued, key=lambda trial: objective.loss(trial.value or 0.0), default=None)


def elites(trials: Sequence[Trial], objective: Objective, count: int) -> list[Trial]:
    """The best trials with different configurations, kept or not, best first."""
    valued = [(objective.loss(t.value), t.number, t) for t in trials if t.value is not None]
    found: dict[str, Trial] = {}
    for _, _, trial in sorted(valued, key=lambda entry: entry[:2]):
        found.setdefault(canonical(dict(trial.config)), trial)
    return list(found.values())[:count]


def _freeze(record: Any, *names: str) -> None:
    for name in names:
        object.__setattr__(record, name, frozen(getattr(record, name)))
