"""The proposals of level 2: a mechanism's text, how it came about, and the verdicts of the
gates."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from bilevel.frozen import frozen


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
    from, `domain_in_prompt` whether the prompt had suggested it. `screening` is what came of all
    candidates where several were written: the rest is that of the one that was chosen, if any.
    """

    name: str = ""
    carrier: str = ""
    domain: str = ""
    domain_in_prompt: bool = False
    bottleneck: str = ""
    behaviour: str = ""
    attempts: tuple[Attempt, ...] = ()
    problem: str = ""
    screening: "Screening | None" = None

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
    def written(self) -> "tuple[Invention, ...]":
        """Every mechanism that was written: the candidates, or this one."""
        if self.screening is None:
            return (self,)
        return tuple(one.made for one in self.screening.candidates)

    @property
    def summary(self) -> str:
        """One line on the result, for people and for the next session."""
        if self.admitted:
            field = f" from {self.domain}" if self.domain else ""
            said = f"{self.name}{field}: {self.behaviour}"
        elif self.screening is not None:
            said = f"nothing of {len(self.screening.candidates)} candidates: {self.problem}"
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
            **({"screening": self.screening.to_json()} if self.screening else {}),
        }


@dataclass(frozen=True)
class Score:
    """What a mechanism came to on a small suite of tasks: the mean over tasks of its paired gain
    over none, its standard error (None with fewer than two tasks), and the gains by task. `taken`
    is the share of the trials that it decided, `errors` counts hook calls that raised, `stopped`
    the searches that went on without it because its hooks were too slow."""

    gain: float
    se: float | None
    by_task: Mapping[str, float]
    taken: float = 0.0
    errors: int = 0
    stopped: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_task", frozen(self.by_task))

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "by_task": dict(self.by_task)}

    def metrics(self) -> dict[str, float]:
        """Returns the numbers by name; one that is not known is left out."""
        found = {"gain": self.gain, "gain_se": self.se, "taken": self.taken}
        counts = {"hook_errors": float(self.errors), "over_hook_limit": float(self.stopped)}
        return {name: value for name, value in {**found, **counts}.items() if value is not None}

    def __str__(self) -> str:
        error = "" if self.se is None else f" ± {self.se:.3f}"
        said = [f"gain over none {self.gain:+.3f}{error} on {len(self.by_task)} tasks"]
        said.append(f"decided {self.taken:.0%} of the trials")
        if self.errors:
            said.append(f"{self.errors} hook calls raised")
        if self.stopped:
            said.append(f"{self.stopped} searches went on without it: too slow")
        return ", ".join(said)


@dataclass(frozen=True)
class Candidate:
    """One of several mechanisms that were written for one proposal, with its score (None where no
    gate let it in) and whether it is the one that was proposed."""

    made: Invention
    score: Score | None = None
    chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        score = None if self.score is None else self.score.to_json()
        return {"made": self.made.to_json(), "score": score, "chosen": self.chosen}


@dataclass(frozen=True)
class Screening:
    """The candidates of one session: on what they were scored (`judge`), and by which named rule
    one of them, or none, was chosen. `shuffled` tells that scores had changed places before."""

    candidates: tuple[Candidate, ...]
    judge: str
    rule: str
    shuffled: bool = False

    def labelled(self) -> Iterator[tuple[str, Candidate]]:
        """Yields the candidates under labels that differ and say whose they are: `2_name`."""
        for number, one in enumerate(self.candidates, start=1):
            yield f"{number}_{one.made.name or 'nothing'}", one

    def to_json(self) -> dict[str, Any]:
        candidates = [one.to_json() for one in self.candidates]
        return {**vars(self), "candidates": candidates}
