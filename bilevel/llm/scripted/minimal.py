"""The smallest reply that satisfies a JSON schema: the stand-in's answer to unknown questions."""

from collections.abc import Mapping
from random import Random
from typing import Any


def instance(schema: Mapping[str, Any], rng: Random) -> Any:
    """Required properties only, the fewest items, the smallest numbers; choices are drawn."""
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else rng.choice(schema["enum"])
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return instance(schema[union][0], rng)
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        properties = schema.get("properties", {})
        names = schema.get("required", ())
        return {name: instance(properties.get(name, {}), rng) for name in names}
    if kind == "array":
        return [instance(schema.get("items", {}), rng) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return "nothing to add".ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
    plain = {"boolean": False, "null": None}
    return plain[kind] if kind in plain else _number(schema, kind)


def _number(schema: Mapping[str, Any], kind: str) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        return 0 if high is None or high > 0 else high - 1
    if "exclusiveMinimum" not in schema:
        return float(low) if kind == "number" else int(-(-low // 1))
    if kind == "integer":
        return int(low // 1) + 1
    return float(low) + 1 if high is None else (low + high) / 2
