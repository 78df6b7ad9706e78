"""A double of the model that mechanisms ask during their admission."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bilevel.llm.reply import ReplyError, checked, plain_schema
from bilevel.llm.scripted.minimal import instance
from bilevel.randomness import keyed
from bilevel.view import Answer, Ask

PROBLEM = "the reply could not be used (every second one during an admission)"


class Double:
    """Never calls a model. The first question is answered with a smallest instance that satisfies
    its schema, the second with a problem, and so on, so that both of an author's paths run.

    `asked` counts the questions; a double that starts from a count goes on like that one. `heard`
    are the questions themselves, each with what was wrong with its answer.
    """

    def __init__(self, seed: int, asked: int = 0) -> None:
        self.seed, self.asked = seed, asked
        self.heard: list[tuple[Any, ...]] = []

    def asker(self, level: float, trial: int, purpose: str) -> Ask:
        """What a loop or a view takes."""

        def ask(
            prompt: str,
            schema: Mapping[str, Any],
            *,
            check: Callable[[Any], Any] | None = None,
            system: str = "",
            temperature: float | None = None,
        ) -> Answer:
            turn = self.asked
            self.asked += 1
            answer = _answer(schema, check, (self.seed, level, trial, purpose, turn))
            self.heard.append((purpose, prompt, dict(schema), system, temperature, answer.problem))
            return answer

        return ask


def _answer(
    schema: Mapping[str, Any], check: Callable[[Any], Any] | None, key: tuple[Any, ...]
) -> Answer:
    """`key` ends with the turn."""
    try:
        plain = plain_schema(schema)
    except ReplyError as error:
        return Answer(None, str(error))
    if key[-1] % 2:
        return Answer(None, PROBLEM)
    text = json.dumps(instance(plain, keyed(*key)))
    value, problem = checked(text, plain, check)
    return Answer(value, problem, texts=(text,))
