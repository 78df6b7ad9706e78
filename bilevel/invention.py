"""The proposals of level 2: a mechanism's text, how it came about, and the verdicts of the
gates."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class GateVerdict:
    """The verdict of one gate: the reason of a refusal, or the finding where it passed."""

    gate: str
    passed: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Admission:
    """The verdicts of the gates in order; a refusal is the last one.

    `name`, `carrier` and `hooks` are empty where the gates stopped before they were known.
    """

    admitted: bool
    verdicts: tuple[GateVerdict, ...]
    name: str = ""
    carrier: str = ""
    hooks: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """The gate that refused and its reason; empty for an admitted mechanism."""
        refusals = [f"{v.gate}: {v.reason}" for v in self.verdicts if not v.passed]
        return refusals[0] if refusals else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "admitted": self.admitted,
            "name": self.name,
            "carrier": self.carrier,
            "hooks": list(self.hooks),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        verdicts = tuple(GateVerdict(**verdict) for verdict in data["verdicts"])
        rest = {"verdicts": verdicts, "hooks": tuple(data["hooks"])}
        return cls(**{**data, **rest})


@dataclass(frozen=True)
class Attempt:
    """One text of a mechanism with its admission."""

    source: str
    admission: Admission

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "admission": self.admission.to_json()}


@dataclass(frozen=True)
class Invention:
    """The result of a session of level 2, admitted or not.

    `problem` is why there is no mechanism to attach; `domain` is the field that the idea was taken
    from, `domain_in_prompt` whether the prompt had suggested it.
    """

    name: str = ""
    carrier: str = ""
    domain: str = ""
    domain_in_prompt: bool = False
    bottleneck: str = ""
    behaviour: str = ""
    attempts: tuple[Attempt, ...] = ()
    problem: str = ""

    @property
    def hooks(self) -> tuple[str, ...]:
        return self.attempts[-1].admission.hooks if self.attempts else ()

    @property
    def source(self) -> str:
        """The last text that was written, admitted or not."""
        return self.attempts[-1].source if self.attempts else ""

    @property
    def admitted(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].admission.admitted

    @property
    def summary(self) -> str:
        """One line on the result, for people and for the next session."""
        if self.admitted:
            said = f"{self.name} from {self.domain}: {self.behaviour}"
        else:
            tries = f"{self.name or 'nothing'}, {len(self.attempts)} texts"
            said = f"{tries}, not admitted: {self.problem}"
        return " ".join(said.split())

    def to_json(self) -> dict[str, Any]:
        """Returns the invention as a journal and a tracker keep it."""
        return {
            "name": self.name,
            "carrier": self.carrier,
            "hooks": list(self.hooks),
            "admitted": self.admitted,
            "problem": self.problem,
            "domain": self.domain,
            "domain_in_prompt": self.domain_in_prompt,
            "bottleneck": self.bottleneck,
            "behaviour": self.behaviour,
            "source": self.source,
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }
