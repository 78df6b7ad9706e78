"""From a reply's text to checked data: whatever a model writes ends as a value or a reason."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from bilevel.errors import SpaceError
from bilevel.strict_json import decoder

_MAX_DEPTH = 24
_MAX_SCHEMA_CHARS = 20_000
_MAX_DEMANDED_CHARS = 20_000  # that the shortest reply under a schema may need
_MAX_COUNT = 10**12  # that minItems and the like may give
MAX_HYPOTHESIS = 400  # characters of it that a proposal keeps
_FAILED_STARTS = 20  # places where JSON seemed to begin; more is not worth the time
_FENCE = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\n(.*?)```", re.DOTALL)
_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_KEYWORDS = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "title",
        "description",
        "default",
    ]
)
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")


class ReplyError(ValueError):
    """Raised for a reply that cannot be used; the message is shown to the model."""


_DECODER = decoder(ReplyError, longest=40, unique=True)


def extract(text: str) -> dict[str, Any]:
    """Return the one JSON object in the text, fenced or wrapped in prose. Raises ReplyError."""
    text = _THINKING.sub("", text, count=1).strip()
    if not text:
        raise ReplyError("the reply is empty")
    try:
        found = _objects(text)
    except RecursionError:
        raise ReplyError("the JSON is nested too deeply") from None
    if len(found) > 1:
        raise ReplyError(f"the reply holds {len(found)} JSON objects; give exactly one")
    _walk(found[0])
    return found[0]


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a text: the whole text, or else the fenced blocks, or else
    every object in the prose."""
    if text[0] == "{" and text[-1] == "}":
        whole = _decode(text, 0)
        if whole is not None and whole[1] == len(text):
            return [whole[0]]
    fenced = [block.strip() for block in _FENCE.findall(text)]
    decoded = [_decode(block, 0) for block in fenced if block.startswith("{")]
    kept = [part[0] for part in decoded if part is not None]
    return kept or _in_prose(text)


def _in_prose(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    failures = 0
    at = text.find("{")
    while at >= 0:
        decoded = _decode(text, at)
        if decoded is not None:
            found.append(decoded[0])
        elif (failures := failures + 1) > _FAILED_STARTS:
            break
        at = text.find("{", decoded[1] if decoded is not None else at + 1)
    if not found:
        raise ReplyError(_why_none(text))
    return found


def _decode(text: str, at: int) -> tuple[dict[str, Any], int] | None:
    """Return the object that begins at `at` and where it ends, or None. Raises ReplyError."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        return None
    return value, end


def _why_none(text: str) -> str:
    start = text.find("{")
    if start < 0:
        return "there is no JSON object in the reply"
    try:
        _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return f"the JSON is broken at character {error.pos - start}: {error.msg}"
    return "there is no JSON object in the reply"


def _walk(value: Any) -> None:
    """Raises ReplyError for lone surrogates and deep nesting; iterative, so that nesting cannot
    overflow the stack."""
    todo: list[tuple[Any, int]] = [(value, 1)]
    while todo:
        part, depth = todo.pop()
        if depth > _MAX_DEPTH:
            raise ReplyError(f"the JSON is nested more than {_MAX_DEPTH} levels deep")
        if isinstance(part, str) and any("\ud800" <= character <= "\udfff" for character in part):
            raise ReplyError("a text holds half of a surrogate pair")
        if isinstance(part, dict):
            todo += [(key, depth) for key in part]
            todo += [(member, depth + 1) for member in part.values()]
        elif isinstance(part, list):
            todo += [(member, depth + 1) for member in part]


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema as plain JSON. Raises ReplyError for an invalid one, and for references
    and patterns, which could stall the host or use the network."""
    try:
        text = json.dumps(dict(schema), allow_nan=False)
        _check_forms(json.loads(text))
        _check_schema(text)
    except (TypeError, ValueError, RecursionError, jsonschema.SchemaError) as error:
        raise ReplyError(f"not a JSON schema: {_cut(str(error), 200)}") from None
    plain: dict[str, Any] = json.loads(text)
    strange = sorted(_strange(plain))
    if strange:
        valid = ", ".join(sorted(_KEYWORDS))
        raise ReplyError(f"unsupported in a schema: {', '.join(strange)}; valid: {valid}")
    if len(text) > _MAX_SCHEMA_CHARS:
        raise ReplyError(f"the schema is longer than {_MAX_SCHEMA_CHARS} characters")
    needed = _demanded(plain)
    if needed > _MAX_DEMANDED_CHARS:
        raise ReplyError(
            f"the shortest reply under the schema has about {needed:.3g} characters; at most "
            f"{_MAX_DEMANDED_CHARS} may be asked for: lower its minLength or minItems"
        )
    return plain


def _demanded(schema: Any) -> int:
    """Return about how many characters the shortest valid reply has, without building one."""
    if not isinstance(schema, Mapping):
        return 1
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if options:
        return max(_demanded(option) for option in options)
    properties = schema.get("properties", {})
    of_names = sum(len(n) + 4 + _demanded(properties.get(n)) for n in schema.get("required", ()))
    of_items = schema.get("minItems", 0) * (1 + _demanded(schema.get("items")))
    return int(2 + of_names + of_items + schema.get("minLength", 0))


def _check_forms(schema: Any) -> None:
    """Raises ReplyError for schemas that servers refuse, and for those slow to validate: lists
    of names are compared pairwise."""
    for part in _parts(schema):
        if not isinstance(part, Mapping):
            raise ReplyError(f"{_cut(json.dumps(part), 40)} stands where a schema is expected")
        for key in ("type", "required"):
            names = part.get(key, [])
            if isinstance(names, list) and not all(isinstance(name, str) for name in names):
                raise ReplyError(f"{key} lists texts only")
        for key in _COUNTS:
            count = part.get(key, 0)
            if type(count) is not int or count > _MAX_COUNT:
                shown = _cut(json.dumps(count), 40)
                raise ReplyError(f"{key}={shown}: give a whole number of at most {_MAX_COUNT}")


def _parts(schema: Any) -> Iterator[Any]:
    """Yields a schema and all schemas inside it."""
    yield schema
    if not isinstance(schema, Mapping):
        return
    properties = schema.get("properties", {})
    parts = [*properties.values()] if isinstance(properties, Mapping) else []
    parts += [schema["items"]] if "items" in schema else []
    rest = schema.get("additionalProperties")
    parts += [rest] if isinstance(rest, Mapping) else []
    for union in (schema.get("anyOf"), schema.get("oneOf")):
        parts += union if isinstance(union, list) else []
    for part in parts:
        yield from _parts(part)


@lru_cache(maxsize=256)
def _check_schema(text: str) -> None:
    """Raises ReplyError for an invalid schema; cached, since a search repeats its schemas."""
    plain = json.loads(text)
    _walk(plain)
    jsonschema.Draft202012Validator.check_schema(plain)


def _strange(schema: Any) -> set[str]:
    return {str(key) for part in _parts(schema) for key in part if key not in _KEYWORDS}


def checked(
    text: str, schema: Mapping[str, Any], check: Callable[[Any], Any] | None = None
) -> tuple[Any, str]:
    """Return (value, "") for a reply that parses, fits the schema and passes the check; else
    (None, reason)."""
    try:
        value: Any = extract(text)
        jsonschema.Draft202012Validator(schema).validate(value)
        return (check(value) if check is not None else value), ""
    except ValidationError as error:
        return None, _located(error)
    except (SpaceError, ValueError) as error:
        return None, _cut(str(error), 600)


def by_name(changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the new values in a reply's `changes`, by parameter. Raises ReplyError for a
    parameter listed twice."""
    values = {change["parameter"]: change["value"] for change in changes}
    if len(values) != len(changes):
        raise ReplyError("a parameter is listed twice in changes; list each one once")
    return values


def _located(error: ValidationError) -> str:
    place = "".join(f"[{json.dumps(part)}]" for part in error.absolute_path)
    got = _cut(json.dumps(error.instance), 120)
    expected = _cut(json.dumps({str(error.validator): error.validator_value}), 300)
    return f"the reply{place} is {got}, but must satisfy {expected}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
