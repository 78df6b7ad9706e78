from pathlib import Path
from typing import Any

import pytest

from bilevel.discovery import members as suites
from bilevel.discovery.members import HELD_OUT, TRAINING, Member, members, read, written
from bilevel.errors import ConfigError
from bilevel.tasks.base import Task
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Outcome, Proposal, Trial

LISTED = sorted(path.stem for path in (Path(suites.__file__).with_name("suites")).glob("*.yaml"))


@pytest.mark.parametrize("suite", LISTED)
def test_every_suite_that_is_shipped_can_be_made(suite: str) -> None:
    if "bbob" in suite:
        pytest.importorskip("ioh")
    if "blade" in suite:
        pytest.importorskip("iohblade")
    found = members(suite)
    tasks = [member.task() for half in found.values() for member in half]
    assert {member.name for member in found[TRAINING]}.isdisjoint(
        {member.name for member in found[HELD_OUT]}
    )
    for task in tasks:
        assert task.best_known is not None
        start = task.exact(task.space.baseline)
        assert start is not None
        assert task.objective.gain(start, task.best_known) > 0


def test_a_suite_comes_back_from_its_text() -> None:
    found = members("classics")
    assert read(written(found)) == {half: list(found[half]) for half in found}


def test_the_gain_is_nothing_at_the_baseline_and_all_at_the_optimum() -> None:
    member = members("classics")[TRAINING][0]
    task = member.task()
    assert member.gain(task.space.baseline, 1) == 0
    assert member.gain(task.optimum, 1) == pytest.approx(1)  # type: ignore[attr-defined]


def test_a_gain_is_at_least_minus_one() -> None:
    member = members("classics")[TRAINING][0]
    worst = {**member.task().space.baseline, "TOTAL_BATCH_SIZE": 2**22}
    assert member.gain(worst, 1) == -1


class Hidden(Task):
    """A landscape that does not tell what it is without noise."""

    def __init__(self, **settings: Any) -> None:
        self._landscape = Surrogate(**settings)
        self.name, self.space = self._landscape.name, self._landscape.space
        self.objective = self._landscape.objective

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        return self._landscape.evaluate(parent, proposal, seed)


def test_a_task_that_does_not_know_its_value_is_measured_at_fresh_seeds() -> None:
    trap = members("classics")[TRAINING][0]
    hidden = {**trap.settings, "_target_": "tests.discovery.test_members.Hidden"}
    member = Member(hidden, best_known=1.0)
    task = member.task()
    assert task.exact(task.space.baseline) is None
    gain = member.gain({**task.space.baseline, "TOTAL_BATCH_SIZE": 2**18}, 1)
    assert gain == pytest.approx(0.4, abs=0.05)
    with pytest.raises(ConfigError, match="no best_known"):
        Member(hidden).gain(task.space.baseline, 1)
    with pytest.raises(ConfigError, match="is not better than its baseline"):
        Member(hidden, best_known=2.0).gain(task.space.baseline, 1)


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "training:\n  - {task: trap, name: mine, noise_sd: 0.0}\nheld_out:\n  - {task: plateau}\n"
    )
    found = members(str(path))
    assert [member.name for member in found[TRAINING]] == ["mine"]
    assert found[TRAINING][0].settings["noise_sd"] == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training: []\n", "expected the lists training and held_out"),
        ("training: [{task: trap}]\nheld_out: [{}]\n", "expected {task: NAME"),
        ("training: [{task: trap}]\nheld_out: [{task: trap}]\n", "trap: each task needs a name"),
        ("training: [{task: no_such}]\nheld_out: [{task: trap}]\n", "no_such does not exist"),
        (
            "training: [{task: trap, noise_sd: {start: 1}}]\nheld_out: [{task: noisy}]\n",
            "expected one setting as {from: 0, count: 20}",
        ),
    ],
)
def test_a_list_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        members(str(path))
    assert said in str(refused.value)


def test_a_suite_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match="classics"):
        members("no_such_suite")
