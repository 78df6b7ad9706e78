"""What is said of a setting is found by the component that takes it."""

import subprocess
import sys
from typing import Annotated, Any

import pytest

from bilevel.config.checks import check
from bilevel.config.declared import declared, is_free, shared
from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.errors import ConfigError
from bilevel.search.identity import identify
from bilevel.settings import FREE, Count, Seconds, SharedIf, Variable


class Mine:
    """A component of somebody's own."""

    def __init__(
        self, limit_s: Seconds, place: Annotated[str, FREE], memory: Annotated[str, SharedIf("all")]
    ) -> None: ...


class Silent:
    """One that says nothing of its settings."""

    def __init__(self, limit_s: float, place: str) -> None: ...


def with_task(component: type, **settings: Any) -> dict[str, Any]:
    target = f"{__name__}.{component.__name__}"
    return {**composed(CONF, []), "task": {"_target_": target, "name": "mine", **settings}}


def with_baseline(**settings: Any) -> dict[str, Any]:
    proposer = {"_target_": f"{__name__}.Mine", **settings}
    return {**composed(CONF, []), "baseline": {"proposer": proposer, **settings}}


def test_a_task_of_ones_own_says_what_is_checked() -> None:
    check(with_task(Mine, limit_s=3, place=7))
    with pytest.raises(ConfigError, match=r"task\.limit_s='x': expected a positive number of sec"):
        check(with_task(Mine, limit_s="x"))


def test_one_that_says_nothing_is_not_checked() -> None:
    check(with_task(Silent, depth="anything"))


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("bilevel.tasks.Missing", "ModuleNotFoundError: No module named 'bilevel.tasks.Missing'"),
        ("nowhere.Mine", "No module named 'nowhere'"),
        ("bilevel.tasks.Surrogate.missing", "No module named 'bilevel.tasks.Surrogate'"),
        ("bilevel.tasks", "a class or a function that can be imported$"),
    ],
)
def test_one_that_is_not_there_is_named(target: str, told: str) -> None:
    settings = composed(CONF, [])
    settings["task"]["_target_"] = target
    with pytest.raises(ConfigError, match=told) as caught:
        check(settings)
    assert str(caught.value).startswith(f"task._target_='{target}': expected the dotted name")


def test_one_that_is_built_in_says_nothing() -> None:
    settings = composed(CONF, [])
    settings["task"]["_target_"] = "builtins.dict"
    check(settings)


def test_a_task_of_ones_own_says_what_is_free() -> None:
    one, other = (with_task(Mine, limit_s=3, place=place) for place in ("here", "there"))
    assert identify(one).fingerprint == identify(other).fingerprint
    assert (
        identify(with_task(Silent, limit_s=3, place="here")).fingerprint
        != identify(with_task(Silent, limit_s=3, place="there")).fingerprint
    )


def test_whatever_lies_in_something_free_is_free() -> None:
    settings = with_task(Mine)
    free = [key for key in ("tracking.uri", "task.place.below", "llm.timeout_s", "results")
            if is_free(settings, key)]  # fmt: skip
    assert free == ["tracking.uri", "task.place.below", "llm.timeout_s", "results"]
    for key in ("task.limit_s", "task.other.place", "search.trials", "llm.model", "unheard.of"):
        assert not is_free(settings, key)


def test_a_setting_that_is_passed_on_is_named_where_it_is_given() -> None:
    settings = with_baseline(memory="all")
    assert shared(settings) == ["baseline.memory=all"]
    assert shared(with_baseline(memory="own")) == []
    del settings["baseline"]["memory"]
    assert shared(settings) == ["baseline.proposer.memory=all"]


def test_what_a_component_is_given_is_its_own_business() -> None:
    """A sampler's settings, or a mechanism's that is attached in another's place."""
    inside = {"_target_": f"{__name__}.Mine", "limit_s": "x"}
    check(with_task(Silent, sampler=inside))


def test_a_level_is_described_by_its_group() -> None:
    levels = {"levels": {"any": {"level": 2, "every": 0, "proposer": {}}}}
    found = [(key, said.allows(v)) for key, v, said in declared({"outer": levels})]
    assert found == [("outer.levels.any.level", True), ("outer.levels.any.every", False)]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("search.trials=true", "search.trials=True: expected a whole number of at least 1"),
        ("search.trials='3'", "search.trials='3': expected a whole number of at least 1"),
        ("llm.timeout_s=nan", "llm.timeout_s=nan: expected a positive number of seconds"),
        ("llm.timeout_s=inf", "llm.timeout_s=inf: expected a positive number of seconds"),
        ("llm.api_key_env=sk-1", r"llm.api_key_env=\(hidden\): expected the name of an env"),
        ("llm.max_usd=-1", "llm.max_usd=-1: expected a positive number or null"),
        ("sandbox.layer=paper", "sandbox.layer='paper': expected one of confined, sandlock"),
        ("sandbox.asks=-1", "sandbox.asks=-1: expected a whole number of at least 0"),
        ("rules.turn=mine", "rules.turn='mine': expected one of take_turns, alternate, proposer"),
        ("executor.workers=0", "executor.workers=0: expected a whole number of at least 1"),
        ("study='a b'", "study='a b': expected at most 100 letters, digits"),
        ("without=tabu", "without='tabu': expected a list of names"),
    ],
)
def test_what_is_wrong_is_told(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(composed(CONF, [override]))


def test_a_plan_needs_neither_torch_nor_mlflow_to_know_them() -> None:
    program = f"""
import sys
from pathlib import Path
from bilevel.config.checks import check
from bilevel.config.overrides import composed
from bilevel.search.identity import identify
conf = Path({str(CONF)!r})
for task in ("cpu_gpt", "cpu_gpt_code", "trap"):
    settings = composed(conf, [f"task={{task}}"])
    check(settings), identify(settings)
print(sorted({{"torch", "mlflow", "optuna", "openai"}} & {{*sys.modules}}))
"""
    ran = [sys.executable, "-c", program]
    said = subprocess.run(ran, check=False, capture_output=True, text=True)
    assert said.stdout == "[]\n", said.stderr


def test_settings_are_known_without_being_made() -> None:
    """A signature is enough: no component is called."""

    class Costly:
        def __init__(self, depth: Count, key: Variable) -> None:
            raise AssertionError

    from bilevel.settings import settings_of

    assert [*settings_of(Costly)] == ["depth", "key"]
