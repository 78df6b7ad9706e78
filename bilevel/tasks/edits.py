"""Edits of a script's text: searched texts that must match once, and diffs that can be read."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from bilevel import syntax

_SHOWN_CHARS = 120


@dataclass(frozen=True)
class Edit:
    """A replacement: `search`, which must occur exactly once in the text, becomes `replace`."""

    search: str
    replace: str


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return the text after every edit, in order. Raises ValueError that says what did not
    match."""
    for number, edit in enumerate(edits, start=1):
        count = text.count(edit.search) if edit.search else 0
        if count != 1:
            raise ValueError(f"edit {number}: {_mismatch(text, edit.search, count)}")
        text = text.replace(edit.search, edit.replace)
    return text


def _mismatch(text: str, search: str, count: int) -> str:
    if not search.strip():
        return "its search text is empty; copy the lines that it replaces"
    first = search.strip().splitlines()[0]
    if count:
        places = ", ".join(str(n) for n in _lines_with(text, first)[:8])
        return (
            f"its search text occurs {count} times (see lines {places}) and must occur exactly "
            "once; add lines around it"
        )
    near = difflib.get_close_matches(first, [line.strip() for line in text.splitlines()], 1)
    hint = f"; the nearest line is {near[0][:_SHOWN_CHARS]!r}" if near else ""
    return (
        f"its search text, which begins with {first[:_SHOWN_CHARS]!r}, does not occur; copy whole "
        f"lines with their indentation{hint}"
    )


def _lines_with(text: str, part: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), start=1) if part in line]


def unparsable(text: str, name: str) -> str:
    """Return why a script is invalid Python, with the line; empty where it is valid."""
    try:
        syntax.parse(text, name)
    except SyntaxError as error:
        line = (error.text or "").strip()[:_SHOWN_CHARS]
        return f"{name} does not parse: {error.msg}, line {error.lineno}: {line}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{name} does not parse: {error}"
    return ""


def diff(before: str, after: str, name: str, lines_around: int = 2) -> str:
    """Return a diff of two texts; empty where they are equal."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        fromfile=f"parent/{name}",
        tofile=name,
        n=lines_around,
    )
    return "".join(lines)
