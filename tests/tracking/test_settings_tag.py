"""Settings fit into a tag, and equal ones alone give equal texts."""

import json
from typing import Any

import pytest

from bilevel.tracking.settings_tag import LONGEST, tag_text

FEW = {"budget_s": 10, "text": None, "parameters.LR.high": 1.0}
MANY = FEW | {f"parameters.P{n}.high": float(n) for n in range(400)}
WIDE = FEW | {f"P{n}": float(n) for n in range(400)}


def test_few_settings_stand_there_as_they_are() -> None:
    assert json.loads(tag_text(FEW)) == FEW
    assert tag_text({}) == ""


def test_a_long_value_is_its_digest() -> None:
    found = json.loads(tag_text(FEW | {"script_text": "x = 1\n" * 1000}))
    assert "characters (" in found["script_text"]
    assert {name: found[name] for name in FEW} == FEW


def test_a_long_group_is_its_digest_and_the_rest_keeps_its_names() -> None:
    found = json.loads(tag_text(MANY))
    assert set(found) == {"budget_s", "text", "parameters"}
    assert "characters (" in found["parameters"]


@pytest.mark.parametrize("settings", [FEW, MANY, WIDE, FEW | {"script_text": "x = 1\n" * 1000}])
def test_a_difference_is_always_one_and_the_order_never(settings: dict[str, Any]) -> None:
    text = tag_text(settings)
    assert len(text) <= LONGEST
    assert tag_text(dict(reversed(settings.items()))) == text
    for name in [*settings][:3] + [*settings][-3:]:
        value = settings[name]
        assert tag_text(settings | {name: [value]}) != text
