"""The surrogate that stands for the task: near what was measured, failing where it failed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from threadpoolctl import threadpool_limits

from bilevel.admission.asking import PROBLEM, Double
from bilevel.admission.fitted import REACH, Fitted, encoded
from bilevel.admission.resampling import Resampling
from bilevel.admission.situations import Situation
from bilevel.parameters import Subset, Text
from bilevel.space import SearchSpace
from bilevel.trace import FailureKind, Outcome, Proposal, Trace, Trial
from bilevel.view import Brief, View
from tests.mechanisms.support import EVERY_KIND, trial, walk
from tests.mechanisms.support import view as viewed


def at(task: Fitted, known: Trial) -> Outcome:
    return task.evaluate(known, Proposal({}), 1)


def test_it_gives_back_what_was_measured(view: View, task: Fitted) -> None:
    values = [t.value for t in view.trace if t.value is not None]
    spread = max(values) - min(values)
    assert 0 < task.noise_sd < spread / 4
    for known in view.trace:
        value = at(task, known).value
        assert value is not None
        assert known.value is not None
        assert abs(value - known.value) < spread / 4


def test_it_stays_near_the_measured_range(view: View, task: Fitted) -> None:
    values = [t.value for t in view.trace if t.value is not None]
    reach = REACH * (max(values) - min(values)) + 5 * task.noise_sd
    rng = view.for_("far").rng
    for _ in range(50):
        far = {p.name: p.sample(rng) for p in view.space.active}
        value = task.evaluate(None, Proposal(far), 1).value
        assert value is not None
        assert min(values) - reach <= value <= max(values) + reach


def test_it_is_the_same_again_and_has_noise_by_seed(view: View, task: Fitted) -> None:
    again, known = Fitted.of(view), view.trace[3]
    assert at(again, known) == at(task, known)
    assert at(task, known) != task.evaluate(known, Proposal({}), 2)


@pytest.mark.parametrize("count", [0, 1])
def test_with_one_trial_it_is_flat(view: View, count: int) -> None:
    task = Fitted.of(replace(view, trace=Trace(view.trace[:count])))
    flat = view.trace[0].value if count else 0.0
    for known in view.trace:
        assert at(task, known).value == flat


def test_what_lies_nearest_to_a_failure_fails_the_same_way() -> None:
    crashed = trial(
        EVERY_KIND, 2, {"LAYERS": 1}, None, before=None, failure=FailureKind.OUT_OF_MEMORY
    )
    invalid = trial(EVERY_KIND, 3, {}, None, failure=FailureKind.INVALID_PROPOSAL)
    task = Fitted.of(viewed([*walk(2), crashed, invalid]))
    near = task.evaluate(None, Proposal({"LAYERS": 1, "RATE": 0.11}), 1)
    assert near.failure == crashed.outcome.failure
    assert task.evaluate(None, Proposal({}), 1).value is not None
    assert task.evaluate(None, Proposal({"LAYERS": 5}), 1).value is not None


def test_every_number_has_a_side_that_crashes(view: View, task: Fitted) -> None:
    crashing, base = task.crashing(), view.space.baseline
    assert crashing.evaluate(None, Proposal({}), 1).value is not None
    ends = {"low": 0.01, "high": 2.0}
    failed = [
        end
        for end, value in ends.items()
        if crashing.evaluate(None, Proposal({**base, "EMBEDDING_LR": value}), 1).value is None
    ]
    assert len(failed) == 1
    assert task.evaluate(None, Proposal({"EMBEDDING_LR": ends[failed[0]]}), 1).value is not None


def test_every_kind_of_parameter_is_encoded() -> None:
    whole = SearchSpace(
        (*EVERY_KIND.parameters, Subset("SOME", ("a", "b")), Text("WORDS", 9)), ("HELD",)
    )
    config = {**whole.baseline, "RATE": 1.0, "LAYERS": 1, "BATCH": 16, "SOME": ("b",), "WORDS": "x"}
    numbers = encoded(whole, config)
    assert numbers[:5] == [1.0, 0.0, 0.0, 0.0, 0.5]  # RATE, SHARE, ONLY, LAYERS, BATCH
    assert numbers[5:9] == [1.0, 0.0, 0.0, 1.0]  # PATTERN, SINGLE
    assert numbers[-3:] == [0.0, 1.0, 1.0]  # SOME, WORDS; HELD is locked
    assert len(numbers) == 14


def test_the_proposer_stays_with_what_the_trace_proposed(view: View) -> None:
    proposer = Resampling(view)
    known = {tuple(sorted(t.proposal.changes)) for t in view.trace[1:]}
    drawn = [proposer.propose(view.for_(f"draw/{n}"), Brief())[0] for n in range(60)]
    assert {tuple(sorted(p.changes)) for p in drawn if len(p.changes) > 1} <= known
    assert len({str(p.changes) for p in drawn}) > 20
    for proposal in drawn:
        view.space.check(proposal.changes)
        assert proposal.changes
    again = [proposer.propose(view.for_(f"draw/{n}"), Brief())[0] for n in range(60)]
    assert drawn == again


def test_the_number_of_threads_decides_nothing(
    view: View, made_situations: Sequence[Situation]
) -> None:
    """Of two hundred trials, for which a library of linear algebra takes more than one."""
    long = replace(view, trace=Trace(made_situations[-1].trials))
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            made = Fitted.of(long)
        found.append((made.noise_sd, [at(made, known).value for known in view.trace]))
    assert found[0] == found[1]


def test_without_proposals_it_draws_any_parameter_and_without_parameters_none(view: View) -> None:
    bare = replace(view, trace=Trace(view.trace[:1]))
    drawn = [Resampling(bare).propose(bare.for_(str(n)), Brief())[0].changes for n in range(60)]
    assert len({name for changes in drawn for name in changes}) > 6
    stuck = replace(bare, space=SearchSpace(view.space.parameters, tuple(view.space.baseline)))
    assert Resampling(stuck).propose(stuck, Brief())[0].changes == {}


def test_the_double_answers_in_turn_and_goes_on_from_a_count() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}},
        "required": ["n"],
    }
    ask = Double(1).asker(1, 5, "here")
    assert [ask("?", schema).value for _ in range(3)] == [{"n": 3}, None, {"n": 3}]
    assert Double(1, asked=1).asker(1, 5, "here")("?", schema).problem == PROBLEM
    assert Double(1).asker(1, 5, "here")("?", schema, check=lambda v: v["n"] + 1).value == 4

    def never(value: object) -> object:
        raise ValueError("never good enough")

    assert Double(1).asker(1, 5, "here")("?", schema, check=never).problem == "never good enough"
    assert "not a JSON schema" in Double(1).asker(1, 5, "here")("?", {"type": 7}).problem
