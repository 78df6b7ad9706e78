"""Components keep their names, and those they had before are still understood."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_object

from bilevel import baselines, mechanisms
from bilevel.config.files import CONF
from bilevel.config.former_names import FORMER, LIBRARIES, TARGET, current
from bilevel.errors import StudyMismatch
from bilevel.search.identity import Identity


def named(node: Any) -> list[str]:
    """Every component that a configuration names."""
    if isinstance(node, list):
        return [name for one in node for name in named(one)]
    if not isinstance(node, dict):
        return []
    own = [node[TARGET]] if isinstance(node.get(TARGET), str) else []
    return own + [name for one in node.values() for name in named(one)]


NAMED = sorted({n for f in CONF.rglob("*.yaml") for n in named(yaml.safe_load(f.read_text()))})


@pytest.mark.parametrize("name", sorted({*NAMED, *FORMER.values()}))
def test_every_component_is_where_its_name_says(name: str) -> None:
    assert callable(get_object(name))


@pytest.mark.parametrize("name", NAMED)
def test_configurations_name_a_package_and_no_module_in_it(name: str) -> None:
    assert current({TARGET: name}) == {TARGET: name}
    if name.startswith("bilevel.") and not name.startswith(("bilevel.mech", "bilevel.base")):
        package, _, exported = name.rpartition(".")
        assert exported in getattr(get_object(package), "__all__")  # noqa: B009


def test_the_libraries_have_the_modules_of_then() -> None:
    for library, package in (("mechanisms", mechanisms), ("baselines", baselines)):
        files = {file.stem for place in package.__path__ for file in Path(place).glob("*.py")}
        assert LIBRARIES[library] <= files


def test_former_names_are_replaced_wherever_they_stand() -> None:
    then = {
        "inner": {"proposer": {TARGET: "bilevel.proposer.LLMProposer", "batch": 2}},
        "levels": [{TARGET: "bilevel.levels.tuner.LLMTuner"}, "bilevel.proposer.LLMProposer"],
        "mechanisms.tabu._target_": "mechanisms.tabu.Tabu",
        "mine": {TARGET: "mechanisms.mine.Mine"},
        "theirs": {TARGET: "optuna.samplers.TPESampler"},
        "llm": {TARGET: None},
    }
    assert current(then) == {
        "inner": {"proposer": {TARGET: "bilevel.proposers.LLMProposer", "batch": 2}},
        "levels": [{TARGET: "bilevel.levels.LLMTuner"}, "bilevel.proposer.LLMProposer"],
        "mechanisms.tabu._target_": "bilevel.mechanisms.tabu.Tabu",
        "mine": {TARGET: "mechanisms.mine.Mine"},
        "theirs": {TARGET: "optuna.samplers.TPESampler"},
        "llm": {TARGET: None},
    }


def test_a_search_goes_on_that_was_begun_under_the_former_name() -> None:
    now = Identity("s", "a", 1, {"inner.acceptance._target_": "bilevel.loop.Greedy"})
    now.check({"inner.acceptance._target_": "bilevel.acceptance.Greedy"})
    with pytest.raises(StudyMismatch, match=r"loop\.Always"):
        now.check({"inner.acceptance._target_": "bilevel.acceptance.Always"})
