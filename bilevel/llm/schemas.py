"""The JSON schemas of replies: objects with nothing beside what is asked for, and changes."""

from collections.abc import Mapping, Sequence
from typing import Any

TEXT = {"type": "string"}


def record(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object that has exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def changes(parameters: Sequence[str], most: int, least: int = 1) -> dict[str, Any]:
    """A list of new values for these parameters."""
    numbers = {"type": "array", "items": {"type": "number"}}
    change = record(
        {
            "parameter": {"type": "string", "enum": list(parameters)},
            "value": {"anyOf": [{"type": "number"}, TEXT, numbers]},
        }
    )
    return {"type": "array", "minItems": least, "maxItems": most, "items": change}
