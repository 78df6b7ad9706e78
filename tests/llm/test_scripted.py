"""The stand-in model: deterministic, fixated, and answering to everything a prompt can say."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bilevel.llm.reply import checked
from bilevel.llm.scripted import respond
from bilevel.llm.scripted.reading import read
from bilevel.llm.scripted.slips import RATE
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.parameters import Float, PowerOfTwo
from bilevel.proposers.llm import LLMProposer
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Objective, Outcome, Proposal, Trace, Trial
from bilevel.view import Asker, Brief, View
from tests.llm.support import session

BATCH, DECAY = "TOTAL_BATCH_SIZE", "WEIGHT_DECAY"


def asking(seed: int, temperature: float | None = None) -> Asker:
    """An asker of the stand-in without slips in its replies counting."""
    made = session(respond, seed=seed, api_key_env=None, temperature=temperature)
    return made.asker


class Flat(Task):
    """Nothing helps: every trial has the baseline's value."""

    name = "flat"
    objective = Objective("val_bpb")

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        return Outcome(1.0)


GPT = Surrogate("trap").space


def search(seed: int, trials: int = 30, space: SearchSpace = GPT, **settings: Any) -> Loop:
    proposer = LLMProposer(space, **settings)
    loop = Loop(
        task=Flat(space),
        proposer=proposer,
        acceptance=Greedy(),
        seed=seed,
        trials=trials,
        asker=asking(seed),
    )
    loop.run()
    return loop


def moves(trace: Sequence[Trial]) -> Counter[str]:
    return Counter(name for trial in trace for name, _ in trial.moves)


def view_of(loop: Loop, seed: int = 0, **settings: Any) -> View:
    return replace(loop.view(), asker=asking(seed), settings={**loop.settings, **settings})


def proposed(view: View, brief: Brief | None = None) -> Proposal:
    shown = Brief(trials=view.trace[:]) if brief is None else brief
    (proposal,) = LLMProposer(view.space).propose(view, shown)
    assert not proposal.problem
    return proposal


def directions(proposals: Sequence[Proposal], name: str) -> Counter[str]:
    base: Any = GPT.baseline
    return Counter(
        GPT[name].direction(base[name], p.changes[name])  # type: ignore[arg-type]
        for p in proposals
        if name in p.changes
    )


def test_the_same_question_has_the_same_answer_and_every_part_counts() -> None:
    prompt = {"role": "user", "content": _prompt()}
    asked = {"model": "m", "messages": [prompt], "seed": 1, "temperature": 0.7}
    assert respond(asked) == respond(asked)
    texts = {
        respond({**asked, **other})["choices"][0]["message"]["content"]
        for other in ({}, {"seed": 2}, {"seed": 3}, {"temperature": 1.4}, {"temperature": 0.1})
    }
    assert len(texts) > 1
    usage = respond(asked)["usage"]
    assert usage["prompt_tokens"] > len(_prompt()) / 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def _prompt() -> str:
    """A real proposal prompt, as it is sent."""
    seen: list[str] = []

    def app(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request["messages"][-1]["content"])
        return respond(request)

    loop = search(0, trials=1)
    view = replace(loop.view(), asker=session(app).asker)
    LLMProposer(GPT).propose(view, Brief(trials=view.trace[:]))
    return seen[0]


def test_it_reads_what_the_prompt_says() -> None:
    reading = read(_prompt())
    assert [knob.name for knob in reading.knobs] == [p.name for p in GPT.active]
    assert len(reading.rows) == 2
    assert reading.rows[0].baseline
    assert reading.rows[1].moves
    assert reading.schema["properties"].keys() == {"hypothesis", "changes"}


def test_only_what_it_reads_moves_it() -> None:
    """Facts, tries, notes of a table, words of the task: a prompt may say more, or otherwise."""
    prompt = _prompt()
    other = prompt.replace("## Active parameters", "More is known of it.\n\n## Active parameters")
    other = other.replace("| tried |", "| made |").replace("The hypothesis is one", "It has one")
    other = other.replace("## Strategy", "## What is new\n\nA secret.\n\n## Strategy")
    guided = prompt.replace("## Guidance\n\nnone", "## Guidance\n\nLower MATRIX_LR.")
    assert len({prompt, other, guided}) == 3

    def replies(text: str) -> list[str]:
        asked = {"messages": [{"role": "user", "content": text}], "temperature": 0.7}
        made = [respond({**asked, "seed": seed}) for seed in range(12)]
        return [one["choices"][0]["message"]["content"] for one in made]

    assert replies(prompt) == replies(other)
    assert replies(prompt) != replies(guided)


def test_most_searches_open_with_a_larger_batch_and_then_less_weight_decay() -> None:
    loops = [search(seed, trials=4) for seed in range(16)]
    first = Counter(way for loop in loops for name, way in loop.trace[1].moves if name == BATCH)
    assert first["up"] >= 12
    assert first["down"] == 0
    decays = [(DECAY, "down") in {m for t in loop.trace for m in t.moves} for loop in loops]
    assert sum(decays) >= 10


def test_it_fixates_on_one_or_two_parameters() -> None:
    loops = [search(seed) for seed in range(4)]
    shares = []
    for loop in loops:
        counted = moves(loop.trace)
        shares.append(sum(n for _, n in counted.most_common(2)) / counted.total())
        assert (BATCH, "down") not in loop.trace[1].moves
    assert sum(shares) / len(shares) > 0.5
    favourites = {moves(loop.trace).most_common(1)[0][0] for loop in loops}
    assert favourites <= {DECAY, "WINDOW_PATTERN", "MATRIX_LR", "EMBEDDING_LR", "SCALAR_LR"}


def test_it_fixates_in_a_space_of_other_names_too() -> None:
    space = SearchSpace(tuple(Float(f"knob_{i}", 0.1, 10, 1.0) for i in range(8)))
    tops = [moves(search(seed, space=space).trace).most_common(1)[0] for seed in range(4)]
    assert all(count >= 8 for _, count in tops)
    assert len({name for name, _ in tops}) > 1


def test_a_warmer_model_wanders_more() -> None:
    def kinds(temperature: float) -> int:
        return sum(len(moves(search(seed, temperature=temperature).trace)) for seed in range(3))

    assert kinds(1.5) > kinds(0.0)


def test_frozen_parameters_are_left_alone() -> None:
    frozen = (DECAY, BATCH, "WINDOW_PATTERN")
    view = view_of(search(0, trials=3), frozen=frozen)
    for seed in range(12):
        proposal = proposed(replace(view, asker=asking(seed)))
        assert not set(frozen) & set(proposal.changes)


def test_guidance_moves_it() -> None:
    loop = search(0, trials=8)
    plain = [proposed(view_of(loop, seed)) for seed in range(16)]
    said = "Lower TOTAL_BATCH_SIZE. Avoid WEIGHT_DECAY."
    told = [proposed(view_of(loop, seed, guidance=said)) for seed in range(16)]
    assert directions(plain, BATCH)["down"] <= 2
    assert directions(told, BATCH)["down"] >= 6
    assert sum(DECAY in p.changes for p in told) < sum(DECAY in p.changes for p in plain)


def test_without_memory_it_opens_again_and_sometimes_the_other_way() -> None:
    loop = search(0, trials=8)
    again = [proposed(view_of(loop, seed), Brief()) for seed in range(40)]
    assert directions(again, BATCH)["up"] >= 12
    assert directions(again, BATCH)["down"] >= 3
    hidden = [proposed(view_of(loop, seed, history_shown=0)) for seed in range(40)]
    assert hidden == again


def test_it_follows_a_batch_that_helped() -> None:
    view = view_of(search(0, trials=0))
    config = {**GPT.baseline, BATCH: 2**18}
    better = replace(
        view.trace[0],
        number=1,
        parent=0,
        config=config,
        outcome=Outcome(0.9),
        moves=frozenset({(BATCH, "down")}),
    )
    view = replace(view, trace=Trace([view.trace[0], better]), parent=better)
    proposals = [proposed(replace(view, asker=asking(seed))) for seed in range(20)]
    assert sum(p.changes.get(BATCH) == 2**17 for p in proposals) >= 10


def test_rejected_moves_are_avoided() -> None:
    loop = search(0, trials=0)
    rejected = (
        f"These candidates were rejected, propose something else:\n- {{'{BATCH}': {2**20}}}: no"
    )
    told = [proposed(view_of(loop, seed), Brief(loop.trace[:], rejected)) for seed in range(16)]
    assert directions(told, BATCH)["up"] <= 1


def test_no_more_changes_than_asked_for() -> None:
    loop = search(0, trials=3)
    counts = [
        len(proposed(view_of(loop, s, max_changes=1, strategy="combine")).changes)
        for s in range(10)
    ]
    assert set(counts) == {1}
    several = [len(proposed(view_of(loop, s, strategy="combine")).changes) for s in range(10)]
    assert max(several) > 1


def test_a_few_replies_are_malformed_and_repaired() -> None:
    prompt = {"role": "user", "content": _prompt()}
    schema = read(prompt["content"]).schema

    def legal(value: Any) -> Any:
        return GPT.check({c["parameter"]: c["value"] for c in value["changes"]})

    bad = 0
    for seed in range(400):
        asked = {"messages": [prompt], "seed": seed, "temperature": 0.7}
        text = respond(asked)["choices"][0]["message"]["content"]
        if checked(text, schema, legal)[1]:
            bad += 1
            repair = [prompt, {"role": "assistant", "content": text}, {**prompt, "content": "No."}]
            again = respond({**asked, "messages": repair})["choices"][0]["message"]["content"]
            assert not checked(again, schema, legal)[1]
    assert 0.4 * RATE < bad / 400 < 2 * RATE


def test_a_small_user_space() -> None:
    space = SearchSpace((PowerOfTwo("width", 8, 8, 8), Float("rate", 0.0, 1.0, 0.0)))
    view = view_of(search(1, trials=2, space=space))
    assert math.isfinite(proposed(view).changes["rate"])  # type: ignore[arg-type]
