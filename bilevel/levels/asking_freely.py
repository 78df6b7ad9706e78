"""A mechanism in one call: the model is told the protocol and writes the best general one it can.

Searches of mechanisms on suites of tasks ask the same way.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bilevel.admission.lint import DECIDING
from bilevel.invention import Invention
from bilevel.levels import account
from bilevel.levels.framing import Framing
from bilevel.levels.writing import Writer, check_name
from bilevel.llm import prompts
from bilevel.llm.schemas import record
from bilevel.mechanism import CARRIERS
from bilevel.view import Answer, Brief, View

_TEXT = {"type": "string", "minLength": 1}
_SCHEMA = record({"name": _TEXT, "idea": _TEXT, "source": _TEXT})


class AskingFreely(Framing):
    """Asks once, for the whole text; what the gates refuse is mended."""

    @staticmethod
    def system() -> str:
        return system("what the search that they act in has found when its trials are spent")

    def session(self, view: View, brief: Brief, others: Sequence[Invention]) -> Invention:
        values = {**self._search(view, brief, others), "protocol": self._words.protocol}
        taken = account.taken(view, others)
        answer, made = written_freely(self._writer, view, "free", values, taken)
        return Invention(problem=f"free: {answer.problem}") if made is None else made


def system(judged: str) -> str:
    """Returns what a model is told that it is which is asked this way; `judged` is by what."""
    return prompts.render("discover_system", judged=judged)


def written_freely(
    writer: Writer,
    view: View,
    prompt: str,
    values: Mapping[str, str],
    taken: Collection[str] = (),
) -> tuple[Answer, Invention | None]:
    """Returns the answer to the prompt of this name and what was made of it, mended until it is
    admitted or the repairs are used up; nothing where the answer cannot be used. `values` are those
    of the prompt beside the platform and the rules, `taken` names that a mechanism may not have."""

    def check(reply: Any) -> Any:
        return check_name(reply, taken)

    _, answer = writer.ask(view, prompt, _SCHEMA, {**parts(writer), **values}, check)
    if answer.problem:
        return answer, None
    said, idea = answer.value, " ".join(answer.value["idea"].split())
    specification = writer.interface(f"name: {said['name']}\nidea: {idea}")
    text = writer.mended(view, specification, said["source"], taken)
    admission = text.attempts[-1].admission
    return answer, Invention(
        name=admission.name or said["name"],
        carrier=admission.carrier,
        behaviour=idea,
        attempts=text.attempts,
        problem=text.problem,
    )


def parts(writer: Writer) -> dict[str, str]:
    """Returns what such a prompt tells of the platform, and its rules for a text."""
    values = {
        **writer.interface(""),
        "loop": writer.platform["loop"],
        "carriers": ", ".join(CARRIERS),
        "deciding": ", ".join(DECIDING),
    }
    names = ("platform", "rules")
    return {name: prompts.render_of(f"parts/{name}", values).strip() for name in names}
