"""The trace: an immutable picture however it is grown."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.trace import Decision, FailureKind, Objective, Outcome, Proposal, Trace, Trial, elites


def trial(number: int, value: float | None, kept: bool = True) -> Trial:
    outcome = Outcome(value) if value is not None else Outcome.failed(FailureKind.CRASH, "boom")
    decision = Decision.KEEP if kept and value is not None else Decision.DISCARD
    return Trial(number, None, Proposal({}), {}, 0, outcome, decision)


@given(st.lists(st.integers(0, 3), max_size=20))
def test_a_picture_never_changes_when_others_grow(branches: list[int]) -> None:
    pictures = [Trace()]
    contents: list[list[int]] = [[]]
    for step, branch in enumerate(branches):
        origin = branch % len(pictures)
        pictures.append(pictures[origin].plus(trial(step, 1.0)))
        contents.append([*contents[origin], step])
    for picture, expected in zip(pictures, contents, strict=True):
        assert [t.number for t in picture] == expected
        assert [t.number for t in picture[:]] == expected
        assert len(picture) == len(expected)


def test_best_is_the_best_kept_one_in_the_objective_s_direction() -> None:
    trace = Trace([trial(0, 1.0), trial(1, 0.5, kept=False), trial(2, 0.8), trial(3, None)])
    lowest, highest = trace.best(Objective("x")), trace.best(Objective("x", "maximize"))
    assert lowest is not None
    assert highest is not None
    assert (lowest.number, highest.number) == (2, 0)
    assert Trace([trial(0, None)]).best(Objective("x")) is None


def test_indices_outside_the_picture_are_refused() -> None:
    longer = Trace([trial(0, 1.0)])
    longer.plus(trial(1, 2.0))
    with pytest.raises(IndexError):
        longer[1]
    assert longer[-1].number == 0


def test_an_outcome_is_a_value_or_a_failure() -> None:
    with pytest.raises(ValueError, match="either"):
        Outcome(None)
    failed = Outcome.failed(FailureKind.TIMEOUT, "slow", cost={"modelled_s": 1.0})
    assert Outcome.from_json(failed.to_json()) == failed
    assert Outcome.from_json(Outcome(1.5).to_json()) == Outcome(1.5)


@pytest.mark.parametrize(("direction", "numbers"), [("minimize", [3, 0]), ("maximize", [1, 0])])
def test_elites_are_different_and_ran(direction: str, numbers: list[int]) -> None:
    """The best first, kept or not; of equal configurations the first one."""
    tried = [
        replace(trial(number, value, kept=False), config={"X": x})
        for number, (x, value) in enumerate(
            [(0.0, 1.0), (1.0, 3.0), (2.0, None), (3.0, 0.5), (3.0, 0.5), (1.0, 3.0)]
        )
    ]
    found = elites(tried, Objective("val_bpb", direction), 2)
    assert [t.number for t in found] == numbers


def test_what_is_better_is_said_in_one_way() -> None:
    lower, higher = Objective("loss"), Objective("accuracy", "maximize")
    assert (lower.wanted, higher.wanted) == ("lower", "higher")
    assert (lower.gain(3.0, 1.0), higher.gain(3.0, 1.0)) == (2.0, -2.0)
    assert lower.better(1.0, than=3.0)
    assert higher.better(3.0, than=1.0)
    assert not lower.better(1.0, than=1.0)
