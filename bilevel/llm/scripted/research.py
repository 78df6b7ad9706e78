"""The stand-in as an inventor: a diagnosis, a choice of idea, a specification, and its source."""

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from bilevel.llm.scripted.breakages import perhaps_broken
from bilevel.llm.scripted.families import FAMILIES, Family
from bilevel.llm.scripted.reading import Reading

_BOOST = 6.0  # how much sooner a family comes to mind for a symptom that it helps with
_USED = 0.3  # what is left of that for one that was tried before
MENDS = 0.85
MOST_IDEAS = 5
_NAME = re.compile(r"[a-z][a-z0-9_]{2,40}")
_CARRIER = re.compile(r"[a-z][a-z ]{2,20}")
_BULLET = re.compile(r"^- ([^:\n]+): *(.*)$", re.M)
_IDEA = re.compile(r"^(\d+)\. (.+?): (.+)$", re.M)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FIELD = re.compile(r"^(name|domain|carrier): (.+)$", re.M)
_ATTRIBUTE = re.compile(r'^ +(name|carrier): ClassVar\[str\] = "(.*)"$', re.M)
_BOTTLENECKS = {
    "repetition": "The search repeats itself: the same few parameters are moved again and again.",
    "failures": "Trials are lost to configurations that fail, some of them in ways seen before.",
    "streak": "The search is stuck: many trials in a row were discarded.",
    "untried": "Large parts of the space were never tried.",
    "": "The proposer decides alone; nothing in the search corrects its habits.",
}


def explore(reading: Reading, rng: Random) -> dict[str, Any]:
    """Families that help with a symptom come first and more often."""
    seen = symptoms(reading.section("Behaviour of the search"))
    used = reading.section("Attached now") + reading.section("Tried before")
    chosen: list[Family] = []
    for _ in range(rng.randint(2, MOST_IDEAS)):
        left = [family for family in FAMILIES if family not in chosen]
        chosen += rng.choices(left, [weight(family, seen, used) for family in left])
    ideas = [{"domain": family.domain, "idea": rng.choice(family.ideas)} for family in chosen]
    return {"bottleneck": " ".join(_BOTTLENECKS[s] for s in seen or ("",)), "ideas": ideas}


def symptoms(behaviour: str) -> tuple[str, ...]:
    """What is wrong with the search, by the numbers in the bullets."""
    found = []
    for label, value in _BULLET.findall(behaviour):
        told = label.lower()
        match = _NUMBER.search(value)
        number = float(match[0]) if match else 0.0
        if "repetition" in told and number >= 0.4:
            found.append("repetition")
        if "streak" in told and number >= 6:
            found.append("streak")
        if ("crash" in told or "fail" in told) and number >= (0.1 if "rate" in told else 2):
            found.append("failures")
        if "never tried" in told and value.strip("() ").lower() not in {"", "none"}:
            found.append("untried")
    return tuple(dict.fromkeys(found))


def critique(reading: Reading, rng: Random) -> dict[str, Any]:
    ideas = _IDEA.findall(reading.section("Ideas"))
    if not ideas:
        return {"critique": "There is nothing to choose from.", "chosen": 0}
    chosen, domain, _ = rng.choices(ideas, [1 / (1 + place) for place in range(len(ideas))])[0]
    parts = [
        f"{other}: {rng.choice(('costs trials', 'may act too rarely', 'acts on one symptom only'))}"
        for _, other, _ in ideas
        if other != domain
    ]
    parts.append(f"{domain}: acts on the bottleneck directly, and its effect can be counted")
    return {"critique": "; ".join(parts) + ".", "chosen": int(chosen)}


def _specify(reading: Reading, rng: Random) -> dict[str, Any]:
    family = _of_text(reading.section("Chosen idea")) or rng.choice(FAMILIES)
    return {
        "name": free_name(family, reading, rng),
        "domain": family.domain,
        "carrier": rng.choice(family.carriers),
        "hooks": list(family.hooks),
        "behaviour": family.behaviour,
    }


def _generate(reading: Reading, rng: Random) -> dict[str, Any]:
    """A first source, or after a rejection a mended one or the same mistake again."""
    rejected = reading.fenced.get("Rejected source", "")
    if rejected and rng.random() >= MENDS:
        return {"source": rejected + "\n"}
    specification = reading.section("Specification")
    family = of_source(rejected) or _of_text(specification) or rng.choice(FAMILIES)
    told = {**dict(_ATTRIBUTE.findall(rejected)), **dict(_FIELD.findall(specification))}
    name, carrier = told.get("name", "").strip(), told.get("carrier", "").strip()
    source = family.source(
        name if _NAME.fullmatch(name) else family.names[0],
        carrier if _CARRIER.fullmatch(carrier) else family.carriers[0],
        rng,
    )
    return {"source": source if rejected else perhaps_broken(source, rng)}


Answer = Callable[[Reading, Random], dict[str, Any]]
_SPECIFICATION = frozenset({"name", "domain", "carrier", "hooks", "behaviour"})
ANSWERS: Mapping[frozenset[str], tuple[Answer, frozenset[str]]] = {
    frozenset({"bottleneck", "ideas"}): (explore, frozenset({"Behaviour of the search"})),
    frozenset({"critique", "chosen"}): (critique, frozenset({"Ideas"})),
    _SPECIFICATION: (_specify, frozenset({"Chosen idea"})),
    frozenset({"source"}): (_generate, frozenset({"Specification", "Rejected source"})),
}


def weight(family: Family, seen: tuple[str, ...], used: str) -> float:
    known = family.domain in used or any(name in used for name in family.names)
    return (_BOOST if set(seen) & set(family.helps_with) else 1.0) * (_USED if known else 1.0)


def _of_text(text: str) -> Family | None:
    return next((family for family in FAMILIES if family.domain in text.lower()), None)


def of_source(source: str) -> Family | None:
    return next((family for family in FAMILIES if f"class {family.kind}(" in source), None)


def free_name(family: Family, reading: Reading, rng: Random) -> str:
    """One of the family's names, numbered once they are all taken."""
    listed = reading.section("Attached now") + "\n" + reading.section("Tried before")
    taken = {name for name, _ in _BULLET.findall(listed)}
    free = [name for name in family.names if name not in taken]
    if free:
        return rng.choice(free)
    stem, number = rng.choice(family.names), 2
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"
