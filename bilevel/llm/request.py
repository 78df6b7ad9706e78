"""A question to the model as journals know it: the same question has the same digest."""

from collections.abc import Mapping, Sequence
from typing import Any

REPLY = "reply"  # the kind of a journal's entries that hold a model's answers


def request_of(
    model: str,
    messages: Sequence[Mapping[str, str]],
    schema: Mapping[str, Any],
    temperature: float | None,
    seed: int,
) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [dict(message) for message in messages],
        "schema": dict(schema),
        "temperature": temperature,
        "seed": seed,
    }
