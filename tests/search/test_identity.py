"""What a search's configuration says of it, beyond its name."""

from typing import Any

from bilevel.search.identity import identify

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
