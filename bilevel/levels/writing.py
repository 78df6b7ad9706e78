"""Has a language model write a mechanism's text, and mend it until the gates let it through."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bilevel.admission import admit
from bilevel.admission.names import ALLOWED_IMPORTS
from bilevel.invention import Admission, Attempt
from bilevel.levels.context import platform
from bilevel.llm import prompts
from bilevel.llm.schemas import record
from bilevel.loop.rules import ALTERNATE, PROPOSER, TAKE_TURNS
from bilevel.randomness import digest
from bilevel.sandbox.worker_handle import Limits
from bilevel.view import Answer, View

_TURNS: Mapping[str, str] = {
    TAKE_TURNS: "Candidates that mechanisms return from `propose` have a turn of their own: of the "
    "rounds in which mechanisms propose, every other one is theirs (the mechanism with the fewest "
    "turns first), and the proposer is not asked there unless they leave too few after `review`. "
    "In the others they stand behind the proposer's, and a round that tries one candidate leaves "
    "them out unless a `review` puts them first.",
    ALTERNATE: "Candidates that mechanisms return from `propose` have a turn of their own: of the "
    "rounds in which mechanisms propose, every other one begins with theirs (the mechanism with "
    "the fewest turns first). In the others they stand behind the proposer's, and a round that "
    "tries one candidate leaves them out unless a `review` puts them first.",
    PROPOSER: "Candidates that mechanisms return from `propose` stand behind the proposer's: a "
    "round that tries one candidate leaves them out unless a `review` puts them first.",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
_GENERATE = record({"source": {"type": "string", "minLength": 1}})


@dataclass(frozen=True)
class Text:
    """The texts that were written one after the other, and why the last one was not admitted."""

    attempts: tuple[Attempt, ...]
    problem: str


class Writer:
    """Asks the search's model for a mechanism. `repairs` is how often a refused text may be mended;
    `turn` (one of `loop.rules`) is what prompts say of whose candidates are tried, and has to fit
    how the loop takes turns; `context` is one of `levels.context.CONTEXTS`; `system` is what the
    model is told that it is. Raises ConfigError."""

    def __init__(
        self,
        limits: Limits,
        *,
        repairs: int,
        temperature: float | None,
        turn: str,
        context: str,
        system: str,
    ) -> None:
        self.platform = platform(context)
        self.hooks = f"{self.platform['hooks']}\n\n{_TURNS[turn]}"
        self._limits = limits
        self._repairs = repairs
        self._temperature = temperature
        self._system = system

    def ask(
        self,
        view: View,
        name: str,
        schema: Mapping[str, Any],
        values: Mapping[str, str],
        check: Any = None,
    ) -> tuple[str, Answer]:
        """Returns the rendered prompt and its answer; of `values`, each prompt takes the
        placeholders that it has."""
        prompt = prompts.render_of(name, values)
        answer = view.for_(f"research/{name}").ask(
            prompt,
            schema,
            check=check,
            system=self._system,
            temperature=self._temperature,
        )
        return prompt, answer

    def written(self, view: View, specification: str, taken: Collection[str]) -> Text:
        """A text for this specification, mended until it is admitted or the repairs are used up.
        `taken` are names that it may not have."""
        values = self.interface(specification)
        _, answer = self.ask(view, "generate", _GENERATE, values)
        if answer.problem:
            return Text((), f"generate: {answer.problem}")
        return self.mended(view, values, answer.value["source"], taken)

    def mended(
        self, view: View, values: Mapping[str, str], source: str, taken: Collection[str]
    ) -> Text:
        """This text, and if the gates refuse it, what it is mended to. `values` are those of
        `interface`."""
        attempts = [self._attempt(view, source, 0, taken)]
        while problem := attempts[-1].admission.problem:
            if len(attempts) > self._repairs:
                return Text(tuple(attempts), problem)
            refused = {"source": prompts.fenced(source, "python"), "problem": problem}
            _, answer = self.ask(view, "mend", _GENERATE, {**values, **refused})
            if answer.problem:
                return Text(tuple(attempts), f"mend: {answer.problem}")
            source = answer.value["source"]
            attempts.append(self._attempt(view, source, len(attempts), taken))
        return Text(tuple(attempts), "")

    def interface(self, specification: str) -> dict[str, str]:
        """What whoever writes or mends a text reads of the platform."""
        return {
            "specification": specification,
            "hooks": self.hooks,
            **{part: self.platform[part] for part in ("view", "trace", "space", "toolkit")},
            "imports": ALLOWED_IMPORTS,
        }

    def _attempt(self, view: View, source: str, number: int, taken: Collection[str]) -> Attempt:
        """The text with the verdict of the gates, taken from the journal once it was computed: time
        limits may decide it, so that computing it again could differ."""
        innermost = view.innermost
        history = [(trial.value, dict(trial.config)) for trial in innermost.trace]
        found = view.recall(
            f"admission/{number}",
            {"source": source, "history": digest(history)},
            lambda: admit(source, innermost, self._limits, taken).to_json(),
        )
        return Attempt(source, Admission.from_json(found))


def specified(specification: Mapping[str, Any]) -> str:
    """The specification as a prompt has it, a line a field."""
    listed = {**specification, "hooks": ", ".join(specification["hooks"])}
    return "\n".join(f"{key}: {' '.join(str(value).split())}" for key, value in listed.items())


def check_name(reply: Any, taken: Collection[str]) -> Any:
    """Returns the reply. Raises ValueError where its `name` is no name or taken already."""
    name = reply["name"]
    if not _NAME.fullmatch(name):
        raise ValueError(f"name {name!r}: 3 to 40 of a-z, 0-9 and _, a letter first")
    if name in taken:
        raise ValueError(f"name {name!r} is taken; choose another one")
    return reply
