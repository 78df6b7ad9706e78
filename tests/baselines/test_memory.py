"""A memory holds nothing twice, finds what is alike, and comes back from text as it was."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilevel.baselines.memory import (
    FAILED,
    FEASIBLE,
    STRATEGY,
    Idea,
    Memory,
    Strategy,
    from_json,
    to_json,
)
from bilevel.baselines.similarity import DUPLICATE, cosines, repeats
from bilevel.errors import ConfigError

LOWER = Idea("Lower RATE", "Lower RATE step by step.", "it overshoots", "none", FEASIBLE, ("RATE",))
DEEPER = Idea(
    "More LAYERS",
    "A deeper network has more capacity.",
    "it underfits",
    "6 experiments",
    FAILED,
    root_cause="too slow",
    countermeasures=("fewer", "wider", "shorter"),
    do_not_repeat=("Do not raise LAYERS",),
)
STEPS = Strategy("RATE is too high", "Halve RATE until it hurts.", "3 of 6 kept", "high")

WORDS = st.lists(st.sampled_from(["lower", "raise", "rate", "batch", "from", "steps"]), max_size=6)
TEXTS = WORDS.map(" ".join)
IDEAS = st.builds(
    Idea, TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from((FEASIBLE, FAILED)), st.just(("tag",))
)
STRATEGIES = st.builds(Strategy, TEXTS, TEXTS, TEXTS, st.sampled_from(("low", "high")))
ENTRIES = st.lists(st.one_of(IDEAS, STRATEGIES), max_size=8)


@settings(max_examples=30, deadline=None)
@given(ENTRIES)
def test_nothing_repeats_what_was_there_and_adding_again_changes_nothing(
    entries: list[Idea | Strategy],
) -> None:
    """How alike two texts are depends on the others: a word of them all says little."""
    memory = Memory(entries)
    for count, entry in enumerate(memory.entries):
        before = [one.text for one in memory.entries[:count] if one.kind == entry.kind]
        assert not repeats(entry.text, before)
    again = [entry for entry in memory.entries if entry.text.strip(" .")]
    assert not any(memory.add(entry) for entry in again)


@settings(max_examples=30, deadline=None)
@given(ENTRIES, TEXTS)
def test_the_closest_come_first_and_share_something(
    entries: list[Idea | Strategy], query: str
) -> None:
    memory = Memory(entries)
    found = memory.closest((FEASIBLE, FAILED), query, 3)
    assert len(found) <= 3
    assert all(entry.kind != STRATEGY for entry in found)
    pool = [entry.text for entry in memory.entries if entry.kind != STRATEGY]
    known = dict(zip(pool, cosines(query, pool), strict=True))
    near = [known[entry.text] for entry in found]
    assert all(cosine > 0 for cosine in near)
    assert all(a >= b for a, b in pairwise(near))
    assert near == sorted(known.values(), reverse=True)[: len(near)] or len(known) < len(pool)


@settings(max_examples=30, deadline=None)
@given(st.one_of(IDEAS, STRATEGIES))
def test_an_entry_survives_a_file(entry: Idea | Strategy) -> None:
    assert from_json(json.loads(json.dumps(to_json(entry)))) == entry


@pytest.mark.parametrize("entry", [LOWER, DEEPER, STEPS])
def test_every_kind_survives_a_file(entry: Idea | Strategy) -> None:
    assert from_json(json.loads(json.dumps(to_json(entry)))) == entry


def test_what_is_retrieved_is_what_the_question_is_about() -> None:
    memory = Memory([LOWER, DEEPER, STEPS])
    assert memory.closest((FEASIBLE, FAILED), "should RATE be lower?", 2) == [LOWER]
    assert memory.closest((FEASIBLE, FAILED), "more capacity, a deeper network", 1) == [DEEPER]
    assert memory.closest((STRATEGY,), "RATE", 1) == [STEPS]
    assert memory.closest((STRATEGY,), "nothing in common", 1) == []


def test_the_younger_of_equals_is_found() -> None:
    memory = Memory([LOWER, replace(LOWER, status=FAILED)])
    assert memory.closest((FEASIBLE, FAILED), "RATE", 1) == [replace(LOWER, status=FAILED)]


def test_a_paraphrase_is_not_a_duplicate_and_a_word_more_in_a_long_text_is() -> None:
    long = "Lower RATE step by step from 0.1 while BATCH stays as it is, and raise SHARE after it"
    assert repeats(f"{long} now", [long])
    assert not repeats("Raise RATE", ["Lower RATE"])
    assert not repeats("anything", [])
    assert not repeats("", [""])
    assert cosines("a b", ["a b"]) == pytest.approx([1.0])
    assert DUPLICATE == 0.9


def test_the_order_of_words_counts() -> None:
    assert not repeats("raise RATE and lower BATCH", ["lower RATE and raise BATCH"])


def test_what_is_no_entry_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no entry of it \(.*missing"):
        from_json({"kind": STRATEGY, "context": "x"})
