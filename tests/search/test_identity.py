"""What a search's configuration says of it, beyond its name."""

from dataclasses import replace
from typing import Any

import pytest

from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.errors import StudyMismatch
from bilevel.search.identity import Identity, completed, identify

SCIENTIST = {"_target_": "bilevel.baselines.evoscientist.EvoScientist", "shared": {"file": "x"}}
SETTINGS: dict[str, Any] = {
    "study": "s",
    "arm": "a",
    "seed": 1,
    "task": {
        "_target_": "bilevel.tasks.CommandTask",
        "name": "script",
        "file": "/home/me/x.py",
        "script_name": "x.py",
        "limit_s": 600,
        "parameters": {"LR": {"type": "float", "high": 1.0}},
        "locked": [],
    },
    "llm": {"name": "scripted", "max_calls": None},
    "baseline": {"memory": "study", "proposer": {**SCIENTIST, "memory": "study"}},
}


def test_the_settings_of_a_task_are_those_that_decide() -> None:
    assert identify(SETTINGS).task_settings == {
        "_target_": "bilevel.tasks.CommandTask",
        "name": "script",
        "limit_s": 600,
        "parameters.LR.type": "float",
        "parameters.LR.high": 1.0,
        "locked": [],
    }


def test_seeds_of_one_configuration_have_one_fingerprint() -> None:
    one = identify(SETTINGS).fingerprint
    other = {**SETTINGS, "seed": 2, "llm": {**SETTINGS["llm"], "max_calls": 9}}
    assert identify(other).fingerprint == one
    assert identify({**SETTINGS, "baseline": {"memory": "search"}}).fingerprint != one


def test_a_shared_memory_makes_seeds_dependent() -> None:
    assert identify(SETTINGS).dependent_seeds == "baseline.memory=study"
    own = {"memory": "search", "proposer": {**SCIENTIST, "memory": "search"}}
    assert identify({**SETTINGS, "baseline": own}).dependent_seeds == ""
    assert identify({**SETTINGS, "baseline": {}}).dependent_seeds == ""


def test_a_search_goes_on_that_was_begun_before_a_setting_was_there() -> None:
    now = Identity("s", "a", 1, {"search.trials": 3, "without": [], "search.confirm_seeds": 0})
    now.check({"search.trials": 3})
    with pytest.raises(StudyMismatch, match=r"\(search.confirm_seeds: was 0, now 5\)"):
        replace(now, deciding={**now.deciding, "search.confirm_seeds": 5}).check(
            {"search.trials": 3}
        )


def test_level_2_was_shown_source_before_that_was_a_setting() -> None:
    proposer = "outer.levels.inventor.proposer"
    begun = {f"{proposer}._target_": "bilevel.levels.inventor.Inventor", "without": []}
    target = {**completed({}), f"{proposer}._target_": "bilevel.levels.Inventor"}
    Identity("s", "a", 1, {**target, f"{proposer}.context": "source"}).check(begun)
    with pytest.raises(StudyMismatch, match="session: was 'diagnose', now 'free'"):
        Identity("s", "a", 1, {**target, f"{proposer}.session": "free"}).check(begun)
    with pytest.raises(StudyMismatch, match="context: was 'source', now 'interface'"):
        Identity("s", "a", 1, {**target, f"{proposer}.context": "interface"}).check(begun)


@pytest.mark.parametrize("arm", ["random", "level1", "level1_tokens"])
def test_what_level_2_is_shown_decides_nothing_where_there_is_none(arm: str) -> None:
    found = [
        identify(composed(CONF, [f"arm={arm}", "task=trap", *more])).fingerprint
        for more in ([], ["outer.context=interface"])
    ]
    assert found[0] == found[1]
    deciding = identify(composed(CONF, [f"arm={arm}", "task=trap"])).deciding
    assert not [key for key in deciding if "context" in key or "as_bilevel" in key]
