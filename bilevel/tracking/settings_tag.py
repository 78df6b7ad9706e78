"""Settings as one tag: short enough for every store, and a report can still name what differs."""

from collections.abc import Mapping
from typing import Any

from bilevel.errors import SHOWN_CHARS, short
from bilevel.space import canonical

LONGEST = 4000  # a store takes 8,000 characters, older ones 5,000


def tag_text(settings: Mapping[str, Any]) -> str:
    """Return the settings as JSON (name -> value) short enough for a tag. A long value is
    replaced by its digest; where that is not enough, so is each long group of names, and finally
    the whole."""
    if not settings:
        return ""
    every = {name: _brief(value) for name, value in settings.items()}
    forms = (every, _grouped(every), {"settings": short(canonical(every))})
    return next(text for text in map(canonical, forms) if len(text) <= LONGEST)


def _brief(value: Any) -> Any:
    text = canonical({"": value})
    return value if len(text) <= SHOWN_CHARS else short(text)


def _grouped(settings: Mapping[str, Any]) -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        groups.setdefault(name.partition(".")[0], {})[name] = value
    found: dict[str, Any] = {}
    for group, members in groups.items():
        brief = _brief(members)
        found |= members if brief is members else {group: brief}
    return found
