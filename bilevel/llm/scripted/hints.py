"""What guidance and rejections in a prompt make the stand-in prefer and avoid."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bilevel.llm.scripted.reading import Knob, direction

_UNTRIED = re.compile(
    r"\b(untried|under-?explored|(never|not|rarely)( yet)?( been)? (tried|explored))"
)
_NEGATIVE = re.compile(
    r"\b(avoid|reject\w*|tabu|forbid\w*|forbidden|not|don't|never|stop|exhausted|spent|drop\w*)\b"
)
_UP = re.compile(r"\b(raise|raising|increas\w+|larger|bigger|higher|up|double|doubling)\b")
_DOWN = re.compile(r"\b(lower\w*|decreas\w+|reduc\w+|smaller|down|halve|halving|less)\b")
_REJECTED = re.compile(r"^\s*- \{(.*?)\}")
_VALUE = r"['\"]?{name}['\"]?: ([-+0-9.e]+)"


@dataclass(frozen=True)
class Hints:
    """Names to prefer, the directions they were named with, and (name, direction) to avoid;
    an avoided direction of '' means the parameter as a whole."""

    preferred: frozenset[str]
    directions: dict[str, str]
    avoided: frozenset[tuple[str, str]]

    def avoids(self, name: str, way: str) -> bool:
        return bool({(name, ""), (name, way)} & self.avoided)


def hints(texts: Sequence[str], knobs: Sequence[Knob]) -> Hints:
    """Reads clause by clause; the last word on a parameter counts."""
    preferred: set[str] = set()
    directions: dict[str, str] = {}
    avoided: set[tuple[str, str]] = set()
    for line in "\n".join(texts).splitlines():
        rejected = _REJECTED.match(line)
        if rejected:
            avoided |= _rejected_moves(rejected[1], knobs)
            continue
        for clause in re.split(r"[.;:](?:\s|$)", line):
            named = [k.name for k in knobs if re.search(rf"\b{re.escape(k.name)}\b", clause)]
            way = _way(clause)
            if _NEGATIVE.search(clause.lower()) and not _UNTRIED.search(clause.lower()):
                avoided |= {(name, way) for name in named}
                continue
            preferred.update(named)
            directions.update({name: way for name in named if way})
    return Hints(frozenset(preferred), directions, frozenset(avoided))


def _way(clause: str) -> str:
    up, down = bool(_UP.search(clause.lower())), bool(_DOWN.search(clause.lower()))
    return "" if up == down else "up" if up else "down"


def _rejected_moves(text: str, knobs: Sequence[Knob]) -> set[tuple[str, str]]:
    """The moves of a rejected candidate, seen from the current configuration."""
    found = set()
    for knob in knobs:
        if not re.search(rf"\b{re.escape(knob.name)}\b", text):
            continue
        match = re.search(_VALUE.format(name=re.escape(knob.name)), text)
        numeric = match and isinstance(knob.value, int | float)
        found.add((knob.name, direction(knob.value, float(match[1])) if match and numeric else ""))
    return found
