"""The stand-in as a tuner: reads the statistics, and like the published one it errs at times."""

import re
from random import Random
from typing import Any

from bilevel.llm.scripted.reading import COUNTED, Reading

_FREEZES = 0.8
_UNFREEZES = 0.2
_OVERREACHES = 0.25  # that it also freezes something its limits do not allow
_STREAK = 4
_SINCE = re.compile(r"Since the last gain: (\d+)")


def tune(reading: Reading, rng: Random) -> dict[str, Any]:
    """A reply to the tuning prompt."""
    known = {row["parameter"]: row for row in reading.statistics if {*COUNTED} <= {*row}}
    active = [name for name, row in known.items() if row["status"] == "active"]
    needed = re.search(r"at least (\d+) tries", reading.section("Your task"))
    tries = {name: int(row["tries"]) for name, row in known.items() if row["tries"].isdigit()}
    spent = [
        name
        for name in active
        if tries.get(name, 0) >= (int(needed[1]) if needed else 3) and known[name]["gains"] == "0"
    ]
    freeze = [name for name in spent if rng.random() < _FREEZES]
    others = [name for name in active if name not in spent]
    if others and rng.random() < _OVERREACHES:
        freeze.append(rng.choice(others))
    frozen = [name for name, row in known.items() if row["status"] == "frozen"]
    unfreeze = [name for name in frozen if rng.random() < _UNFREEZES]
    ranked = sorted((n for n in active if n not in freeze), key=lambda n: tries.get(n, 0))
    named = [name for name in ranked[:5] if rng.random() < 0.7][:3]
    streak = _discards(reading)
    return {
        "analysis": _analysis(spent, streak),
        "freeze": freeze,
        "unfreeze": unfreeze,
        "strategy": _strategy(reading, streak, rng),
        "guidance": _guidance(named, freeze),
    }


def _discards(reading: Reading) -> int:
    """How many of the latest experiments were not kept, as the prompt says it."""
    told = _SINCE.search(reading.section(""))
    return int(told[1]) if told else 0


def _strategy(reading: Reading, streak: int, rng: Random) -> str:
    choices: list[str] = reading.schema["properties"]["strategy"]["enum"]
    if streak >= _STREAK and "explore" in choices and rng.random() < 0.6:
        return "explore"
    return rng.choice(choices)


def _analysis(spent: list[str], streak: int) -> str:
    repeated = f"It keeps returning to {', '.join(spent)} without gain. " if spent else ""
    return f"{repeated}The last {streak} experiments were discarded in a row."


def _guidance(named: list[str], freeze: list[str]) -> str:
    """One line that stands until the next one replaces it."""
    parts = []
    if named:
        parts.append(f"Always try what was rarely tried: {', '.join(named)}.")
    if freeze:
        parts.append(f"{'Avoid' if parts else 'Always avoid'} {', '.join(freeze)}.")
    return " ".join(parts)
