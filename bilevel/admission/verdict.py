"""What the gates said of a mechanism, in words that whoever wrote it can act on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Verdict:
    """One gate's: why it refused, or what it saw where it let the mechanism through."""

    gate: str
    passed: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Admission:
    """The verdicts in order; the last one is the refusal, if there is one.

    `name`, `carrier` and `hooks` are as far known as the gates came.
    """

    admitted: bool
    verdicts: tuple[Verdict, ...]
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
        verdicts = tuple(Verdict(**verdict) for verdict in data["verdicts"])
        rest = {"verdicts": verdicts, "hooks": tuple(data["hooks"])}
        return cls(**{**data, **rest})


class Refused(Exception):
    """A gate's refusal: its reason, and what is left of it without the place and without what the
    code itself said, where that may be another one next time."""

    def __init__(self, reason: str, core: str = "") -> None:
        super().__init__(reason)
        self.core = core


def quoted(text: str, most: int = 120) -> str:
    """A text as reasons show it: in one line, and cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
