"""Replies: what is accepted, what is refused with which reason, and that nothing raises."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilevel.llm.reply import ReplyError, by_name, checked, extract, plain_schema
from bilevel.parameters import Float
from bilevel.space import SearchSpace
from tests.llm.support import SCHEMA

DEEP = '{"x":' * 100_000
GOOD = '{"x": 1}'
STEADY = settings(derandomize=True, database=None, deadline=None, max_examples=60)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"Here it is: {GOOD}. Good luck!",
        f"```json\n{GOOD}\n```",
        f"Sure {{not json}}:\n```\n{GOOD}\n```\nDone.",
        f'<think>maybe {{"x": 7}}?</think>\n{GOOD}',
        "The set {1, 2} matters: " + GOOD,
    ],
)
def test_one_object_is_found(text: str) -> None:
    assert extract(text) == {"x": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("I would lower the learning rate.", "no JSON object"),
        ('{"x": 1', "broken"),
        ("{'x': 1}", "broken"),
        (f"{GOOD} or {GOOD}", "2 JSON objects"),
        (f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```", "2 JSON objects"),
        ("[1, 2]", "no JSON object"),
        ('{"x": NaN}', "NaN"),
        ('{"x": -Infinity}', "Infinity"),
        ('{"x": 1e999}', "too large"),
        ('{"x": ' + "9" * 5000 + "}", "too large"),
        ('{"x": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('{"x": 1, "x": 2}', "twice"),
        ('{"x": ' + "[" * 50 + "]" * 50 + "}", "nested"),
        (DEEP, "nested"),
        ("{" * 200_000, "broken"),
    ],
)
def test_reasons(text: str, reason: str) -> None:
    started = time.monotonic()
    with pytest.raises(ReplyError, match=reason) as error:
        extract(text)
    assert len(str(error.value)) < 300
    assert time.monotonic() - started < 2


@STEADY
@given(st.text(alphabet=st.sampled_from('{}[]",:`\\\n x1-eNaudf8')) | st.text())
def test_extraction_never_raises_anything_else(text: str) -> None:
    value, problem = checked(text, {})
    assert bool(problem) == (value is None)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**50), 2**50)
    | st.floats(-1e9, 1e9)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@STEADY
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), _JSON))
def test_what_was_written_as_json_is_read_back(value: dict[str, Any]) -> None:
    assert extract(json.dumps(value)) == value
    assert extract(f"```json\n{json.dumps(value)}\n```") == value


def test_checked_tells_place_value_and_expectation() -> None:
    value, problem = checked('{"x": "2**12"}', SCHEMA)
    assert value is None
    assert problem == 'the reply["x"] is "2**12", but must satisfy {"type": "number"}'
    value, problem = checked('{"x": 1, "y": 2}', SCHEMA)
    assert "additionalProperties" in problem
    assert checked(GOOD, SCHEMA) == ({"x": 1}, "")


def test_the_check_makes_the_value_or_says_why_not() -> None:
    space = SearchSpace((Float("x", 2, 3, 2.5),))
    assert checked(GOOD, SCHEMA, lambda reply: reply["x"] + 1) == (2, "")
    value, problem = checked(GOOD, SCHEMA, space.check)
    assert value is None
    assert "x=1 is not legal" in problem


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "http://127.0.0.1/schema"}, r"\$ref"),
        ({"properties": {"x": {"pattern": "(a+)+$"}}}, "pattern"),
        ({"anyOf": [{"patternProperties": {}}]}, "patternProperties"),
        ({"type": "nonsense"}, "not a JSON schema"),
        ({"enum": [float("nan")]}, "not a JSON schema"),
        ({"enum": [object()]}, "not a JSON schema"),
        ({"description": "x" * 30_000}, "longer than"),
    ],
)
def test_schemas_that_could_stall_the_host_are_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(ReplyError, match=reason):
        plain_schema(schema)


def test_a_schema_becomes_plain_json() -> None:
    assert plain_schema({"enum": ("a", "b")}) == {"enum": ["a", "b"]}


def test_a_parameter_listed_twice_is_refused() -> None:
    changes = [{"parameter": "X", "value": 1}, {"parameter": "Y", "value": 2}]
    assert by_name(changes) == {"X": 1, "Y": 2}
    with pytest.raises(ReplyError, match="a parameter is listed twice in changes"):
        by_name([*changes, changes[0]])
