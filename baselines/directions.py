"""Questions about directions: which there are, which is better, and what one has taught."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bilevel.baselines.memory import FAILED, FEASIBLE, Entry, Idea, Strategy
from bilevel.baselines.similarity import repeats
from bilevel.llm.prompts import Prompt, cell
from bilevel.llm.schemas import TEXT, record
from bilevel.view import Answer, View

_HERE = Path(__file__).parent
_PROMPTS = {
    name: Prompt(_HERE / f"evo_{name}.md")
    for name in ("directions", "compare", "reflect", "distil")
}
_MAX_TITLE = 120
_MAX_TEXT = 400
_MAX_TAGS = 6
_CONFIDENCE = ("low", "medium", "high")
_LINES = {"type": "array", "items": TEXT}
_Situation = Mapping[str, str]


@dataclass(frozen=True)
class Direction:
    """A direction that a search could take for some trials."""

    title: str
    core_idea: str
    why: str
    tags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text by which directions are compared."""
        return f"{self.title}. {self.core_idea}"

    def __str__(self) -> str:
        return f"{self.title}: {self.core_idea}\nWhy: {self.why}"


class Questions:
    """The questions that one trial asks the model, at one temperature and in one situation."""

    def __init__(self, view: View, situation: _Situation, temperature: float | None) -> None:
        self._view = view
        self._situation = situation
        self._temperature = temperature

    def directions(self, count: int, shown: Sequence[Entry], known: Sequence[str]) -> Answer:
        """Asks for at most `count` directions that repeat neither each other nor a known one."""

        def check(reply: Any) -> list[Direction]:
            made: list[Direction] = []
            for listed in reply["directions"]:
                direction = _direction(listed)
                if not repeats(direction.text, [*known, *(one.text for one in made)]):
                    made.append(direction)
            if not made:
                raise ValueError("every direction is known already; name others")
            return made

        direction = record({"title": TEXT, "core_idea": TEXT, "why": TEXT, "tags": _LINES})
        listed = {"type": "array", "minItems": 1, "maxItems": count, "items": direction}
        schema = record({"directions": listed})
        return self._ask(
            "directions",
            schema,
            check,
            feasible=_listed([entry for entry in shown if entry.kind == FEASIBLE]),
            failed=_listed([entry for entry in shown if entry.kind == FAILED]),
            avoid=notes(shown),
            count=str(count),
        )

    def first_wins(self, one: Direction, other: Direction) -> bool | None:
        """Asks which of two directions is better, shown in random order; None where the reply is
        unusable."""
        turned = self._view.rng.random() < 0.5
        first, second = (other, one) if turned else (one, other)
        schema = record({"better": {"type": "string", "enum": ["A", "B"]}, "reason": TEXT})
        answer = self._ask("compare", schema, first=str(first), second=str(second))
        return None if answer.problem else (answer.value["better"] == "A") is not turned

    def failure(self, direction: Direction, evidence: str, trials: str) -> Idea:
        """Return a failed direction as an Idea, with the model's explanation if its reply is
        usable."""
        most = {"minItems": 3, "maxItems": 6}
        schema = record(
            {"root_cause": TEXT, "countermeasures": {**_LINES, **most}, "do_not_repeat": _LINES}
        )
        answer = self._ask(
            "reflect", schema, direction=str(direction), evidence=evidence, trials=trials
        )
        said = {} if answer.problem else answer.value
        return Idea(
            direction.title,
            direction.core_idea,
            direction.why,
            evidence,
            FAILED,
            direction.tags,
            root_cause=cell(said.get("root_cause", ""), _MAX_TEXT),
            countermeasures=_cells(said.get("countermeasures", ())),
            do_not_repeat=_cells(said.get("do_not_repeat", ())),
        )

    def strategy(self, direction: Direction, evidence: str, trials: str) -> Strategy | None:
        """Asks for the lesson of a direction that helped; None where the reply is unusable."""
        confidence = {"type": "string", "enum": list(_CONFIDENCE)}
        schema = record({"context": TEXT, "strategy": TEXT, "confidence": confidence})
        answer = self._ask(
            "distil", schema, direction=str(direction), evidence=evidence, trials=trials
        )
        if answer.problem:
            return None
        context, said = (cell(answer.value[name], _MAX_TEXT) for name in ("context", "strategy"))
        return Strategy(context, said, evidence, answer.value["confidence"])

    def _ask(self, name: str, schema: Mapping[str, Any], check: Any = None, **rest: str) -> Answer:
        prompt = _PROMPTS[name].fill(self._situation, **rest)
        return self._view.ask(prompt, schema, check=check, temperature=self._temperature)


def feasible(direction: Direction, evidence: str) -> Idea:
    return Idea(
        direction.title, direction.core_idea, direction.why, evidence, FEASIBLE, direction.tags
    )


def notes(shown: Sequence[Entry]) -> str:
    """Return what not to repeat, from the failed directions among these entries."""
    lines = [f"- {note}" for e in shown if isinstance(e, Idea) for note in e.do_not_repeat]
    return "\n".join(lines) or "none"


def _direction(listed: Mapping[str, Any]) -> Direction:
    title, core_idea = cell(listed["title"], _MAX_TITLE), cell(listed["core_idea"], _MAX_TEXT)
    if not title or not core_idea:
        raise ValueError("a direction needs a title and a core idea")
    tags = tuple(cell(tag, _MAX_TITLE) for tag in listed["tags"][:_MAX_TAGS])
    return Direction(title, core_idea, cell(listed["why"], _MAX_TEXT), tags)


def _cells(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell(text, _MAX_TEXT) for text in texts)


def _listed(entries: Sequence[Entry]) -> str:
    return "\n".join(map(str, entries)) or "none yet"
