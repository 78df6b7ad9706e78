"""The stand-in, asked freely: a family that it knows, or the incumbent's with other numbers."""

from collections.abc import Mapping
from random import Random
from typing import Any

from bilevel.llm.scripted.breakages import perhaps_broken
from bilevel.llm.scripted.families import FAMILIES, Family
from bilevel.llm.scripted.reading import FOUND, TRIED, Reading
from bilevel.llm.scripted.research import Answer, free_name, of_source, symptoms, weight

_VARIES = 0.4  # that it stays with the family of what stands, and draws its numbers anew
_TRIED_ALREADY = 0.3  # weight of a family that was tried


def _freely(reading: Reading, rng: Random) -> dict[str, Any]:
    """For a suite of tasks, or for one search: then what helps with its symptoms comes sooner."""
    if TRIED in reading.sections:
        family = _for_a_suite(reading, rng)
        name = rng.choice(family.names)
    else:
        seen = symptoms(reading.section("Behaviour of the search"))
        used = reading.section("Attached now") + reading.section("Tried before")
        family = rng.choices(FAMILIES, [weight(family, seen, used) for family in FAMILIES])[0]
        name = free_name(family, reading, rng)
    source = perhaps_broken(family.source(name, rng.choice(family.carriers), rng), rng)
    return {"name": name, "idea": rng.choice(family.ideas), "source": source}


def _for_a_suite(reading: Reading, rng: Random) -> Family:
    standing, tried = of_source(reading.fenced.get(FOUND, "")), reading.section(TRIED)
    if standing is not None and rng.random() < _VARIES:
        return standing
    others = [family for family in FAMILIES if family is not standing]
    return rng.choices(others, [_weight(family, tried) for family in others])[0]


def _weight(family: Family, tried: str) -> float:
    return _TRIED_ALREADY if any(name in tried for name in family.names) else 1.0


ANSWERS: Mapping[frozenset[str], tuple[Answer, frozenset[str]]] = {
    frozenset({"name", "idea", "source"}): (_freely, frozenset({TRIED, "Tried before"})),
}
