"""A rewrite a step, one repair before it runs and one after a crash, and strict improvement."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from bilevel.baselines.claw_refine import ClawRefine
from bilevel.errors import SpaceError
from bilevel.loop.loop import Loop
from bilevel.trace import FailureKind
from bilevel.view import Answer, Asker
from tests.baselines.support import search
from tests.helpers import SPACE, loop

CRASHES = {"MODE": "crash"}


def whole(**values: Any) -> dict[str, Any]:
    config: Mapping[str, Any] = {**SPACE.baseline, **values}
    listed = [{"parameter": name, "value": value} for name, value in config.items()]
    return {"plan": "all of it", "configuration": listed}


class Replies:
    """Gives replies in order, checked once as a session's last round does, and keeps prompts."""

    def __init__(self, *replies: Any) -> None:
        self.prompts: list[str] = []
        self._replies = iter(replies)

    @property
    def asker(self) -> Asker:
        def ask(prompt: str, schema: Any, *, check: Any = None, **rest: Any) -> Answer:
            self.prompts.append(prompt)
            try:
                return Answer(check(json.loads(json.dumps(next(self._replies)))), prompt="d")
            except (SpaceError, ValueError) as error:
                return Answer(None, str(error), prompt="d")

        return lambda level, trial, purpose: ask


def searched(*replies: Any) -> tuple[Loop, list[str]]:
    asked = Replies(*replies)
    ran = loop(proposer=ClawRefine(SPACE), trials=len(replies), asker=asked.asker)
    ran.run()
    return ran, asked.prompts


def origins(ran: Loop) -> Sequence[str]:
    return [trial.proposal.origin for trial in ran.trace[1:]]


def test_the_whole_configuration_is_written_and_kept_only_if_strictly_better() -> None:
    ran, prompts = searched(whole(X=4.0, BATCH=32), whole(X=-4.0, BATCH=32), whole(X=3.0, BATCH=32))
    assert [trial.kept for trial in ran.trace] == [True, True, False, True]
    assert ran.trace[1].proposal.changes == {"X": 4.0, "BATCH": 32}
    assert ran.trace[3].proposal.changes == {"X": 3.0}
    assert [trial.parent for trial in ran.trace[1:]] == [0, 1, 1]
    assert "| X | 4.0 |" in prompts[1]
    assert "| BATCH | 32 |" in prompts[2]
    assert "$" not in "".join(prompts)


def test_what_left_something_out_or_changes_nothing_is_refused_before_it_runs() -> None:
    short = whole(X=4.0)
    short["configuration"] = short["configuration"][:1]
    twice = whole(X=4.0)
    twice["configuration"][1] = twice["configuration"][0]
    ran, _ = searched(short, twice, whole(), whole(X=99.0))
    failures = [trial.outcome.failure for trial in ran.trace[1:]]
    assert [f and f.kind for f in failures] == [FailureKind.INVALID_PROPOSAL] * 4
    told = [f.detail for f in failures if f]
    assert told[0] == "the configuration lacks BATCH, MODE; list each once"
    assert told[1] == "the configuration lacks BATCH; list each once"
    assert "nothing differs" in told[2]
    assert "X=99.0 is not legal" in told[3]
    assert origins(ran) == ["rewrite"] * 4


def test_a_crash_is_repaired_once_as_the_next_trial() -> None:
    ran, prompts = searched(whole(X=4.0, **CRASHES), whole(X=4.0), whole(X=3.0))
    assert origins(ran) == ["rewrite", "repair", "rewrite"]
    assert [trial.value is None for trial in ran.trace[1:]] == [True, False, False]
    assert "crash: MODE=crash crashes" in prompts[1]
    assert 'X 5.0 -> 4.0; MODE "plain" -> "crash"' in prompts[1]
    assert '| MODE | "crash" |' in prompts[1]
    assert ran.trace[2].parent == 0
    assert ran.trace[2].kept
    assert "What failed" not in prompts[2]


def test_a_repair_that_fails_is_given_up() -> None:
    crashing = whole(X=4.0, **CRASHES)
    ran, prompts = searched(
        crashing, whole(X=4.5, **CRASHES), whole(X=3.5, **CRASHES), crashing, whole(X=3.0)
    )
    assert origins(ran) == ["rewrite", "repair", "rewrite", "repair", "rewrite"]
    assert [("What failed" in prompt) for prompt in prompts] == [False, True, False, True, False]


def test_a_repair_has_to_differ_from_what_failed_and_may_be_what_it_started_from() -> None:
    crashing = whole(X=4.0, **CRASHES)
    same, _ = searched(crashing, crashing)
    assert "nothing differs" in same.trace[2].proposal.problem
    back, _ = searched(crashing, whole())
    assert back.trace[2].value == back.trace[0].value
    assert not back.trace[2].kept


def test_an_unusable_reply_is_not_repaired_as_a_crash() -> None:
    ran, prompts = searched(whole(X=99.0), whole(X=4.0))
    assert origins(ran) == ["rewrite", "rewrite"]
    assert "What failed" not in prompts[1]


def test_with_the_stand_in_crashes_are_repaired_and_no_repair_is_repaired() -> None:
    made = [search("claw_refine", seed, trials=25)[0].trace for seed in (1, 2, 3)]
    repaired = 0
    for trace in made:
        for before, after in pairwise(trace):
            crashed = before.value is None and not before.proposal.problem
            expected = crashed and before.proposal.origin == "rewrite"
            assert (after.proposal.origin == "repair") == expected
            repaired += expected and after.value is not None
    assert repaired >= 3
