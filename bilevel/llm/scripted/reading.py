"""Reads a prompt as the stand-in model does: its sections, tables and lists, and nothing else."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bilevel.llm.prompts import DATA

_HEADING = re.compile(r"##\s+(.+?)\s*$")
_FENCE = re.compile(r"(`{3,})([\w-]*)\s*$")
_RANGES = {
    "float": re.compile(r"a number in \[(\S+), (\S+)\]( \(log scale\))?$"),
    "int": re.compile(r"a whole number in \[(\S+), (\S+)\]$"),
    "power": re.compile(r"a power of two in \[(\S+), (\S+)\]$"),
}
_PAIR = re.compile(r"\[([^\s\[\],]+), ([^\s\[\],]+)\]")


_HEARD = (
    *("Strategy", "Guidance", "Notes from the search", "Behaviour of the search", "Attached now"),
    *("Tried before", "Ideas", "Chosen idea", "Specification", "Feasible directions"),
    *("Do not repeat", "Direction", "Direction A", "Direction B", "What failed"),
    *("What had been changed", "The error"),
)  # headings of what it reads word by word
FOUND, TRIED = "What stands now", "What was tried before"  # of a search of mechanisms
_HEARD_CODE = ("Rejected source", "The script")
COUNTED = ("parameter", "tries", "gains", "status")
_Cells = Mapping[str, str]  # a row of a table by the headers of its columns


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
class _Row:
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
    rows: tuple[_Row, ...] = ()
    statistics: tuple[_Cells, ...] = field(default_factory=tuple)
    fenced: dict[str, str] = field(default_factory=dict)

    def section(self, name: str) -> str:
        return self.sections.get(name, "")

    @property
    def heard(self) -> str:
        """All that it goes by, as one text: a prompt that says anything else otherwise, or more,
        is the same question to it."""
        told = {name: self.section(name) for name in _HEARD}
        fenced = {name: self.fenced.get(name, "") for name in _HEARD_CODE}
        read = [[asdict(knob) for knob in self.knobs], [asdict(row) for row in self.rows]]
        if "The script" in self.fenced:  # whose history is no table
            told["Experiments so far"] = self.section("Experiments so far")
        if TRIED in self.sections:
            told |= {name: self.section(name) for name in (FOUND, TRIED)}
            fenced |= {FOUND: self.fenced.get(FOUND, "")}
        counted = [[row.get(name) for name in COUNTED] for row in self.statistics]
        return json.dumps([self.schema, told, fenced, read, counted])


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
        knobs=tuple(filter(None, map(_knob, _table(sections.get("Active parameters", ""))))),
        rows=tuple(map(_row, _table(sections.get("Experiments so far", "")))),
        statistics=tuple(_table(sections.get("Parameters", ""))),
        fenced=fenced,
    )


def _split(prompt: str) -> tuple[dict[str, str], dict[str, str]]:
    """Text by heading, and the last fenced block under each heading; what is fenced as data is
    text, but has no headings."""
    sections: dict[str, list[str]] = {}
    fenced: dict[str, list[str]] = {}
    name, fence, data = "", "", ""
    for line in prompt.splitlines():
        if data and line.strip() == data and fence != data:
            data = fence = ""
        elif fence:
            if line.strip() == fence:
                fence = ""
            else:
                fenced[name].append(line)
        elif (opening := _FENCE.match(line)) and opening[2] == DATA and not data:
            data = opening[1]
        elif opening:
            fence, fenced[name] = opening[1], []
        elif (heading := _HEADING.match(line)) and not data:
            name = heading[1]
        else:
            sections.setdefault(name, []).append(line)
    return _joined(sections), _joined(fenced)


def _joined(parts: dict[str, list[str]]) -> dict[str, str]:
    return {name: "\n".join(lines).strip() for name, lines in parts.items()}


def _table(text: str) -> list[_Cells]:
    """The rows of a table by the names of its columns."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return [dict(zip(rows[0], cells, strict=False)) for cells in rows[2:]]


def _knob(cells: _Cells) -> Knob | None:
    name, described = cells.get("parameter", ""), cells.get("range", "")
    value = _json(cells.get("current value", ""))
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


def _row(cells: _Cells) -> _Row:
    changes, decision = cells.get("changes", ""), cells.get("decision", "")
    return _Row(moves_in(changes), decision.startswith("keep"), changes == "(baseline)")


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
