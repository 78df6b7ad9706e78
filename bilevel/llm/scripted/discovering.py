"""The stand-in as a discoverer: a family that it knows, or the incumbent's with other numbers."""

from collections.abc import Mapping
from random import Random
from typing import Any

from bilevel.llm.scripted.breakages import perhaps_broken
from bilevel.llm.scripted.families import FAMILIES, Family
from bilevel.llm.scripted.reading import FOUND, TRIED, Reading
from bilevel.llm.scripted.research import Answer, of_source

_VARIES = 0.4  # that it stays with the family of what stands, and draws its numbers anew
_TRIED_ALREADY = 0.3  # weight of a family that was tried


def _discover(reading: Reading, rng: Random) -> dict[str, Any]:
    standing, tried = of_source(reading.fenced.get(FOUND, "")), reading.section(TRIED)
    if standing is not None and rng.random() < _VARIES:
        family = standing
    else:
        others = [family for family in FAMILIES if family is not standing]
        family = rng.choices(others, [_weight(family, tried) for family in others])[0]
    name = rng.choice(family.names)
    source = perhaps_broken(family.source(name, rng.choice(family.carriers), rng), rng)
    return {"name": name, "idea": rng.choice(family.ideas), "source": source}


def _weight(family: Family, tried: str) -> float:
    return _TRIED_ALREADY if any(name in tried for name in family.names) else 1.0


ANSWERS: Mapping[frozenset[str], tuple[Answer, frozenset[str]]] = {
    frozenset({"name", "idea", "source"}): (_discover, frozenset({TRIED})),
}
