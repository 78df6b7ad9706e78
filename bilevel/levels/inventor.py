"""Level 2: the language model reads how the search works and writes it a mechanism, in four calls.

Explore, critique, specify, generate, as in arXiv 2603.23420; then the gates of admission, and
while those refuse, the exact reason and another attempt.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from bilevel.admission import admit
from bilevel.admission.hook_errors import blamed
from bilevel.admission.lint import DECIDING
from bilevel.admission.names import ALLOWED_IMPORTS
from bilevel.invention import Admission, Attempt, Invention
from bilevel.levels.context import CONTEXTS, INTERFACE, platform
from bilevel.llm import prompts
from bilevel.llm.reply import MAX_HYPOTHESIS
from bilevel.llm.schemas import record
from bilevel.llm.tables import best_so_far, described, experiment, trial_table
from bilevel.loop.behaviour import described as behaviour
from bilevel.loop.rules import ALTERNATE, PROPOSER
from bilevel.mechanism import CARRIERS, HOOKS
from bilevel.randomness import digest
from bilevel.sandbox.worker_handle import Limits
from bilevel.settings import one_of
from bilevel.trace import Proposal
from bilevel.view import NO_SETTINGS, Answer, Brief, Standing, View

_ORIGIN = "inventor"
NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
_WORD = re.compile(r"[a-z]{5,}")
_TEXT = {"type": "string", "minLength": 1}
_JOINS = (
    "A mechanism that is admitted joins those attached, in this order, for the rest of the search; "
    "it replaces none."
)
_TURNS: Mapping[str, str] = {
    ALTERNATE: "Candidates that mechanisms return from `propose` have a turn of their own: of the "
    "rounds in which mechanisms propose, every other one begins with theirs (the mechanism with "
    "the fewest turns first). In the others they stand behind the proposer's, and a round that "
    "tries one candidate leaves them out unless a `review` puts them first.",
    PROPOSER: "Candidates that mechanisms return from `propose` stand behind the proposer's: a "
    "round that tries one candidate leaves them out unless a `review` puts them first.",
}


class Inventor:
    """A proposer above all others: it proposes one mechanism, or nothing and says why.

    `domains` are fields that the prompt suggests ideas from; the paper's prompt listed some, and
    its authors called that a limitation. `repairs` is how often a refused text may be mended.
    `becomes` and `turn` (one of `loop.rules`) are what the prompts say becomes of a mechanism and
    of what it proposes; they have to fit how it is attached and how the loop takes turns.
    `context` is what they show of the platform, one of `levels.context.CONTEXTS`.
    Raises ConfigError.
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
        self._platform = platform(context)
        self._becomes = becomes
        self._turn = _TURNS[turn]
        self._limits = limits
        self._domains = tuple(domains)
        self._repairs = repairs
        self._history_shown = history_shown
        self._temperature = temperature

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        """One proposal; what a session came to is its `mechanism`, whether admitted or not."""
        made = self._session(view, brief)
        return [Proposal({}, made.summary[:MAX_HYPOTHESIS], _ORIGIN, mechanism=made)]

    def _session(self, view: View, brief: Brief) -> Invention:
        shown = self._shown(view)
        prompt, explored = self._ask(
            view, "explore", _EXPLORE, {**shown, **self._seen(view, brief)}
        )
        if explored.problem:
            return Invention(problem=f"explore: {explored.problem}")
        bottleneck, ideas = explored.value["bottleneck"], explored.value["ideas"]
        known = {**shown, "bottleneck": bottleneck}
        _, criticised = self._ask(
            view, "critique", _critique(len(ideas)), {**known, "ideas": _listed(ideas)}
        )
        if criticised.problem:
            return Invention(bottleneck=bottleneck, problem=f"critique: {criticised.problem}")
        idea = ideas[criticised.value["chosen"]]
        known |= {
            "idea": f"{idea['domain']}: {idea['idea']}",
            "critique": criticised.value["critique"],
        }
        _, specified = self._ask(view, "specify", _SPECIFY, known, _specification(_taken(view)))
        if specified.problem:
            return Invention(bottleneck=bottleneck, problem=f"specify: {specified.problem}")
        return self._written(view, specified.value, bottleneck, prompt)

    def _written(
        self, view: View, specification: Mapping[str, Any], bottleneck: str, prompt: str
    ) -> Invention:
        """Generate, and mend until it is admitted or the repairs are used up."""
        attempts: list[Attempt] = []
        problem, name, values = "", "generate", self._writing(specification)
        for _ in range(1 + self._repairs):
            _, answer = self._ask(view, name, _GENERATE, values)
            if answer.problem:
                problem = f"{name}: {answer.problem}"
                break
            source = answer.value["source"]
            attempts.append(Attempt(source, self._admission(view, source, len(attempts))))
            problem = attempts[-1].admission.problem
            if not problem:
                break
            name = "mend"
            values |= {"source": prompts.fenced(source, "python"), "problem": problem}
        admission = attempts[-1].admission if attempts else None
        return Invention(
            name=(admission and admission.name) or specification["name"],
            carrier=(admission and admission.carrier) or specification["carrier"],
            domain=specification["domain"],
            domain_in_prompt=suggested(specification["domain"], prompt),
            bottleneck=bottleneck,
            behaviour=specification["behaviour"],
            attempts=tuple(attempts),
            problem=problem,
        )

    def _admission(self, view: View, source: str, attempt: int) -> Admission:
        """The gates' verdict: computed once, for how much time there is may decide it."""
        innermost = view.innermost
        history = [(trial.value, dict(trial.config)) for trial in innermost.trace]
        found = view.recall(
            f"admission/{attempt}",
            {"source": source, "history": digest(history)},
            lambda: admit(source, innermost, self._limits, _taken(view)).to_json(),
        )
        return Admission.from_json(found)

    def _ask(
        self,
        view: View,
        name: str,
        schema: Mapping[str, Any],
        values: Mapping[str, str],
        check: Any = None,
    ) -> tuple[str, Answer]:
        """The rendered prompt and its answer; each prompt takes what it names."""
        prompt = prompts.render_of(name, values)
        answer = view.for_(f"research/{name}").ask(
            prompt,
            schema,
            check=check,
            system=prompts.render("research_system"),
            temperature=self._temperature,
        )
        return prompt, answer

    @property
    def _hooks(self) -> str:
        return f"{self._platform['hooks']}\n\n{self._turn}"

    def _shown(self, view: View) -> dict[str, str]:
        """What every call of a session is told of the search."""
        below = view.innermost
        return {
            "metric": below.objective.metric,
            "better": below.objective.wanted,
            "trials_left": "unlimited" if below.trials_left is None else str(below.trials_left),
            "hooks": self._hooks,
            "becomes": self._becomes,
            "behaviour": behaviour(below.space, below.trace, below.base),
            "attached": _attached(below.mechanisms(), _sources(view)),
            "before": _before(view),
            "taken": ", ".join(_taken(view)) or "none so far",
            "carriers": ", ".join(CARRIERS),
            "deciding": ", ".join(DECIDING),
            **{part: self._platform[part] for part in ("seen", "words", "spaces")},
        }

    def _seen(self, view: View, brief: Brief) -> dict[str, str]:
        """What the first call reads beside that."""
        below = view.innermost
        baseline = below.trace[0].value if below.trace else None
        domains = ""
        if self._domains:
            domains = f"Fields to draw from, among others: {', '.join(self._domains)}."
        return {
            "loop": self._platform["loop"],
            "facts": experiment(below.about, source=False),
            "baseline": "none" if baseline is None else f"{baseline:.6g}",
            "best": best_so_far(below),
            "trials_run": str(max(0, len(below.trace) - 1)),
            "history": trial_table(below.trace[-self._history_shown :], below),
            "settings": described(below.settings) or "none",
            "notes": brief.text.strip() or "none",
            "domains": domains,
        }

    def _writing(self, specification: Mapping[str, Any]) -> dict[str, str]:
        """What the last call, and every repair, reads."""
        listed = {**specification, "hooks": ", ".join(specification["hooks"])}
        lines = [f"{key}: {' '.join(str(value).split())}" for key, value in listed.items()]
        return {
            "specification": "\n".join(lines),
            "hooks": self._hooks,
            **{part: self._platform[part] for part in ("view", "trace", "space", "toolkit")},
            "imports": ALLOWED_IMPORTS,
        }


def _taken(view: View) -> list[str]:
    """The names of mechanisms that exist, or were tried."""
    attached = [standing.name for standing in view.innermost.mechanisms()]
    tried = [t.proposal.mechanism.name for t in view.trace if t.proposal.mechanism]
    return list(dict.fromkeys(filter(None, [*attached, *tried])))


def _sources(view: View) -> dict[str, str]:
    """The texts of the mechanisms that were proposed, by name."""
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
    """What earlier sessions came to; the trials of their mechanisms are told of those attached."""
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
    """Checks what a schema cannot say."""

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
_GENERATE = record({"source": _TEXT})


def suggested(domain: str, prompt: str) -> bool:
    """Whether every word of five letters or more that names the domain stands in the prompt."""
    known = set(_WORD.findall(prompt.lower()))
    named = _WORD.findall(domain.lower())
    return bool(named) and all(word in known for word in named)


def _critique(ideas: int) -> dict[str, Any]:
    chosen = {"type": "integer", "minimum": 0, "maximum": ideas - 1}
    return record({"critique": _TEXT, "chosen": chosen})
