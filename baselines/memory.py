"""What searches have learned: directions that were tried and strategies that helped."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from bilevel.baselines.similarity import cosines, repeats
from bilevel.errors import ConfigError

FEASIBLE, FAILED, STRATEGY = "feasible", "failed", "strategy"


@dataclass(frozen=True)
class Idea:
    """A direction that was tried, `status` feasible or failed; the last three fields say why it
    failed."""

    title: str
    core_idea: str
    why: str
    evidence: str
    status: str
    tags: tuple[str, ...] = ()
    root_cause: str = ""
    countermeasures: tuple[str, ...] = ()
    do_not_repeat: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.status

    @property
    def text(self) -> str:
        """The text by which it is retrieved and compared."""
        return f"{self.title}. {self.core_idea}"

    def __str__(self) -> str:
        parts = [f"- {self.title} ({self.status}): {self.core_idea} Evidence: {self.evidence}"]
        if self.root_cause:
            parts.append(f"Root cause: {self.root_cause}")
        if self.countermeasures:
            parts.append(f"Countermeasures: {' / '.join(self.countermeasures)}")
        return " ".join(parts)


@dataclass(frozen=True)
class Strategy:
    """A strategy that helped, when it applies, and with which confidence."""

    context: str
    strategy: str
    evidence: str
    confidence: str
    kind: ClassVar[str] = STRATEGY

    @property
    def text(self) -> str:
        return f"{self.context} {self.strategy}"

    def __str__(self) -> str:
        return (
            f"- {self.strategy} Context: {self.context} Evidence: {self.evidence} "
            f"Confidence: {self.confidence}"
        )


Entry = Idea | Strategy


class Memory:
    """Entries in the order of their addition, without duplicates of one kind."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: list[Entry] = []
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> bool:
        """Adds an entry; returns False, and adds nothing, for a duplicate."""
        if repeats(entry.text, self.texts(entry.kind)):
            return False
        self.entries.append(entry)
        return True

    def texts(self, kind: str) -> list[str]:
        return [entry.text for entry in self.entries if entry.kind == kind]

    def closest(self, kinds: Collection[str], query: str, count: int) -> list[Entry]:
        """Return the entries most similar to a query, the younger first among equals; none that
        has nothing in common with it."""
        found = [entry for entry in reversed(self.entries) if entry.kind in kinds]
        ranked = sorted(
            zip(cosines(query, [entry.text for entry in found]), found, strict=True),
            key=lambda pair: -pair[0],
        )
        return [entry for cosine, entry in ranked[:count] if cosine > 0]


def to_json(entry: Entry) -> dict[str, Any]:
    return {"kind": entry.kind, **asdict(entry)}


def from_json(data: Mapping[str, Any]) -> Entry:
    """Return an entry from its JSON. Raises ConfigError for anything else."""
    fields: dict[str, Any] = {
        n: tuple(v) if isinstance(v, list) else v for n, v in data.items() if n != "kind"
    }
    try:
        return Strategy(**fields) if data.get("kind") == STRATEGY else Idea(**fields)
    except TypeError as error:
        raise ConfigError(f"a memory holds what is no entry of it ({error}); take it out") from None
