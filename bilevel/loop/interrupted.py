"""Repeats the questions of a hook call that was stopped at a limit, when a search re-executes.

A stopped call is not executed again, but its questions were journalled and charged, and have to be
asked again in their place.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bilevel.journal import Data
from bilevel.sandbox.failures import STOPS
from bilevel.view import Answer, Ask, View

Check = Callable[[Any], Any]


class InterruptedQuestions:
    """Records the questions of one hook call; `asked` is plain data, in order, with the result of
    the check of each reply."""

    def __init__(self, view: View) -> None:
        self.asked: list[Data] = []
        self.view = replace(view, asker=self._asker)
        self._real = view.asker

    def _asker(self, level: float, trial: int, purpose: str) -> Ask:
        real = self._real(level, trial, purpose)

        def ask(
            prompt: str,
            schema: Mapping[str, Any],
            *,
            check: Check | None = None,
            system: str = "",
            temperature: float | None = None,
        ) -> Answer:
            said: list[list[str]] = []
            rest = {"system": system, "temperature": temperature}
            question = {"purpose": purpose, "prompt": prompt, "schema": schema, **rest}
            self.asked.append({**question, "checks": None if check is None else said})
            heard = check and _heard(check, said)
            return real(prompt, schema, check=heard, system=system, temperature=temperature)

        return ask


def ask_again(view: View, asked: Sequence[Mapping[str, Any]]) -> None:
    """Asks the recorded questions of a stopped call again; the journal holds the answers."""
    for question in asked:
        rest = {key: question[key] for key in ("prompt", "schema", "system", "temperature")}
        said = question["checks"]
        ask = view.for_(question["purpose"]).ask
        with contextlib.suppress(*STOPS.values()):
            ask(**rest, check=None if said is None else _saying(said))


def _heard(check: Check, said: list[list[str]]) -> Check:
    def heard(value: Any) -> Any:
        try:
            made = check(value)
        except Exception as error:  # whatever it is, it is raised again in its turn
            said.append([type(error).__name__, str(error)])
            raise
        said.append([])
        return made

    return heard


def _saying(said: Sequence[Sequence[str]]) -> Check:
    left = iter(said)

    def check(value: Any) -> Any:
        for kind, message in filter(None, [next(left, [])]):
            raise STOPS.get(kind, ValueError)(message)
        return value

    return check
