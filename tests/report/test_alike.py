"""Which arms may be compared: each difference is named, and what is not known is no difference."""

import json
from typing import Any

import pytest

from bilevel.report.alike import refusal
from bilevel.report.numbers import no_repeats
from tests.report.test_comparisons import arm

LEVEL1 = arm("level1", -2, -1)
SETTINGS = {"name": "surrogate", "budget_s": 5, "text": None}


def with_settings(**other: object) -> dict[str, Any]:
    return {"task_settings": json.dumps(SETTINGS | other)}


def against(other: dict[str, Any], own: dict[str, Any]) -> str:
    return refusal(arm("bilevel", -3, -5, **own), arm("level1", -2, -1, **other))


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        (with_settings(budget_s=20), with_settings(), "different task.budget_s: 20 and 5"),
        (with_settings(noise_sd=0.1), with_settings(), "different task.noise_sd: 0.1 and None"),
        (
            with_settings(budget_s=20, text="b.txt"),
            with_settings(text="a.txt"),
            "different task.budget_s: 20 and 5; different task.text: 'b.txt' and 'a.txt'",
        ),
        (
            {"llm": "openai", "model": "gpt-4.1 at 0.7", "llm_calls": 30},
            {"llm": "deepseek", "model": "deepseek-chat at 0.7", "llm_calls": 30},
            "different language models: openai and deepseek",
        ),
        (
            {"llm": "openai", "model": "gpt-4.1 at 0.7", "llm_calls": 30},
            {"llm": "openai", "model": "gpt-4.1 at 0", "llm_calls": 30},
            "different language models: openai gpt-4.1 at 0.7 and openai gpt-4.1 at 0",
        ),
        (
            {"llm_calls": 30, "prompts": "aa"},
            {"llm_calls": 30, "prompts": "bb"},
            "different prompts (by version): aa and bb",
        ),
        (
            {"llm_calls": 30, "prompts": "aa"},
            {"llm_calls": 30},
            "different prompts (by version): aa and of before versions",
        ),
        (
            {"llm": "scripted", "llm_calls": 30, "prompts": "aa", "stand_in_version": "cc"},
            {"llm": "scripted", "llm_calls": 30, "prompts": "aa", "stand_in_version": "dd"},
            "different stand-ins (by version): cc and dd",
        ),
        (
            {"llm_calls": 30, "noise_told": "Noise: sd 0.5. One"},
            {"llm_calls": 30, "noise_told": "Noise: not measured. Runs"},
            "different noise told to the model: 'Noise: sd 0.5' and 'Noise: not measured'",
        ),
        (
            {"dependent_seeds": "baseline.memory=study"},
            {},
            "seeds of bilevel share a memory (baseline.memory=study) and are no independent "
            "repeats",
        ),
    ],
)
def test_a_difference_is_named(own: dict[str, object], other: dict[str, object], said: str) -> None:
    assert against(other, own) == said
    assert bool(against(own, other))


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (with_settings(), with_settings()),
        (with_settings(), {}),  # an older version wrote nothing
        ({"llm": "none"}, {"llm": "scripted", "model": "scripted at 0.7", "llm_calls": 30}),
        (
            {"llm": "scripted", "llm_calls": 30},  # and no model
            {"llm": "scripted", "model": "scripted at 0.7", "llm_calls": 30},
        ),
        ({"fingerprint": "a"}, {"fingerprint": "b"}),  # arms are other configurations
        ({"llm_calls": 30, "prompts": "aa"}, {"llm_calls": 0}),  # who asks nothing has no prompts
        ({"llm_calls": 30}, {"llm_calls": 30}),  # both before versions
    ],
)
def test_what_is_alike_or_not_known_is_compared(
    own: dict[str, object], other: dict[str, object]
) -> None:
    assert against(other, own) == ""
    assert against(own, other) == ""


def test_seeds_of_one_arm_have_one_configuration() -> None:
    mixed = arm("bilevel", -3, fingerprint="a") + arm("bilevel", -5, first=2, fingerprint="b")
    said = "seeds of bilevel were run with different configurations"
    assert refusal(mixed, LEVEL1) == refusal(LEVEL1, mixed) == said
    old = arm("bilevel", -3, fingerprint="a") + arm("bilevel", -5, first=2)
    assert refusal(old, LEVEL1) == ""


def test_seeds_of_one_arm_with_other_settings_name_them() -> None:
    mixed = arm("bilevel", -3, **with_settings(budget_s=20)) + arm(
        "bilevel", -5, first=2, **with_settings()
    )
    said = "different task.budget_s: 5, 20 and 5"
    assert refusal(mixed, arm("level1", -2, -1, **with_settings())) == said
    assert refusal(mixed, LEVEL1) == "different task.budget_s: 5, 20 and unknown"


def test_what_goes_on_says_nothing_yet() -> None:
    going = arm("bilevel", -9, first=3, state="unfinished", **with_settings(budget_s=20))
    done = arm("bilevel", -3, -5, **with_settings())
    assert refusal(done + going, arm("level1", -2, -1, **with_settings())) == ""


def test_a_memory_is_told_before_another_configuration() -> None:
    rows = arm("a", -1, fingerprint="a", dependent_seeds="x=y") + arm("a", -2, fingerprint="b")
    assert no_repeats(rows).startswith("share a memory (x=y)")
    assert no_repeats([]) == ""
