"""Parses and prints the `key=value` arguments of the commands beside the main one."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bilevel.errors import BadInput

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./:+-]*")  # what Hydra takes as it stands
_WORDS = ("true", "false", "null", "nan", "inf")  # and these mean something else
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)


def options(
    arguments: Sequence[str], keys: Collection[str], required: Collection[str], usage: str
) -> dict[str, str]:
    """Returns the arguments as key -> value. Raises BadInput for anything that is not an option."""
    given: dict[str, str] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if key not in keys or not sign or not value:
            raise BadInput(
                f"{argument!r} is not an option; valid: {', '.join(keys)}; usage: {usage}"
            )
        given[key] = unquoted(value)
    for key in required:
        if key not in given:
            raise BadInput(f"{key}=... is missing; usage: {usage}")
    return given


def split(arguments: Sequence[str], own: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Returns a command's own options, and the remaining arguments, which are overrides for
    Hydra."""
    pairs = [(a, *a.partition("=")) for a in arguments]
    options = {key: unquoted(value) for _, key, _, value in pairs if key in own}
    return options, [argument for argument, key, _, _ in pairs if key not in own]


def whole(name: str, given: str, least: int = 1) -> int:
    """Returns the number that an option is. Raises BadInput."""
    if not given.isdecimal() or int(given) < least:
        raise BadInput(f"{name}={given}: expected a whole number of at least {least}")
    return int(given)


def quoted(text: str) -> str:
    """Returns a value, quoted so that Hydra reads exactly this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    doubled = re.sub(r"(\\+)(?='|$)", r"\1\1", text)
    return "'" + doubled.replace("'", "\\'") + "'"


def unquoted(text: str) -> str:
    """Returns the text of a value, which may be quoted as for the main command."""
    if not _QUOTED.fullmatch(text):
        return text
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return str(OverridesParser.create().parse_override(f"value={text}").value())


def line(command: str, given: Mapping[str, Any]) -> str:
    """Returns the shell command for one of the platform's commands with these options."""
    pairs = (f"{key}={_value(value)}" for key, value in given.items())
    return words("python", "-m", "bilevel", command, *pairs)


def _value(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else str(value).lower()


def words(*given: str) -> str:
    """Returns a shell command of these words."""
    return " ".join(map(_word, given))


def _word(text: str) -> str:
    """Returns a word, quoted for a shell if needed; one with single quotes in double ones."""
    easy = "'" in text and not set(text) & set('"$`\\!')
    return f'"{text}"' if easy else shlex.quote(text)
