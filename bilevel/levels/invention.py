"""What a level-2 session came to: a mechanism, or why there is none, with everything tried."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bilevel.admission import Admission

_WORD = re.compile(r"[a-z]{5,}")


@dataclass(frozen=True)
class Attempt:
    """One source, and how far it came."""

    source: str
    admission: Admission

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "admission": self.admission.to_json()}


@dataclass(frozen=True)
class Invention:
    """`problem` tells why there is no mechanism to attach; `domain` is the field that the idea was
    taken from, `domain_in_prompt` whether the prompt had suggested it."""

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

    def to_json(self) -> dict[str, Any]:
        """What a proposal carries and a journal keeps."""
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


def told(mechanism: Mapping[str, Any]) -> str:
    """One line on what a proposal's mechanism came to, for people and for the next session."""
    if mechanism["admitted"]:
        said = f"{mechanism['name']} from {mechanism['domain']}: {mechanism['behaviour']}"
    else:
        name, tries = mechanism["name"] or "nothing", len(mechanism["attempts"])
        said = f"{name}, {tries} texts, not admitted: {mechanism['problem']}"
    return " ".join(said.split())


def suggested(domain: str, prompt: str) -> bool:
    """Whether every word of five letters or more that names the domain stands in the prompt."""
    known = set(_WORD.findall(prompt.lower()))
    named = _WORD.findall(domain.lower())
    return bool(named) and all(word in known for word in named)
