"""The stand-in as a scientist and as a rewriter: usable answers, habits, and some broken ones."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bilevel.baselines.claw_refine import ClawRefine
from bilevel.baselines.directions import Direction, Questions
from bilevel.baselines.memory import FAILED, FEASIBLE, Idea
from bilevel.baselines.situation import situation
from bilevel.journal import Journal
from bilevel.llm.ledger import CallLedger
from bilevel.llm.reply import checked
from bilevel.llm.scripted import respond
from bilevel.llm.scripted.reading import read
from bilevel.llm.session import Session
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import FailureKind, Trial
from bilevel.view import Answer, Brief, View
from tests.llm.support import client, session
from tests.mechanisms.support import trial, view

GPT = Surrogate("trap").space
BATCH, DECAY = "TOTAL_BATCH_SIZE", "WEIGHT_DECAY"
BASELINE = trial(GPT, 0, {}, 1.1, kept=True)
LOWER_DECAY = Direction(f"Lower {DECAY}", f"Lower {DECAY} step by step.", "It helps.", (DECAY,))
RAISE_BATCH = Direction(f"Raise {BATCH}", f"Raise {BATCH} step by step.", "It helps.", (BATCH,))
SEEDS = range(24)
CLIENT = client(respond, api_key_env=None, temperature=0.7)


def at(seed: int, trials: Sequence[Trial] = (BASELINE,)) -> View:
    """A view whose questions the stand-in answers, as another search's for another seed."""
    made = view(trials, space=GPT, seed=seed)
    asker = Session(CLIENT, Journal(None), CallLedger(), seed).asker
    return replace(made, asker=asker, purpose="propose/0")


def questions(seed: int, trials: Sequence[Trial] = (BASELINE,)) -> Questions:
    made = at(seed, trials)
    return Questions(made, situation(made, made.base, trials), 0.7)


def named(shown: Sequence[Idea] = (), count: int = 6) -> list[list[Direction]]:
    """The directions of every seed whose reply could be used."""
    answers = [questions(seed).directions(count, shown, []) for seed in SEEDS]
    found = [answer.value for answer in answers if not answer.problem]
    assert len(found) >= len(SEEDS) - 1
    return found


def first_replies(ask: Callable[[int], Answer]) -> list[str]:
    return [ask(seed).texts[0] for seed in SEEDS]


class TestDirections:
    def test_they_differ_and_name_what_the_stand_in_is_fixated_on(self) -> None:
        found = named()
        assert all(1 <= len(one) <= 6 for one in found)
        assert sum(len(one) for one in found) / len(found) > 4
        tags = Counter(direction.tags[0] for one in found for direction in one)
        assert set(tags) <= {parameter.name for parameter in GPT.active}
        assert tags[DECAY] > 3 * tags["HEAD_DIM"]
        ways = Counter(d.tags[1] for one in found for d in one if d.tags[0] == BATCH)
        assert ways["up"] > 2 * ways["down"]

    def test_what_helped_is_named_again_and_what_failed_is_mostly_left(self) -> None:
        helped = Idea(f"Lower {BATCH}", f"Lower {BATCH} by halves.", "w", "e", FEASIBLE)
        said = (f"Do not raise {DECAY} from here", f"Do not lower {DECAY} from here")
        failed = Idea(f"Raise {DECAY}", "r", "w", "e", FAILED, do_not_repeat=said)
        found = named([helped, failed])
        assert sum(one[0].tags == (BATCH, "down") for one in found) >= 0.6 * len(found)
        left = sum(any(d.tags[0] == DECAY for d in one) for one in found)
        assert left <= 0.3 * len(found)

    def test_a_few_are_named_twice(self) -> None:
        replies = first_replies(lambda seed: questions(seed).directions(9, [], []))
        whole = [json.loads(text) for text in replies if text.endswith("}]}")]
        twice = [
            reply
            for reply in whole
            if len({d["title"] for d in reply["directions"]}) < len(reply["directions"])
        ]
        assert 1 <= len(twice) <= len(whole) / 3


class TestComparing:
    def test_evidence_decides_more_often_than_the_place(self) -> None:
        helped = [
            BASELINE,
            trial(GPT, 1, {BATCH: 2**20}, 1.05, kept=True),
            trial(GPT, 2, {BATCH: 2**21}, 1.0, before={**GPT.baseline, BATCH: 2**20}, kept=True),
        ]
        won = [questions(seed, helped).first_wins(RAISE_BATCH, LOWER_DECAY) for seed in SEEDS]
        hurt = [BASELINE, trial(GPT, 1, {BATCH: 2**20}, 1.2)]
        lost = [questions(seed, hurt).first_wins(RAISE_BATCH, LOWER_DECAY) for seed in SEEDS]
        assert won.count(True) > 2 * lost.count(True)
        even = Direction("Lower MATRIX_LR", "Lower MATRIX_LR step by step.", "It helps.")
        assert {questions(seed).first_wins(even, LOWER_DECAY) for seed in SEEDS} == {True, False}

    def test_what_it_reads_first_has_a_bonus(self) -> None:
        question = comparison(LOWER_DECAY, LOWER_DECAY)
        texts = [at(seed).ask(*question).texts[0] for seed in range(200)]
        whole = [text for text in texts if text.startswith('{"b') and text.endswith("}")]
        better = Counter(json.loads(text)["better"] for text in whole)
        assert better["A"] > better["B"] > 0


def comparison(one: Direction, other: Direction) -> tuple[str, dict[str, Any]]:
    """The question in an order that no coin has turned."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def keep(prompt: str, schema: Any, **rest: Any) -> Answer:
        asked.append((prompt, dict(schema)))
        return Answer({"better": "A", "reason": ""})

    made = view([BASELINE], space=GPT)
    shown = replace(made, asker=lambda *_: keep)
    Questions(shown, situation(shown, shown.base, [BASELINE]), 0.7).first_wins(one, other)
    return asked[0]


class TestLookingBack:
    def test_a_failure_has_a_cause_three_to_five_countermeasures_and_a_note(self) -> None:
        ideas = [questions(seed).failure(RAISE_BATCH, "e", "none") for seed in SEEDS]
        whole = [idea for idea in ideas if idea.root_cause]
        assert len(whole) >= len(SEEDS) - 2
        for idea in whole:
            assert 3 <= len(idea.countermeasures) <= 5
            assert idea.do_not_repeat == (f"Do not raise {BATCH} from here",)
            assert BATCH in idea.root_cause

    def test_some_first_reflections_are_too_short(self) -> None:
        ledger = CallLedger()
        for seed in range(150):
            asker = Session(CLIENT, Journal(None), ledger, seed).asker
            made = replace(view([BASELINE], space=GPT, seed=seed), asker=asker)
            asked = Questions(made, situation(made, made.base, [BASELINE]), 0.7)
            asked.failure(RAISE_BATCH, "e", "none")
        problems = [call.problem for call in ledger.calls if call.problem]
        assert 4 <= len(problems) <= 24
        assert any("minItems" in problem for problem in problems)

    def test_a_strategy_says_what_helped(self) -> None:
        made = [questions(seed).strategy(LOWER_DECAY, "e", "none") for seed in SEEDS]
        found = [strategy for strategy in made if strategy is not None]
        assert len(found) >= len(SEEDS) - 1
        assert all(f"{DECAY}" in strategy.strategy for strategy in found)
        assert {strategy.confidence for strategy in found} == {"low"}


CRASHED = trial(
    GPT,
    1,
    {"DEVICE_BATCH_SIZE": 256, DECAY: 0.1},
    None,
    failure=FailureKind.OUT_OF_MEMORY,
    origin="rewrite",
)


class TestRewriting:
    def test_most_rewrites_are_whole_and_legal_and_change_more_than_a_proposal(self) -> None:
        made = [ClawRefine(GPT).propose(at(seed), Brief((BASELINE,)))[0] for seed in SEEDS]
        usable = [proposal for proposal in made if not proposal.problem]
        assert len(usable) >= len(SEEDS) - 3
        assert sum(len(p.changes) for p in usable) / len(usable) > 1.5
        assert all(GPT.check(p.changes) for p in usable)

    def test_some_first_ones_forget_a_parameter_or_leave_a_range(self) -> None:
        prompt = sent(ClawRefine(GPT), [BASELINE])
        schema = read(prompt).schema
        told: Counter[str] = Counter()
        for seed in range(200):
            request = {"messages": [{"role": "user", "content": prompt}], "seed": seed}
            text = respond({**request, "temperature": 0.7})["choices"][0]["message"]["content"]
            value, problem = checked(text, schema)
            listed = [] if problem else value["configuration"]
            told["broken"] += bool(problem)
            told["forgotten"] += not problem and len(listed) < len(GPT.active)
            told["outside"] += any(line["value"] == 1e9 for line in listed)
        assert all(1 <= told[kind] <= 20 for kind in ("broken", "forgotten", "outside"))

    def test_a_repair_goes_back_in_what_the_failure_names_and_at_times_is_wrong(self) -> None:
        told = CRASHED.outcome.failed(FailureKind.OUT_OF_MEMORY, "DEVICE_BATCH_SIZE above 128")
        crashed = replace(CRASHED, outcome=told)
        made = [
            ClawRefine(GPT).propose(at(seed, [BASELINE, crashed]), Brief((BASELINE, crashed)))[0]
            for seed in SEEDS
        ]
        repaired = Counter("DEVICE_BATCH_SIZE" in p.changes for p in made if not p.problem)
        assert {proposal.origin for proposal in made} == {"repair"}
        assert repaired[False] > 3 * repaired[True] > 0
        kept = [p for p in made if not p.problem and "DEVICE_BATCH_SIZE" not in p.changes]
        assert all(p.changes == {DECAY: 0.1} for p in kept)


def sent(made: ClawRefine, trials: Sequence[Trial]) -> str:
    """The prompt as it is sent."""
    seen: list[str] = []

    def app(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["messages"][-1]["content"])
        return respond(request)

    shown = view(trials, space=GPT)
    asker = session(app, api_key_env=None).asker
    made.propose(replace(shown, asker=asker), Brief(tuple(trials)))
    return seen[0]
