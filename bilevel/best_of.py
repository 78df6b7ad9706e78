"""Spends more calls on a trial: several proposals are asked for, and the model chooses one."""

from collections.abc import Sequence
from typing import Any

from bilevel.llm import prompts
from bilevel.llm.prompts import cell
from bilevel.llm.tables import best_so_far, printed
from bilevel.proposer import LLMProposer
from bilevel.space import SearchSpace, canonical
from bilevel.trace import Proposal
from bilevel.view import Brief, View


class BestOf:
    """Asks an LLMProposer `candidates` times, and the model once which of the different answers is
    to be tried: as many evaluations as level 1, for more tokens. The rest are its arguments."""

    def __init__(self, space: SearchSpace, *, candidates: int, **arguments: Any) -> None:
        if candidates < 2:
            raise ValueError(f"candidates={candidates}: expected at least 2; one is level 1")
        self._proposer = LLMProposer(space, **arguments)
        self._candidates = candidates
        self.settings = self._proposer.settings

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """The chosen one; the first where none or one can be used, or the choice cannot."""
        asked = [
            made
            for turn in range(self._candidates)
            for made in self._proposer.propose(view.for_(f"{view.purpose}/{turn}"), brief)
        ]
        different: dict[str, Proposal] = {}
        for made in asked:
            if not made.problem:
                different.setdefault(canonical(made.changes), made)
        usable = list(different.values())
        if len(usable) < 2:
            return usable or asked[:1]
        answer = view.for_(f"{view.purpose}/choose").ask(
            _prompt(view, usable),
            _schema(len(usable)),
            system=prompts.render("propose_system"),
            temperature=view.settings.get("temperature"),  # type: ignore[arg-type]
        )
        return [usable[0 if answer.problem else answer.value["chosen"]]]


def _prompt(view: View, usable: Sequence[Proposal]) -> str:
    lines = []
    for number, one in enumerate(usable):
        moves = [f"{n} {printed(view.base[n])} -> {printed(v)}" for n, v in one.changes.items()]  # type: ignore[arg-type]
        lines.append(f"{number}. {cell('; '.join(moves), 400)}: {cell(one.hypothesis, 400)}")
    return prompts.render(
        "choose",
        metric=view.objective.metric,
        better="lower" if view.objective.direction == "minimize" else "higher",
        best=best_so_far(view),
        candidates="\n".join(lines),
    )


def _schema(count: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "chosen": {"type": "integer", "enum": list(range(count))},
        },
        "required": ["reason", "chosen"],
        "additionalProperties": False,
    }
