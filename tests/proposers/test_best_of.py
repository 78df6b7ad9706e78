"""Level 1 with more tokens: several proposals a trial, and one question which to try."""

from collections.abc import Mapping
from typing import Any

import pytest

from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.proposers.best_of import BestOf
from bilevel.proposers.llm import LLMProposer
from bilevel.trace import Proposal
from bilevel.view import Answer, Ask, Brief
from tests.helpers import SPACE, Parabola, loop
from tests.llm.support import Canned, contents, reply, session


def proposing(**changes: object) -> str:
    listed = [{"parameter": name, "value": value} for name, value in changes.items()]
    return reply(hypothesis=f"because of {', '.join(changes)}", changes=listed)


def choosing(number: int) -> str:
    return reply(reason="it is better", chosen=number)


def proposed(*replies: str, candidates: int = 3) -> tuple[list[Proposal], Canned]:
    """What is proposed for the first trial after the baseline."""
    app = Canned(*replies)
    made = loop({}, asker=session(app).asker)
    made._round(None)
    view = made.view().for_("propose/0")
    return [
        *BestOf(SPACE, extra_tokens_a_trial=PLENTY, most=candidates).propose(
            view, Brief(made.trace)
        )
    ], app


PLENTY = 10**9
X4, X3, B8 = proposing(X=4.0), proposing(X=3.0), proposing(BATCH=8)


def test_the_model_chooses_among_different_candidates() -> None:
    [chosen], app = proposed(X4, X3, B8, choosing(2))
    assert chosen.changes == {"BATCH": 8}
    asked = contents(app.requests)[-1]
    for line in ("0. X 5.0 -> 4.0: because of X", "1. X 5.0 -> 3.0: ", "2. BATCH 64 -> 8: "):
        assert line in asked
    assert "val_bpb (lower is better)" in asked
    assert len(app.requests) == 4


@pytest.mark.parametrize(
    ("replies", "changes", "asked"),
    [
        ((X4, X4, X4), {"X": 4.0}, 3),  # all alike: there is nothing to choose
        ((X4, X3, X4, choosing(1)), {"X": 3.0}, 4),
        ((X4, X3, X4, choosing(0)), {"X": 4.0}, 4),  # in the order in which they came
        ((X4, X3, X4, choosing(7), "no"), {"X": 4.0}, 5),  # no choice that can be used
        (("no", "no", X3, "no", "no"), {"X": 3.0}, 5),  # one candidate that can be used
    ],
)
def test_what_cannot_be_chosen_or_used(
    replies: tuple[str, ...], changes: Mapping[str, object], asked: int
) -> None:
    [chosen], app = proposed(*replies)
    assert chosen.changes == changes
    assert not chosen.problem
    assert len(app.requests) == asked


def test_without_a_candidate_the_reason_is_what_fails() -> None:
    [chosen], app = proposed("no")
    assert "no JSON" in chosen.problem
    assert len(app.requests) == 6


def test_as_many_evaluations_as_level_1_and_every_question_has_its_own_key() -> None:
    task, places = Parabola(), list[str]()
    asker = session(Canned(X4, X3, choosing(0))).asker

    def noting(level: float, trial: int, purpose: str) -> Ask:
        places.append(f"L{level}/T{trial}/{purpose}")
        return asker(level, trial, purpose)

    made = Loop(
        task=task,
        proposer=BestOf(SPACE, extra_tokens_a_trial=PLENTY, most=2),
        acceptance=Greedy(),
        trials=1,
        asker=noting,
    )
    made.run()
    assert task.evaluated == 2
    assert places == [f"L1/T1/propose/0/{part}" for part in ("0", "1", "choose")]


def test_it_is_configured_like_level_1() -> None:
    assert (
        BestOf(SPACE, extra_tokens_a_trial=PLENTY, most=2).settings == LLMProposer(SPACE).settings
    )
    with pytest.raises(ValueError, match="extra_tokens_a_trial=0: expected a positive number"):
        BestOf(SPACE, extra_tokens_a_trial=0)


def spent(extra: int, trials: int) -> list[tuple[int, str, int]]:
    """Trial, part of the purpose and tokens of every question."""
    noted: list[tuple[int, str, int]] = []
    asker = session(Canned(*(proposing(X=x / 10) for x in range(90)))).asker

    def counting(level: float, trial: int, purpose: str) -> Ask:
        ask = asker(level, trial, purpose)

        def counted(*arguments: Any, **named: Any) -> Answer:
            answer = ask(*arguments, **named)
            noted.append((trial, purpose.rpartition("/")[2], answer.tokens))
            return answer

        return counted

    proposer = BestOf(SPACE, extra_tokens_a_trial=extra)
    made = Loop(
        task=Parabola(), proposer=proposer, acceptance=Greedy(), trials=trials, asker=counting
    )
    made.run()
    assert all(tokens > 0 for _, _, tokens in noted)
    return noted


@pytest.mark.parametrize("extra", [5, 40, 100])
def test_what_is_spent_above_level_1_follows_what_it_was_given(extra: int) -> None:
    """Trial after trial it goes past its share by one question, and its choice, at most."""
    noted = spent(extra, trials=6)
    assert [trial for trial, part, _ in noted if part == "0"] == [*range(1, 7)]
    question = max(tokens for _, part, tokens in noted if part != "choose")
    choice = max((tokens for _, part, tokens in noted if part == "choose"), default=0)
    for now in range(1, 7):
        above = sum(tokens for trial, part, tokens in noted if part != "0" and trial <= now)
        assert 0 <= above - extra * now <= question + choice


def test_where_a_question_is_dearer_than_the_allowance_some_trials_get_two_candidates() -> None:
    noted = spent(10, trials=12)
    assert min(tokens for _, part, tokens in noted if part == "0") > 10
    candidates = [sum(t == n and p != "choose" for t, p, _ in noted) for n in range(1, 13)]
    assert set(candidates) == {1, 2}
    assert 1 < candidates.count(2) < 6


def test_the_answer_of_another_kind_of_asker_is_enough() -> None:
    """Nothing of a session but its answers is used."""

    def ask(prompt: str, schema: Mapping[str, Any], **rest: Any) -> Answer:
        return Answer(None, "nobody is there")

    made = loop({}, asker=lambda level, trial, purpose: ask)
    made._round(None)
    [chosen] = BestOf(SPACE, extra_tokens_a_trial=PLENTY, most=2).propose(
        made.view().for_("p"), Brief()
    )
    assert "nobody is there" in chosen.problem
