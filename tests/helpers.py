"""Small searches for tests: a scripted proposer, and loops over it."""

from collections.abc import Sequence
from typing import Any

from bilevel.invention import Admission, Attempt, GateVerdict, Invention
from bilevel.loop.acceptance import Greedy
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.parameters import Choice, Float, PowerOfTwo, Text
from bilevel.space import SearchSpace
from bilevel.tasks.base import Task
from bilevel.trace import FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.view import NO_SETTINGS, Brief, View

SPACE = SearchSpace(
    (
        Float("X", -10.0, 10.0, 5.0),
        PowerOfTwo("BATCH", 1, 1024, 64),
        Choice("MODE", ("plain", "crash"), "plain"),
    )
)


class Parabola(Task):
    """X squared plus |log2 BATCH|; MODE=crash fails. Counts its evaluations."""

    name = "parabola"
    space = SPACE
    objective = Objective("val_bpb")

    def __init__(self) -> None:
        self.evaluated = 0
        self.settled: list[int] = []

    def evaluate(self, parent: Trial | None, proposal: Proposal, seed: int) -> Outcome:
        self.evaluated += 1
        config: Any = self.configured(parent, proposal)
        if config["MODE"] == "crash":
            return Outcome.failed(FailureKind.CRASH, "MODE=crash crashes")
        return Outcome(config["X"] ** 2 + config["BATCH"].bit_length() - 1.0)

    def settle(self, trial: Trial) -> None:
        self.settled.append(trial.number)


class Listed:
    """Proposes what it is given, in order and then again from the start; keeps the briefs."""

    def __init__(self, *changes: dict[str, object], settings: SearchSpace = NO_SETTINGS) -> None:
        self.settings = settings
        self.briefs: list[Brief] = []
        self.views: list[View] = []
        self._changes = changes
        self._next = 0

    def propose(self, view: View, brief: Brief) -> Sequence[Proposal]:
        self.briefs.append(brief)
        self.views.append(view)
        changes = self._changes[self._next % len(self._changes)]
        self._next += 1
        return [Proposal(changes, origin="listed")]


GUIDED = SearchSpace((Text("guidance", 100),))


def loop(*changes: dict[str, object], mechanisms: Sequence[Any] = (), **rest: Any) -> Loop:
    """A loop over Parabola with a Listed proposer."""
    arguments: dict[str, Any] = {
        "task": Parabola(),
        "proposer": Listed(*changes),
        "acceptance": Greedy(),
        "trials": len(changes),
        "pipeline": Pipeline(mechanisms),
    }
    return Loop(**{**arguments, **rest})


def invention(
    name: str,
    source: str,
    *,
    carrier: str = "code",
    hooks: tuple[str, ...] = ("propose",),
    admitted: bool = True,
) -> Invention:
    """What a session came to with its first text, as far as attaching and judging read it."""
    verdicts = (GateVerdict("parse", True, "it is Python"), GateVerdict("lint", admitted, "so"))
    admission = Admission(admitted, verdicts, name, carrier, hooks)
    attempts = (Attempt(source, admission),)
    return Invention(name, carrier, attempts=attempts, problem=admission.problem)
