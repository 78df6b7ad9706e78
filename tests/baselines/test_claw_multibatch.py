"""Rounds of three roles: what is charged and built on, and how flat rounds are answered."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from bilevel.baselines.claw_multibatch import ROLES, ClawMultibatch
from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.errors import ConfigError, SpaceError
from bilevel.loop.loop import Loop
from bilevel.trace import FailureKind
from bilevel.view import Answer, Asker
from tests.helpers import SPACE, loop

REFINE = {"decision": "REFINE", "steps": "smaller", "reason": "we are close"}
PIVOT = {"decision": "PIVOT", "steps": "larger", "reason": "a dead end"}


def x(value: float) -> dict[str, Any]:
    return {"hypothesis": "X", "changes": [{"parameter": "X", "value": value}]}


WORSE = [x(5.0 + n / 10) for n in range(1, 7)]


class Replies:
    """Gives proposals in order and one decision, and keeps the prompts."""

    def __init__(self, proposals: Sequence[Any], decision: Mapping[str, Any] = REFINE) -> None:
        self.prompts: list[str] = []
        self.decisions: list[str] = []
        self._proposals = iter(proposals)
        self._decision = decision

    @property
    def asker(self) -> Asker:
        def ask(prompt: str, schema: Any, *, check: Any = None, **rest: Any) -> Answer:
            if check is None:
                self.decisions.append(prompt)
                legal = schema["properties"]["decision"]["enum"]
                if self._decision["decision"] not in legal:
                    return Answer(REFINE)
                return Answer(dict(self._decision))
            self.prompts.append(prompt)
            try:
                return Answer(check(json.loads(json.dumps(next(self._proposals)))), prompt="d")
            except (SpaceError, ValueError) as error:
                return Answer(None, str(error), prompt="d")

        return lambda level, trial, purpose: ask


def searched(replies: Replies, trials: int, **settings: Any) -> tuple[Loop, ClawMultibatch]:
    made = ClawMultibatch(SPACE, **settings)
    ran = loop(proposer=made, trials=trials, batch=3, asker=replies.asker)
    ran.run()
    return ran, made


def test_a_round_asks_each_role_once_and_is_charged_for_all_three() -> None:
    replies = Replies([x(4.0), x(2.0), x(3.0), x(1.0), x(1.5), x(6.0)])
    ran, _ = searched(replies, 6)
    assert [t.proposal.origin for t in ran.trace[1:]] == [*ROLES, *ROLES]
    assert [t.kept for t in ran.trace] == [True, False, True, False, True, False, False]
    assert [t.parent for t in ran.trace[1:]] == [0, 0, 0, 2, 2, 2]
    assert len(replies.prompts) == 6
    for prompt, role in zip(replies.prompts, ROLES, strict=False):
        assert f"You are the {role} of three" in prompt
    assert "[gain] X 5.0 -> 2.0: val_bpb 10" in replies.prompts[3]


def test_a_round_that_is_not_better_leaves_the_incumbent() -> None:
    ran, _ = searched(Replies([x(5.5), x(-5.0), x(7.0)]), 3)
    assert ran.trace[2].value == ran.trace[0].value  # equal is not strictly better
    assert ran.incumbent is ran.trace[0]


def test_only_as_many_roles_are_asked_as_there_are_trials_left() -> None:
    replies = Replies([x(4.0), x(3.0), x(2.0), x(1.0)])
    ran, _ = searched(replies, 4)
    assert len(ran.trace) == 5
    assert len(replies.prompts) == 4


def test_a_duplicate_is_asked_for_again_once() -> None:
    replies = Replies([x(4.0), x(4.0), x(3.0), x(4.0), x(4.0)])
    ran, made = searched(replies, 3)
    assert [t.config["X"] for t in ran.trace[1:]] == [4.0, 3.0, 4.0]
    assert "You proposed X 5.0 -> 4.0, which was run already." in replies.prompts[2]
    assert len(replies.prompts) == 5
    assert [one.category for one in made.lessons] == ["duplicate", "duplicate"]


def test_a_reply_that_cannot_be_used_is_a_charged_failure_and_a_lesson() -> None:
    ran, made = searched(Replies([x(99.0), x(5.0), x(4.0), x(3.0), x(2.0), x(1.0)]), 6)
    failures = [t.outcome.failure for t in ran.trace[1:4]]
    assert [f and f.kind for f in failures] == [FailureKind.INVALID_PROPOSAL] * 2 + [None]
    assert any("X=99.0 is not legal" in str(one) for one in made.lessons)
    assert any("nothing differs" in str(one) for one in made.lessons)


class TestTwoFlatRounds:
    def test_refining_keeps_the_incumbent_and_changes_the_steps(self) -> None:
        replies = Replies([x(4.0), x(6.1), x(6.2), *WORSE, x(3.0), x(2.0), x(1.0)])
        ran, made = searched(replies, 12)
        assert len(replies.decisions) == 1
        assert "2 rounds of experiments without a gain" in replies.decisions[0]
        assert "take smaller steps" in replies.prompts[-1]
        assert "take smaller steps" not in replies.prompts[-4]
        assert ran.trace[-1].parent == 1
        assert made.pivots == 0

    def test_a_pivot_goes_back_to_the_baseline_and_keeps_the_history(self) -> None:
        first = [{"hypothesis": "b", "changes": [{"parameter": "BATCH", "value": 1}]}]
        replies = Replies([*first, x(6.1), x(6.2), *WORSE, x(4.0), x(4.5), x(4.4)], PIVOT)
        ran, made = searched(replies, 12)
        assert made.pivots == 1
        assert [t.config["BATCH"] for t in ran.trace[4:]] == [1] * 6 + [64] * 3
        assert ran.trace[10].config == {"X": 4.0, "BATCH": 64, "MODE": "plain"}
        assert "| 9 |" in replies.prompts[-1]
        assert "| BATCH | 64 |" in replies.prompts[-1]

    def test_a_line_of_work_builds_on_its_own_best(self) -> None:
        first = [{"hypothesis": "b", "changes": [{"parameter": "BATCH", "value": 1}]}]
        after = [x(4.9), x(6.5), x(6.4), x(4.8), x(6.3), x(6.6)]
        replies = Replies([*first, x(6.1), x(6.2), *WORSE, *after], PIVOT)
        ran, made = searched(replies, 15)
        assert made.pivots == 1
        assert not any(t.kept for t in ran.trace[10:])
        assert ran.trace[13].config == {"X": 4.8, "BATCH": 64, "MODE": "plain"}
        assert made._base == ran.trace[10].config
        told = {one.trial: str(one) for one in made.lessons}
        assert told[10] == "- [gain] X 5.0 -> 4.9: val_bpb 30.01"  # better than the baseline
        assert told[11].startswith("- [no gain] X 5.0 -> 6.5")
        assert told[10] in replies.prompts[-1]

    def test_there_are_two_pivots_at_most(self) -> None:
        worse = [x(5.0 + n / 20) for n in range(1, 31)]
        replies = Replies(worse, PIVOT)
        _, made = searched(replies, 30)
        assert made.pivots == 2
        assert len(replies.decisions) == 4
        told = zip((2, 1, 0, 0), replies.decisions, strict=True)
        assert all(f"Pivots left: {left}" in asked for left, asked in told)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="flat_rounds=0"):
        ClawMultibatch(SPACE, flat_rounds=0)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_round_that_is_not_one_candidate_of_each_role_is_refused(batch: int) -> None:
    said = rf"inner\.batch={batch}: expected 3, a candidate of each role \(innovator, .*"
    with pytest.raises(ConfigError, match=said):
        ClawMultibatch(SPACE, batch=batch)


def test_the_arm_s_own_batch_is_what_is_checked() -> None:
    with initialize_config_dir(str(CONF), version_base=None):
        config = plain(
            compose("config", overrides=["arm=claw_multibatch", "task=trap", "inner.batch=2"])
        )
    with pytest.raises(ConfigError, match=r"inner\.batch=2"):
        instantiate(config["inner"]["proposer"])(SPACE)
