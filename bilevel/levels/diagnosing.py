"""A mechanism in four calls, from what holds one search back: explore, critique, specify, generate.

As in arXiv 2603.23420.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bilevel.admission.lint import DECIDING
from bilevel.invention import Invention
from bilevel.levels import account
from bilevel.levels.framing import Framing
from bilevel.levels.writing import check_name, specified
from bilevel.llm import prompts
from bilevel.llm.schemas import record
from bilevel.mechanism import CARRIERS, HOOKS
from bilevel.view import Brief, View

_OUTLINES = ("view_outline", "trace_outline", "space_outline")  # parts of the platform
_WORD = re.compile(r"[a-z]{5,}")
_TEXT = {"type": "string", "minLength": 1}


class Diagnosing(Framing):
    """Asks for the bottleneck and ideas against it, which idea will do, what exactly it is, and
    its text."""

    @staticmethod
    def system() -> str:
        return prompts.render("research_system")

    def session(self, view: View, brief: Brief, others: Sequence[Invention]) -> Invention:
        shown = self._shown(view, brief, others)
        prompt, explored = self._writer.ask(view, "explore", _EXPLORE, shown)
        if explored.problem:
            return Invention(problem=f"explore: {explored.problem}")
        bottleneck, ideas = explored.value["bottleneck"], explored.value["ideas"]
        known = {**shown, "bottleneck": bottleneck}
        _, criticised = self._writer.ask(
            view, "critique", _critique(len(ideas)), {**known, "ideas": _listed(ideas)}
        )
        if criticised.problem:
            return Invention(bottleneck=bottleneck, problem=f"critique: {criticised.problem}")
        idea = ideas[criticised.value["chosen"]]
        known |= {
            "idea": f"{idea['domain']}: {idea['idea']}",
            "critique": criticised.value["critique"],
        }
        taken = account.taken(view, others)
        _, told = self._writer.ask(view, "specify", _SPECIFY, known, _specification(taken))
        if told.problem:
            return Invention(bottleneck=bottleneck, problem=f"specify: {told.problem}")
        return self._written(view, told.value, bottleneck, prompt, taken)

    def _written(
        self,
        view: View,
        specification: Mapping[str, Any],
        bottleneck: str,
        prompt: str,
        taken: Sequence[str],
    ) -> Invention:
        """Generates a text, and mends it until it is admitted or the repairs are used up."""
        text = self._writer.written(view, specified(specification), taken)
        admission = text.attempts[-1].admission if text.attempts else None
        return Invention(
            name=(admission and admission.name) or specification["name"],
            carrier=(admission and admission.carrier) or specification["carrier"],
            domain=specification["domain"],
            domain_in_prompt=suggested(specification["domain"], prompt),
            bottleneck=bottleneck,
            behaviour=specification["behaviour"],
            attempts=text.attempts,
            problem=text.problem,
        )

    def _shown(self, view: View, brief: Brief, others: Sequence[Invention]) -> dict[str, str]:
        """Returns the values of the prompts of every call of a session."""
        domains = ""
        if self._words.domains:
            domains = f"Fields to draw from, among others: {', '.join(self._words.domains)}."
        platform = self._writer.platform
        return {
            **self._search(view, brief, others),
            "domains": domains,
            "hooks": self._writer.hooks,
            "carriers": ", ".join(CARRIERS),
            "deciding": ", ".join(DECIDING),
            **{part: platform[part] for part in ("loop", *_OUTLINES)},
        }


def _listed(ideas: Sequence[Mapping[str, str]]) -> str:
    cells = [(prompts.cell(i["domain"], 80), prompts.cell(i["idea"], 600)) for i in ideas]
    return "\n".join(f"{place}. {domain}: {idea}" for place, (domain, idea) in enumerate(cells))


def _specification(taken: Sequence[str]) -> Any:
    """Returns the check of what the schema of a specification cannot express."""

    def check(reply: Any) -> Any:
        check_name(reply, taken)
        if not set(reply["hooks"]) & set(DECIDING):
            raise ValueError(f"hooks {reply['hooks']} decide nothing; at least one of {DECIDING}")
        return reply

    return check


_IDEAS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 5,
    "items": record({"domain": _TEXT, "idea": _TEXT}),
}
_EXPLORE = record({"bottleneck": _TEXT, "ideas": _IDEAS})
_SPECIFY = record(
    {
        "name": _TEXT,
        "domain": _TEXT,
        "carrier": {"type": "string", "enum": list(CARRIERS)},
        "hooks": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(HOOKS)}},
        "behaviour": _TEXT,
    }
)


def suggested(domain: str, prompt: str) -> bool:
    """Returns whether the prompt contains every word of five letters or more that names the
    domain."""
    known = set(_WORD.findall(prompt.lower()))
    named = _WORD.findall(domain.lower())
    return bool(named) and all(word in known for word in named)


def _critique(ideas: int) -> dict[str, Any]:
    chosen = {"type": "integer", "minimum": 0, "maximum": ideas - 1}
    return record({"critique": _TEXT, "chosen": chosen})
