"""A search that comes out otherwise says whose doing that is, where it can be known."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from bilevel.errors import JournalError
from bilevel.journal import Journal
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View
from tests.helpers import Listed, Parabola

CLOCK = itertools.count()  # no two answers that go by it are the same


class Proposes(Mechanism):
    name = "clocky"

    def propose(self, view: View) -> Sequence[Proposal]:
        return [Proposal({"X": 1 + next(CLOCK) / 100})] if view.trial == 2 else []


class Reviews(Mechanism):
    name = "clocky"

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        if view.trial != 2:
            return candidates
        return [Proposal({"X": 1 + next(CLOCK) / 100}), *candidates]


class Tells(Mechanism):
    name = "clocky"

    def brief(self, view: View, brief: Brief) -> Brief:
        return brief.add("x" * next(CLOCK)) if view.trial == 2 else brief


class Accepts(Mechanism):
    name = "clocky"

    def accept(self, view: View, trial: Trial) -> bool | None:
        return next(CLOCK) % 2 == 0 if trial.number == 2 else None


def search(path: Path, *mechanisms: Mechanism, changes: float = 0.0) -> None:
    with Journal(path) as journal:
        Loop(
            task=Parabola(),
            proposer=Listed({"X": 2.5}, {"X": 2.25 + changes}, {"X": 2.0}),
            acceptance=Greedy(),
            trials=3,
            pipeline=Pipeline(mechanisms, journal=journal),
            journal=journal,
        ).run()


HOOKS = {Proposes: "propose", Reviews: "review", Tells: "brief", Accepts: "accept"}


@pytest.mark.parametrize("kind", HOOKS)
def test_a_mechanism_that_goes_by_something_else_is_named(
    kind: type[Mechanism], tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    search(path, kind())
    words = rf"mechanism clocky answers otherwise than it did: {HOOKS[kind]} at trial 2"
    with pytest.raises(JournalError, match=words) as told:
        search(path, kind())
    assert "the code changed since" not in str(told.value)


def test_what_no_mechanism_did_is_not_blamed_on_one(tmp_path: Path) -> None:
    class Steady(Mechanism):
        name = "steady"

        def propose(self, view: View) -> Sequence[Proposal]:
            return [Proposal({"X": 2.75})] if view.trial == 1 else []

    path = tmp_path / "journal.jsonl"
    search(path, Steady())
    with pytest.raises(JournalError, match="was recorded for another request"):
        search(path, Steady(), changes=0.125)
