"""The stand-in as a tuner: reads the statistics, and like the published one it errs at times."""

import re
from random import Random
from typing import Any

from bilevel.llm.scripted.reading import Reading

FREEZES = 0.8
UNFREEZES = 0.2
OVERREACHES = 0.25  # that it also freezes something its limits do not allow
STREAK = 4


def tune(reading: Reading, rng: Random) -> dict[str, Any]:
    """A reply to the tuning prompt."""
    known = [cells for cells in reading.statistics if len(cells) == 7]
    active = [cells for cells in known if cells[6] == "active"]
    needed = re.search(r"at least (\d+) tries", reading.section("Your task"))
    tries = {cells[0]: int(cells[2]) for cells in known if cells[2].isdigit()}
    spent = [
        cells[0]
        for cells in active
        if tries.get(cells[0], 0) >= (int(needed[1]) if needed else 3) and cells[3] == "0"
    ]
    freeze = [name for name in spent if rng.random() < FREEZES]
    others = [cells[0] for cells in active if cells[0] not in spent]
    if others and rng.random() < OVERREACHES:
        freeze.append(rng.choice(others))
    unfreeze = [c[0] for c in known if c[6] == "frozen" and rng.random() < UNFREEZES]
    ranked = sorted((c[0] for c in active if c[0] not in freeze), key=lambda n: tries.get(n, 0))
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
    """How many of the latest experiments were discarded in a row."""
    streak = 0
    for row in reversed(reading.rows):
        if row.kept:
            break
        streak += 1
    return streak


def _strategy(reading: Reading, streak: int, rng: Random) -> str:
    choices: list[str] = reading.schema["properties"]["strategy"]["enum"]
    if streak >= STREAK and "explore" in choices and rng.random() < 0.6:
        return "explore"
    return rng.choice(choices)


def _analysis(spent: list[str], streak: int) -> str:
    repeated = f"It keeps returning to {', '.join(spent)} without gain. " if spent else ""
    return f"{repeated}The last {streak} experiments were discarded in a row."


def _guidance(named: list[str], freeze: list[str]) -> str:
    parts = []
    if named:
        parts.append(f"Try what was rarely tried: {', '.join(named)}.")
    if freeze:
        parts.append(f"Avoid {', '.join(freeze)}.")
    return " ".join(parts)
