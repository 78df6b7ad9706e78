"""The numbers that say where a search is stuck, counted by hand."""

from typing import Any

import pytest

from bilevel.loop.acceptance import NoiseAware
from bilevel.loop.behaviour import described, longest_streak, never_tried, repetition_rate
from bilevel.loop.loop import Loop
from bilevel.parameters import Tuple
from bilevel.space import Config, SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import Objective, Outcome, Proposal, Trial
from tests.helpers import SPACE, loop

UP, DOWN, LARGE = ({("X", "up")}, {("X", "down")}, {("BATCH", "up")})


class Blank(Task):
    """Every configuration has the same value."""

    name = "blank"
    objective = Objective("val_bpb")

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        return Outcome(1.0)


@pytest.mark.parametrize(
    ("moves", "rate"),
    [
        ([], None),
        ([UP], 0.0),
        ([UP, UP, DOWN, UP], 0.5),
        ([UP, UP | LARGE, LARGE], 0.0),  # sets of moves, not single ones
        ([UP | LARGE, LARGE | UP], 0.5),
        ([set(), set(), UP], 0.0),  # nothing moved is no repetition of nothing
        ([UP, set(), UP, set()], 0.25),
    ],
)
def test_repetition_rate(moves: list[set[tuple[str, str]]], rate: float | None) -> None:
    assert repetition_rate(map(frozenset, moves)) == rate


@pytest.mark.parametrize(
    ("kept", "streak"),
    [("", 0), ("k", 0), ("d", 1), ("ddkdddkd", 3), ("kdd", 2), ("ddkk", 2)],
)
def test_longest_streak(kept: str, streak: int) -> None:
    assert longest_streak(one == "k" for one in kept) == streak


def ran(*changes: dict[str, object], **rest: Any) -> Loop:
    made = loop(*changes, **rest)
    made.run()
    return made


def test_what_was_never_tried() -> None:
    assert never_tried(SPACE, []) == [
        *(("X", "up"), ("X", "down"), ("BATCH", "up"), ("BATCH", "down")),
        ("MODE", "to crash"),  # MODE is plain
    ]
    made = ran({"X": 4.0, "BATCH": 128}, {"MODE": "crash"})
    assert never_tried(SPACE, made.trace) == [("X", "up"), ("BATCH", "down")]


def test_every_place_of_a_tuple_is_tried_for_itself() -> None:
    pair = SearchSpace((Tuple("BETAS", (0.0, 0.0), (1.0, 1.0), (0.5, 1.0)),))
    made = loop({"BETAS": [0.6, 0.9]}, {"BETAS": [0.5, 0.9]}, task=Blank(pair))
    assert never_tried(pair, []) == [("BETAS", "0 up"), ("BETAS", "0 down"), ("BETAS", "1 down")]
    made.run()
    assert never_tried(pair, made.trace) == [("BETAS", "0 down")]
    lowest: Config = {"BETAS": (0.0, 0.5)}
    assert never_tried(pair, made.trace, lowest) == [("BETAS", "1 up")]


def test_a_move_that_cannot_be_made_is_not_missed() -> None:
    at_its_end: Config = {"X": 10.0, "BATCH": 1, "MODE": "crash"}
    assert never_tried(SPACE, [], at_its_end) == [
        ("X", "down"), ("BATCH", "up"), ("MODE", "to plain"),
    ]  # fmt: skip


def test_a_search_in_lines() -> None:
    made = ran({"X": 4.0}, {"X": 3.0}, {"X": 9.0}, {"MODE": "crash"}, {"X": 1.0}, {"X": 2.0}, {})
    assert described(SPACE, made.trace).splitlines() == [
        "- trials: 7, kept: 3",
        "- failed trials: 1",
        "- repetition rate: 0.43",  # of 7: down again, down again, up again; one moved nothing
        "- longest discard streak: 2",
        "- discards since the last gain: 2",
        "- moves never tried: BATCH up, BATCH down",
    ]


def test_nothing_tried_yet() -> None:
    said = described(SPACE, [])
    assert "- trials: 0, kept: 0" in said
    assert "- repetition rate: none" in said
    made = loop({"X": 1.0})
    made._round(None)
    assert described(SPACE, made.trace) == said


def test_re_tests_are_no_trials() -> None:
    policy = NoiseAware(sd=1.0, threshold_sds=0.0, lucky_sds=99.0)
    made = ran({"X": 4.0}, {"X": 4.5}, acceptance=policy)
    assert made.trace[2].retest_of == 1
    assert "- trials: 1, kept: 1" in described(SPACE, made.trace)
