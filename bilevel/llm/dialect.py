"""How one server wants to be asked: what it refused once is not sent to it again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

FORMATS = ("json_schema", "json_object", "text")
log = logging.getLogger(__name__)

# what strict schemas may be made of, see the structured outputs guide of the OpenAI API
_STRICT = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "anyOf",
        "description",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
    ]
)


@dataclass(frozen=True)
class Dialect:
    """The reply format in use, and the optional request fields that the server accepts."""

    structured: str = "json_schema"
    temperature: bool = True
    seed: bool = True
    token_limit: str = "max_tokens"

    def without(self, option: str) -> "Dialect | None":
        """Return the dialect to try after `option` (or an unknown one) was refused; None if
        there is none."""
        if option == "temperature" and self.temperature:
            return replace(self, temperature=False)
        if option == "seed" and self.seed:
            return replace(self, seed=False)
        if option == "max_tokens" and self.token_limit == "max_tokens":
            return replace(self, token_limit="max_completion_tokens")
        if option in {"", "response_format"} and self.structured != FORMATS[-1]:
            return replace(self, structured=FORMATS[FORMATS.index(self.structured) + 1])
        return None

    def request(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        *,
        temperature: float | None,
        seed: int,
        max_tokens: int | None,
    ) -> dict[str, Any]:
        """Return the body of the call, without the model's name."""
        body: dict[str, Any] = {"messages": [dict(message) for message in messages]}
        if self.temperature and temperature is not None:
            body["temperature"] = temperature
        if self.seed:
            body["seed"] = seed
        if max_tokens is not None:
            body[self.token_limit] = max_tokens
        if self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        elif self.structured == "json_schema":
            described = {"name": "reply", "schema": dict(schema), "strict": _closed(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        return body

    def announce(self, before: "Dialect", name: str) -> None:
        """Logs what this server is sent differently from now on."""
        changed = [
            f"{field}={getattr(self, field)}"
            for field in ("structured", "temperature", "seed", "token_limit")
            if getattr(self, field) != getattr(before, field)
        ]
        log.warning("llm %s refused a part of the request; now asking with %s", name, changed)


def _closed(schema: Any) -> bool:
    """Return whether strict mode accepts this schema: every object lists all its properties."""
    if not isinstance(schema, Mapping):
        return False
    if not set(schema) <= _STRICT:
        return False
    parts = [*schema.get("anyOf", ())]
    if "items" in schema:
        parts.append(schema["items"])
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        parts += properties.values()
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != set(properties):
            return False
    return all(_closed(part) for part in parts)
