"""Reflection: now and then the model is shown which directions it has avoided, and picks one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, ClassVar

from bilevel.errors import ConfigError
from bilevel.llm.schemas import record
from bilevel.llm.tables import parameter_list, trial_table
from bilevel.mechanism import Mechanism
from bilevel.mechanisms.shared.moves import steps
from bilevel.mechanisms.shared.trials import tried_moves, whole
from bilevel.toolkit import mine_first, open_parameters, step
from bilevel.trace import Proposal
from bilevel.view import Brief, View

PROMPT = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))
_SIZES: Mapping[str, float] = {"small": 1 / 32, "medium": 1 / 8, "large": 1 / 2}
_SHOWN = 30  # trials in a question
_LISTED = 40  # moves in a question


class Reflection(Mechanism):
    """Every `every` trials, one question: which move that was never tried is worth a trial, why?

    The answer is told to the proposer and proposed. A search without a model asks nothing and
    changes nothing; an answer that cannot be used is left alone.

    Verbal reflection on a trajectory: Shinn et al., "Reflexion", NeurIPS 2023.
    """

    name: ClassVar[str] = "reflection"
    carrier: ClassVar[str] = "prompt"

    def __init__(self, every: int = 5) -> None:
        self.every = whole(self.name, "every", every, 1)
        self._at = -1
        self._chosen: tuple[str, str, str, str] | None = None  # parameter, direction, size, why

    def brief(self, view: View, brief: Brief) -> Brief:
        self._chosen = self._asked(view)
        self._at = view.trial
        if self._chosen is None:
            return brief
        name, way, size, why = self._chosen
        return brief.add(f"Never tried: a {size} step of {name} {way}. {why}")

    def propose(self, view: View) -> Sequence[Proposal]:
        if self._chosen is None or self._at != view.trial:
            return ()
        name, way, size, why = self._chosen
        value = step(view.space[name], view.base[name], way, _SIZES[size])
        return () if value is None else [Proposal({name: value}, f"never tried: {why}")]

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return mine_first(self.name, candidates)

    def _asked(self, view: View) -> tuple[str, str, str, str] | None:
        if not view.trace or view.trial % self.every:
            return None
        known = tried_moves(view)
        new = {
            f"{n} {way}": (n, way) for (n, way), _ in steps(view, 1 / 8) if (n, way) not in known
        }
        if not new:
            return None
        listed = (
            new if len(new) <= _LISTED else {m: new[m] for m in view.rng.sample([*new], _LISTED)}
        )
        try:
            answer = view.ask(_prompt(view, list(listed)), _schema(list(listed)))
        except ConfigError:  # no model: what this mechanism is made of is not there
            return None
        if answer.problem:
            return None
        name, way = listed[answer.value["move"]]
        return name, way, answer.value["size"], " ".join(answer.value["reason"].split())


def _prompt(view: View, moves: Sequence[str]) -> str:
    return PROMPT.substitute(
        metric=view.objective.metric,
        better=view.objective.wanted,
        history=trial_table(view.trace[-_SHOWN:], view),
        parameters=parameter_list(open_parameters(view), view.base, view.about.meanings),
        moves="\n".join(f"- {move}" for move in moves),
    )


def _schema(moves: Sequence[str]) -> dict[str, Any]:
    return record(
        {
            "move": {"type": "string", "enum": list(moves)},
            "size": {"type": "string", "enum": list(_SIZES)},
            "reason": {"type": "string", "minLength": 1, "maxLength": 400},
        }
    )
