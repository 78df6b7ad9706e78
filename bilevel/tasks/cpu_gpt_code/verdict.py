"""What the evaluator found of one trial, as it is written down: a value, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from bilevel.trace import FailureKind

FILE = "verdict.json"


@dataclass(frozen=True)
class Verdict:
    """The evaluator's result of one trial. `kind` and `reason` tell why it has no value,
    `output` is the end of what the script printed; `hashes` name everything that decided it,
    `layer` what confined it, `checks` what was asked of the model; `clock` is processor time,
    which varies between runs."""

    value: float | None
    kind: FailureKind | None = None
    reason: str = ""
    output: str = ""
    modelled_s: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    checks: Mapping[str, float] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    layer: str = ""
    clock: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": "counts" if self.kind is None else "does not count",
            "value": self.value,
            "kind": None if self.kind is None else str(self.kind),
            "reason": self.reason,
            "output": self.output,
            "modelled_s": self.modelled_s,
            "metrics": dict(self.metrics),
            "counts": dict(self.counts),
            "checks": dict(self.checks),
            "hashes": dict(self.hashes),
            "layer": self.layer,
            "clock": dict(self.clock),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        fields = {name: part for name, part in data.items() if name != "verdict"}
        kind = fields["kind"]
        return cls(**{**fields, "kind": None if kind is None else FailureKind(kind)})


class RunRefused(Exception):
    """Raised where a run has no value, with the kind and reason of the failure."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def cheated(reason: str) -> RunRefused:
    """A run whose answers do not count, whatever they are."""
    return RunRefused(FailureKind.INVALID_PROPOSAL, reason)
