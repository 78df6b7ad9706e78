"""Level 2: the language model reads how the search works and writes a mechanism for it in four
calls.

Explore, critique, specify, generate, as in arXiv 2603.23420; then the gates of admission, which
answer a refused mechanism with the exact reason and another attempt.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from bilevel.admission.hook_errors import blamed
from bilevel.admission.lint import DECIDING
from bilevel.invention import Invention
from bilevel.levels.context import CONTEXTS, INTERFACE
from bilevel.levels.writing import Writer, specified
from bilevel.llm import prompts
from bilevel.llm.reply import MAX_HYPOTHESIS
from bilevel.llm.schemas import record
from bilevel.llm.tables import best_so_far, described, experiment, trial_table
from bilevel.loop.behaviour import described as behaviour
from bilevel.loop.rules import PROPOSER
from bilevel.mechanism import CARRIERS, HOOKS
from bilevel.sandbox.worker_handle import Limits
from bilevel.settings import one_of
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Brief, Standing, View

_ORIGIN = "inventor"
_OUTLINES = ("view_outline", "trace_outline", "space_outline")  # parts of the platform
NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
_WORD = re.compile(r"[a-z]{5,}")
_TEXT = {"type": "string", "minLength": 1}
_JOINS = (
    "A mechanism that is admitted joins those attached, in this order, for the rest of the search; "
    "it replaces none."
)


class Inventor:
    """The proposer of level 2: proposes one mechanism a session, or none with the reason.

    `domains` are fields that the prompt suggests ideas from; the paper's prompt listed some, and
    its authors called that a limitation. `repairs` is how often a refused text may be mended.
    `becomes` and `turn` (one of `loop.rules`) are what the prompts say becomes of a mechanism and
    of what it proposes; they have to fit how it is attached and how the loop takes turns.
    `context`, one of `levels.context.CONTEXTS`, is what the prompts show of the platform. Raises
    ConfigError.
    """

    settings = NO_SETTINGS

    def __init__(
        self,
        *,
        limits: Limits,
        domains: Sequence[str] = (),
        repairs: int = 3,
        history_shown: int = 60,
        temperature: float | None = None,
        becomes: str = _JOINS,
        turn: str = PROPOSER,
        context: Annotated[str, *one_of(CONTEXTS)] = INTERFACE,
    ) -> None:
        self._writer = Writer(
            limits, repairs=repairs, temperature=temperature, turn=turn, context=context
        )
        self._becomes = becomes
        self._domains = tuple(domains)
        self._history_shown = history_shown

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """Returns one proposal; its `mechanism` is the result of the session, admitted or not."""
        made = self._session(view, brief)
        return [Proposal({}, made.summary[:MAX_HYPOTHESIS], _ORIGIN, mechanism=made)]

    def _session(self, view: View, brief: Brief) -> Invention:
        shown = self._shown(view)
        prompt, explored = self._writer.ask(
            view, "explore", _EXPLORE, {**shown, **self._seen(view, brief)}
        )
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
        _, told = self._writer.ask(view, "specify", _SPECIFY, known, _specification(_taken(view)))
        if told.problem:
            return Invention(bottleneck=bottleneck, problem=f"specify: {told.problem}")
        return self._written(view, told.value, bottleneck, prompt)

    def _written(
        self, view: View, specification: Mapping[str, Any], bottleneck: str, prompt: str
    ) -> Invention:
        """Generates a text, and mends it until it is admitted or the repairs are used up."""
        text = self._writer.written(view, specified(specification), _taken(view))
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

    def _shown(self, view: View) -> dict[str, str]:
        """Returns the values that the prompts of every call of a session share."""
        below = view.innermost
        return {
            "metric": below.objective.metric,
            "better": below.objective.wanted,
            "trials_left": "unlimited" if below.trials_left is None else str(below.trials_left),
            "hooks": self._writer.hooks,
            "becomes": self._becomes,
            "behaviour": behaviour(below.space, below.trace, below.base),
            "attached": _attached(below.mechanisms(), _sources(view)),
            "before": _before(view),
            "taken": ", ".join(_taken(view)) or "none so far",
            "carriers": ", ".join(CARRIERS),
            "deciding": ", ".join(DECIDING),
            **{part: self._writer.platform[part] for part in _OUTLINES},
        }

    def _seen(self, view: View, brief: Brief) -> dict[str, str]:
        """Returns the further values of the prompt of the first call."""
        below = view.innermost
        baseline = below.trace[0].value if below.trace else None
        domains = ""
        if self._domains:
            domains = f"Fields to draw from, among others: {', '.join(self._domains)}."
        return {
            "loop": self._writer.platform["loop"],
            "facts": experiment(below.about, source=False),
            "baseline": "none" if baseline is None else f"{baseline:.6g}",
            "best": best_so_far(below),
            "trials_run": str(max(0, len(below.trace) - 1)),
            "history": trial_table(below.trace[-self._history_shown :], below),
            "settings": described(below.settings) or "none",
            "notes": brief.text.strip() or "none",
            "domains": domains,
        }


def _taken(view: View) -> list[str]:
    """Returns the names of mechanisms that are attached or were proposed before."""
    attached = [standing.name for standing in view.innermost.mechanisms()]
    tried = [t.proposal.mechanism.name for t in view.trace if t.proposal.mechanism]
    return list(dict.fromkeys(filter(None, [*attached, *tried])))


def _sources(view: View) -> dict[str, str]:
    """Returns name -> source of the mechanisms that were proposed."""
    made = [trial.proposal.mechanism for trial in view.trace if trial.proposal.mechanism]
    return {mechanism.name: mechanism.source for mechanism in made}


def _attached(standings: Sequence[Standing], sources: Mapping[str, str]) -> str:
    lines = []
    for one in standings:
        counts = ", ".join(f"{name} {count}" for name, count in one.counts.items())
        state = one.state if one.attached else f"{one.state}, detached"
        last = one.error and blamed(one.error, sources.get(one.name, ""))
        error = f"; at the last error it {last}" if last else ""
        lines.append(
            f"- {one.name}: {state}, since trial {one.since}; it caused {one.credit}; the proposer "
            f"meanwhile: {one.proposers}; calls: {counts or 'none'}{error}"
        )
    return "\n".join(lines) or "none"


def _before(view: View) -> str:
    """Returns a line for each earlier session: its summary and, if admitted, its verdict and
    gain."""
    lines = []
    for trial in view.trace:
        made = trial.proposal.mechanism
        if not made:
            continue
        passed = f" (text {len(made.attempts)} passed every gate; {trial.decision}"
        gain = trial.outcome.metrics.get("mechanism_gain")
        if gain is not None:
            passed += f"; its rounds gained {gain:+.6f} each over those without it, by the coin"
        became = f"{passed})" if made.admitted else ""
        lines.append(f"- {made.name or 'nothing'}: {made.summary}{became}")
    return "\n".join(lines) or "none"


def _listed(ideas: Sequence[Mapping[str, str]]) -> str:
    cells = [(prompts.cell(i["domain"], 80), prompts.cell(i["idea"], 600)) for i in ideas]
    return "\n".join(f"{place}. {domain}: {idea}" for place, (domain, idea) in enumerate(cells))


def _specification(taken: Sequence[str]) -> Any:
    """Returns the check of what the schema of a specification cannot express."""

    def check(reply: Any) -> Any:
        if not NAME.fullmatch(reply["name"]):
            raise ValueError(f"name {reply['name']!r}: 3 to 40 of a-z, 0-9 and _, a letter first")
        if reply["name"] in taken:
            raise ValueError(f"name {reply['name']!r} is taken; choose another one")
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
