"""The stand-in as a proposer: the fixated prior that the published traces of the paper show.

It opens with a larger batch, lowers the weight decay next, and then keeps returning to whatever
it has tried most (arXiv 2603.23420, its 378 published trials). It knows only what it is shown.
"""

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Any

from bilevel.llm.scripted.hints import Hints, hints
from bilevel.llm.scripted.moves import moved
from bilevel.llm.scripted.reading import Knob, Move, Reading

BATCH = frozenset({"TOTAL_BATCH_SIZE", "BATCH_SIZE", "batch_size"})
SECOND = "WEIGHT_DECAY"
ATTRACTION = {
    "WEIGHT_DECAY": 6.0,
    "WINDOW_PATTERN": 4.0,
    "MATRIX_LR": 2.0,
    "EMBEDDING_LR": 1.2,
    "SCALAR_LR": 0.8,
    "WARMDOWN_RATIO": 0.6,
    "ADAM_BETAS": 0.4,
    "UNEMBEDDING_LR": 0.4,
    "WARMUP_RATIO": 0.4,
    "FINAL_LR_FRAC": 0.3,
    "HEAD_DIM": 0.2,
    "DEVICE_BATCH_SIZE": 0.1,
    "TOTAL_BATCH_SIZE": 0.03,
}
_REINFORCEMENT = 1.4  # the power of (1 + tries): above 1, what was tried most takes over
_REINFORCEMENT_ELSEWHERE = 2.0  # among names that mean nothing to it
_FOLLOWS_GUIDANCE = 0.5
_AVOIDED = 0.02
_OPENS_FRESH = 0.92
_OPENS_AGAIN = (0.58, 0.32)  # larger, smaller, when it is shown no memory of the search
_SECOND_MOVE = 0.75
_FOLLOWS_A_GAIN = 0.5
_FOLLOWS_THE_BATCH = 0.8
_TURNS_ROUND = 0.2  # that a larger batch which failed makes it think of a smaller one


@dataclass(frozen=True)
class _Mind:
    """What the stand-in goes by for one reply."""

    reading: Reading
    hints: Hints
    rng: Random
    temperature: float
    strategy: str

    @property
    def spread(self) -> float:
        wide = {"explore": 1.8, "exploit": 0.5}.get(self.strategy, 1.0)
        return wide * (0.6 + 0.5 * self.temperature)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def history(self, name: str) -> list[tuple[Move, bool]]:
        rows = self.reading.rows
        return [(m, row.kept) for row in rows for m in row.moves if m.name == name]

    def tried(self, knob: Knob) -> set[str]:
        """Values that it was shown to have tried from the present one."""
        return {str(m.new) for m, _ in self.history(knob.name) if m.old == knob.value}


def propose(reading: Reading, rng: Random, temperature: float) -> dict[str, Any]:
    """A reply to the proposal prompt."""
    texts = [reading.section("Guidance"), reading.section("Notes from the search")]
    strategy = reading.section("Strategy").partition(":")[0].strip().lower()
    mind = _Mind(reading, hints(texts, reading.knobs), rng, temperature, strategy)
    most = re.search(r"at most (\d+) parameter", reading.section("Your task"))
    wanted = min(_how_many(mind), int(most[1]) if most else 1, len(reading.knobs))
    changes: dict[str, Any] = {}
    first = _opening(mind) or _follow_up(mind) or _second(mind)
    if first is not None:
        changes[first[0].name] = first[1]
    for _ in range(60):
        if len(changes) >= wanted:
            break
        knob = _choose(mind)
        value = _value(mind, knob, _direction(mind, knob))
        if value is not None:
            changes.setdefault(knob.name, value)
    listed = [{"parameter": name, "value": value} for name, value in changes.items()]
    return {"hypothesis": _hypothesis(reading, changes), "changes": listed}


def _how_many(mind: _Mind) -> int:
    several = 0.6 if mind.strategy == "combine" else 0.05 + 0.1 * mind.temperature
    if not mind.chance(several):
        return 1
    return 3 if mind.chance(0.3) else 2


def _opening(mind: _Mind) -> tuple[Knob, Any] | None:
    """The first move of a search, and of one whose memory was taken away."""
    rows = mind.reading.rows
    moves = [row for row in rows if row.moves]
    batch = next((k for k in mind.reading.knobs if k.name in BATCH), None)
    if batch is None or len(moves) > 2 or mind.history(batch.name):
        return None
    draw, way = mind.rng.random(), ""
    if any(row.baseline for row in rows):
        way = "up" if draw < _OPENS_FRESH and not moves else ""
    else:
        up, down = _OPENS_AGAIN
        way = "up" if draw < up else "down" if draw < up + down else ""
    value = _value(mind, batch, way) if way else None
    return None if value is None else (batch, value)


def _second(mind: _Mind) -> tuple[Knob, Any] | None:
    """Soon after the opening, less weight decay."""
    moves = [row for row in mind.reading.rows if row.moves]
    decay = next((k for k in mind.reading.knobs if k.name == SECOND), None)
    if decay is None or len(moves) > 3 or mind.history(SECOND) or not mind.chance(_SECOND_MOVE):
        return None
    value = _value(mind, decay, "down")
    return None if value is None else (decay, value)


def _follow_up(mind: _Mind) -> tuple[Knob, Any] | None:
    """More of what has just helped; a batch that helped is followed until it stops helping."""
    rows = [row for row in mind.reading.rows if row.moves]
    for knob in mind.reading.knobs:
        history = mind.history(knob.name)
        if not history or not history[-1][1]:
            continue
        latest = any(move.name == knob.name for move in rows[-1].moves)
        probability = _FOLLOWS_THE_BATCH if knob.name in BATCH else _FOLLOWS_A_GAIN * latest
        if mind.chance(probability):
            value = _value(mind, knob, history[-1][0].direction)
            if value is not None:
                return knob, value
    return None


def _choose(mind: _Mind) -> Knob:
    """Usually the favourite again; at times, and more so when warm or exploring, another one."""
    knobs = mind.reading.knobs
    named = [knob for knob in knobs if knob.name in mind.hints.preferred]
    if named and mind.chance(_FOLLOWS_GUIDANCE):
        return mind.rng.choice(named)
    weights = [_weight(mind, knob) for knob in knobs]
    other = 0.02 + 0.1 * mind.temperature
    if mind.chance(other * (2.5 if mind.strategy == "explore" else 1.0)):
        favourite = weights.index(max(weights))
        weights = [_curiosity(mind, k) * (place != favourite) for place, k in enumerate(knobs)]
    return mind.rng.choices(knobs, [weight + 1e-9 for weight in weights])[0]


def _curiosity(mind: _Mind, knob: Knob) -> float:
    """The weight among the others: even, but a batch size is thought to be settled."""
    if (knob.name, "") in mind.hints.avoided:
        return _AVOIDED
    return 0.3 if knob.name in BATCH else 1.0


def _weight(mind: _Mind, knob: Knob) -> float:
    weight = ATTRACTION.get(knob.name, 1.0)
    power = _REINFORCEMENT if knob.name in ATTRACTION else _REINFORCEMENT_ELSEWHERE
    weight *= math.pow(1 + len(mind.history(knob.name)), power)
    if mind.strategy == "explore":
        weight = math.pow(weight, 0.4)
    if (knob.name, "") in mind.hints.avoided:
        weight *= _AVOIDED
    return weight


def _direction(mind: _Mind, knob: Knob) -> str:
    named = mind.hints.directions.get(knob.name)
    if named:
        return named
    history = mind.history(knob.name)
    if history and history[-1][1] and mind.chance(0.8):
        return history[-1][0].direction
    if knob.name in BATCH:
        failed = any(move.direction == "up" and not kept for move, kept in history)
        return "down" if failed and mind.chance(_TURNS_ROUND) else "up"
    if knob.name == SECOND:
        return "down" if mind.chance(0.85) else "up"
    if history and not history[-1][1] and mind.chance(0.3):
        return "down" if history[-1][0].direction == "up" else "up"
    return "up" if mind.chance(0.5) else "down"


def _value(mind: _Mind, knob: Knob, way: str) -> Any:
    """A value that way, or None where the range or a rejection forbids it."""
    if mind.hints.avoids(knob.name, way) and not mind.chance(_AVOIDED):
        return None
    return moved(knob, way, mind.rng, mind.spread, mind.tried(knob))


def _hypothesis(reading: Reading, changes: dict[str, Any]) -> str:
    parts = []
    for knob in reading.knobs:
        if knob.name in changes:
            parts.append(f"{knob.name} from {knob.value} to {changes[knob.name]}")
    return f"Changing {' and '.join(parts)} should improve the metric within the fixed budget."
