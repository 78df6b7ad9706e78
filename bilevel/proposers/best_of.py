"""A proposer that spends more calls on a trial: it asks for several proposals and chooses one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bilevel.llm import prompts, schemas
from bilevel.llm.prompts import cell
from bilevel.llm.tables import best_so_far, printed
from bilevel.proposers.llm import LLMProposer
from bilevel.space import SearchSpace, canonical
from bilevel.trace import Proposal
from bilevel.view import Answer, Ask, Brief, View


class BestOf:
    """An LLMProposer that is asked repeatedly, and a further question that chooses among the
    different answers: as many evaluations as level 1, and more tokens.

    A trial's first candidate is what level 1 pays for. The others and the choice are paid from an
    allowance that grows by `extra_tokens_a_trial`; while some of it is left another candidate is
    asked for, up to `most`. So the allowance is overdrawn by at most one question and the choice,
    and where a question costs more than a trial brings, trials with one candidate save up for it.
    The other arguments are the LLMProposer's.
    """

    def __init__(
        self, space: SearchSpace, *, extra_tokens_a_trial: int, most: int = 12, **arguments: Any
    ) -> None:
        if extra_tokens_a_trial < 1:
            raise ValueError(
                f"extra_tokens_a_trial={extra_tokens_a_trial}: expected a positive number"
            )
        self._proposer = LLMProposer(space, **arguments)
        self._extra_tokens_a_trial = extra_tokens_a_trial
        self._most = most
        self._spent = 0
        self.settings = self._proposer.settings

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """Returns the chosen proposal; the first where fewer than two can be used, or the choice
        cannot."""
        asked = [*self._proposer.propose(_part(view, 0), brief)]
        while self._left(view) > 0 and len(asked) < self._most:
            asked += self._proposer.propose(self._counted(view, len(asked)), brief)
        different: dict[str, Proposal] = {}
        for made in asked:
            if not made.problem:
                different.setdefault(canonical(made.changes), made)
        usable = list(different.values())
        if len(usable) < 2:
            return usable or asked[:1]
        answer = self._counted(view, "choose").ask(
            _prompt(view, usable),
            _schema(len(usable)),
            system=prompts.render("propose_system"),
            temperature=view.settings.get("temperature"),  # type: ignore[arg-type]
        )
        return [usable[0 if answer.problem else answer.value["chosen"]]]

    def _left(self, view: View) -> int:
        """Returns the tokens that are left of the allowance up to this trial; negative if
        overdrawn."""
        return self._extra_tokens_a_trial * view.trial - self._spent

    def _counted(self, view: View, what: object) -> View:
        """Returns the view of one question whose tokens are paid from the allowance."""

        def asker(level: float, trial: int, purpose: str) -> Ask:
            ask = view.asker(level, trial, purpose)

            def counting(*arguments: Any, **named: Any) -> Answer:
                answer = ask(*arguments, **named)
                self._spent += answer.tokens
                return answer

            return counting

        return replace(_part(view, what), asker=asker)


def _part(view: View, what: object) -> View:
    return view.for_(f"{view.purpose}/{what}")


def _prompt(view: View, usable: Sequence[Proposal]) -> str:
    lines = []
    for number, one in enumerate(usable):
        moves = [f"{n} {printed(view.base[n])} -> {printed(v)}" for n, v in one.changes.items()]  # type: ignore[arg-type]
        lines.append(f"{number}. {cell('; '.join(moves), 400)}: {cell(one.hypothesis, 400)}")
    return prompts.render(
        "choose",
        metric=view.objective.metric,
        better=view.objective.wanted,
        best=best_so_far(view),
        candidates="\n".join(lines),
    )


def _schema(count: int) -> dict[str, Any]:
    chosen = {"type": "integer", "enum": list(range(count))}
    return schemas.record({"reason": schemas.TEXT, "chosen": chosen})
