"""The contract gate: hooks that fail, where and how; answers that nobody can use or repeat."""

import contextlib
import json
from collections.abc import Sequence

import pytest

from bilevel.admission.contract import contract
from bilevel.admission.refusal import Refused
from bilevel.admission.situations import LONG, ROUNDS, Situation
from bilevel.admission.twins import Twins
from bilevel.sandbox.confined_mechanism import ConfinedMechanism, confine
from bilevel.sandbox.worker_handle import Limits, Surroundings
from bilevel.view import NO_SETTINGS, View
from tests.admission.support import HEAD, mine

COUNTED = f"from dataclasses import replace\nSEEN = [0]\nclass Box:\n    n = 0\n\n\n{HEAD}"
MORE = "return [Proposal({'WEIGHT_DECAY': 0.01 * (%s)})]"


def passed(source: str, situations: Sequence[Situation], limits: Limits) -> str:
    with contextlib.ExitStack() as workers:
        return contract(source, twins(source, limits, workers), situations)


def twins(source: str, limits: Limits, workers: contextlib.ExitStack) -> Twins:
    def made(surroundings: Surroundings) -> ConfinedMechanism:
        return workers.enter_context(confine(source, limits=limits, surroundings=surroundings))

    return Twins(source, made)


@pytest.fixture
def refusing(made_situations: Sequence[Situation], limits: Limits) -> "Refusing":
    return Refusing(made_situations, limits)


class Refusing:
    """Gives the reason for which a source is refused."""

    def __init__(self, situations: Sequence[Situation], limits: Limits) -> None:
        self._situations, self._limits = situations, limits

    def __call__(self, source: str, limits: Limits | None = None) -> str:
        with pytest.raises(Refused) as refusal:
            passed(source, self._situations, limits or self._limits)
        return str(refusal.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "def parent(self, view): return view.trace[-1].number",
            "in the situation 'no trial yet' (view.trial=0), parent raised IndexError: trial -1 "
            "of 0 at line 8: `def parent(self, view): return view.trace[-1].number`",
        ),
        (
            "def brief(self, view, brief): return brief.add('x' * (1 // (view.trial < 200)))",
            "in the situation '200 trials' (view.trial=200), brief raised ZeroDivisionError",
        ),
        (
            "def propose(self, view): "
            "return [{}[t.outcome.failure.kind] for t in view.trace[9:12]]",
            "in the situation 'everything after the baseline failed' (view.trial=12), propose "
            "raised KeyError",
        ),
        (
            "def observe(self, view, trial): trial.proposal.changes['NOPE']",
            "(view.trial=0), observe raised KeyError: 'NOPE' at line 8",
        ),
        ("def propose(self, view): return 5", "propose raised TypeError: 'int' object is not"),
        ("def brief(self, view, brief): pass", "brief raised TypeError: expected Brief, got None"),
        (
            "def accept(self, view, trial): return 'yes'",
            "accept raised TypeError: expected bool or None, got str",
        ),
        (
            "def parent(self, view): return 300",
            "parent answered with what the loop cannot use: ValueError: 300 is not a trial",
        ),
        (
            "def review(self, view, given): "
            "return [c for c in given if view.space.check(c.changes)]",
            "review raised SpaceError: NO_SUCH_PARAMETER is not a parameter; valid: HEAD_DIM",
        ),
        (
            "def propose(self, view): "
            "return [Proposal({'NOPE': 1}), Proposal({'WEIGHT_DECAY': 9})]",
            f"all {8 * ROUNDS} candidates that propose made can not be evaluated, the first one in "
            "the situation 'no trial yet' (view.trial=0): {'NOPE': 1}: NOPE is not a parameter",
        ),
        (
            "def propose(self, view): return [Proposal(dict(view.base))]",
            "it changes nothing in the parent's configuration; changes are {parameter: value}",
        ),
        (
            "def review(self, view, given): return [Proposal({'MATRIX_LR': 5.0})]",
            f"all {4 * ROUNDS} candidates that review made can not be evaluated",
        ),
        (
            "def propose(self, view): return [view.ask('?', {'type': 'object'}).value['n']]",
            "(view.trial=0), propose raised KeyError: 'n'",
        ),
        (
            "def brief(self, view, brief): "
            "return brief.add('x' * view.ask('?', {'type': 'object'}, check=len).value)",
            "(view.trial=1), brief raised TypeError",
        ),
        (
            "def propose(self, view): return [view.ask('?', {}) for _ in range(9)]",
            "the model may not be asked more often in one call",
        ),
    ],
)
def test_a_hook_that_fails_is_refused_with_where_and_how(
    body: str, words: str, refusing: Refusing
) -> None:
    assert words in refusing(mine(body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("any(iter(int, 1))", "propose gave no answer in time (TimeLimit: "),
        ("return [b'x' * (3 << 30)]", "propose used too much memory (MemoryLimit: it wanted more"),
        ("import os; os._exit(3)", "propose ended its worker process (WorkerDied: "),
        (
            "return [Proposal({'MATRIX_LR': 0.1}, 'x' * (9 << 20))]",
            "propose raised TypeError: a frame of 94",
        ),
        (
            "return [Proposal({'MATRIX_LR': float('nan')})]",
            "propose raised TypeError: nan is not a finite number; every number has to be finite",
        ),
    ],
)
def test_a_worker_that_fails_is_told_as_what_it_is(
    body: str, words: str, refusing: Refusing, limits: Limits
) -> None:
    strict = Limits(limits.layer, call_s=1.0 if "TimeLimit" in words else 20.0)
    assert words in refusing(mine(f"def propose(self, view): {body}"), strict)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["def propose(self, view):", "    import time", f"    {MORE % 'time.time_ns() % 50'}"],
            "a second worker, given the same, did otherwise; draw from view.rng only",
        ),
        (
            ["def propose(self, view):", "    SEEN[0] += 1", f"    {MORE % 'SEEN[0]'}"],
            "propose: after a restart from its state it answered otherwise; only the attributes",
        ),
        (
            [
                "def __init__(self): self.box = Box()",
                "def observe(self, view, trial): self.box.n += 1",
                f"def propose(self, view): {MORE % 'self.box.n + 1'}",
            ],
            "answered otherwise; box can not be kept over a restart; only the attributes of self",
        ),
        (
            [
                "def __init__(self):",
                "    import collections",
                "    self.seen = collections.defaultdict(lambda: 1)",
                "def propose(self, view):",
                "    self.seen[str(view.trial)] += 1",
                f"    {MORE % 'len(self.seen)'}",
            ],
            "answered otherwise; seen can not be kept over a restart; only the attributes of self",
        ),
    ],
)
def test_what_another_worker_answers_otherwise_is_refused(
    lines: list[str], words: str, refusing: Refusing
) -> None:
    assert words in refusing(mine(*lines, head=COUNTED))


def test_a_good_one_passes_with_what_was_seen(
    made_situations: Sequence[Situation], limits: Limits
) -> None:
    lines = [
        "def __init__(self): self.box, self.problems, self.values = Box(), 0, []",
        "def propose(self, view):",
        "    answer = view.ask('?', {'type': 'object'}, check=sorted)",
        "    self.problems += bool(answer.problem)",
        "    self.values += [] if answer.problem else [answer.value]",
        "    return [Proposal({'MATRIX_LR': view.rng.uniform(0.01, 0.1)})]",
        "def review(self, view, given): return [c.reject('worse') for c in given]",
        "def accept(self, view, trial): return None",
    ]
    source = mine(*lines, head=COUNTED)
    with contextlib.ExitStack() as workers:
        made = twins(source, limits, workers)
        told = contract(source, made, made_situations)
        state = json.loads(made.first.state)
        assert state["problems"] == ROUNDS // 2
        assert state["values"] == [[], []]
    assert "in 4 situations (no trial yet, 3 trials, everything after the baseline failed, " in told
    assert f"{4 * ROUNDS} of {4 * ROUNDS} candidates legal; the same answers in a second" in told


def test_the_situations_are_the_search_so_far_and_then_go_on(
    view: View, made_situations: Sequence[Situation]
) -> None:
    empty, short, failed, long = made_situations
    assert long.trials[: len(view.trace)] == tuple(view.trace)
    assert [len(one.trials) - one.behind for one in (short, long)] == [
        LONG + ROUNDS - short.behind,
        ROUNDS,
    ]
    assert [trial.number for trial in long.trials] == [*range(LONG + ROUNDS)]
    assert any(trial.kept for trial in long.trials[len(view.trace) :])
    assert all(t.value is None for t in failed.trials[1:])
    assert len({t.outcome.failure.kind for t in failed.trials if t.outcome.failure}) > 3
    first = empty.before(0, view.asker)
    assert (first.trial, first.incumbent, first.settings_space) != (0, None, NO_SETTINGS)
    assert (first.trial, first.incumbent) == (0, None)
    for trial in long.trials[1:]:
        view.space.check(trial.proposal.changes)
