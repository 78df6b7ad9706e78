"""Reads a prompt as the stand-in model does: its sections, tables and lists, and nothing else."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

HEADING = re.compile(r"##\s+(.+?)\s*$")
FENCE = re.compile(r"(`{3,})[\w-]*\s*$")
_RANGES = {
    "float": re.compile(r"a number in \[(\S+), (\S+)\]( \(log scale\))?$"),
    "int": re.compile(r"a whole number in \[(\S+), (\S+)\]$"),
    "power": re.compile(r"a power of two in \[(\S+), (\S+)\]$"),
}
_PAIR = re.compile(r"\[([^\s\[\],]+), ([^\s\[\],]+)\]")


@dataclass(frozen=True)
class Knob:
    """A parameter as the prompt describes it."""

    name: str
    value: Any
    kind: str
    bounds: tuple[tuple[float, float], ...] = ()
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Move:
    """One parameter's change in an experiment of the history."""

    name: str
    old: Any
    new: Any

    @property
    def direction(self) -> str:
        return direction(self.old, self.new)


@dataclass(frozen=True)
class Row:
    """One experiment of the history."""

    moves: tuple[Move, ...]
    kept: bool
    baseline: bool


@dataclass(frozen=True)
class Reading:
    """Everything the stand-in has understood of a prompt."""

    sections: dict[str, str]
    schema: dict[str, Any]
    knobs: tuple[Knob, ...] = ()
    rows: tuple[Row, ...] = ()
    statistics: tuple[tuple[str, ...], ...] = field(default_factory=tuple)
    fenced: dict[str, str] = field(default_factory=dict)

    def section(self, name: str) -> str:
        return self.sections.get(name, "")


def direction(old: Any, new: Any) -> str:
    """'up' or 'down' for numbers and for the first place of a list that differs."""
    if isinstance(old, list) and isinstance(new, list):
        places = [(a, b) for a, b in zip(old, new, strict=False) if a != b]
        return direction(*places[0]) if places else "same"
    if _is_number(old) and _is_number(new):
        return "up" if new > old else "down"
    return "other"


def read(prompt: str) -> Reading:
    """The prompt's parts; what it does not hold stays empty."""
    sections, fenced = _split(prompt)
    schema = _json(fenced.get("Reply format", "null"))
    return Reading(
        sections=sections,
        schema=schema if isinstance(schema, dict) else {},
        knobs=tuple(filter(None, map(_knob, _cells(sections.get("Active parameters", ""))))),
        rows=tuple(
            _row(cells)
            for cells in _cells(
                sections.get("Experiments so far") or sections.get("Recent experiments", "")
            )
        ),
        statistics=tuple(_cells(sections.get("Parameters", ""))),
        fenced=fenced,
    )


def _split(prompt: str) -> tuple[dict[str, str], dict[str, str]]:
    """Text by heading, and the last fenced block under each heading."""
    sections: dict[str, list[str]] = {}
    fenced: dict[str, list[str]] = {}
    name, fence = "", ""
    for line in prompt.splitlines():
        if fence:
            if line.strip() == fence:
                fence = ""
            else:
                fenced[name].append(line)
            continue
        opening, heading = FENCE.match(line), HEADING.match(line)
        if opening:
            fence, fenced[name] = opening[1], []
        elif heading:
            name = heading[1]
        else:
            sections.setdefault(name, []).append(line)
    return _joined(sections), _joined(fenced)


def _joined(parts: dict[str, list[str]]) -> dict[str, str]:
    return {name: "\n".join(lines).strip() for name, lines in parts.items()}


def _cells(text: str) -> list[tuple[str, ...]]:
    """The rows of a table, without its two header lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    return [tuple(c.strip() for c in line.strip("|").split("|")) for line in lines[2:]]


def _knob(cells: tuple[str, ...]) -> Knob | None:
    if len(cells) != 3:
        return None
    name, current, described = cells
    value = _json(current)
    for kind, pattern in _RANGES.items():
        match = pattern.match(described)
        if match and _is_number(value):
            return Knob(name, value, kind, ((float(match[1]), float(match[2])),))
    if described.startswith("one of "):
        choices = _json(f"[{described.removeprefix('one of ')}]")
        return Knob(name, value, "choice", choices=tuple(choices)) if choices else None
    if described.startswith("a list of ") and isinstance(value, list):
        pairs = tuple((float(a), float(b)) for a, b in _PAIR.findall(described))
        return Knob(name, value, "list", pairs) if len(pairs) == len(value) else None
    return None


def _row(cells: tuple[str, ...]) -> Row:
    changes, decision = (cells[1], cells[4]) if len(cells) >= 5 else ("", "")
    return Row(moves_in(changes), decision.startswith("keep"), changes == "(baseline)")


def moves_in(changes: str) -> tuple[Move, ...]:
    """The moves of a text as `NAME old -> new; NAME old -> new`."""
    moves = []
    for part in changes.split("; "):
        name, _, rest = part.partition(" ")
        old, arrow, new = rest.partition(" -> ")
        if arrow:
            moves.append(Move(name, _json(old), _json(new)))
    return tuple(moves)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
