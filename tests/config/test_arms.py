"""What an arm is, as its file says, is what it does and what a report makes of it."""

from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class

from bilevel.config.arms import Role, checks, controls, role, role_in, role_of, roles
from bilevel.config.checks import check
from bilevel.config.files import CONF
from bilevel.config.overrides import composed
from bilevel.errors import ConfigError
from bilevel.search.identity import identify


def test_the_controls_come_in_their_places() -> None:
    found = controls(roles())
    assert found[0] == "level1"
    kinds = [roles()[arm].control for arm in found]
    assert kinds == sorted(kinds, reverse=True)  # classical ones come last
    assert found.index("restart") < found.index("sham") < found.index("as_published")
    places = [roles()[arm].place for arm in controls(roles())]
    assert len({*places}) == len(places)
    assert checks(roles())["placebo"] == "level1"


@pytest.mark.parametrize("arm", roles())
def test_the_role_of_an_arm_is_what_it_does(arm: str) -> None:
    settings = composed(CONF, [f"arm={arm}", "task=trap"])
    proposer = get_class(settings["inner"]["proposer"]["_target_"])
    assert bool(roles()[arm].edits_texts) == getattr(proposer, "edits_texts", False)
    mixed = "mechanisms" in settings["inner"]["proposer"]  # which a language model wrote
    if settings["llm"]["name"] == "none" and not mixed:
        assert roles()[arm].control == "classical"


def test_a_role_decides_nothing_of_the_search() -> None:
    settings = composed(CONF, ["arm=placebo"])
    assert role_in(settings) == roles()["placebo"] != Role()
    assert not [key for key in identify(settings).deciding if "role" in key]


def test_a_role_comes_back_from_its_tag() -> None:
    for one in (Role(), Role("classical", 3), Role(edits_texts=True), Role(checked_against="a")):
        assert role_of("anything", one.to_tag()) == one
    assert Role().to_tag() == "{}"


def test_a_tag_that_no_version_wrote_is_told() -> None:
    with pytest.raises(ConfigError, match=r"sham: role='control=x': expected some of control"):
        role_of("sham", "control=x")


def test_without_a_tag_it_is_that_of_the_file_of_this_name() -> None:
    assert role_of("sham").control == "mechanism"
    assert role_of("sham-tabu") == role_of("../sham") == role_of("sham", "{}") == Role()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("control", r"role='control': expected some of control, place, checked_against"),
        ({"kind": "classical"}, r"expected some of control, place, checked_against, edits_texts"),
        ({"control": "classic"}, r"role\.control='classic': expected one of mechanism, classical"),
        ({"place": True}, r"role\.place=True: expected a whole number of at least 0"),
        ({"control": "mechanism", "checked_against": "level1"}, "a control or a check, and not"),
    ],
)
def test_a_role_that_cannot_be_used_is_refused(said: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        role(said, "role")


def test_an_arm_of_one_s_own_says_what_it_is(tmp_path: Path) -> None:
    own = (
        "# @package _global_\ndefaults: [level1]\nrole: {control: mechanism, place: 9}\narm: own\n"
    )
    (tmp_path / "arm").mkdir()
    (tmp_path / "arm" / "own.yaml").write_text(own)
    settings = composed(CONF, [f"--config-dir={tmp_path}", "arm=own", "task=trap"])
    assert role_in(settings) == Role("mechanism", 9)
    assert not [key for key in identify(settings).deciding if key.startswith("role")]
    assert role_in({"arm": "random"}) == role_of("random")
    with pytest.raises(ConfigError, match=r"role.control='best': expected one of mechanism"):
        check({**settings, "role": {"control": "best"}})
