import pytest

from bilevel.discovery.contestant import Attached, Contestant
from bilevel.discovery.members import TRAINING, members
from bilevel.errors import ConfigError
from bilevel.sandbox.worker_handle import Limits
from tests.discovery.mechanisms import GOOD

TRAP = members("classics")[TRAINING][0]


def best(arm: Contestant, seed: int = 3) -> float | None:
    found = arm.searched(TRAP.task(), seed).loop.best
    return None if found is None else found.value


def test_it_searches_as_the_arm_of_its_name_does() -> None:
    level1 = Contestant.named("level1", "scripted", trials=6)
    assert level1.title == "level1 with scripted"
    assert best(level1) == best(Contestant.from_text(level1.text()))
    assert len(level1.searched(TRAP.task(), 3).loop.trace) == 7


def test_an_arm_without_a_model_is_given_none() -> None:
    random = Contestant.named("random", "scripted", trials=6)
    assert not random.has_model
    assert random.title == "random"
    assert random.searched(TRAP.task(), 3).calls == 0


def test_what_it_asks_is_counted() -> None:
    found = Contestant.named("level1", "scripted", trials=6).searched(TRAP.task(), 3)
    assert found.calls >= 6
    assert found.tokens > 1000


def test_a_budget_of_its_model_ends_its_search_and_nobody_else_s() -> None:
    capped = Contestant.named("level1", "scripted", 6, overrides=["llm.max_calls=3"])
    found = capped.searched(TRAP.task(), 3)
    assert found.calls == 3
    assert 1 < len(found.loop.trace) < 7
    assert found.cut_short


def test_a_curated_mechanism_comes_from_its_configuration() -> None:
    arm = Contestant.named("level1", "scripted", trials=6, mechanism="tabu")
    assert [m.name for m in arm.searched(TRAP.task(), 3).loop.pipeline.known] == ["tabu"]


def test_a_generated_one_runs_in_the_sandbox_and_its_time_is_told() -> None:
    attached = Attached(GOOD, "steps_on", "code", ("propose", "review"))
    found = Contestant.named("random", "none", trials=6).searched(
        TRAP.task(), 3, attached.made(Limits())
    )
    assert found.hook_s > 0
    assert not found.stopped
    assert not found.cut_short
    assert found.errors("steps_on") == 0


def test_an_arm_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="arm=nobody does not exist"):
        Contestant.named("nobody", "scripted", trials=6)
