"""Lessons: short records of what happened in a search, which fade with age."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_SAME_STAGE = 2.0
_ERROR = 1.5


@dataclass(frozen=True)
class Lesson:
    """What one event of a search taught. `stage` is where it was learned (propose, evaluate,
    decide), `severity` error or info, `trial` when."""

    stage: str
    category: str
    severity: str
    description: str
    trial: int

    def weight(self, stage: str, trial: int, half_life: float) -> float:
        """Return the lesson's weight, which halves every `half_life` trials; doubled for its own
        stage, more for an error."""
        faded = math.exp(-(trial - self.trial) * math.log(2) / half_life)
        own = _SAME_STAGE if self.stage == stage else 1.0
        return faded * own * (_ERROR if self.severity == "error" else 1.0)

    def __str__(self) -> str:
        return f"- [{self.category}] {self.description}"


def weightiest(
    lessons: Sequence[Lesson], stage: str, trial: int, *, count: int, half_life: float
) -> list[Lesson]:
    """Return the weightiest lessons for a stage, the younger first among equals."""
    by_age = sorted(lessons, key=lambda lesson: -lesson.trial)
    return sorted(by_age, key=lambda lesson: -lesson.weight(stage, trial, half_life))[:count]
