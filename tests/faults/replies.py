"""What a model may answer instead of a proposal, and what is told about it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.commands import LOCKED
from tests.faults.server import Act, says


@dataclass(frozen=True)
class BadReply:
    """`fault` is the name of its study; `told` is a regular expression: the reason in the journal,
    which the model reads too."""

    fault: str
    reply: Act
    told: str


def proposal(*changes: tuple[str, object], **rest: object) -> str:
    listed = [{"parameter": name, "value": value} for name, value in changes]
    return json.dumps({"hypothesis": "It helps.", "changes": listed, **rest})


def good(trial: int) -> str:
    """A step that lowers the metric of `trap` without noise, another one for each trial."""
    return proposal(("WEIGHT_DECAY", round(0.2 * 0.85**trial, 4)))


def written(value: str) -> Act:
    """A proposal whose value is this text as it stands, JSON or not."""
    return says(proposal(("MATRIX_LR", 0)).replace('"value": 0', f'"value": {value}'))


STEALS = "__import__('os').system('touch stolen')"
DEEP = '{"hypothesis": ' * 40 + "1" + "}" * 40

BAD_REPLIES: Sequence[BadReply] = (
    BadReply(
        "unknown-parameter",
        says(proposal(("LEARNING_RATE", 0.1))),
        r'\["parameter"\] is "LEARNING_RATE", but must satisfy .*"MATRIX_LR"',
    ),
    BadReply(
        "locked-parameter",
        says(proposal((LOCKED, 64))),
        rf'\["parameter"\] is "{LOCKED}", but must satisfy .*"MATRIX_LR"',
    ),
    BadReply(
        "out-of-range",
        says(proposal(("MATRIX_LR", 5))),
        r"MATRIX_LR=5 is not legal: expected a number in \[0\.005, 0\.2\]",
    ),
    BadReply(
        "not-a-power-of-two",
        says(proposal(("HEAD_DIM", 100))),
        r"HEAD_DIM=100 is not legal: expected a power of two",
    ),
    BadReply(
        "wrong-type",
        says(proposal(("MATRIX_LR", "small"))),
        r"MATRIX_LR='small' is not legal: expected a number",
    ),
    BadReply(
        "true-for-a-number",
        says(proposal(("MATRIX_LR", True))),
        r'\["value"\] is true, but must satisfy',
    ),
    BadReply(
        "no-op",
        says(proposal(("MATRIX_LR", 0.04))),
        r"nothing differs from the current configuration \(MATRIX_LR=0\.04\)",
    ),
    BadReply("no-changes", says(proposal()), r'\["changes"\] is \[\], but must satisfy'),
    BadReply("empty", says(""), "the reply is empty"),
    BadReply("no-content", says(None), "the reply is empty"),
    BadReply("prose", says("I would lower MATRIX_LR."), "there is no JSON object"),
    BadReply("truncated", says(good(2)[:-9], finish="length"), r"broken.*llm\.max_tokens"),
    BadReply(
        "three-megabytes",
        says(proposal(("MATRIX_LR", 0.05), hypothesis="x" * 3_000_000)),
        "longer than 200000 characters",
    ),
    BadReply(
        "half-a-megabyte",
        says(proposal(("MATRIX_LR", 0.05), hypothesis="x" * 500_000)),
        "longer than 200000 characters",
    ),
    BadReply("the-constant-NaN", written("NaN"), "NaN is not JSON"),
    BadReply("the-constant-Infinity", written("Infinity"), "Infinity is not JSON"),
    BadReply("number-1e999", written("1e999"), "1e999 is too large"),
    BadReply("NaN-as-text", written('"nan"'), r"MATRIX_LR=(nan|'nan') is not legal"),
    BadReply("lone-surrogate", says(good(2).replace("It", "\ud800")), "half of a surrogate pair"),
    BadReply("power-expression", written('"2**18"'), r"MATRIX_LR='2\*\*18' is not legal"),
    BadReply("Python-expression", written(json.dumps(STEALS)), r'MATRIX_LR="__import__.*not legal'),
    BadReply("bare-expression", written(STEALS), "broken"),
    BadReply(
        "the-same-parameter-twice",
        says(proposal(("MATRIX_LR", 0.05), ("MATRIX_LR", 0.06))),
        "a parameter is listed twice",
    ),
    BadReply(
        "the-same-name-twice",
        says(good(2).replace("{", '{"changes": [], ', 1)),
        "a name occurs twice",
    ),
    BadReply("nested-too-deep", says(DEEP), "nested more than 24 levels deep"),
    BadReply("nested-without-end", says('{"a":' * 30_000), "broken|nested"),
    BadReply("wrong-shape", says('{"changes": {"MATRIX_LR": 0.05}}'), "the reply.* must satisfy"),
    BadReply("a-list", says("[1, 2]"), "there is no JSON object"),
    BadReply("two-objects", says(good(2) + good(3)), "2 JSON objects; give exactly one"),
    BadReply("a-field-too-many", says(proposal(("MATRIX_LR", 0.05), run="rm")), "additional"),
    BadReply("content-that-is-no-text", says({"a": 1}), "the reply|there is no JSON object|broken"),
)
