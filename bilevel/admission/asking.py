"""A test double of the language model, for the questions of mechanisms during admission."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bilevel.llm.reply import ReplyError, checked, plain_schema
from bilevel.llm.scripted.minimal import instance
from bilevel.randomness import keyed
from bilevel.view import Answer, Ask

PROBLEM = "the reply could not be used (every second one during an admission)"


class Double:
    """A model that is never called. It answers in turn with a smallest instance of the question's
    schema and with a problem, so that both branches of an author's code run.

    `asked` counts the questions; a double that starts from a count continues that sequence. `heard`
    are the questions themselves, each with the problem of its answer.
    """

    def __init__(self, seed: int, asked: int = 0) -> None:
        self.seed, self.asked = seed, asked
        self.heard: list[tuple[Any, ...]] = []

    def asker(self, level: float, trial: int, purpose: str) -> Ask:
        """Returns an asker, as a loop or a view takes it."""

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
    """Returns the answer to a question; the last part of `key` is its number."""
    try:
        plain = plain_schema(schema)
    except ReplyError as error:
        return Answer(None, str(error))
    if key[-1] % 2:
        return Answer(None, PROBLEM)
    text = json.dumps(instance(plain, keyed(*key)))
    value, problem = checked(text, plain, check)
    return Answer(value, problem, texts=(text,))
