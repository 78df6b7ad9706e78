"""The stand-in as a scientist: names directions, compares two, and says what one has taught."""

import math
import re
from collections.abc import Mapping
from random import Random
from typing import Any

from bilevel.llm.scripted.hints import hints
from bilevel.llm.scripted.proposing import ATTRACTION, BATCH, SECOND
from bilevel.llm.scripted.reading import Knob, Reading
from bilevel.llm.scripted.research import Answer

_SEEDED = 0.8  # that a direction which helped is named again
_REPEATS = 0.08  # that a direction is named twice
_STUBBORN = 0.1  # that it names a direction it was told to leave
_HASTY = 0.05  # that it names too few countermeasures
_FIRST_IS_BETTER = 0.3  # its bias for whatever it reads first
_VERBS = {"up": ("Raise", "Increase"), "down": ("Lower", "Reduce"), "": ("Vary", "Change")}
_HOW = (
    "step by step for as long as it helps",
    "in big steps first and then in fine ones",
    "and watch how {other} responds",
)
_COUNTERMEASURES = (
    "Move {name} the other way from the best configuration.",
    "Leave {name} alone until the other parameters are better.",
    "Try {name} in finer steps.",
    "Change {name} together with {other}.",
    "Spend the next experiments on {other}.",
    "Measure the best configuration again before going on.",
)
_Aim = tuple[str, str]  # a parameter, and which way


def directions(reading: Reading, rng: Random) -> dict[str, Any]:
    """What helped comes first; otherwise its favourites, which are those of its proposals."""
    asked = re.search(r"at most (\d+) directions", reading.section("Your task"))
    most = int(asked[1]) if asked else 1
    avoided = hints([reading.section("Do not repeat")], reading.knobs)
    aims = [aim for aim in _aims(reading, "Feasible directions") if rng.random() < _SEEDED]
    left = list(reading.knobs)
    while left and len(aims) < most:
        knob = rng.choices(left, [_weight(reading, knob) for knob in left])[0]
        left.remove(knob)
        aim = (knob.name, _lean(reading, knob, rng))
        if not avoided.avoids(*aim) or rng.random() < _STUBBORN:
            aims.append(aim)
    named = [_direction(reading, aim, rng) for aim in dict.fromkeys(aims)][:most]
    if len(named) > 1 and rng.random() < _REPEATS:
        named[-1] = named[0]
    return {"directions": named}


def _compare(reading: Reading, rng: Random) -> dict[str, Any]:
    """By what the history says of the moves, by what attracts it, and by what it read first."""
    merits = [
        _FIRST_IS_BETTER + _merit(reading, "Direction A") + rng.gauss(0, 1),
        _merit(reading, "Direction B") + rng.gauss(0, 1),
    ]
    better = "A" if merits[0] >= merits[1] else "B"
    said = "has more evidence behind it and is less used up"
    return {"better": better, "reason": f"Direction {better} {said}."}


def _reflect(reading: Reading, rng: Random) -> dict[str, Any]:
    """A root cause by the rows of the table, and what to do instead."""
    name, way = _aim(reading, "Direction")
    other = rng.choice([k.name for k in reading.knobs if k.name != name] or [name])
    verb = _VERBS[way][0].lower()
    cause = "left the metric worse than it was" if reading.rows else "never ran"
    count = 2 if rng.random() < _HASTY else rng.randint(3, 5)
    told = [text.format(name=name, other=other) for text in rng.sample(_COUNTERMEASURES, count)]
    return {
        "root_cause": f"To {verb} {name} {cause}: its present value is near the best one.",
        "countermeasures": told,
        "do_not_repeat": [f"Do not {verb} {name} from here"],
    }


def _distil(reading: Reading, rng: Random) -> dict[str, Any]:
    """The direction as a rule, with a confidence by how many experiments were kept."""
    name, way = _aim(reading, "Direction")
    kept = sum(row.kept for row in reading.rows)
    how = rng.choice(_HOW[:2])
    return {
        "context": f"A search in which {name} was not settled yet.",
        "strategy": f"{_VERBS[way][0]} {name} {how}.",
        "confidence": ("low", "medium", "high")[min(kept, 2)],
    }


_REFLECTION = frozenset({"root_cause", "countermeasures", "do_not_repeat"})
ANSWERS: Mapping[frozenset[str], tuple[Answer, frozenset[str]]] = {
    frozenset({"directions"}): (directions, frozenset({"Active parameters"})),
    frozenset({"better", "reason"}): (_compare, frozenset({"Direction A"})),
    _REFLECTION: (_reflect, frozenset({"Direction"})),
    frozenset({"context", "strategy", "confidence"}): (_distil, frozenset({"Direction"})),
}


def _direction(reading: Reading, aim: _Aim, rng: Random) -> dict[str, Any]:
    name, way = aim
    knob = next(knob for knob in reading.knobs if knob.name == name)
    verb = rng.choice(_VERBS[way])
    other = rng.choice([k.name for k in reading.knobs if k.name != name] or [name])
    kept, tried = _record(reading, aim)
    why = f"It was kept {kept} times of {tried}." if tried else "It was not tried in this search."
    return {
        "title": f"{verb} {name}",
        "core_idea": f"{verb} {name} from {knob.value} {rng.choice(_HOW).format(other=other)}.",
        "why": why,
        "tags": [name, way or "other"],
    }


def _aims(reading: Reading, section: str) -> list[_Aim]:
    """The parameter and the way of each listed direction, by its title."""
    titles = re.findall(r"^- ([^(\n]+) \(", reading.section(section), re.M)
    return [aim for title in titles if (aim := _of(reading, title))[0]]


def _aim(reading: Reading, section: str) -> _Aim:
    title = reading.section(section).partition(":")[0]
    name, way = _of(reading, title)
    return name or "it", way


def _of(reading: Reading, title: str) -> _Aim:
    found = hints([title], reading.knobs)
    named = [knob.name for knob in reading.knobs if knob.name in found.preferred]
    return (named[0], found.directions.get(named[0], "")) if named else ("", "")


def _record(reading: Reading, aim: _Aim) -> tuple[int, int]:
    """How many experiments with such a move were kept, and how many there were."""
    rows = [
        row.kept
        for row in reading.rows
        if any(m.name == aim[0] and aim[1] in ("", m.direction) for m in row.moves)
    ]
    return sum(rows), len(rows)


def _weight(reading: Reading, knob: Knob) -> float:
    _, tried = _record(reading, (knob.name, ""))
    batch = 2.0 if knob.name in BATCH and not tried else 0.0
    return ATTRACTION.get(knob.name, 1.0) * math.sqrt(1 + tried) + batch


def _lean(reading: Reading, knob: Knob, rng: Random) -> str:
    """Which way it would go: its prior, turned round by what did not help."""
    if knob.kind in ("choice", "list"):
        return ""
    up = {SECOND: 0.15}.get(knob.name, 0.85 if knob.name in BATCH else 0.5)
    kept, tried = _record(reading, (knob.name, "up"))
    if tried and not kept:
        up *= 0.5
    return "up" if rng.random() < up else "down"


def _merit(reading: Reading, section: str) -> float:
    name, way = _aim(reading, section)
    kept, tried = _record(reading, (name, way))
    return 0.3 * math.log(ATTRACTION.get(name, 1.0)) + 1.5 * kept - 0.6 * (tried - kept)
